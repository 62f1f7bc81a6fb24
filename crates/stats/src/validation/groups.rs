//! Groups of patients by their risk.

use crate::sample::ranks;

/// Divides patients into so many groups of about equal size by their risks, the lowest first;
/// patients are told by their positions. Equal risks stay together, so with few different ones
/// there are fewer groups, and sizes differ.
pub fn risk_groups(risks: &[f64], groups: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); groups];
    for (patient, rank) in ranks(risks).into_iter().enumerate() {
        let place = (rank - 0.5) / risks.len() as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the groups"
        )]
        let group = (place * groups as f64) as usize;
        members[group].push(patient);
    }
    members.retain(|group| !group.is_empty());
    members
}
