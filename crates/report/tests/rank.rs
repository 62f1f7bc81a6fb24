//! What `reseed rank` prints, for points small enough to count by hand.

use reseed_report::{PointLayout, RankError, RankFactor, RankInput, Ranked, rank};
use reseed_stats::sensitivity::Step;
use reseed_stats::{ENDPOINTS, Endpoint, RecordColumn, RecordValues};

const ARMS: usize = 4;

fn column(name: &str, width: usize, values: RecordValues) -> RecordColumn {
    RecordColumn {
        name: name.to_owned(),
        unit: "1".to_owned(),
        description: String::new(),
        width,
        values,
    }
}

/// Blocks with these numbers. The first parameter runs from 0 to 1, the second is a switch that is 5 in
/// every second block, else 7. `differences` are those of the arms by distant recurrence; by
/// anything else there is none.
fn blocks(numbers: &[u64], differences: impl Fn(f64, f64) -> [f64; ARMS]) -> Vec<RecordColumn> {
    let parameter = |block: u64| {
        let first = block as f64 / 40.0;
        [first, if block.is_multiple_of(2) { 5.0 } else { 7.0 }]
    };
    let spread = |of: &dyn Fn(u64) -> [f64; ARMS]| {
        let mut values = Vec::new();
        for block in numbers {
            for arm in of(*block) {
                let mut by_endpoint = [0.0; ENDPOINTS];
                by_endpoint[Endpoint::Distant as usize] = arm;
                values.extend(by_endpoint);
            }
        }
        RecordValues::F64(values)
    };
    let difference = |block: u64| {
        let [first, switch] = parameter(block);
        differences(first, switch)
    };
    let incidence = |block: u64| difference(block).map(|arm| 0.2 + arm);
    let width = ARMS * ENDPOINTS;
    vec![
        column("index", 1, RecordValues::U64(numbers.to_vec())),
        column("enrolled", 1, RecordValues::U64(vec![900; numbers.len()])),
        column("incidence", width, spread(&incidence)),
        column("difference", width, spread(&difference)),
        column(
            "difference_standard_error",
            width,
            spread(&|_| [0.0, 0.001, 0.001, 0.001]),
        ),
        column(
            "parameter",
            2,
            RecordValues::F64(numbers.iter().flat_map(|block| parameter(*block)).collect()),
        ),
    ]
}

fn ranked(
    blocks: &[RecordColumn],
    layout: PointLayout<'_>,
    cluster: usize,
) -> Result<Ranked, RankError> {
    let arms = ["control", "one", "two", "both"].map(str::to_owned);
    let groups = [
        ("Single targets".to_owned(), vec![1, 2]),
        ("All arms".to_owned(), vec![1, 2, 3]),
    ];
    let factors = [
        RankFactor {
            key: "homing.scar_capture".to_owned(),
            alternatives: Vec::new(),
        },
        RankFactor {
            key: "homing.interaction".to_owned(),
            alternatives: vec![("or".to_owned(), 7.0), ("and".to_owned(), 5.0)],
        },
    ];
    let input = RankInput {
        trial: "targets",
        title: "Two targets",
        seed: 3,
        digest: "abc",
        arms: &arms,
        control: 0,
        groups: &groups,
        traced: &[0, 1],
        endpoint: Endpoint::Distant,
        day: 1826.25,
        design: "sobol",
        layout,
        cluster,
        factors: &factors,
        block_patients: 1000,
        blocks,
    };
    let mut state = 1u64;
    rank(&input, &mut || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.rotate_left(32) ^ state
    })
}

/// One is the best where the switch is "and", two where it is "or"; both together always.
fn switched(first: f64, switch: f64) -> [f64; ARMS] {
    let (low, high) = (-0.05 - 0.02 * first, -0.01);
    let [one, two] = if switch < 6.0 {
        [low, high]
    } else {
        [high, low]
    };
    [0.0, one, two, -0.08]
}

fn sample() -> Ranked {
    let blocks = blocks(&(0..40).collect::<Vec<_>>(), switched);
    ranked(&blocks, PointLayout::Sample, 1).expect("a ranking")
}

#[test]
fn arms_are_ranked_in_their_groups_and_by_switch() {
    let found = sample();
    assert_eq!(
        (found.points, found.point_patients, found.factors),
        (40, 1000, 2)
    );
    let heads: Vec<_> = (found.rankings.iter())
        .map(|table| (&*table.group, table.alternative.as_deref(), table.points))
        .collect();
    assert_eq!(
        heads,
        [
            ("Single targets", None, 40),
            ("Single targets", Some("or"), 20),
            ("Single targets", Some("and"), 20),
            ("All arms", None, 40),
            ("All arms", Some("or"), 20),
            ("All arms", Some("and"), 20),
        ]
    );
    let best = |table: usize| {
        let rows = &found.rankings[table].rows;
        let rows = rows.iter().map(|row| (&*row.arm, row.best));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(best(0), [("one", Some(0.5)), ("two", Some(0.5))]);
    assert_eq!(best(1), [("two", Some(1.0)), ("one", Some(0.0))]);
    assert_eq!(best(2), [("one", Some(1.0)), ("two", Some(0.0))]);
    assert_eq!(best(3)[0], ("both", Some(1.0)));
    assert_eq!(found.rankings[0].undecided, Some(0.0));
    let ranks = &found.rankings[3].rows[0].rank_probabilities;
    assert_eq!(ranks, &[Some(1.0), Some(0.0), Some(0.0)]);
}

#[test]
fn outcomes_are_traced_to_what_they_depend_on() {
    let found = sample();
    let influence = &found.influences[1];
    assert_eq!(
        (&*influence.arm, influence.measure),
        ("one", "rank_correlation")
    );
    let switch = &influence.rows[0];
    assert_eq!(switch.factor, "homing.interaction");
    // The second alternative, "and", is the lower.
    assert!(switch.influence.value.is_some_and(|value| value < -0.8));
    assert_eq!(switch.ends[0].points, "or");
    assert_eq!(
        switch.ends[0].mean.map(|mean| (1e9 * mean).round()),
        Some(-1e7)
    );
    let number = &influence.rows[1];
    assert_eq!(number.ends[0].points, "lowest tenth");
    // Of blocks 0 to 3 and 36 to 39, two have the switch at "and".
    let mean = |first: [f64; 2]| (-0.02 - 0.1 - 0.02 * (first[0] + first[1])) / 4.0;
    let ends = [mean([0.0, 0.05]), mean([0.9, 0.95])];
    for (end, expected) in number.ends.iter().zip(ends) {
        assert!(
            end.mean.is_some_and(|mean| (mean - expected).abs() < 1e-12),
            "{end:?}"
        );
    }
    // The control's incidence is the same everywhere: nothing correlates with it.
    assert!(
        found.influences[0]
            .rows
            .iter()
            .all(|row| row.influence.value.is_none())
    );
    let figures = found.tornadoes();
    assert_eq!(figures[1].name, "distant-one");
    assert_eq!(figures[1].bars[0].factor, "homing.interaction: and or or");
    assert!((figures[1].bars[0].high + 1.0).abs() < 1e-9);
    let ranks = found.ranks();
    let all = ranks.iter().find(|ranks| ranks.name == "distant-all-arms");
    assert_eq!(all.expect("ranks of all arms").arms[0].0, "both");
    // The single targets once more for each way in which the switch is set.
    let switched = ranks.iter().filter(|ranks| ranks.title.contains("where"));
    let best: Vec<&str> = switched.map(|ranks| &*ranks.arms[0].0).collect();
    assert_eq!(best, ["two", "one"]);
}

/// Trajectories of which one block is missing are left out, and others keep their own steps.
#[test]
fn effects_are_those_of_whole_trajectories() {
    // Blocks 3t to 3t + 2: the first parameter rises by 1/40 from each to the next.
    let steps = |trajectory: u64| {
        let step = |factor, change| Step { factor, change };
        assert!([2, 4, 5].contains(&trajectory), "{trajectory}");
        vec![step(0, 0.5), step(1, -0.5)]
    };
    let numbers = [6, 7, 8, 12, 14, 15, 16, 17];
    let blocks = blocks(&numbers, |first, _| [0.0, -first, 0.0, 0.0]);
    let found = ranked(&blocks, PointLayout::Trajectories(&steps), 3).expect("a ranking");
    let influence = &found.influences[1];
    assert_eq!(influence.measure, "elementary_effect");
    let size = |key: &str| {
        let row = influence.rows.iter().find(|row| row.factor == key);
        row.expect("a row").influence.value.expect("a number")
    };
    assert!((size("homing.scar_capture") - 0.05).abs() < 1e-12);
    assert!((size("homing.interaction") - 0.05).abs() < 1e-12);
    let alone = influence
        .rows
        .iter()
        .map(|row| row.alone.and_then(|mean| mean.value));
    let signs: Vec<bool> = alone.map(|mean| mean.expect("a number") > 0.0).collect();
    assert_eq!(signs.iter().filter(|is_positive| **is_positive).count(), 1);
    assert!(
        influence.rows[0]
            .noise_floor
            .is_some_and(|floor| floor > 0.0)
    );
    assert!(
        influence.rows[0]
            .ends
            .iter()
            .all(|end| end.mean_standard_error.is_none())
    );
    assert_eq!(found.points, 8);
}

#[test]
fn indices_need_rows_of_the_design() {
    let numbers: Vec<u64> = (0..40).collect();
    let found = ranked(&blocks(&numbers, switched), PointLayout::Rows, 4).expect("a ranking");
    assert_eq!(found.influences[1].measure, "sobol_index");
    assert_eq!(found.influences[1].rows.len(), 2);
    let few = ranked(&blocks(&numbers[..4], switched), PointLayout::Rows, 4).expect("a ranking");
    assert!(few.influences[1].rows.is_empty());
    assert!(few.to_text().contains("too few points to tell"));
}

#[test]
fn what_cannot_be_ranked_is_told() {
    let whole = blocks(&[0, 1, 2], switched);
    let error = |blocks: &[RecordColumn]| {
        ranked(blocks, PointLayout::Sample, 1)
            .expect_err("no ranking")
            .to_string()
    };
    assert!(error(&[]).contains("no uncertain parameters"));
    assert_eq!(
        error(&whole[..5]),
        "its table of blocks is damaged: it has no column parameter"
    );
    let mut narrow = whole.clone();
    narrow[3].width = 1;
    assert_eq!(
        error(&narrow),
        "its table of blocks is damaged: difference has 1 values in a row, not 16"
    );
    let turned = blocks(&[1, 0], switched);
    assert!(error(&turned).contains("not in order"));
}

#[test]
fn text_of_a_sample() {
    insta::assert_snapshot!(sample().to_text());
}

#[test]
fn json_of_a_sample() {
    let mut json = serde_json::to_value(sample()).expect("JSON");
    // One of each is enough to see the form.
    for list in ["rankings", "influences"] {
        let list = json[list].as_array_mut().expect("a list");
        list.drain(..list.len() - 1);
        let rows = list[0]["rows"].as_array_mut().expect("rows");
        rows.truncate(1);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).expect("JSON"));
}
