//! What must hold between the values of a trial.

use reseed_model::scenario::{LocalTreatmentKind, Scenario, SizeMeasure, TRAITS};

use crate::diagnostic::{Problems, Source, Span, quoted};
use crate::document::Table;
use crate::strata::STRATA_MAX;
use crate::tables::Draft;
use crate::trial::{bin_ending_at, time_edges_days};

/// How far the weights of attraction may be from adding up to one.
const WEIGHTS_TOLERANCE: f64 = 1e-9;

/// Names of the traits, in the order of the model's `Trait`.
const TRAIT_NAMES: [&str; TRAITS] = ["growth", "size", "shedding", "il6", "il8", "age"];

/// Checks the whole trial. Values that could not be read are NaN and pass every check.
pub(crate) fn whole(root: &Table, draft: &Draft, problems: &mut Problems) {
    let check = Check { root };
    let scenario = &draft.trial.scenario;
    check.size(draft, problems);
    check.correlation(scenario, problems);
    check.attraction(scenario, problems);
    check.detection(scenario, problems);
    check.radiotherapy(scenario, problems);
    check.visits(scenario, problems);
    check.comparison(draft, problems);
    check.strata(draft, problems);
}

struct Check<'a> {
    root: &'a Table,
}

impl Check<'_> {
    /// Place of the first of some keys that is given, or of the table, or the file's start.
    fn span(&self, table: &[&str], keys: &[&str]) -> Span {
        let start = Span {
            source: Source::File,
            start: 0,
            end: 0,
        };
        keys.iter()
            .find_map(|key| self.root.at(&[table, &[key]].concat()))
            .or_else(|| self.root.at(table))
            .map_or(start, |node| node.span)
    }

    fn size(&self, draft: &Draft, problems: &mut Problems) {
        let population = &draft.trial.scenario.population;
        let (min, max) = (population.size_min_mm, population.size_max_mm);
        if min >= max {
            problems.add(
                self.span(&["population"], &["size_max_mm"]),
                "size_max_mm is not above size_min_mm",
                format!("must be above {min} mm"),
                None,
            );
        }
        if population.size_median_mm < min || population.size_median_mm > max {
            problems.add(
                self.span(&["population"], &["size_median_mm"]),
                "the median size is outside the limits of size",
                format!("must be from {min} to {max} mm"),
                "change size_median_mm, size_min_mm or size_max_mm".to_owned(),
            );
        }
        match draft.breslow() {
            (true, aspect) if aspect.is_nan() => problems.add(
                self.span(&["population"], &["breslow_aspect", "size_measure"]),
                "breslow_aspect is missing",
                "Breslow thickness needs the disc's diameter over thickness",
                "for example breslow_aspect = 5.0".to_owned(),
            ),
            (false, aspect) if !aspect.is_nan() => problems.add(
                self.span(&["population"], &["breslow_aspect"]),
                "breslow_aspect has no meaning here",
                "size is a diameter",
                "remove it, or set size_measure = \"breslow\"".to_owned(),
            ),
            _ => {}
        }
        let cells = cells_at(population.size_measure, max);
        let plateau = draft.trial.scenario.growth.plateau_cells;
        if cells >= plateau {
            problems.add(
                self.span(&["population"], &["size_max_mm"]),
                "the largest tumour is not below the plateau",
                format!("{max} mm are {cells:e} cells, growth.plateau_cells is {plateau:e}"),
                "lower size_max_mm, or raise plateau_cells".to_owned(),
            );
        }
    }

    /// The correlation matrix must be positive definite: all pivots of its L·D·Lᵀ
    /// factorisation are positive.
    fn correlation(&self, scenario: &Scenario, problems: &mut Problems) {
        let Some(at) = first_bad_pivot(&scenario.population.correlation) else {
            return;
        };
        let pairs: Vec<String> = (0..at)
            .filter(|other| scenario.population.correlation[*other][at] != 0.0)
            .map(|other| format!("{}_{}", TRAIT_NAMES[other], TRAIT_NAMES[at]))
            .collect();
        let keys: Vec<&str> = pairs.iter().map(String::as_str).collect();
        problems.add(
            self.span(&["population", "correlation"], &keys),
            "the correlation matrix is not positive definite",
            format!(
                "no traits can be correlated like this: {} contradicts the correlations before it",
                TRAIT_NAMES[at]
            ),
            format!("bring nearer to 0: {}", pairs.join(", ")),
        );
    }

    fn attraction(&self, scenario: &Scenario, problems: &mut Problems) {
        let homing = &scenario.homing;
        let sum = homing.base + homing.il6.weight + homing.il8.weight;
        if (sum - 1.0).abs() > WEIGHTS_TOLERANCE {
            problems.add(
                self.span(&["homing"], &["base_weight"]),
                "the weights of attraction do not add up to 1",
                format!("base_weight, il6.weight and il8.weight add up to {sum}"),
                format!(
                    "with the other two as they are, base_weight would be {}",
                    1.0 - homing.il6.weight - homing.il8.weight
                ),
            );
        }
    }

    fn detection(&self, scenario: &Scenario, problems: &mut Problems) {
        let plateau = scenario.growth.plateau_cells;
        let founders = 1.0 / scenario.growth.establishment;
        let sizes = [
            ("scar_cells", scenario.detection.scar_cells),
            ("distant_cells", scenario.detection.distant_cells),
        ];
        for (key, cells) in sizes {
            let span = self.span(&["detection"], &[key]);
            if cells >= plateau {
                problems.add(
                    span,
                    format!("{} is never reached", quoted(key)),
                    format!("must be below growth.plateau_cells, {plateau:e}"),
                    None,
                );
            }
            if cells < 10.0 * founders {
                problems.add(
                    span,
                    format!("{} is no bigger than what a founder starts as", quoted(key)),
                    format!("must be at least 10/growth.establishment, {}", 10.0 * founders),
                    None,
                );
            }
        }
    }

    fn radiotherapy(&self, scenario: &Scenario, problems: &mut Problems) {
        if scenario.local_treatment.kind == LocalTreatmentKind::Surgery {
            return;
        }
        for arm in scenario.arms.iter().filter(|arm| arm.radiotherapy) {
            problems.add(
                self.span(&["arms", &arm.name], &["radiotherapy"]),
                format!("arm {} adds radiotherapy to radiotherapy", quoted(&arm.name)),
                "local_treatment.kind = \"radiotherapy\" already irradiates every arm",
                format!("remove it, or the arm: [arms.{}] remove = true", arm.name),
            );
        }
    }

    fn visits(&self, scenario: &Scenario, problems: &mut Problems) {
        let horizon = scenario.follow_up.horizon_days;
        if let Some(last) = scenario.follow_up.visits_days.last()
            && *last < horizon
        {
            problems.add(
                self.span(&["follow_up"], &["visits", "visits_days"]),
                "visits end before follow-up does",
                format!("the last is on day {last}, the horizon is day {horizon}"),
                "add visits up to the horizon or beyond, or shorten the horizon".to_owned(),
            );
        }
    }

    /// Times of comparison are ends of time bins up to the horizon.
    fn comparison(&self, draft: &Draft, problems: &mut Problems) {
        let trial = &draft.trial;
        let horizon = trial.scenario.follow_up.horizon_days;
        if horizon.is_nan() {
            return;
        }
        let edges = time_edges_days(horizon);
        let keys = ["days", "years", "months"];
        let span = self.span(&["compare"], &keys);
        let mut refuse = |day: f64, span: Span| {
            if !day.is_nan() && bin_ending_at(&edges, day).is_none() {
                let near = edges[1..]
                    .iter()
                    .min_by(|a, b| (*a - day).abs().total_cmp(&(*b - day).abs()));
                problems.add(
                    span,
                    "arms cannot be compared at this time",
                    format!("day {day} is not the end of a month up to the horizon"),
                    near.map(|near| format!("the nearest is day {near}")),
                );
            }
        };
        for day in &trial.compare_days {
            refuse(*day, span);
        }
        if self.root.at(&["compare", "primary"]).is_some() {
            refuse(trial.primary.day, self.span(&["compare", "primary"], &keys));
        }
        if trial.compare_days.is_empty() && self.root.table("compare").is_some_and(|table| keys.iter().any(|key| table.get(key).is_some())) && problems.is_empty() {
            problems.add(span, "no time of comparison", "the list is empty", None);
        }
        if trial.scenario.arms.len() > 1 && trial.primary.arm == trial.scenario.control {
            problems.add(
                self.span(&["compare", "primary"], &["arm"]),
                "the primary comparison is of the control with itself",
                "this arm is the control",
                None,
            );
        }
    }

    fn strata(&self, draft: &Draft, problems: &mut Problems) {
        let strata = &draft.trial.strata;
        if strata.len() > STRATA_MAX {
            problems.add(
                self.span(&["strata"], &[]),
                "too many strata",
                format!("{} combinations, at most {STRATA_MAX} are allowed", strata.len()),
                "use fewer cut points".to_owned(),
            );
        }
        if strata.nodes.iter().any(|cut| cut.fract() != 0.0) {
            problems.add(
                self.span(&["strata"], &["nodes"]),
                "nodes come in whole numbers",
                "cut points must be whole",
                None,
            );
        }
    }
}

/// Cells of a tumour of this size at 10⁶ per mm³ (section 3).
fn cells_at(measure: SizeMeasure, size_mm: f64) -> f64 {
    use std::f64::consts::PI;
    let cube = size_mm * size_mm * size_mm * 1e6;
    match measure {
        SizeMeasure::Diameter => PI / 6.0 * cube,
        SizeMeasure::Breslow { aspect } => PI / 4.0 * aspect * aspect * cube,
    }
}

/// First row whose pivot in the L·D·Lᵀ factorisation is not clearly positive.
fn first_bad_pivot(matrix: &[[f64; TRAITS]; TRAITS]) -> Option<usize> {
    const SMALLEST: f64 = 1e-6;
    let mut lower = [[0.0; TRAITS]; TRAITS];
    let mut pivots = [0.0; TRAITS];
    for row in 0..TRAITS {
        for column in 0..=row {
            let mut rest = matrix[row][column];
            for before in 0..column {
                rest -= lower[row][before] * lower[column][before] * pivots[before];
            }
            if column < row {
                lower[row][column] = rest / pivots[column];
            } else {
                pivots[row] = rest;
            }
        }
        if pivots[row] < SMALLEST {
            return Some(row);
        }
    }
    None
}
