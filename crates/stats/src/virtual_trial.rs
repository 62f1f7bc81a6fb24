//! Parallel-group trials drawn from simulated patients.
//!
//! The engine lets every patient live in all arms. A real trial sees each in one. A virtual trial
//! draws patients from a [`Pool`] without replacement, randomises them to control and treatment in
//! blocks, lets them enter one after the other, loses some, and analyses what is known at its
//! looks: log-rank test, stopping boundary, hazard ratio. One draw serves every arm, each as the
//! treatment of a trial of its own, and every size: the trial of fewer patients has the first of
//! those of more. The control as its own treatment is the trial under the null hypothesis.
//!
//! **Time.** Entries are those of a Poisson process given their number: uniform over accrual,
//! sorted. Patients are observed from entry (their resection) until their event, drop-out, or
//! the analysis. The trial ends `follow_up_days` after accrual does.
//!
//! **Looks.** Without planned numbers of events, looks come at fractions of the calendar time, which is
//! also what the spending function goes by (Lan and DeMets, Stat Med 1989;8:1191). With them, a
//! look comes with its share of the planned events, and the last at the latest when the trial
//! ends; spending goes by events, and the last look spends what is left. The correlation of looks
//! is that of the observed events. A look without an event more than at the look before is left
//! out, and at the last look it decides nothing.
//!
//! **Competing events** censor, as they do in a trial's log-rank test and Cox model, both of
//! which are about cause-specific hazards.

mod course;
mod draw;
mod pool;

use crate::distribution::normal_upper_quantile;
use crate::estimate::Estimate;
use crate::group_sequential::{Boundaries, Spending};

pub use pool::{ObservedTime, Pool};

use course::Course;
use draw::Draw;

/// What rounding may add to a share of planned events.
const ROUNDING: f64 = 1e-9;

/// Where a trial's luck comes from: a stream of random numbers for each purpose. What one purpose
/// uses must not move the others, so that trials of several sizes share their patients.
pub trait Luck {
    /// Turns to the beginning of the current trial's stream for a purpose.
    fn open(&mut self, purpose: Purpose);
    /// Uniform on [0, 1).
    fn uniform(&mut self) -> f64;
    /// Exponential with mean one.
    fn exponential(&mut self) -> f64;
}

/// What a random number of a trial decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Who takes part.
    Patients,
    /// Who is treated.
    Randomisation,
    /// When patients enter.
    Entry,
    /// When they are lost.
    DropOut,
}

/// A plan of parallel-group trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// Patients of the control group, for each size of trial, increasing.
    pub control_patients: Vec<usize>,
    /// Patients of the control and of the treated group in a block of randomisation; every
    /// size is a whole number of blocks.
    pub block: [usize; 2],
    /// How long patients enter.
    pub accrual_days: f64,
    /// From the end of accrual to that of the trial.
    pub follow_up_days: f64,
    /// Hazard of leaving the trial besides what the patients' times have of it.
    pub dropout_per_day: f64,
    /// Looks as fractions of the trial, increasing, the last 1.
    pub looks: Vec<f64>,
    /// Events that each size of trial is planned for; none if looks come by the calendar.
    pub events: Vec<u64>,
    /// How the level is spent over the looks.
    pub spending: Spending,
    /// Two-sided level.
    pub alpha: f64,
}

impl Design {
    /// Patients of both groups in the trial of a size.
    pub fn patients(&self, size: usize) -> usize {
        let [control, treated] = self.block;
        self.control_patients[size] / control * (control + treated)
    }

    /// Patients of both groups in the largest trial.
    pub fn patients_max(&self) -> usize {
        self.control_patients
            .len()
            .checked_sub(1)
            .map_or(0, |last| self.patients(last))
    }

    /// Latest end of a trial, days from its start.
    pub fn end_days(&self) -> f64 {
        self.accrual_days + self.follow_up_days
    }

    /// Share of the patients who are treated.
    pub fn treated_share(&self) -> f64 {
        let [control, treated] = self.block;
        treated as f64 / (control + treated) as f64
    }
}

/// What a trial says of its treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Fewer events than in the control.
    Benefit,
    /// More.
    Harm,
    /// The null hypothesis stands.
    Neither,
}

/// What is known of a trial at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Analysis {
    /// Days from the trial's start.
    pub day: f64,
    /// Patients who have entered.
    pub enrolled: usize,
    /// Events of both groups.
    pub events: u64,
    /// The log-rank statistic, standard normal under the null, positive if the treated have fewer
    /// events than expected; `NaN` without events.
    pub z: f64,
    /// Logarithm of the hazard ratio, treated over control (Cox, Efron's ties); as
    /// [`HazardRatio`](crate::HazardRatio).
    pub log_ratio: Estimate,
}

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What it says.
    pub verdict: Verdict,
    /// The look at which it stopped.
    pub look: usize,
    /// The analysis then.
    pub stop: Analysis,
    /// The analysis at its planned end, as if it had not stopped.
    pub end: Analysis,
    /// Whether that analysis, as the only one, would have rejected.
    pub end_verdict: Verdict,
}

/// Draws and analyses trials of a design, one after the other, in the same memory.
#[derive(Debug, Clone)]
pub struct VirtualTrials {
    design: Design,
    critical: f64,
    boundaries: Boundaries,
    draw: Draw,
    course: Course,
}

impl VirtualTrials {
    /// Prepares trials of a design.
    ///
    /// # Panics
    /// If a size is not a whole number of blocks, the last look is not at 1, or there are events
    /// for other than all sizes.
    pub fn new(design: Design) -> Self {
        let [control, treated] = design.block;
        assert!(control > 0 && treated > 0, "both groups have patients");
        let sizes = &design.control_patients;
        assert!(
            sizes.iter().all(|size| size.is_multiple_of(control)),
            "sizes are whole blocks"
        );
        assert!(
            design.looks.last().is_some_and(|last| *last >= 1.0),
            "the last look is at the end"
        );
        assert!(
            design.events.is_empty() || design.events.len() == sizes.len(),
            "events are planned for all sizes or none"
        );
        Self {
            critical: normal_upper_quantile(design.alpha / 2.0),
            boundaries: Boundaries::new(design.spending, design.alpha),
            draw: Draw::default(),
            course: Course::default(),
            design,
        }
    }

    /// The design.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Draws one trial and reports how it went for every arm as the treatment and every size, in
    /// this order of nesting.
    ///
    /// # Panics
    /// If the pool has fewer patients than the largest trial.
    pub fn run(
        &mut self,
        pool: &Pool,
        control: usize,
        luck: &mut impl Luck,
        mut report: impl FnMut(usize, usize, Outcome),
    ) {
        self.draw.take(&self.design, pool.patients(), luck);
        for arm in 0..pool.arms() {
            self.course.follow(&self.draw, pool, [control, arm]);
            for size in 0..self.design.control_patients.len() {
                let outcome = self.conduct(size);
                report(arm, size, outcome);
            }
        }
        self.draw.put_back();
    }

    /// One trial from its first look to its end.
    fn conduct(&mut self, size: usize) -> Outcome {
        let patients = self.design.patients(size);
        let accrual_days = self.design.accrual_days;
        self.course
            .enter(self.draw.entry_shares(patients).map(|at| at * accrual_days));
        let planned = self.design.events.get(size).copied();
        if planned.is_some() {
            self.course.sort_event_days();
        }
        let stopped = self.stop_early(planned);
        let end_day = self.day_of(self.design.looks.len() - 1, planned);
        let seen = self.course.look(end_day, &self.draw.group);
        let end = self.course.analysis(seen);
        let (verdict, look, stop) = stopped.unwrap_or_else(|events_before| {
            let boundary = if seen.events > events_before {
                self.boundaries.next(seen.events as f64, 1.0)
            } else {
                f64::INFINITY
            };
            let last = self.design.looks.len() - 1;
            (Verdict::of(end.z, boundary), last, end)
        });
        Outcome {
            verdict,
            look,
            stop,
            end,
            end_verdict: Verdict::of(end.z, self.critical),
        }
    }

    /// The verdict, look and analysis of a trial that stops before its end; otherwise the events
    /// at the last look before the end.
    fn stop_early(&mut self, planned: Option<u64>) -> Result<(Verdict, usize, Analysis), u64> {
        self.boundaries.start();
        let mut events_before = 0;
        for look in 0..self.design.looks.len() - 1 {
            let day = self.day_of(look, planned);
            if day >= self.design.end_days() {
                break;
            }
            let seen = self.course.look(day, &self.draw.group);
            if seen.events == events_before {
                continue;
            }
            events_before = seen.events;
            let fraction = match planned {
                Some(planned) => seen.events as f64 / planned as f64,
                None => self.design.looks[look],
            };
            let boundary = self.boundaries.next(seen.events as f64, fraction);
            let verdict = Verdict::of(seen.z, boundary);
            if verdict != Verdict::Neither {
                return Ok((verdict, look, self.course.analysis(seen)));
            }
        }
        Err(events_before)
    }

    /// When a look comes, days from the trial's start; at the trial's end for events that do not
    /// come before.
    fn day_of(&self, look: usize, planned: Option<u64>) -> f64 {
        let end_days = self.design.end_days();
        match planned {
            None => self.design.looks[look] * end_days,
            Some(planned) => {
                // A share of 0.55 of 100 events is 55, although the product is a little more.
                let events = (self.design.looks[look] * planned as f64 - ROUNDING).ceil();
                self.course.day_of_event(events).min(end_days)
            }
        }
    }
}

impl Verdict {
    /// What a statistic says against a boundary; nothing if it is not a number.
    fn of(z: f64, boundary: f64) -> Self {
        if z >= boundary {
            Self::Benefit
        } else if z <= -boundary {
            Self::Harm
        } else {
            Self::Neither
        }
    }
}
