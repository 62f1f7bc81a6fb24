//! What must hold between the values of a trial.

use reseed_model::scenario::{LocalTreatmentKind, Scenario, TRAITS};
use reseed_model::{cells_at, cholesky};
use reseed_stats::cells::CELL_EVENTS;

use crate::design::Design;
use crate::diagnostic::{Problems, Source, Span, quoted, readable};
use crate::document::Table;
use crate::strata::STRATA_MAX;
use crate::tables::Draft;
use crate::trial::{DAYS_PER_MONTH, Trial, bin_ending_at, time_edges_days};
use crate::virtual_trials::{RANDOMISATION_MAX, VirtualTrials};

/// How far the weights of attraction may be from adding up to one.
const WEIGHTS_TOLERANCE: f64 = 1e-9;

/// Most arms times sizes times looks of virtual trials.
const BLOCK_COUNTS_MAX: usize = 1 << 14;

/// Most values of a block that are kept by arm, stratum, half-year and kind of event.
const BLOCK_CELLS_MAX: usize = 1 << 16;

/// Most times of a block's patients, of 16 bytes each, that virtual trials keep.
const BLOCK_TIMES_MAX: u128 = 1 << 26;

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
    check.blocks(draft, problems);
    check.cells(&draft.trial, problems);
    if let Some(virtual_trials) = &draft.trial.virtual_trials {
        check.virtual_trials(virtual_trials, &draft.trial, problems);
    }
}

struct Check<'a> {
    root: &'a Table,
}

impl Check<'_> {
    /// The place to blame for a contradiction between some values, given by dotted paths.
    fn span(&self, paths: &[&str]) -> Span {
        let places: Vec<Span> = paths
            .iter()
            .filter_map(|path| self.root.at(&path.split('.').collect::<Vec<_>>()))
            .map(|node| node.span)
            .collect();
        Span::to_blame(&places).unwrap_or(Span {
            source: Source::File,
            start: 0,
            end: 0,
        })
    }

    fn blocks(&self, draft: &Draft, problems: &mut Problems) {
        if draft.trial.block_patients.is_some() && draft.trial.precision.is_some() {
            problems.add(
                self.span(&["run.precision", "run.block_patients"]),
                "a run with blocks cannot end at a precision",
                "a block has a number of patients of its own",
                "leave out precision or block_patients".to_owned(),
            );
        }
    }

    fn cells(&self, trial: &Trial, problems: &mut Problems) {
        let Some(shape) = trial.cell_shape() else {
            return;
        };
        let cells = shape.cells() * CELL_EVENTS;
        if cells > BLOCK_CELLS_MAX {
            problems.add(
                self.span(&["uncertainty.half_years"]),
                "too many counts to keep for each block",
                format!(
                    "{} arms, {} strata, {} half-years and {CELL_EVENTS} kinds of events make \
                     {cells} counts, at most {BLOCK_CELLS_MAX} are possible",
                    shape.arms, shape.strata, shape.half_years
                ),
                "leave out arms (arms_only), strata or half-years".to_owned(),
            );
        }
    }

    fn size(&self, draft: &Draft, problems: &mut Problems) {
        let population = &draft.trial.scenario.population;
        let (min, max) = (population.size_min_mm, population.size_max_mm);
        if min >= max {
            problems.add(
                self.span(&["population.size_max_mm", "population.size_min_mm"]),
                "size_max_mm is not above size_min_mm",
                format!("must be above {min} mm"),
                None,
            );
        }
        let is_outside = population.size_median_mm < min || population.size_median_mm > max;
        if is_outside && min < max {
            problems.add(
                self.span(&[
                    "population.size_median_mm",
                    "population.size_min_mm",
                    "population.size_max_mm",
                ]),
                "the median size is outside the limits of size",
                format!("must be from {min} to {max} mm"),
                "change size_median_mm, size_min_mm or size_max_mm".to_owned(),
            );
        }
        match draft.breslow() {
            (true, aspect) if aspect.is_nan() => problems.add(
                self.span(&["population.size_measure"]),
                "breslow_aspect is missing",
                "Breslow thickness needs the disc's diameter over thickness",
                "for example breslow_aspect = 5.0".to_owned(),
            ),
            (false, aspect) if !aspect.is_nan() => problems.add(
                self.span(&["population.breslow_aspect", "population.size_measure"]),
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
                self.span(&[
                    "population.size_max_mm",
                    "growth.plateau_cells",
                    "population.breslow_aspect",
                    "population.size_measure",
                ]),
                "the largest tumour is not below the plateau",
                format!(
                    "{} mm are {} cells, growth.plateau_cells is {}",
                    readable(max),
                    readable(cells),
                    readable(plateau)
                ),
                "lower size_max_mm, or raise plateau_cells".to_owned(),
            );
        }
    }

    /// The correlation matrix must be positive definite, or no such patients can exist.
    fn correlation(&self, scenario: &Scenario, problems: &mut Problems) {
        let Some(at) = contradicting_trait(&scenario.population.correlation) else {
            return;
        };
        let pairs: Vec<String> = (0..at)
            .filter(|other| scenario.population.correlation[*other][at] != 0.0)
            .map(|other| format!("{}_{}", TRAIT_NAMES[other], TRAIT_NAMES[at]))
            .collect();
        let paths: Vec<String> = pairs
            .iter()
            .map(|pair| format!("population.correlation.{pair}"))
            .collect();
        problems.add(
            self.span(&paths.iter().map(String::as_str).collect::<Vec<_>>()),
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
                self.span(&[
                    "homing.base_weight",
                    "homing.il6.weight",
                    "homing.il8.weight",
                ]),
                "the weights of attraction do not add up to 1",
                format!(
                    "base_weight, il6.weight and il8.weight add up to {}",
                    readable(sum)
                ),
                format!(
                    "with the other two as they are, base_weight would be {}",
                    readable(1.0 - homing.il6.weight - homing.il8.weight)
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
            let path = format!("detection.{key}");
            if cells >= plateau {
                problems.add(
                    self.span(&[&path, "growth.plateau_cells"]),
                    format!("{} is never reached", quoted(key)),
                    format!("must be below growth.plateau_cells, {}", readable(plateau)),
                    None,
                );
            }
            if cells < 10.0 * founders {
                problems.add(
                    self.span(&[&path, "growth.establishment"]),
                    format!("{} is no bigger than what a founder starts as", quoted(key)),
                    format!(
                        "must be at least 10/growth.establishment, {}",
                        readable(10.0 * founders)
                    ),
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
                self.arm_span(&arm.name),
                format!(
                    "arm {} adds radiotherapy to radiotherapy",
                    quoted(&arm.name)
                ),
                "local_treatment.kind = \"radiotherapy\" already irradiates every arm",
                format!("remove it, or the arm: [arms.{}] remove = true", arm.name),
            );
        }
    }

    /// The place to blame for an arm's radiotherapy; a name may hold dots.
    fn arm_span(&self, arm: &str) -> Span {
        let own = self.root.at(&["arms", arm, "radiotherapy"]);
        let kind = self.root.at(&["local_treatment", "kind"]);
        let places: Vec<Span> = own.into_iter().chain(kind).map(|node| node.span).collect();
        Span::to_blame(&places).unwrap_or_else(|| self.span(&[]))
    }

    fn visits(&self, scenario: &Scenario, problems: &mut Problems) {
        let horizon = scenario.follow_up.horizon_days;
        if let Some(last) = scenario.follow_up.visits_days.last()
            && *last < horizon
        {
            problems.add(
                self.span(&[
                    "follow_up.visits",
                    "follow_up.visits_days",
                    "follow_up.horizon_days",
                    "follow_up.horizon_years",
                ]),
                "visits end before follow-up does",
                format!(
                    "the last is on day {}, the horizon is day {}",
                    readable(*last),
                    readable(horizon)
                ),
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
        let span = self.span(&[
            "compare.days",
            "compare.years",
            "compare.months",
            "follow_up.horizon_days",
            "follow_up.horizon_years",
        ]);
        let mut refuse = |day: f64, span: Span| {
            if day.is_nan() || bin_ending_at(&edges, day).is_some() {
                return;
            }
            let reason = if day > horizon {
                "is after the horizon"
            } else {
                "is not the end of a month"
            };
            let nearest = edges[1..]
                .iter()
                .min_by(|a, b| (*a - day).abs().total_cmp(&(*b - day).abs()));
            problems.add(
                span,
                "arms cannot be compared at this time",
                format!("day {} {reason}", readable(day)),
                nearest.map(|day| {
                    let months = readable(day / DAYS_PER_MONTH);
                    format!("the nearest is day {}, {months} months", readable(*day))
                }),
            );
        };
        for day in &trial.compare_days {
            refuse(*day, span);
        }
        if self.root.at(&["compare", "primary"]).is_some() {
            let span = self.span(&[
                "compare.primary.days",
                "compare.primary.years",
                "compare.primary.months",
                "follow_up.horizon_days",
                "follow_up.horizon_years",
            ]);
            refuse(trial.primary.day, span);
        }
        if trial.compare_days.is_empty() && problems.is_empty() {
            problems.add(
                span,
                "there is no time of comparison",
                "needs at least one",
                "for example years = [2, 5, 10]".to_owned(),
            );
        }
        if trial.scenario.arms.len() > 1 && trial.primary.arm == trial.scenario.control {
            problems.add(
                self.span(&["compare.primary.arm", "control"]),
                "the primary comparison is of the control with itself",
                "this arm is the control",
                "name another arm".to_owned(),
            );
        }
        if trial.scenario.arms.len() == 1 && trial.precision.is_some() {
            problems.add(
                self.span(&["run.precision", "arms_only"]),
                "there is no comparison to be precise about",
                "the trial has no arm but the control",
                "add an arm, or remove precision".to_owned(),
            );
        }
    }

    fn strata(&self, draft: &Draft, problems: &mut Problems) {
        let strata = &draft.trial.strata;
        if strata.len() > STRATA_MAX {
            problems.add(
                self.span(&["strata"]),
                "too many strata",
                format!(
                    "{} combinations, at most {STRATA_MAX} are allowed",
                    strata.len()
                ),
                "use fewer cut points".to_owned(),
            );
        }
        if strata.nodes.iter().any(|cut| cut.fract() != 0.0) {
            problems.add(
                self.span(&["strata.nodes"]),
                "nodes come in whole numbers",
                "cut points must be whole",
                None,
            );
        }
    }
}

impl Check<'_> {
    fn virtual_trials(
        &self,
        virtual_trials: &VirtualTrials,
        trial: &Trial,
        problems: &mut Problems,
    ) {
        self.virtual_sizes(virtual_trials, trial, problems);
        self.virtual_events(virtual_trials, problems);
        self.virtual_memory(trial, problems);
        self.virtual_row(virtual_trials, trial, problems);
        let months = virtual_trials.accrual_months + virtual_trials.follow_up_months;
        let horizon_months = trial.scenario.follow_up.horizon_days / DAYS_PER_MONTH;
        if months > horizon_months + 1e-6 {
            problems.add(
                self.span(&[
                    "virtual_trials.follow_up_months",
                    "virtual_trials.follow_up_years",
                    "virtual_trials.accrual_months",
                    "virtual_trials.accrual_years",
                    "virtual_trials",
                ]),
                "virtual trials last longer than patients are followed",
                format!(
                    "accrual and follow-up take {} months, the horizon is {} months",
                    readable(months),
                    readable(horizon_months)
                ),
                "shorten them, or raise follow_up.horizon_years".to_owned(),
            );
        }
    }

    fn virtual_sizes(
        &self,
        virtual_trials: &VirtualTrials,
        trial: &Trial,
        problems: &mut Problems,
    ) {
        let sizes = &virtual_trials.patients_per_arm;
        let span = self.span(&["virtual_trials.patients_per_arm", "virtual_trials"]);
        if sizes.is_empty() {
            problems.add(
                span,
                "there is no size of trial",
                "needs at least one number of patients",
                "for example patients_per_arm = [100, 200]".to_owned(),
            );
        }
        let Some([control, treated]) = virtual_trials.randomisation() else {
            problems.add(
                self.span(&["virtual_trials.allocation"]),
                "this allocation cannot be kept in blocks of randomisation",
                format!("must be a ratio of whole numbers up to {RANDOMISATION_MAX}"),
                "for example 1, 2, 0.5 or 1.5".to_owned(),
            );
            return;
        };
        if let Some(size) = sizes.iter().find(|size| *size % control as f64 != 0.0) {
            problems.add(
                span,
                "patients_per_arm is no whole number of blocks of randomisation",
                format!(
                    "{} is not a multiple of {control}; a block has {control} of the control and \
                     {treated} of the treatment",
                    readable(*size)
                ),
                None,
            );
        }
        let largest = sizes.last().copied().unwrap_or(0.0) * (1.0 + virtual_trials.allocation);
        if let Some(block_patients) = trial.block_patients
            && largest > block_patients as f64
        {
            problems.add(
                self.span(&["virtual_trials.patients_per_arm", "run.block_patients"]),
                "the largest trial has more patients than a block",
                format!(
                    "{} patients of both groups, a block has {block_patients}",
                    readable(largest)
                ),
                "raise run.block_patients".to_owned(),
            );
        }
    }

    /// Their counts are columns of a block's row. Power over uncertain parameters is a mean over
    /// points, which only designs that sample the priors give.
    fn virtual_row(&self, virtual_trials: &VirtualTrials, trial: &Trial, problems: &mut Problems) {
        let (arms, sizes) = (
            trial.scenario.arms.len(),
            virtual_trials.patients_per_arm.len(),
        );
        let looks = virtual_trials.looks.len() + 1;
        if arms * sizes * looks > BLOCK_COUNTS_MAX {
            problems.add(
                self.span(&["virtual_trials.patients_per_arm", "virtual_trials"]),
                "too many virtual trials to count apart",
                format!(
                    "{arms} arms, {sizes} sizes and {looks} looks make more than {BLOCK_COUNTS_MAX}"
                ),
                "leave out arms (arms_only), sizes or looks".to_owned(),
            );
        }
        let design = trial
            .uncertainty
            .as_ref()
            .map(|uncertainty| uncertainty.design);
        if let Some(design @ (Design::Morris | Design::Saltelli)) = design {
            problems.add(
                self.span(&["uncertainty.design", "virtual_trials"]),
                "virtual trials need a sample of the priors",
                format!(
                    "the points of `{}` are not spread as the priors are",
                    design.name()
                ),
                "use `sobol` or `latin-hypercube`".to_owned(),
            );
        }
    }

    /// A thread keeps the times of all patients of a block in all arms.
    fn virtual_memory(&self, trial: &Trial, problems: &mut Problems) {
        let block_patients = trial.block_patients.unwrap_or(0);
        let times = u128::from(block_patients) * trial.scenario.arms.len() as u128;
        if times > BLOCK_TIMES_MAX {
            problems.add(
                self.span(&["run.block_patients", "virtual_trials"]),
                "virtual trials of such blocks do not fit into memory",
                format!(
                    "{block_patients} patients in {} arms are {times} times, at most \
                     {BLOCK_TIMES_MAX} are allowed",
                    trial.scenario.arms.len()
                ),
                "lower run.block_patients".to_owned(),
            );
        }
    }

    fn virtual_events(&self, virtual_trials: &VirtualTrials, problems: &mut Problems) {
        let (events, sizes) = (&virtual_trials.events, &virtual_trials.patients_per_arm);
        let span = self.span(&["virtual_trials.events", "virtual_trials.patients_per_arm"]);
        if events.is_empty() {
            return;
        }
        if events.len() != sizes.len() {
            problems.add(
                span,
                "events must be planned for every size of trial, or for none",
                format!("{} numbers for {} sizes", events.len(), sizes.len()),
                None,
            );
        }
        let patients = |size: &f64| size * (1.0 + virtual_trials.allocation);
        if let Some((events, size)) =
            (events.iter().zip(sizes)).find(|(events, size)| **events > patients(size))
        {
            problems.add(
                span,
                "more events are planned than there are patients",
                format!(
                    "{} events of {} patients",
                    readable(*events),
                    readable(patients(size))
                ),
                None,
            );
        }
        if events.iter().any(|events| events.fract() != 0.0) {
            problems.add(span, "events come in whole numbers", "must be whole", None);
        }
    }
}

/// The first trait whose correlations with the traits before it are impossible.
fn contradicting_trait(matrix: &[[f64; TRAITS]; TRAITS]) -> Option<usize> {
    (0..TRAITS).find(|last| {
        let among_first: [[f64; TRAITS]; TRAITS] = std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                if row.max(column) <= *last {
                    matrix[row][column]
                } else {
                    f64::from(u8::from(row == column))
                }
            })
        });
        cholesky(&among_first).is_none()
    })
}
