//! What `reseed power` prints, for trials with outcomes that were made up.

use reseed_report::{Power, PowerInput, power};
use reseed_stats::group_sequential::Spending;
use reseed_stats::power::{BlockTrials, TrialShape};
use reseed_stats::virtual_trial::{Analysis, Design, Outcome, Verdict};
use reseed_stats::{Endpoint, Estimate};

fn design(looks: &[f64]) -> Design {
    Design {
        control_patients: vec![100, 1000],
        block: [1, 2],
        accrual_days: 2.0 * 365.25,
        follow_up_days: 3.0 * 365.25,
        dropout_per_day: 0.0,
        looks: looks.to_vec(),
        events: Vec::new(),
        spending: Spending::OBrienFleming,
        alpha: 0.05,
    }
}

fn analysis(day: f64, events: u64, log_ratio: f64) -> Analysis {
    Analysis {
        day,
        enrolled: 300,
        events,
        z: 0.0,
        log_ratio: Estimate {
            value: log_ratio,
            standard_error: 0.1,
        },
    }
}

/// Of ten trials a block, the treatment is found to help in six or eight, half of them early if
/// there is an early look; the control against itself in one of the second block.
fn blocks(design: &Design) -> Vec<BlockTrials> {
    let last = design.looks.len() - 1;
    let of = |number: u64| {
        let mut block = BlockTrials::new(TrialShape::of(design, 2));
        for trial in 0..10 {
            block.add_trial();
            for (arm, helps) in [(0, trial < number), (1, trial < 6 + 2 * number)] {
                let early = helps && trial % 2 == 0 && last > 0;
                let end = analysis(1826.25, 60, [0.0, -0.5][arm]);
                let outcome = Outcome {
                    verdict: if helps {
                        Verdict::Benefit
                    } else {
                        Verdict::Neither
                    },
                    look: if early { 0 } else { last },
                    stop: if early {
                        analysis(913.125, 40, -0.9)
                    } else {
                        end
                    },
                    end,
                    end_verdict: if helps {
                        Verdict::Benefit
                    } else {
                        Verdict::Neither
                    },
                };
                for size in 0..2 {
                    block.count(arm, size, &outcome);
                }
            }
        }
        block
    };
    vec![of(0), of(1)]
}

fn report(design: &Design, uncertain_parameters: bool) -> Power {
    power(&PowerInput {
        trial: "breast",
        title: "A title",
        seed: 7,
        digest: "0123abcd",
        arms: &["control".to_owned(), "siltuximab".to_owned()],
        control: 0,
        chosen: &[0, 1],
        endpoint: Endpoint::Local,
        design,
        blocks: &blocks(design),
        uncertain_parameters,
    })
}

#[test]
fn text_with_looks() {
    insta::assert_snapshot!(report(&design(&[0.5, 1.0]), false).to_text());
}

#[test]
fn text_of_single_analyses_under_uncertain_parameters() {
    insta::assert_snapshot!(report(&design(&[1.0]), true).to_text());
}

#[test]
fn json() {
    let report = report(&design(&[0.5, 1.0]), false);
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).expect("JSON"));
}

#[test]
fn the_control_comes_first_whatever_is_chosen() {
    let design = design(&[1.0]);
    let report = power(&PowerInput {
        trial: "breast",
        title: "",
        seed: 7,
        digest: "",
        arms: &["siltuximab".to_owned(), "control".to_owned()],
        control: 1,
        chosen: &[0],
        endpoint: Endpoint::Rfs,
        design: &design,
        blocks: &blocks(&design),
        uncertain_parameters: false,
    });
    let arms: Vec<&str> = report.rows.iter().map(|row| row.arm.as_str()).collect();
    assert_eq!(arms, ["control", "siltuximab"].repeat(2));
    assert!(report.rows[0].is_null && !report.rows[1].is_null);
}
