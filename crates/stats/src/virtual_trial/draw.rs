//! Who takes part in a trial, in which group, from when, and how long at most.

use super::{Design, Luck, Purpose};

/// The patients of the largest trial in order of entry; smaller ones have the first of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Draw {
    /// All positions in the pool; those drawn are in front.
    positions: Vec<usize>,
    /// With what each of those drawn changed places.
    exchanged: Vec<usize>,
    /// 0 for control, 1 for treated.
    pub(super) group: Vec<usize>,
    /// Sums of exponential gaps from entry to entry, and one after the last.
    arrivals: Vec<f64>,
    /// Days from entry; infinite if never.
    pub(super) dropout_days: Vec<f64>,
}

impl Draw {
    /// Draws from a pool of so many.
    pub(super) fn take(&mut self, design: &Design, pool_patients: usize, luck: &mut impl Luck) {
        let patients = design.patients_max();
        assert!(
            patients <= pool_patients,
            "{patients} patients cannot be drawn from {pool_patients}"
        );
        if self.positions.len() != pool_patients {
            self.positions = (0..pool_patients).collect();
        }
        luck.open(Purpose::Patients);
        self.exchanged.clear();
        for place in 0..patients {
            let other = place + below(pool_patients - place, luck);
            self.positions.swap(place, other);
            self.exchanged.push(other);
        }
        luck.open(Purpose::Randomisation);
        self.group.clear();
        while self.group.len() < patients {
            self.randomise_block(design.block, luck);
        }
        luck.open(Purpose::Entry);
        self.arrivals.clear();
        let mut arrival = 0.0;
        for _ in 0..=patients {
            arrival += luck.exponential();
            self.arrivals.push(arrival);
        }
        luck.open(Purpose::DropOut);
        self.dropout_days.clear();
        let mut dropout = || match design.dropout_per_day {
            0.0 => f64::INFINITY,
            hazard => luck.exponential() / hazard,
        };
        self.dropout_days.extend((0..patients).map(|_| dropout()));
    }

    /// Adds a block of patients in random order.
    fn randomise_block(&mut self, [control, treated]: [usize; 2], luck: &mut impl Luck) {
        let start = self.group.len();
        self.group.extend((0..control).map(|_| 0));
        self.group.extend((0..treated).map(|_| 1));
        let block = &mut self.group[start..];
        for left in (2..=block.len()).rev() {
            block.swap(left - 1, below(left, luck));
        }
    }

    /// Puts the pool in order again, so that the next trial does not depend on this one.
    pub(super) fn put_back(&mut self) {
        for (place, other) in self.exchanged.drain(..).enumerate().rev() {
            self.positions.swap(place, other);
        }
    }

    /// Positions in the pool of those drawn.
    pub(super) fn drawn(&self) -> &[usize] {
        &self.positions[..self.group.len()]
    }

    /// Entries of the trial of so many patients, as shares of its accrual: the gaps of a Poisson
    /// process over their sum are those between uniform numbers in order.
    pub(super) fn entry_shares(&self, patients: usize) -> impl Iterator<Item = f64> {
        let all = self.arrivals[patients];
        self.arrivals[..patients]
            .iter()
            .map(move |arrival| arrival / all)
    }
}

/// Uniform among the first so many whole numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a product of a number in [0, 1) and a count"
)]
fn below(count: usize, luck: &mut impl Luck) -> usize {
    ((luck.uniform() * count as f64) as usize).min(count - 1)
}
