//! Discrimination: whether those with the higher risk have the event earlier.

use super::sums::{Around, RankSums};
use super::{Cohort, Followed};
use crate::estimate::Estimate;
use crate::tally::ExitKind;

/// How pairs of patients count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairWeights {
    /// All alike: Harrell's C (Harrell, Lee and Mark, Stat Med 1996;15:361). It depends on how
    /// long patients were followed.
    Equal,
    /// By the inverse of the probability that both are followed until the first of them has the
    /// event: Uno's C (Uno et al., Stat Med 2011;30:1105), which does not.
    InverseFollowing,
}

/// How well risks order patients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Concordance {
    /// The share of comparable pairs in which the patient with the higher risk has the event
    /// first; pairs of equal risks count as half. 0.5 is chance, 1 is perfect order. The standard
    /// error is the infinitesimal jackknife over patients, which takes the probabilities of being
    /// followed for known. As R's `survival::concordance`.
    pub value: Estimate,
    /// The share of comparable pairs with equal risks.
    pub tied: f64,
}

/// Concordance of risks with events until a time. A pair is comparable if one patient has the
/// event while the other goes on or has left by a competing event, and is not if both have
/// it at the same time. Takes n·log n steps.
///
/// # Panics
/// If there are not as many risks as patients.
pub fn concordance(
    cohort: &Cohort,
    risks: &[f64],
    weights: PairWeights,
    until: f64,
) -> Concordance {
    assert_eq!(
        risks.len(),
        cohort.patients.len(),
        "every patient has a risk"
    );
    let mut pairs = Pairs::new(cohort, risks, weights);
    let time = |patient: &usize| cohort.patients[*patient].time;
    let mut order: Vec<usize> = (0..risks.len()).collect();
    order.sort_by(|a, b| time(a).total_cmp(&time(b)));
    for together in order.chunk_by(|a, b| time(a).total_cmp(&time(b)).is_eq()) {
        pairs.advance(together, until);
    }
    pairs.finish()
}

/// Weights of the pairs that have been seen: those in good order, ties by half, and all.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    good: f64,
    tied: f64,
    all: f64,
}

impl Seen {
    /// Pairs with those around a rank, of whom those on the side `good` are in good order.
    fn add(&mut self, around: Around, good: f64, factor: f64) {
        self.good += factor * (good + 0.5 * around.equal);
        self.tied += factor * around.equal;
        self.all += factor * (around.below + around.equal + around.above);
    }
}

/// The pairs as time goes on. An event at t makes a pair with everybody who goes on, of weight
/// early(t), and with everybody whom a competing event took at s before, of weight late(t)·late(s).
struct Pairs<'a> {
    patients: &'a [Followed],
    ranks: Vec<usize>,
    /// By patient: probability of being followed until just before the exit; 1 if all are alike.
    followed: Vec<f64>,
    going_on: RankSums,
    competed: RankSums,
    early_events: RankSums,
    late_events: RankSums,
    /// By patient: pairs as the one with the event, and as the other.
    seen: Vec<Seen>,
    whole: Seen,
}

impl<'a> Pairs<'a> {
    fn new(cohort: &'a Cohort, risks: &[f64], weights: PairWeights) -> Self {
        let (ranks, distinct) = dense_ranks(risks);
        let mut going_on = RankSums::new(distinct);
        for rank in &ranks {
            going_on.add(*rank, 1.0);
        }
        let followed = cohort.patients.iter().map(|patient| match weights {
            PairWeights::Equal => 1.0,
            PairWeights::InverseFollowing => cohort.following.before(patient.time),
        });
        Self {
            patients: &cohort.patients,
            followed: followed.collect(),
            going_on,
            competed: RankSums::new(distinct),
            early_events: RankSums::new(distinct),
            late_events: RankSums::new(distinct),
            seen: vec![Seen::default(); ranks.len()],
            whole: Seen::default(),
            ranks,
        }
    }

    /// Goes over one time, at which these patients leave: first those with the event.
    fn advance(&mut self, together: &[usize], until: f64) {
        let who = |kind: ExitKind| {
            let patients = self.patients;
            let leave = move |patient: &usize| patients[*patient].exit == kind;
            together.iter().copied().filter(leave).collect::<Vec<_>>()
        };
        let [events, competing, censored] =
            [ExitKind::Event, ExitKind::Competing, ExitKind::Censored].map(who);
        for patient in &events {
            self.leave(*patient);
        }
        let counted = |patient: &&usize| self.patients[**patient].time <= until;
        let counted: Vec<usize> = events.iter().filter(counted).copied().collect();
        for patient in &counted {
            self.have_event(*patient);
        }
        for patient in counted {
            let late = 1.0 / self.followed[patient];
            self.early_events.add(self.ranks[patient], late * late);
            self.late_events.add(self.ranks[patient], late);
        }
        for patient in censored {
            self.leave(patient);
        }
        for patient in competing {
            self.leave(patient);
            let late = 1.0 / self.followed[patient];
            // Later events are those until the end less those until now.
            let now = self.late_events.around(self.ranks[patient]);
            self.seen[patient].add(now, now.above, -late);
            self.competed.add(self.ranks[patient], late);
        }
    }

    /// The patient has been the other of a pair with all who have had the event.
    fn leave(&mut self, patient: usize) {
        let rank = self.ranks[patient];
        let events = self.early_events.around(rank);
        self.seen[patient].add(events, events.above, 1.0);
        self.going_on.add(rank, -1.0);
    }

    fn have_event(&mut self, patient: usize) {
        let rank = self.ranks[patient];
        let late = 1.0 / self.followed[patient];
        let others = [
            (self.going_on.around(rank), late * late),
            (self.competed.around(rank), late),
        ];
        for (around, factor) in others {
            self.seen[patient].add(around, around.below, factor);
            self.whole.add(around, around.below, factor);
        }
    }

    fn finish(mut self) -> Concordance {
        for (patient, followed) in self.patients.iter().enumerate() {
            if followed.exit == ExitKind::Competing {
                let late = 1.0 / self.followed[patient];
                let events = self.late_events.around(self.ranks[patient]);
                self.seen[patient].add(events, events.above, late);
            }
        }
        let Seen { good, tied, all } = self.whole;
        let value = good / all;
        let influences = self
            .seen
            .iter()
            .map(|seen| (seen.good - value * seen.all) / all);
        Concordance {
            value: Estimate::new(value, influences.map(|one| one * one).sum()),
            tied: tied / all,
        }
    }
}

/// Ranks from 0, equal risks sharing theirs, and how many there are.
fn dense_ranks(risks: &[f64]) -> (Vec<usize>, usize) {
    let mut distinct = risks.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let rank = |risk: &f64| distinct.partition_point(|other| other < risk);
    (risks.iter().map(rank).collect(), distinct.len())
}
