//! Whom trials are drawn from.

/// When an endpoint was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObservedTime {
    /// Days from entry.
    pub days: f64,
    /// Whether the endpoint's event happened then; if not, nothing was seen of it until then and
    /// nothing can be later.
    pub is_event: bool,
}

/// Patients to draw from, each observed in every arm.
#[derive(Debug, Clone)]
pub struct Pool {
    arms: usize,
    observed: Vec<ObservedTime>,
}

impl Pool {
    /// Nobody yet.
    ///
    /// # Panics
    /// Without arms.
    pub fn new(arms: usize) -> Self {
        assert!(arms > 0, "a patient is observed in an arm");
        Self {
            arms,
            observed: Vec::new(),
        }
    }

    /// Adds a patient.
    ///
    /// # Panics
    /// If there is not one time for each arm.
    pub fn push(&mut self, by_arm: impl IntoIterator<Item = ObservedTime>) {
        self.observed.extend(by_arm);
        assert!(
            self.observed.len().is_multiple_of(self.arms),
            "a patient is observed once in each arm"
        );
    }

    /// Removes all patients.
    pub fn clear(&mut self) {
        self.observed.clear();
    }

    /// Number of patients.
    pub fn patients(&self) -> usize {
        self.observed.len() / self.arms
    }

    /// Number of arms.
    pub fn arms(&self) -> usize {
        self.arms
    }

    pub(super) fn observed(&self, patient: usize, arm: usize) -> ObservedTime {
        self.observed[patient * self.arms + arm]
    }
}
