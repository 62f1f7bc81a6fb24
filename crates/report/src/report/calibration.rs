//! The control arm beside what was seen in patients.

use super::{Data, bin_at};
use crate::cohort::{CohortEvent, CohortRow};
use crate::figures::Figure;
use crate::targets::{Compared, Courses, figure};

/// For every kind of event the incidences of the cohort whose stratum and time the trial has, with
/// the model's.
pub(super) fn figures(data: &Data<'_>) -> Vec<Figure> {
    let Some(cohort) = data.input.cohort else {
        return Vec::new();
    };
    let mut figures = Vec::new();
    for event in CohortEvent::ALL {
        let rows = cohort.rows.iter().filter(|row| row.event == event);
        let compared: Vec<Compared<'_>> = rows.filter_map(|row| compared(data, row)).collect();
        if !compared.is_empty() {
            figures.push(figure(&data.arms[data.control], event, &compared));
        }
    }
    figures
}

fn compared<'a>(data: &Data<'_>, cohort: &'a CohortRow) -> Option<Compared<'a>> {
    let group = data
        .groups
        .iter()
        .find(|group| group.is_called(&cohort.stratum))?;
    let bin = bin_at(&data.edges_years, cohort.years).ok()?;
    let courses = Courses {
        tally: data.tally,
        arm: data.control,
        edges_years: &data.edges_years,
    };
    Some(Compared {
        model: courses.incidence(&group.strata, cohort.event, bin),
        cohort,
    })
}
