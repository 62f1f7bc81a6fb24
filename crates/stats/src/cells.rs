//! Events and time at risk by arm, stratum and half-year: the form in which cohorts are published,
//! and what a calibration compares with them.

use thiserror::Error;

use crate::estimate::Estimate;
use crate::hazard::{IntervalHazard, interval_hazard};
use crate::records::{RecordColumn, RecordValues};

/// Days of a half-year.
pub const HALF_YEAR_DAYS: f64 = 365.25 / 2.0;

const EVENTS_COLUMN: &str = "cell_events";
const DAYS_COLUMN: &str = "cell_days";

/// How a patient leaves one of the two risk sets, in the order of the `event` axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CellEvent {
    /// Local recurrence first.
    Local,
    /// Distant recurrence first.
    Distant,
    /// Death before any recurrence.
    DeathWithoutRecurrence,
    /// Death of the cancer.
    CancerDeath,
    /// Death of other causes, recurred or not.
    OtherDeath,
}

/// Number of kinds of events.
pub const CELL_EVENTS: usize = 5;

impl CellEvent {
    /// All kinds in axis order.
    pub const ALL: [Self; CELL_EVENTS] = [
        Self::Local,
        Self::Distant,
        Self::DeathWithoutRecurrence,
        Self::CancerDeath,
        Self::OtherDeath,
    ];

    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Distant => "distant",
            Self::DeathWithoutRecurrence => "death_without_recurrence",
            Self::CancerDeath => "cancer_death",
            Self::OtherDeath => "other_death",
        }
    }

    /// Who can have it.
    pub const fn risk(self) -> Risk {
        match self {
            Self::Local | Self::Distant | Self::DeathWithoutRecurrence => Risk::Unrecurred,
            Self::CancerDeath | Self::OtherDeath => Risk::Alive,
        }
    }
}

/// Risk sets, in the order of the `risk` axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Alive and without recurrence.
    Unrecurred,
    /// Alive.
    Alive,
}

/// Number of risk sets.
const RISKS: usize = 2;

/// Lengths of the axes of [`Cells`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellShape {
    /// Arms.
    pub arms: usize,
    /// Strata.
    pub strata: usize,
    /// Half-years from resection.
    pub half_years: usize,
}

impl CellShape {
    /// Arms, strata and half-years together.
    pub const fn cells(&self) -> usize {
        self.arms * self.strata * self.half_years
    }

    /// Place of a half-year of a stratum of an arm.
    const fn at(&self, arm: usize, stratum: usize, half_year: usize) -> usize {
        (arm * self.strata + stratum) * self.half_years + half_year
    }
}

/// Why columns are not the cells of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the blocks have no cells of {strata} strata and {half_years} half-years in {arms} arms; \
         was the run made with `uncertainty.half_years`?", arms = .0.arms, strata = .0.strata, half_years = .0.half_years)]
pub struct CellsError(CellShape);

/// Events and time at risk of some patients.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    shape: CellShape,
    /// By cell and kind, kind fastest.
    events: Vec<u32>,
    /// Days at risk by cell and risk set, the latter fastest.
    days: Vec<f64>,
}

impl Cells {
    /// Lengths of the axes.
    pub const fn shape(&self) -> CellShape {
        self.shape
    }

    /// Events of a kind in a half-year, counted from 0.
    pub fn events(&self, arm: usize, stratum: usize, half_year: usize, event: CellEvent) -> u32 {
        self.events[self.shape.at(arm, stratum, half_year) * CELL_EVENTS + event as usize]
    }

    /// Days that patients spent in a risk set during a half-year, counted from 0.
    pub fn days(&self, arm: usize, stratum: usize, half_year: usize, risk: Risk) -> f64 {
        self.days[self.shape.at(arm, stratum, half_year) * RISKS + risk as usize]
    }

    /// The columns of a table with a row for each of these, all of one shape.
    ///
    /// # Panics
    /// If shapes differ.
    pub fn columns(shape: CellShape, rows: &[Self]) -> Vec<RecordColumn> {
        assert!(rows.iter().all(|row| row.shape == shape), "one shape");
        let names = CellEvent::ALL.map(CellEvent::name).join(", ");
        vec![
            RecordColumn {
                name: EVENTS_COLUMN.to_owned(),
                unit: "1".to_owned(),
                description: format!(
                    "events by arm, stratum, half-year and kind ({names}), kind fastest"
                ),
                width: shape.cells() * CELL_EVENTS,
                values: RecordValues::U32(rows.iter().flat_map(|row| row.events.clone()).collect()),
            },
            RecordColumn {
                name: DAYS_COLUMN.to_owned(),
                unit: "day".to_owned(),
                description: "time at risk by arm, stratum, half-year and risk set (without \
                              recurrence, alive), risk set fastest"
                    .to_owned(),
                width: shape.cells() * RISKS,
                values: RecordValues::F64(rows.iter().flat_map(|row| row.days.clone()).collect()),
            },
        ]
    }

    /// The cells of every block, from the columns of their table.
    ///
    /// # Errors
    /// [`CellsError`] if they are not there, or of another shape.
    pub fn read(shape: CellShape, columns: &[RecordColumn]) -> Result<Vec<Self>, CellsError> {
        let column = |name| RecordColumn::named(columns, name).ok_or(CellsError(shape));
        let (events, days) = (column(EVENTS_COLUMN)?, column(DAYS_COLUMN)?);
        let (RecordValues::U32(event_values), RecordValues::F64(day_values)) =
            (&events.values, &days.values)
        else {
            return Err(CellsError(shape));
        };
        let (event_width, day_width) = (shape.cells() * CELL_EVENTS, shape.cells() * RISKS);
        if (events.width, days.width) != (event_width, day_width)
            || events.rows() != days.rows()
            || events.rows().is_none()
        {
            return Err(CellsError(shape));
        }
        let rows = event_values
            .chunks_exact(event_width)
            .zip(day_values.chunks_exact(day_width));
        Ok(rows
            .map(|(events, days)| Self {
                shape,
                events: events.to_vec(),
                days: days.to_vec(),
            })
            .collect())
    }
}

/// Patients of some strata in an arm, taken together.
#[derive(Debug, Clone, Copy)]
pub struct CellGroup<'a> {
    /// The cells.
    pub cells: &'a Cells,
    /// Position of the arm.
    pub arm: usize,
    /// Positions of the strata.
    pub strata: &'a [usize],
}

impl CellGroup<'_> {
    /// Events of these kinds in a half-year, counted from 0.
    pub fn events(&self, kinds: &[CellEvent], half_year: usize) -> f64 {
        let of = |kind: &CellEvent| self.events_of(*kind, half_year);
        kinds.iter().map(of).sum()
    }

    /// Days in a risk set during a half-year, counted from 0.
    pub fn days(&self, risk: Risk, half_year: usize) -> f64 {
        (self.strata.iter())
            .map(|stratum| self.cells.days(self.arm, *stratum, half_year, risk))
            .sum()
    }

    /// Patients under observation in the first half-year, nearly all who are enrolled.
    pub fn patients(&self) -> f64 {
        self.days(Risk::Alive, 0) / HALF_YEAR_DAYS
    }

    /// Cumulative incidence of these kinds, which end one risk set, at the start and by the end of each
    /// half-year, from the rates of all events that end it. The error is that of a share of the patients.
    /// Unknown without patients.
    ///
    /// # Panics
    /// If there are no kinds.
    pub fn incidences(&self, kinds: &[CellEvent]) -> Vec<Estimate> {
        let risk = kinds[0].risk();
        let rivals = CellEvent::ALL
            .into_iter()
            .filter(|kind| kind.risk() == risk);
        let rivals: Vec<CellEvent> = rivals.collect();
        let patients = self.patients();
        let estimate = |share: f64| {
            if patients > 0.0 {
                Estimate::new(share, share * (1.0 - share) / patients)
            } else {
                Estimate::UNKNOWN
            }
        };
        let (mut free, mut incidence) = (1.0, 0.0);
        let mut estimates = vec![estimate(0.0)];
        for half_year in 0..self.cells.shape.half_years {
            let days = self.days(risk, half_year);
            let all = self.events(&rivals, half_year);
            if days > 0.0 && all > 0.0 {
                let leaving = -core_math::expm1(-all / days * HALF_YEAR_DAYS);
                incidence += free * leaving * self.events(kinds, half_year) / all;
                free *= 1.0 - leaving;
            }
            estimates.push(estimate(incidence));
        }
        estimates
    }

    /// Hazards of these kinds, which end one risk set, in every half-year: events per year.
    ///
    /// # Panics
    /// If there are no kinds.
    pub fn hazards(&self, kinds: &[CellEvent]) -> Vec<IntervalHazard> {
        let risk = kinds[0].risk();
        let hazard = |half_year: usize| {
            let span = (half_year as f64 / 2.0, (half_year + 1) as f64 / 2.0);
            let counts = self.strata.iter().flat_map(|stratum| {
                let events = |kind| self.cells.events(self.arm, *stratum, half_year, kind);
                kinds.iter().map(move |kind| u64::from(events(*kind)))
            });
            let years = self.days(risk, half_year) / (2.0 * HALF_YEAR_DAYS);
            interval_hazard(span, counts.sum(), years)
        };
        (0..self.cells.shape.half_years).map(hazard).collect()
    }

    fn events_of(&self, kind: CellEvent, half_year: usize) -> f64 {
        let counts = self.strata.iter();
        counts
            .map(|stratum| f64::from(self.cells.events(self.arm, *stratum, half_year, kind)))
            .sum()
    }
}

/// Takes patients one by one.
#[derive(Debug, Clone)]
pub struct CellCounts {
    shape: CellShape,
    events: Vec<u32>,
    /// Patients who leave a risk set, by cell and risk set; with one more half-year for those who
    /// outlast all.
    leaving: Vec<u32>,
    /// Days that these spend in the half-year in which they leave.
    last_days: Vec<f64>,
}

impl CellCounts {
    /// Nobody yet.
    pub fn new(shape: CellShape) -> Self {
        let exits = shape.arms * shape.strata * (shape.half_years + 1) * RISKS;
        Self {
            shape,
            events: vec![0; shape.cells() * CELL_EVENTS],
            leaving: vec![0; exits],
            last_days: vec![0.0; exits],
        }
    }

    /// Counts how a patient leaves a risk set: when, and by what event if it is one.
    ///
    /// # Panics
    /// If the arm or the stratum does not exist.
    pub fn add(&mut self, arm: usize, stratum: usize, risk: Risk, left: (Option<CellEvent>, f64)) {
        let (event, days) = left;
        let half_year = self.half_year(days);
        let exit = self.exit(arm, stratum, half_year, risk);
        self.leaving[exit] += 1;
        if half_year == self.shape.half_years {
            return;
        }
        self.last_days[exit] += days - half_year as f64 * HALF_YEAR_DAYS;
        if let Some(event) = event {
            let cell = self.shape.at(arm, stratum, half_year);
            self.events[cell * CELL_EVENTS + event as usize] += 1;
        }
    }

    /// What was counted.
    pub fn finish(self) -> Cells {
        let shape = self.shape;
        let mut days = vec![0.0; shape.cells() * RISKS];
        for (arm, stratum) in
            (0..shape.arms).flat_map(|arm| (0..shape.strata).map(move |stratum| (arm, stratum)))
        {
            for risk in [Risk::Unrecurred, Risk::Alive] {
                let mut staying = self.leaving[self.exit(arm, stratum, shape.half_years, risk)];
                for half_year in (0..shape.half_years).rev() {
                    let exit = self.exit(arm, stratum, half_year, risk);
                    days[shape.at(arm, stratum, half_year) * RISKS + risk as usize] =
                        f64::from(staying) * HALF_YEAR_DAYS + self.last_days[exit];
                    staying += self.leaving[exit];
                }
            }
        }
        Cells {
            shape,
            events: self.events,
            days,
        }
    }

    /// The half-year of a time, open below and closed above; one past the last for all later.
    fn half_year(&self, days: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times are not negative, and a half-year is bounded next"
        )]
        let half_year = ((days / HALF_YEAR_DAYS).ceil() as usize).max(1) - 1;
        half_year.min(self.shape.half_years)
    }

    const fn exit(&self, arm: usize, stratum: usize, half_year: usize, risk: Risk) -> usize {
        ((arm * self.shape.strata + stratum) * (self.shape.half_years + 1) + half_year) * RISKS
            + risk as usize
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of few numbers are exact")]
mod tests {
    use super::*;

    const SHAPE: CellShape = CellShape {
        arms: 2,
        strata: 3,
        half_years: 4,
    };

    #[test]
    fn time_at_risk_is_that_of_the_patients() {
        let mut counts = CellCounts::new(SHAPE);
        let ends = [
            10.0,
            HALF_YEAR_DAYS,
            1.5 * HALF_YEAR_DAYS,
            9.0 * HALF_YEAR_DAYS,
        ];
        for days in ends {
            counts.add(1, 2, Risk::Alive, (Some(CellEvent::CancerDeath), days));
        }
        let cells = counts.finish();
        let days = |half_year| cells.days(1, 2, half_year, Risk::Alive);
        let deaths = |half_year| cells.events(1, 2, half_year, CellEvent::CancerDeath);
        assert_eq!(days(0), 10.0 + 3.0 * HALF_YEAR_DAYS);
        assert_eq!(days(1), 1.5 * HALF_YEAR_DAYS);
        assert_eq!([days(2), days(3)], [HALF_YEAR_DAYS; 2]);
        assert_eq!(
            [0, 1, 2, 3].map(deaths),
            [2, 1, 0, 0],
            "the last dies too late to be seen"
        );
        assert_eq!(cells.days(0, 2, 0, Risk::Alive), 0.0);
        assert_eq!(cells.days(1, 2, 0, Risk::Unrecurred), 0.0);
    }

    #[test]
    fn columns_keep_everything() {
        let mut counts = CellCounts::new(SHAPE);
        counts.add(0, 0, Risk::Unrecurred, (Some(CellEvent::Local), 400.0));
        counts.add(0, 1, Risk::Unrecurred, (None, 300.0));
        let rows = vec![counts.finish(), CellCounts::new(SHAPE).finish()];
        let columns = Cells::columns(SHAPE, &rows);
        assert_eq!(Cells::read(SHAPE, &columns).unwrap(), rows);
        let other = CellShape { arms: 3, ..SHAPE };
        assert_eq!(Cells::read(other, &columns), Err(CellsError(other)));
        assert_eq!(Cells::read(SHAPE, &columns[..1]), Err(CellsError(SHAPE)));
    }

    #[test]
    fn incidences_and_hazards_come_of_the_rates_of_strata_together() {
        let mut counts = CellCounts::new(SHAPE);
        // Of ten patients one has a local recurrence in the middle of the first half-year and one dies
        // in the middle of the second.
        let middle = HALF_YEAR_DAYS / 2.0;
        let exits = [
            (0, Some(CellEvent::Local), middle),
            (1, Some(CellEvent::DeathWithoutRecurrence), 3.0 * middle),
        ];
        for (stratum, event, days) in exits {
            counts.add(0, stratum, Risk::Unrecurred, (event, days));
        }
        for stratum in [0, 0, 0, 0, 1, 1, 1, 1] {
            counts.add(0, stratum, Risk::Unrecurred, (None, 9.0 * HALF_YEAR_DAYS));
        }
        for stratum in [0, 0, 0, 0, 0, 1, 1, 1, 1, 1] {
            counts.add(0, stratum, Risk::Alive, (None, 9.0 * HALF_YEAR_DAYS));
        }
        let cells = counts.finish();
        let group = |strata| CellGroup {
            cells: &cells,
            arm: 0,
            strata,
        };
        let both = group(&[0, 1]);
        assert_eq!(both.patients(), 10.0);
        let local = both.incidences(&[CellEvent::Local]);
        let expected = 1.0 - core_math::exp(-1.0 / 9.5);
        assert_eq!(local.len(), 5);
        assert_eq!(local[0].value, 0.0);
        assert!((local[1].value - expected).abs() < 1e-12, "{local:?}");
        assert_eq!(local[4], local[1]);
        let error = (expected * (1.0 - expected) / 10.0).sqrt();
        assert!((local[1].standard_error - error).abs() < 1e-12);
        let dead = both.incidences(&[CellEvent::DeathWithoutRecurrence])[4].value;
        let expected = (1.0 - expected) * (1.0 - core_math::exp(-1.0 / 8.5));
        assert!((dead - expected).abs() < 1e-12, "{dead}");
        let hazards = both.hazards(&[CellEvent::Local, CellEvent::Distant]);
        assert_eq!(hazards[1].span, (0.5, 1.0));
        assert_eq!(hazards[0].events, 1);
        assert!((hazards[0].rate.value - 1.0 / 4.75).abs() < 1e-12);
        let nobody = group(&[2]).incidences(&[CellEvent::Local]);
        assert!(nobody[3].value.is_nan());
    }
}
