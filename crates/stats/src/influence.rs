//! What each patient of a group contributes to an estimate, by exit.

use crate::tally::ExitKind;

/// Contributions of patients who leave by an event, by a competing one or censored, row by row of
/// a risk table. Those who leave after its last row contribute what the censored of that row do.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Influence {
    event: Vec<f64>,
    competing: Vec<f64>,
    censored: Vec<f64>,
}

impl Influence {
    /// Adds the next row.
    pub(crate) fn push(&mut self, event: f64, competing: f64, censored: f64) {
        self.event.push(event);
        self.competing.push(competing);
        self.censored.push(censored);
    }

    /// Multiplies all contributions.
    pub(crate) fn scale(&mut self, factor: f64) {
        let kinds = [&mut self.event, &mut self.competing, &mut self.censored];
        for value in kinds.into_iter().flatten() {
            *value *= factor;
        }
    }

    /// Of a patient who leaves in this way in this row.
    pub(crate) fn of(&self, kind: ExitKind, row: usize) -> f64 {
        let values = match kind {
            ExitKind::Event => &self.event,
            ExitKind::Competing => &self.competing,
            ExitKind::Censored => &self.censored,
        };
        let last = self.censored.last().copied().unwrap_or(0.0);
        values.get(row).copied().unwrap_or(last)
    }
}
