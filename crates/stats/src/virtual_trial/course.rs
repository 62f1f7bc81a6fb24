//! What is observed in a trial, and what its analysis finds by a day.

use crate::ratio::{self, Moment, Ties};

use super::draw::Draw;
use super::{Analysis, ObservedTime, Pool};

/// The patients of a draw with one arm as the treatment.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// By place in the order of entry.
    observed: Vec<ObservedTime>,
    /// Places in the order of what is observed, with its days from entry.
    order: Vec<(f64, usize)>,
    /// Days from the trial's start, of those who take part.
    entry_days: Vec<f64>,
    /// Days from the trial's start, sorted, if they were asked for.
    event_days: Vec<f64>,
    /// Times with events of the last look.
    moments: Vec<Moment>,
}

/// What a look sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    day: f64,
    enrolled: usize,
    pub(super) events: u64,
    pub(super) z: f64,
}

impl Course {
    /// Lets those drawn live in the arms of their groups.
    pub(super) fn follow(&mut self, draw: &Draw, pool: &Pool, arms: [usize; 2]) {
        self.observed.clear();
        let patients = draw.drawn().iter().zip(&draw.group);
        for ((patient, group), dropout_days) in patients.zip(&draw.dropout_days) {
            let observed = pool.observed(*patient, arms[*group]);
            self.observed.push(if *dropout_days < observed.days {
                ObservedTime {
                    days: *dropout_days,
                    is_event: false,
                }
            } else {
                observed
            });
        }
        self.order.clear();
        let days = self.observed.iter().map(|observed| observed.days);
        self.order.extend(days.zip(0..));
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// Lets the first of them enter on these days.
    pub(super) fn enter(&mut self, entry_days: impl Iterator<Item = f64>) {
        self.entry_days.clear();
        self.entry_days.extend(entry_days);
    }

    /// Prepares [`Self::day_of_event`].
    pub(super) fn sort_event_days(&mut self) {
        self.event_days.clear();
        for (entry, observed) in self.entry_days.iter().zip(&self.observed) {
            if observed.is_event {
                self.event_days.push(entry + observed.days);
            }
        }
        self.event_days.sort_unstable_by(f64::total_cmp);
    }

    /// Day of the event with this number, a whole one, counted from 1; infinite if there are
    /// fewer.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number of events"
    )]
    pub(super) fn day_of_event(&self, number: f64) -> f64 {
        let place = (number as usize).saturating_sub(1);
        self.event_days.get(place).copied().unwrap_or(f64::INFINITY)
    }

    /// The log-rank test of what is known by a day. `group` is that of each patient in order of
    /// entry.
    pub(super) fn look(&mut self, day: f64, group: &[usize]) -> Seen {
        let enrolled = self.entry_days.partition_point(|entry| *entry < day);
        let mut risk_set = RiskSet::new(&group[..enrolled]);
        self.moments.clear();
        // Those still followed leave the risk set when their entry is as long ago as they are
        // followed: in reverse order of entry.
        let mut later = enrolled;
        let mut now = f64::NEG_INFINITY;
        for (days, place) in &self.order {
            if *place >= enrolled || self.entry_days[*place] + days > day {
                continue;
            }
            if *days > now {
                risk_set.close(&mut self.moments);
                now = *days;
                while later > 0 && day - self.entry_days[later - 1] < now {
                    later -= 1;
                    let still_followed = self.entry_days[later] + self.observed[later].days > day;
                    if still_followed {
                        risk_set.at_risk[group[later]] -= 1.0;
                    }
                }
            }
            risk_set.leave(group[*place], self.observed[*place].is_event);
        }
        risk_set.close(&mut self.moments);
        Seen {
            day,
            enrolled,
            events: risk_set.all_events,
            z: -risk_set.score / risk_set.variance.sqrt(),
        }
    }

    /// The whole analysis of the last look.
    pub(super) fn analysis(&self, seen: Seen) -> Analysis {
        Analysis {
            day: seen.day,
            enrolled: seen.enrolled,
            events: seen.events,
            z: seen.z,
            log_ratio: ratio::of_moments(&self.moments, Ties::Efron).0.log_ratio,
        }
    }
}

/// Who is at risk as time goes on, and the log-rank test's sums; pairs are by group.
struct RiskSet {
    at_risk: [f64; 2],
    /// Events of now.
    events: [u64; 2],
    /// All who leave now, with or without an event.
    leaving: [f64; 2],
    all_events: u64,
    /// Events of the treated less those expected.
    score: f64,
    variance: f64,
}

impl RiskSet {
    fn new(group: &[usize]) -> Self {
        let treated = group.iter().sum::<usize>();
        Self {
            at_risk: [(group.len() - treated) as f64, treated as f64],
            events: [0; 2],
            leaving: [0.0; 2],
            all_events: 0,
            score: 0.0,
            variance: 0.0,
        }
    }

    fn leave(&mut self, group: usize, is_event: bool) {
        self.events[group] += u64::from(is_event);
        self.leaving[group] += 1.0;
    }

    /// Counts those who leave now and lets them go.
    fn close(&mut self, moments: &mut Vec<Moment>) {
        let events = self.events[0] + self.events[1];
        if events > 0 {
            let [control, treated] = self.at_risk;
            let all = control + treated;
            let number = events as f64;
            self.all_events += events;
            self.score += self.events[1] as f64 - number * treated / all;
            if all > 1.0 {
                self.variance +=
                    number * (all - number) * control * treated / (all * all * (all - 1.0));
            }
            moments.push(Moment {
                at_risk: self.at_risk,
                events: self.events,
            });
        }
        for (at_risk, leaving) in self.at_risk.iter_mut().zip(self.leaving) {
            *at_risk -= leaving;
        }
        self.events = [0; 2];
        self.leaving = [0.0; 2];
    }
}
