//! Integer tallies that merge exactly.
//!
//! An [`Accumulator`] takes patients one by one; [`Accumulator::finish`] turns it into a
//! [`Tally`], the form that is stored, merged and estimated from. Everything is an integer, so
//! a sum does not depend on its order (model description, section 8, promise 6).

use std::ops::Range;

use thiserror::Error;

/// Time-to-event endpoints, in the order of every `[_; ENDPOINTS]` array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Local recurrence before distant recurrence; distant recurrence and death compete.
    Local,
    /// Distant recurrence, also after a local one; death of other causes competes.
    Distant,
    /// Any recurrence or death (recurrence-free survival).
    Rfs,
    /// Death of any cause (overall survival).
    Death,
}

/// Number of endpoints.
pub const ENDPOINTS: usize = 4;

impl Endpoint {
    /// All endpoints in array order.
    pub const ALL: [Self; ENDPOINTS] = [Self::Local, Self::Distant, Self::Rfs, Self::Death];

    /// Name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Distant => "distant",
            Self::Rfs => "rfs",
            Self::Death => "death",
        }
    }

    /// The endpoint of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.name() == name)
    }
}

/// Kinds of first event, in the order of the `cause` axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Local recurrence from a residual focus.
    LocalResidual,
    /// Local recurrence from a circulating cell.
    LocalReseeded,
    /// Distant recurrence.
    Distant,
    /// Death of other causes.
    OtherDeath,
    /// No event while followed.
    Censored,
}

/// Number of causes, censoring included.
pub const CAUSES: usize = 5;

impl Cause {
    /// All causes in axis order.
    pub const ALL: [Self; CAUSES] = [
        Self::LocalResidual,
        Self::LocalReseeded,
        Self::Distant,
        Self::OtherDeath,
        Self::Censored,
    ];

    /// The causes that are events, in axis order.
    pub const EVENTS: [Self; CAUSES - 1] = [
        Self::LocalResidual,
        Self::LocalReseeded,
        Self::Distant,
        Self::OtherDeath,
    ];

    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LocalResidual => "local_residual",
            Self::LocalReseeded => "local_reseeded",
            Self::Distant => "distant",
            Self::OtherDeath => "other_death",
            Self::Censored => "censored",
        }
    }
}

/// Ends of the parts of follow-up, in bins, by which two arms' exits are counted together: fine
/// where recurrences are frequent, and at the times at which arms are usually compared.
const PART_ENDS: [usize; 16] = [
    6, 12, 18, 24, 36, 48, 60, 84, 120, 150, 180, 210, 240, 300, 360, 480,
];

/// Names of the origins of local recurrences, in the order of the `origin` axis: a residual
/// focus, or the site where the founder was shed.
pub const ORIGINS: [&str; 4] = ["residual", "primary", "distant", "scar"];

/// Lengths of all axes of a tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Strata.
    pub strata: usize,
    /// Arms.
    pub arms: usize,
    /// Position of the control among the arms.
    pub control: usize,
    /// Time bins.
    pub bins: usize,
    /// Reasons of exclusion.
    pub reasons: usize,
    /// Tumour histograms: name and number of bins.
    pub histograms: Vec<(String, usize)>,
}

/// How a patient leaves the risk set of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// The endpoint's event.
    Event,
    /// An event after which the endpoint cannot happen.
    Competing,
    /// End of observation.
    Censored,
}

impl ExitKind {
    /// All kinds, in the order of a tally's tables.
    pub const ALL: [Self; 3] = [Self::Event, Self::Competing, Self::Censored];

    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Competing => "competing",
            Self::Censored => "censored",
        }
    }
}

/// Leaving the risk set of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Why.
    pub kind: ExitKind,
    /// In which time bin.
    pub bin: u16,
    /// When, in integer ticks of the caller's choosing.
    pub ticks: u64,
}

/// One patient in one arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArmRecord {
    /// First event and its bin.
    pub first: (Cause, u16),
    /// Exit per endpoint.
    pub exits: [Exit; ENDPOINTS],
    /// Position in [`ORIGINS`] of the local recurrence, if the exit from that endpoint's risk set
    /// is the event; `None` otherwise.
    pub origin: Option<u8>,
}

/// Integer tables with named axes; the order here is the order of digests and files.
const TABLES: usize = 10;
const FIRST_EVENT: usize = 0;
const EVENT: usize = 1;
const COMPETING: usize = 2;
const CENSORED: usize = 3;
const PAIRED: usize = 4;
const DELAYED: usize = 5;
const DELAY: usize = 6;
const ORIGIN: usize = 7;
const TICKS: usize = 8;
const JOINT: usize = 9;
/// Tables of an arm's own, to which an accumulator adds what the control counts for all arms.
const OWN: [usize; 6] = [FIRST_EVENT, EVENT, COMPETING, CENSORED, ORIGIN, TICKS];

/// A table of a tally, for files and digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<'a> {
    /// Path below `/tally`.
    pub name: String,
    /// Axis names.
    pub axes: Vec<&'static str>,
    /// Axis lengths.
    pub shape: Vec<usize>,
    /// Values, last axis fastest.
    pub values: &'a [u64],
}

/// Why two tallies cannot be merged or a stored one cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TallyError {
    /// Different axes.
    #[error("tallies have different shapes: {0}")]
    Shape(String),
    /// A stored table is missing or has the wrong size.
    #[error("table {name} has {found} values, expected {expected}")]
    Table {
        /// Which table.
        name: String,
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// Sums of a stored tally contradict each other.
    #[error("tally contradicts itself: {0}")]
    Inconsistent(String),
    /// A sum does not fit 64 bits.
    #[error("sum of table {0} exceeds 64 bits")]
    Overflow(String),
}

/// A finished tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    shape: Shape,
    screened: Vec<u64>,
    excluded: Vec<u64>,
    enrolled: Vec<u64>,
    tables: [Vec<u64>; TABLES],
    histograms: Vec<Vec<u64>>,
}

impl Shape {
    /// The parts of follow-up, as ranges of bins, by which joint exits are counted.
    pub fn parts(&self) -> Vec<Range<usize>> {
        let ends = PART_ENDS.into_iter().filter(|end| *end < self.bins);
        let mut start = 0;
        ends.chain([self.bins])
            .map(|end| std::mem::replace(&mut start, end)..end)
            .collect()
    }

    /// Cells of the joint exits in each arm: a part for each kind, the kinds one after the other.
    pub fn exit_cells(&self) -> usize {
        ExitKind::ALL.len() * self.parts().len()
    }

    fn table_len(&self, table: usize) -> usize {
        let arms = self.strata * self.arms;
        match table {
            FIRST_EVENT => arms * CAUSES * self.bins,
            EVENT | COMPETING | CENSORED => arms * ENDPOINTS * self.bins,
            PAIRED | DELAYED | DELAY => arms * ENDPOINTS * self.bins * 2,
            ORIGIN => arms * ORIGINS.len() * self.bins,
            TICKS => arms * ENDPOINTS,
            JOINT => self.arms * ENDPOINTS * self.exit_cells() * self.exit_cells(),
            _ => unreachable!("there are {TABLES} tables"),
        }
    }
}

impl Tally {
    /// A tally of nobody.
    pub fn empty(shape: Shape) -> Self {
        Self {
            screened: vec![0],
            excluded: vec![0; shape.reasons],
            enrolled: vec![0; shape.strata],
            tables: std::array::from_fn(|table| vec![0; shape.table_len(table)]),
            histograms: shape
                .histograms
                .iter()
                .map(|(_, bins)| vec![0; shape.strata * bins])
                .collect(),
            shape,
        }
    }

    /// Axis lengths.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Patients screened.
    pub fn screened(&self) -> u64 {
        self.screened[0]
    }

    /// Patients excluded, by reason.
    pub fn excluded(&self) -> &[u64] {
        &self.excluded
    }

    /// Patients enrolled, by stratum.
    pub fn enrolled(&self) -> &[u64] {
        &self.enrolled
    }

    /// First events of a cause by bin.
    pub fn first_event(&self, stratum: usize, arm: usize, cause: Cause) -> &[u64] {
        self.row(
            FIRST_EVENT,
            (stratum * self.shape.arms + arm) * CAUSES + cause as usize,
            self.shape.bins,
        )
    }

    /// Exits of a kind from an endpoint's risk set by bin.
    pub fn exits(&self, stratum: usize, arm: usize, endpoint: Endpoint, kind: ExitKind) -> &[u64] {
        let table = match kind {
            ExitKind::Event => EVENT,
            ExitKind::Competing => COMPETING,
            ExitKind::Censored => CENSORED,
        };
        self.row(
            table,
            (stratum * self.shape.arms + arm) * ENDPOINTS + endpoint as usize,
            self.shape.bins,
        )
    }

    /// By each bin's end: patients with the event in the control only and in the arm only, in
    /// turn (`2 * bins` values).
    pub fn paired(&self, stratum: usize, arm: usize, endpoint: Endpoint) -> &[u64] {
        self.row(
            PAIRED,
            (stratum * self.shape.arms + arm) * ENDPOINTS + endpoint as usize,
            self.shape.bins * 2,
        )
    }

    /// By bin: patients whose second event falls there, after a first in an earlier bin; with the
    /// first in the control and in the arm, in turn (`2 * bins` values). The event was delayed in
    /// the arm, or brought forward.
    pub fn delayed(&self, stratum: usize, arm: usize, endpoint: Endpoint) -> &[u64] {
        self.row(
            DELAYED,
            (stratum * self.shape.arms + arm) * ENDPOINTS + endpoint as usize,
            self.shape.bins * 2,
        )
    }

    /// Sum over the patients of [`Self::delayed`] of the bins from the first event to the second.
    pub fn delay(&self, stratum: usize, arm: usize, endpoint: Endpoint) -> &[u64] {
        self.row(
            DELAY,
            (stratum * self.shape.arms + arm) * ENDPOINTS + endpoint as usize,
            self.shape.bins * 2,
        )
    }

    /// Patients of all strata by how they leave an endpoint's risk set in the control (slower) and
    /// in the arm, in cells of kind and part ([`Shape::exit_cells`]): those for whom the two
    /// differ. The others follow from the exits.
    pub fn joint(&self, arm: usize, endpoint: Endpoint) -> &[u64] {
        let cells = self.shape.exit_cells();
        self.row(JOINT, arm * ENDPOINTS + endpoint as usize, cells * cells)
    }

    /// Local recurrences of an origin (position in [`ORIGINS`]) by bin.
    pub fn origin(&self, stratum: usize, arm: usize, origin: usize) -> &[u64] {
        self.row(
            ORIGIN,
            (stratum * self.shape.arms + arm) * ORIGINS.len() + origin,
            self.shape.bins,
        )
    }

    /// Sum over patients of the ticks at which they leave an endpoint's risk set.
    pub fn ticks(&self, stratum: usize, arm: usize, endpoint: Endpoint) -> u64 {
        self.tables[TICKS][(stratum * self.shape.arms + arm) * ENDPOINTS + endpoint as usize]
    }

    /// A tumour histogram of a stratum by its position in [`Shape::histograms`].
    pub fn histogram(&self, stratum: usize, histogram: usize) -> &[u64] {
        let bins = self.shape.histograms[histogram].1;
        &self.histograms[histogram][stratum * bins..(stratum + 1) * bins]
    }

    /// Every table, in the order of digests and files.
    pub fn tables(&self) -> Vec<Table<'_>> {
        let s = &self.shape;
        let mut out = vec![
            table("screened", &["one"], &[1], &self.screened),
            table("excluded", &["reason"], &[s.reasons], &self.excluded),
            table("enrolled", &["stratum"], &[s.strata], &self.enrolled),
            table(
                "first_event",
                &["stratum", "arm", "cause", "bin"],
                &[s.strata, s.arms, CAUSES, s.bins],
                &self.tables[FIRST_EVENT],
            ),
        ];
        for (name, index) in [
            ("event", EVENT),
            ("competing", COMPETING),
            ("censored", CENSORED),
        ] {
            out.push(table(
                name,
                &["stratum", "arm", "endpoint", "bin"],
                &[s.strata, s.arms, ENDPOINTS, s.bins],
                &self.tables[index],
            ));
        }
        for (name, index) in [("paired", PAIRED), ("delayed", DELAYED), ("delay", DELAY)] {
            out.push(table(
                name,
                &["stratum", "arm", "endpoint", "bin", "side"],
                &[s.strata, s.arms, ENDPOINTS, s.bins, 2],
                &self.tables[index],
            ));
        }
        out.push(table(
            "origin",
            &["stratum", "arm", "origin", "bin"],
            &[s.strata, s.arms, ORIGINS.len(), s.bins],
            &self.tables[ORIGIN],
        ));
        out.push(table(
            "ticks",
            &["stratum", "arm", "endpoint"],
            &[s.strata, s.arms, ENDPOINTS],
            &self.tables[TICKS],
        ));
        out.push(table(
            "joint",
            &["arm", "endpoint", "control_exit", "arm_exit"],
            &[s.arms, ENDPOINTS, s.exit_cells(), s.exit_cells()],
            &self.tables[JOINT],
        ));
        for ((name, bins), values) in s.histograms.iter().zip(&self.histograms) {
            out.push(Table {
                name: format!("tumour/{name}"),
                axes: vec!["stratum", "value"],
                shape: vec![s.strata, *bins],
                values,
            });
        }
        out
    }

    /// Rebuilds a tally from stored tables; `read` returns the values of a table by name and
    /// shape. Sizes and sums are checked.
    ///
    /// # Errors
    /// [`TallyError`] if a table has the wrong size or the sums contradict each other; or
    /// whatever `read` reports.
    pub fn from_tables<E: From<TallyError>>(
        shape: Shape,
        mut read: impl FnMut(&str, &[usize]) -> Result<Vec<u64>, E>,
    ) -> Result<Self, E> {
        let mut tally = Self::empty(shape);
        let tables = tally.tables().into_iter();
        let tables: Vec<(String, Vec<usize>)> = tables.map(|t| (t.name, t.shape)).collect();
        for ((name, shape), slot) in tables.iter().zip(tally.slots()) {
            let values = read(name, shape)?;
            if values.len() != slot.len() {
                return Err(E::from(TallyError::Table {
                    name: name.clone(),
                    found: values.len(),
                    expected: slot.len(),
                }));
            }
            *slot = values;
        }
        tally.check().map_err(E::from)?;
        Ok(tally)
    }

    /// Adds another tally of the same shape.
    ///
    /// # Errors
    /// [`TallyError::Shape`] if the shapes differ, [`TallyError::Overflow`] if a sum overflows;
    /// `self` is unchanged then.
    pub fn merge(&mut self, other: &Self) -> Result<(), TallyError> {
        if self.shape != other.shape {
            return Err(TallyError::Shape(format!(
                "{:?} and {:?}",
                self.shape, other.shape
            )));
        }
        for (mine, theirs) in self.tables().iter().zip(other.tables()) {
            let fits = mine
                .values
                .iter()
                .zip(theirs.values)
                .all(|(a, b)| a.checked_add(*b).is_some());
            if !fits {
                return Err(TallyError::Overflow(mine.name.clone()));
            }
        }
        for (mine, theirs) in self.slots().into_iter().zip(other.tables()) {
            for (a, b) in mine.iter_mut().zip(theirs.values) {
                *a += *b;
            }
        }
        Ok(())
    }

    /// Checks that the sums agree: screened = excluded + enrolled, each enrolled patient counted
    /// once per arm among first events and once per arm and endpoint among exits, one origin for
    /// every local recurrence, as many events more or less than in the control as the pairs say,
    /// delays that these pairs can have, and as many exits of each kind and part as the joint
    /// exits say. Sums of ticks have nothing to be checked against.
    ///
    /// # Errors
    /// [`TallyError::Inconsistent`] names the first sum that does not hold.
    pub fn check(&self) -> Result<(), TallyError> {
        let sum = |values: &[u64]| {
            values
                .iter()
                .try_fold(0u64, |total, value| total.checked_add(*value))
                .ok_or_else(|| TallyError::Inconsistent("a sum exceeds 64 bits".into()))
        };
        let equal = |what: &str, left: u64, right: u64| {
            if left == right {
                Ok(())
            } else {
                Err(TallyError::Inconsistent(format!(
                    "{what}: {left} is not {right}"
                )))
            }
        };
        let enrolled = sum(&self.enrolled)?;
        let accounted = sum(&self.excluded)?.saturating_add(enrolled);
        equal("screened and accounted for", self.screened(), accounted)?;
        for stratum in 0..self.shape.strata {
            let here = self.enrolled[stratum];
            for arm in 0..self.shape.arms {
                let mut first = 0u64;
                for cause in Cause::ALL {
                    first = first.saturating_add(sum(self.first_event(stratum, arm, cause))?);
                }
                equal("enrolled and first events", here, first)?;
                for endpoint in Endpoint::ALL {
                    let mut left = 0u64;
                    for kind in [ExitKind::Event, ExitKind::Competing, ExitKind::Censored] {
                        left = left.saturating_add(sum(self.exits(stratum, arm, endpoint, kind))?);
                    }
                    equal("enrolled and exits", here, left)?;
                    self.check_pairs(stratum, arm, endpoint)?;
                    self.check_delays(stratum, arm, endpoint)?;
                }
                self.check_origins(stratum, arm)?;
            }
            for histogram in 0..self.shape.histograms.len() {
                equal(
                    "enrolled and tumour histogram",
                    here,
                    sum(self.histogram(stratum, histogram))?,
                )?;
            }
        }
        for arm in 0..self.shape.arms {
            for endpoint in Endpoint::ALL {
                self.check_joint(arm, endpoint)?;
            }
        }
        Ok(())
    }

    /// By each bin's end, events in the control without n10 are those in the arm without n01:
    /// the patients who have the event in both.
    fn check_pairs(
        &self,
        stratum: usize,
        arm: usize,
        endpoint: Endpoint,
    ) -> Result<(), TallyError> {
        let events = |arm| self.exits(stratum, arm, endpoint, ExitKind::Event);
        let (mut control, mut treated) = (0u64, 0u64);
        let sides = self.paired(stratum, arm, endpoint).chunks_exact(2);
        for ((in_control, in_arm), side) in events(self.shape.control)
            .iter()
            .zip(events(arm))
            .zip(sides)
        {
            control = control.saturating_add(*in_control);
            treated = treated.saturating_add(*in_arm);
            let both = control.checked_sub(side[0]);
            if both.is_none() || both != treated.checked_sub(side[1]) {
                return Err(TallyError::Inconsistent(format!(
                    "{control} events in the control with {} only there, {treated} in arm {arm} \
                     with {} only there",
                    side[0], side[1]
                )));
            }
        }
        Ok(())
    }

    /// Of those who differ by a bin's end, some no longer do by the next; they had the event in one
    /// arm before, as the sum of their delays must allow. So must the events of both arms.
    fn check_delays(
        &self,
        stratum: usize,
        arm: usize,
        endpoint: Endpoint,
    ) -> Result<(), TallyError> {
        let wide = |count: u64| i128::from(count);
        let differing = self.paired(stratum, arm, endpoint);
        let ending = self.delayed(stratum, arm, endpoint);
        let delays = self.delay(stratum, arm, endpoint);
        let arms = [self.shape.control, arm];
        let events = arms.map(|arm| self.exits(stratum, arm, endpoint, ExitKind::Event));
        for side in 0..2 {
            // Those who differ, and the bins since their events, all together.
            let (mut before, mut waiting) = (0, 0);
            for (bin, first_events) in events[side].iter().enumerate() {
                let cell = 2 * bin + side;
                let (now, ended) = (wide(differing[cell]), wide(ending[cell]));
                let started = now + ended - before;
                let delay = wide(delays[cell]);
                waiting += before - delay;
                let possible = ended <= before
                    && ended <= wide(events[1 - side][bin])
                    && (0..=wide(*first_events)).contains(&started)
                    && (ended..=ended * wide(bin as u64)).contains(&delay)
                    && waiting >= now - started;
                if !possible {
                    return Err(TallyError::Inconsistent(format!(
                        "{ended} delayed events in bin {bin} of arm {arm}, by {delay} bins \
                         together, where {before} patients differ before and {now} after"
                    )));
                }
                before = now;
            }
        }
        Ok(())
    }

    /// The exits of either arm by kind and part, less those that differ, are the same patients.
    fn check_joint(&self, arm: usize, endpoint: Endpoint) -> Result<(), TallyError> {
        let control = self.exits_by_cell(self.shape.control, endpoint);
        let treated = self.exits_by_cell(arm, endpoint);
        let cells = self.shape.exit_cells();
        let joint = self.joint(arm, endpoint);
        let sum =
            |counts: &mut dyn Iterator<Item = &u64>| counts.fold(0u64, |a, b| a.saturating_add(*b));
        for cell in 0..cells {
            let left = sum(&mut joint[cell * cells..(cell + 1) * cells].iter());
            let came = sum(&mut joint[cell..].iter().step_by(cells));
            let same = control[cell].checked_sub(left);
            if same.is_none()
                || same != treated[cell].checked_sub(came)
                || joint[cell * cells + cell] != 0
            {
                return Err(TallyError::Inconsistent(format!(
                    "of exits of kind and part {cell} {left} of {} in the control and {came} of {} \
                     in arm {arm} differ",
                    control[cell], treated[cell]
                )));
            }
        }
        Ok(())
    }

    /// Exits from an endpoint's risk set by kind and part, all strata together.
    fn exits_by_cell(&self, arm: usize, endpoint: Endpoint) -> Vec<u64> {
        let parts = self.shape.parts();
        let mut cells = Vec::with_capacity(self.shape.exit_cells());
        for kind in ExitKind::ALL {
            for part in &parts {
                let counts = (0..self.shape.strata)
                    .flat_map(|stratum| &self.exits(stratum, arm, endpoint, kind)[part.clone()]);
                cells.push(counts.fold(0u64, |sum, count| sum.saturating_add(*count)));
            }
        }
        cells
    }

    fn check_origins(&self, stratum: usize, arm: usize) -> Result<(), TallyError> {
        let events = self.exits(stratum, arm, Endpoint::Local, ExitKind::Event);
        for (bin, events) in events.iter().enumerate() {
            let origins = (0..ORIGINS.len()).fold(0u64, |sum, origin| {
                sum.saturating_add(self.origin(stratum, arm, origin)[bin])
            });
            if origins != *events {
                return Err(TallyError::Inconsistent(format!(
                    "local recurrences and their origins: {events} is not {origins}"
                )));
            }
        }
        Ok(())
    }

    fn row(&self, table: usize, index: usize, len: usize) -> &[u64] {
        &self.tables[table][index * len..(index + 1) * len]
    }

    fn slots(&mut self) -> Vec<&mut Vec<u64>> {
        let mut out = vec![&mut self.screened, &mut self.excluded, &mut self.enrolled];
        out.extend(self.tables.iter_mut());
        out.extend(self.histograms.iter_mut());
        out
    }
}

fn table<'a>(name: &str, axes: &[&'static str], shape: &[usize], values: &'a [u64]) -> Table<'a> {
    Table {
        name: name.to_owned(),
        axes: axes.to_vec(),
        shape: shape.to_vec(),
        values,
    }
}

/// Takes patients one by one.
///
/// Most patients fare the same in every arm. So the control's cells stand for all arms, and an
/// arm's cells hold only the (wrapping) difference, which [`Self::finish`] adds up: a patient
/// costs as much as the number of arms in which the course differs.
#[derive(Debug, Clone)]
pub struct Accumulator {
    tally: Tally,
    /// The part that each bin belongs to.
    part_of_bin: Vec<usize>,
    parts: usize,
}

impl Accumulator {
    /// Starts with nobody.
    pub fn new(shape: Shape) -> Self {
        let parts = shape.parts();
        let numbered = parts.iter().enumerate();
        Self {
            part_of_bin: numbered
                .flat_map(|(part, bins)| bins.clone().map(move |_| part))
                .collect(),
            parts: parts.len(),
            tally: Tally::empty(shape),
        }
    }

    /// Counts a screened patient who was not enrolled.
    pub fn exclude(&mut self, reason: usize) {
        self.tally.screened[0] += 1;
        self.tally.excluded[reason] += 1;
    }

    /// Counts an enrolled patient, with one bin per tumour histogram, the record in the control,
    /// and those in the arms where the patient fares otherwise.
    ///
    /// # Panics
    /// If an arm, bin or stratum is not in the shape.
    pub fn enrol(
        &mut self,
        stratum: usize,
        histogram_bins: &[usize],
        base: &ArmRecord,
        others: impl IntoIterator<Item = (usize, ArmRecord)>,
    ) {
        let control = self.tally.shape.control;
        self.tally.screened[0] += 1;
        self.tally.enrolled[stratum] += 1;
        for (histogram, bin) in histogram_bins.iter().enumerate() {
            let bins = self.tally.shape.histograms[histogram].1;
            self.tally.histograms[histogram][stratum * bins + bin] += 1;
        }
        self.add(stratum, control, base, 1);
        for (arm, record) in others {
            if arm != control && record != *base {
                self.add(stratum, arm, base, u64::MAX);
                self.add(stratum, arm, &record, 1);
                self.pair(stratum, arm, base, &record);
            }
        }
    }

    /// The finished tally.
    pub fn finish(self) -> Tally {
        let mut tally = self.tally;
        let Shape {
            strata,
            arms,
            control,
            bins,
            ..
        } = tally.shape;
        // Marks at the bins where a pair starts and stops differing become counts by each bin's
        // end.
        for endpoint in tally.tables[PAIRED].chunks_mut(bins * 2) {
            for at in 2..endpoint.len() {
                endpoint[at] = endpoint[at].wrapping_add(endpoint[at - 2]);
            }
        }
        for table in OWN {
            let values = &mut tally.tables[table];
            let row = values.len() / (strata * arms);
            for stratum in values.chunks_mut(row * arms) {
                let base = stratum[control * row..(control + 1) * row].to_vec();
                for (arm, cells) in stratum.chunks_mut(row).enumerate() {
                    if arm != control {
                        for (cell, shared) in cells.iter_mut().zip(&base) {
                            *cell = cell.wrapping_add(*shared);
                        }
                    }
                }
            }
        }
        tally
    }

    /// Adds `count` (1, or the wrapping -1) to the cells of a record.
    fn add(&mut self, stratum: usize, arm: usize, record: &ArmRecord, count: u64) {
        let bins = self.tally.shape.bins;
        let row = stratum * self.tally.shape.arms + arm;
        let tables = &mut self.tally.tables;
        let mut bump = |table: usize, index: usize, by: u64| {
            let cell = &mut tables[table][index];
            *cell = cell.wrapping_add(by);
        };
        let (cause, bin) = record.first;
        bump(
            FIRST_EVENT,
            (row * CAUSES + cause as usize) * bins + usize::from(bin),
            count,
        );
        for (endpoint, exit) in record.exits.iter().enumerate() {
            let table = match exit.kind {
                ExitKind::Event => EVENT,
                ExitKind::Competing => COMPETING,
                ExitKind::Censored => CENSORED,
            };
            let cell = row * ENDPOINTS + endpoint;
            bump(table, cell * bins + usize::from(exit.bin), count);
            bump(TICKS, cell, exit.ticks.wrapping_mul(count));
        }
        if let Some(origin) = record.origin {
            let bin = record.exits[Endpoint::Local as usize].bin;
            bump(
                ORIGIN,
                (row * ORIGINS.len() + usize::from(origin)) * bins + usize::from(bin),
                count,
            );
        }
    }

    /// Counts how a pair differs.
    fn pair(&mut self, stratum: usize, arm: usize, base: &ArmRecord, record: &ArmRecord) {
        let row = stratum * self.tally.shape.arms + arm;
        for (endpoint, (control, treated)) in base.exits.iter().zip(&record.exits).enumerate() {
            if control != treated {
                self.pair_events(row * ENDPOINTS + endpoint, control, treated);
                self.pair_exits(arm * ENDPOINTS + endpoint, control, treated);
            }
        }
    }

    /// Marks the bins between a pair's differing events.
    fn pair_events(&mut self, row: usize, control: &Exit, treated: &Exit) {
        let bins = self.tally.shape.bins;
        let event_bin = |exit: &Exit| match exit.kind {
            ExitKind::Event => usize::from(exit.bin),
            ExitKind::Competing | ExitKind::Censored => bins,
        };
        let (control, treated) = (event_bin(control), event_bin(treated));
        let (side, first, second) = if control < treated {
            (0, control, treated)
        } else {
            (1, treated, control)
        };
        if first == second {
            return;
        }
        let tables = &mut self.tally.tables;
        let mut bump = |table: usize, bin: usize, by: u64| {
            let cell = &mut tables[table][(row * bins + bin) * 2 + side];
            *cell = cell.wrapping_add(by);
        };
        bump(PAIRED, first, 1);
        if second < bins {
            bump(PAIRED, second, u64::MAX);
            bump(DELAYED, second, 1);
            bump(DELAY, second, (second - first) as u64);
        }
    }

    /// Counts a pair's exits if they differ in kind or part.
    fn pair_exits(&mut self, row: usize, control: &Exit, treated: &Exit) {
        let cells = ExitKind::ALL.len() * self.parts;
        let cell =
            |exit: &Exit| exit.kind as usize * self.parts + self.part_of_bin[usize::from(exit.bin)];
        let (control, treated) = (cell(control), cell(treated));
        if control != treated {
            self.tally.tables[JOINT][(row * cells + control) * cells + treated] += 1;
        }
    }
}
