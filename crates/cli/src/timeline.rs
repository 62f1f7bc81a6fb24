//! A patient's trace, put into words and into JSON.

use std::fmt;
use std::ops::Range;

use reseed_model::trace::{Site, Source, TraceEvent};
use serde::Serialize;

/// An event with the day from resection, or from diagnosis if there was none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Moment {
    day: f64,
    #[serde(flatten)]
    what: What,
}

/// Times are days from resection; `null` is never.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum What {
    Diagnosed,
    Resected,
    Founded {
        colony: usize,
        /// The colony that shed the founder; none for a residual focus.
        parent: Option<usize>,
        site: &'static str,
        source: &'static str,
        aggressive: bool,
        awake_day: f64,
        detected_untreated_day: f64,
        arms: Vec<String>,
        lost: Vec<Loss>,
    },
    NotFounded {
        parent: usize,
        site: &'static str,
    },
    Woke {
        colony: usize,
        detected_untreated_day: f64,
    },
    Recurred {
        kind: &'static str,
        arms: Vec<String>,
        #[serde(skip)]
        everywhere: bool,
    },
}

/// Arms that a colony does not exist in, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Loss {
    reason: &'static str,
    arms: Vec<String>,
}

/// Names of the arms behind the bits of a trace.
pub(crate) struct Arms<'a> {
    names: Vec<&'a str>,
    /// Bits of the arms to tell about.
    shown: u64,
}

impl<'a> Arms<'a> {
    /// The arms of a pass; only the one at position `only` is shown, if given.
    pub(crate) fn new(all: &[&'a str], pass: Range<usize>, only: Option<usize>) -> Self {
        let first = pass.start;
        let names = all[pass].to_vec();
        let every = u64::MAX >> (64 - names.len());
        Self {
            shown: only.map_or(every, |arm| 1 << (arm - first)),
            names,
        }
    }

    fn of(&self, bits: u64) -> Vec<String> {
        self.names
            .iter()
            .enumerate()
            .filter(|(bit, _)| bits & self.shown & (1 << bit) != 0)
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }
}

/// A recurrence of the same kind on the same day in these of so many shown arms.
pub(crate) fn recurrence(day: f64, kind: &'static str, arms: Vec<String>, shown: usize) -> Moment {
    let what = What::Recurred {
        kind,
        everywhere: arms.len() == shown,
        arms,
    };
    Moment { day, what }
}

/// The moments of a trace up to a day, when nobody is followed any more.
pub(crate) fn moments(events: &[TraceEvent], arms: &Arms, last_day: f64) -> Vec<Moment> {
    let zero = events.iter().rev().find_map(|event| match event {
        TraceEvent::Resected { time } | TraceEvent::Diagnosed { time } => Some(*time),
        _ => None,
    });
    let zero = zero.unwrap_or_default();
    events
        .iter()
        .map(|event| moment(event, arms, zero))
        .filter(|moment| moment.day <= last_day)
        .collect()
}

/// Puts moments in order.
pub(crate) fn sort(moments: &mut [Moment]) {
    moments.sort_by(|a, b| a.day.total_cmp(&b.day));
}

fn moment(event: &TraceEvent, arms: &Arms, zero: f64) -> Moment {
    let (time, what) = match *event {
        TraceEvent::Diagnosed { time } => (time, What::Diagnosed),
        TraceEvent::Resected { time } => (time, What::Resected),
        TraceEvent::NotFounded { time, parent, site } => {
            let site = site_name(site);
            (time, What::NotFounded { parent, site })
        }
        TraceEvent::Woke {
            time,
            colony,
            detected,
        } => {
            let detected_untreated_day = detected - zero;
            let woke = What::Woke {
                colony,
                detected_untreated_day,
            };
            (time, woke)
        }
        TraceEvent::Founded {
            time,
            colony,
            parent,
            site,
            source,
            aggressive,
            awake,
            detected,
            parent_arms,
            shed_in,
            arms: settled,
        } => {
            let founded = What::Founded {
                colony,
                parent: (source != Source::Residual).then_some(parent),
                site: site_name(site),
                source: source_name(source),
                aggressive,
                awake_day: awake - zero,
                detected_untreated_day: detected - zero,
                arms: arms.of(settled),
                lost: losses(arms, source, parent_arms, shed_in, settled),
            };
            (time, founded)
        }
    };
    let day = time - zero;
    Moment { day, what }
}

fn losses(arms: &Arms, source: Source, parent_arms: u64, shed_in: u64, settled: u64) -> Vec<Loss> {
    let unsettled = match source {
        Source::Residual => "killed by irradiation",
        Source::Shed | Source::Burst => "its founder did not settle",
    };
    [
        ("its parent does not exist", !parent_arms),
        (
            "its parent no longer shed, or follow-up had ended",
            parent_arms & !shed_in,
        ),
        (unsettled, shed_in & !settled),
    ]
    .into_iter()
    .map(|(reason, bits)| Loss {
        reason,
        arms: arms.of(bits),
    })
    .filter(|loss| !loss.arms.is_empty())
    .collect()
}

fn site_name(site: Site) -> &'static str {
    match site {
        Site::Primary => "primary",
        Site::Distant => "distant",
        Site::Scar => "scar",
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Shed => "shed",
        Source::Burst => "burst",
        Source::Residual => "residual",
    }
}

/// The moments as lines of text; founders that settled nowhere are only counted.
pub(crate) fn lines(moments: &[Moment]) -> Vec<String> {
    let (nowhere, told): (Vec<&Moment>, Vec<&Moment>) = moments
        .iter()
        .partition(|moment| matches!(moment.what, What::NotFounded { .. }));
    let mut lines: Vec<String> = told
        .iter()
        .map(|moment| format!("{:>10.1}  {}", moment.day, moment.what))
        .collect();
    if !nowhere.is_empty() {
        let count = nowhere.len();
        lines.push(format!(
            "            {count} more founders settled in no arm"
        ));
    }
    lines
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diagnosed => write!(f, "diagnosis"),
            Self::Resected => write!(f, "local treatment"),
            Self::NotFounded { parent, site } => {
                write!(f, "a cell of colony {parent} settled in no arm ({site})")
            }
            Self::Recurred {
                kind, everywhere, ..
            } if *everywhere => write!(f, "{kind} in every arm shown"),
            Self::Recurred { kind, arms, .. } => write!(f, "{kind} in {}", arms.join(", ")),
            Self::Woke {
                colony,
                detected_untreated_day,
            } => {
                write!(f, "colony {colony} wakes")?;
                detection(f, *detected_untreated_day)
            }
            Self::Founded {
                colony,
                parent,
                site,
                source,
                aggressive,
                awake_day,
                detected_untreated_day,
                arms,
                lost,
            } => {
                let class = if *aggressive { "aggressive" } else { "native" };
                write!(f, "colony {colony}, {class}, {}: ", place(site))?;
                match (*source, parent) {
                    ("burst", Some(parent)) => {
                        write!(f, "in the perioperative burst of colony {parent}")?;
                    }
                    (_, Some(parent)) => write!(f, "shed by colony {parent}")?,
                    (_, None) => write!(f, "residual focus")?,
                }
                if awake_day.is_infinite() {
                    write!(f, ", dormant")?;
                }
                detection(f, *detected_untreated_day)?;
                existence(f, arms, lost)
            }
        }
    }
}

fn place(site: &str) -> &'static str {
    match site {
        "primary" => "in the primary bed",
        "scar" => "in the scar",
        _ => "at a distant site",
    }
}

fn detection(f: &mut fmt::Formatter<'_>, day: f64) -> fmt::Result {
    if day.is_finite() {
        write!(f, ", detectable untreated on day {day:.1}")?;
    }
    Ok(())
}

fn existence(f: &mut fmt::Formatter<'_>, arms: &[String], lost: &[Loss]) -> fmt::Result {
    if lost.is_empty() {
        return write!(f, "; in every arm shown");
    }
    if arms.is_empty() {
        write!(f, "; in no arm shown")?;
    } else {
        write!(f, "; in {}", arms.join(", "))?;
    }
    for loss in lost {
        write!(f, "; not in {} ({})", loss.arms.join(", "), loss.reason)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["control", "siltuximab", "all five"];

    fn founded() -> TraceEvent {
        TraceEvent::Founded {
            time: 1_120.0,
            colony: 4,
            parent: 2,
            site: Site::Scar,
            source: Source::Shed,
            aggressive: true,
            awake: 1_120.0,
            detected: 1_900.5,
            parent_arms: 0b111,
            shed_in: 0b011,
            arms: 0b001,
        }
    }

    fn check(only: Option<usize>, expect: &str) {
        let events = [TraceEvent::Resected { time: 1_000.0 }, founded()];
        let arms = Arms::new(&NAMES, 0..3, only);
        assert_eq!(lines(&moments(&events, &arms, f64::INFINITY))[1], expect);
    }

    #[test]
    fn every_arm_is_accounted_for() {
        check(
            None,
            "     120.0  colony 4, aggressive, in the scar: shed by \
             colony 2, detectable untreated on day 900.5; in control; not in all five (its \
             parent no longer shed, or follow-up had ended); not in siltuximab (its founder did \
             not settle)",
        );
    }

    #[test]
    fn one_arm_can_be_asked_for() {
        check(
            Some(0),
            "     120.0  colony 4, aggressive, in the scar: shed by \
             colony 2, detectable untreated on day 900.5; in every arm shown",
        );
    }

    #[test]
    fn founders_that_settle_nowhere_are_counted() {
        let nowhere = TraceEvent::NotFounded {
            time: 5.0,
            parent: 0,
            site: Site::Distant,
        };
        let arms = Arms::new(&NAMES, 0..3, None);
        let told = lines(&moments(&[nowhere, nowhere], &arms, 9.0));
        assert_eq!(told, ["            2 more founders settled in no arm"]);
    }

    #[test]
    fn what_comes_after_the_last_day_is_left_out() {
        let events = [TraceEvent::Resected { time: 1_000.0 }, founded()];
        let arms = Arms::new(&NAMES, 0..3, None);
        assert_eq!(moments(&events, &arms, 119.0).len(), 1);
    }

    #[test]
    fn never_is_null_in_json() {
        let dormant = TraceEvent::Woke {
            time: 1.0,
            colony: 3,
            detected: f64::INFINITY,
        };
        let moments = moments(&[dormant], &Arms::new(&NAMES, 0..3, None), 9.0);
        assert_eq!(
            serde_json::to_string(&moments).expect("plain data"),
            r#"[{"day":1.0,"event":"woke","colony":3,"detected_untreated_day":null}]"#
        );
    }
}
