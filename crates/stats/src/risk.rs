//! Risk tables: who is at risk and who leaves, time by time. The one input of all estimators.
//!
//! A table comes from single patients ([`RiskTable::from_patients`]), one row per distinct time,
//! or from bins ([`RiskTable::from_bins`], [`RiskTable::of_endpoint`],
//! [`RiskTable::of_first_events`]), one row per bin.
//!
//! **Ties.** Events at a time happen to everybody at risk just before it; censoring at the same
//! time follows. This is the convention of R's `survival` and of the tallies.
//!
//! **Bins.** A bin's events are placed at its middle, its censorings at its end. So a curve read
//! at a bin's end is the tallies' curve, the area below it is that of the trapezoids, and
//! patients who are followed to the end of the last bin contribute all of it. Compared with the
//! ungrouped data, estimates and tests are off by the order of the bin's width h at most, because
//! within a bin nobody drops out before an event (`tests/grouped.rs` shows the rates):
//!
//! | estimate | without drop-out | with drop-out |
//! |---|---|---|
//! | survival and incidences at bins' ends | exact | h |
//! | restricted means, hazards by interval | h² | h |
//! | Cox's ratio with Efron's ties | h² | h² |
//! | other ratios, rank tests, smoothed hazards | h | h |
//! | median | within its bin | h |

use crate::tally::{Cause, Endpoint, ExitKind, Tally};

/// How a group of patients leaves a risk set.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskTable {
    patients: u64,
    causes: usize,
    times: Vec<f64>,
    ends: Vec<f64>,
    /// Row by row, `causes` values each.
    events: Vec<u64>,
    censored: Vec<u64>,
}

/// One time of a risk table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// When the events happen.
    pub time: f64,
    /// When the censored leave, not before the events.
    pub end: f64,
    /// Patients at risk just before the events.
    pub at_risk: u64,
    /// Events by cause.
    pub events: &'a [u64],
    /// Patients who leave without an event, after the events.
    pub censored: u64,
}

impl Row<'_> {
    /// Events of all causes.
    pub fn all_events(&self) -> u64 {
        self.events.iter().sum()
    }
}

impl RiskTable {
    /// One row per distinct time of patients who leave at `(time, cause)`; no cause is
    /// censoring.
    ///
    /// # Panics
    /// If a time is negative or not a number, or a cause is not below `causes`.
    pub fn from_patients(
        causes: usize,
        patients: impl IntoIterator<Item = (f64, Option<usize>)>,
    ) -> Self {
        let patients: Vec<_> = patients.into_iter().collect();
        for (time, cause) in &patients {
            assert!(*time >= 0.0, "a patient leaves at {time}");
            assert!(
                cause.is_none_or(|cause| cause < causes),
                "cause {cause:?} is not among {causes}"
            );
        }
        let mut times: Vec<f64> = patients.iter().map(|(time, _)| *time).collect();
        times.sort_unstable_by(f64::total_cmp);
        times.dedup();
        Self::at_times(&times, causes, patients.into_iter())
    }

    /// One row for each of `times`, in ascending order, also where nobody leaves; all patients
    /// leave at one of them.
    pub(crate) fn at_times(
        times: &[f64],
        causes: usize,
        patients: impl Iterator<Item = (f64, Option<usize>)>,
    ) -> Self {
        let mut table = Self::empty(causes, 0);
        for time in times {
            table.push_row(*time, *time);
        }
        for (time, cause) in patients {
            let row = times.partition_point(|step| *step < time);
            match cause {
                Some(cause) => table.events[row * causes + cause] += 1,
                None => table.censored[row] += 1,
            }
            table.patients += 1;
        }
        table
    }

    /// One row per bin between `edges`, from counts by cause and bin.
    ///
    /// # Panics
    /// If the lengths do not fit or more patients leave than there are.
    pub fn from_bins(
        edges: &[f64],
        patients: u64,
        events: &[impl AsRef<[u64]>],
        censored: &[u64],
    ) -> Self {
        assert_eq!(edges.len(), censored.len() + 1, "edges enclose the bins");
        let mut table = Self::empty(events.len(), patients);
        let mut left = 0;
        for (bin, edge) in edges.windows(2).enumerate() {
            table.push_row(middle(edge), edge[1]);
            let row = bin * events.len();
            for (cell, cause) in table.events[row..].iter_mut().zip(events) {
                *cell = cause.as_ref()[bin];
                left += *cell;
            }
            table.censored[bin] = censored[bin];
            left += censored[bin];
        }
        assert!(left <= patients, "{left} of {patients} patients leave");
        table
    }

    /// An endpoint of an arm, pooled over strata: cause 0 is its event, cause 1 what competes
    /// with it. `edges` are those of the tally's bins, in the unit wanted for times.
    pub fn of_endpoint(
        tally: &Tally,
        strata: &[usize],
        arm: usize,
        endpoint: Endpoint,
        edges: &[f64],
    ) -> Self {
        let exits = |kind| {
            pool(tally, strata, |stratum| {
                tally.exits(stratum, arm, endpoint, kind)
            })
        };
        let events = [exits(ExitKind::Event), exits(ExitKind::Competing)];
        let patients = patients(tally, strata);
        Self::from_bins(edges, patients, &events, &exits(ExitKind::Censored))
    }

    /// First events of an arm, pooled over strata; the causes are those of [`Cause::EVENTS`], in
    /// this order. `edges` are those of the tally's bins, in the unit wanted for times.
    pub fn of_first_events(tally: &Tally, strata: &[usize], arm: usize, edges: &[f64]) -> Self {
        let first = |cause| {
            pool(tally, strata, |stratum| {
                tally.first_event(stratum, arm, cause)
            })
        };
        let events = Cause::EVENTS.map(first);
        let patients = patients(tally, strata);
        Self::from_bins(edges, patients, &events, &first(Cause::Censored))
    }

    /// The same patients, followed for so many rows: those who leave later are censored at the
    /// end of the last.
    #[must_use]
    pub(crate) fn first_rows(&self, rows: usize) -> Self {
        let keep = self.causes * rows;
        let mut table = Self {
            patients: self.patients,
            causes: self.causes,
            times: self.times[..rows].to_vec(),
            ends: self.ends[..rows].to_vec(),
            events: self.events[..keep].to_vec(),
            censored: self.censored[..rows].to_vec(),
        };
        let later = self.events[keep..].iter().chain(&self.censored[rows..]);
        if let Some(last) = table.censored.last_mut() {
            *last += later.sum::<u64>();
        }
        table
    }

    /// The same bins between other edges.
    #[must_use]
    pub(crate) fn placed(&self, edges: &[f64]) -> Self {
        Self {
            times: edges.windows(2).map(middle).collect(),
            ends: edges[1..].to_vec(),
            ..self.clone()
        }
    }

    /// The same patients with events of `cause` alone, as its only cause; the others are censored.
    #[must_use]
    pub fn cause_specific(&self, cause: usize) -> Self {
        let keep = |row: Row<'_>| {
            let events = row.events[cause];
            (events, row.censored + row.all_events() - events)
        };
        self.with_one_cause(keep)
    }

    /// The same patients with events of any cause as those of one.
    #[must_use]
    pub fn any_cause(&self) -> Self {
        self.with_one_cause(|row| (row.all_events(), row.censored))
    }

    /// Patients who leave in this way in a row; cause 0 is the event, and the others compete.
    pub(crate) fn exits(&self, kind: ExitKind, row: usize) -> u64 {
        let events = &self.events[row * self.causes..(row + 1) * self.causes];
        match kind {
            ExitKind::Event => events[0],
            ExitKind::Competing => events[1..].iter().sum(),
            ExitKind::Censored => self.censored[row],
        }
    }

    /// Patients at risk at the start.
    pub fn patients(&self) -> u64 {
        self.patients
    }

    /// Number of causes.
    pub fn causes(&self) -> usize {
        self.causes
    }

    /// Times of the rows, in ascending order.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// The rows in order of time.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut at_risk = self.patients;
        (0..self.times.len()).map(move |index| {
            let row = self.row(index, at_risk);
            at_risk -= row.all_events() + row.censored;
            row
        })
    }

    /// Time that all patients together spend at risk until `time`.
    pub fn person_time(&self, time: f64) -> f64 {
        let mut staying = self.patients;
        let mut sum = 0.0;
        for row in self.rows() {
            sum += row.all_events() as f64 * row.time.min(time);
            sum += row.censored as f64 * row.end.min(time);
            staying -= row.all_events() + row.censored;
        }
        sum + staying as f64 * time
    }

    fn empty(causes: usize, patients: u64) -> Self {
        Self {
            patients,
            causes,
            times: Vec::new(),
            ends: Vec::new(),
            events: Vec::new(),
            censored: Vec::new(),
        }
    }

    fn push_row(&mut self, time: f64, end: f64) {
        self.times.push(time);
        self.ends.push(end);
        self.events.resize(self.events.len() + self.causes, 0);
        self.censored.push(0);
    }

    fn row(&self, index: usize, at_risk: u64) -> Row<'_> {
        Row {
            time: self.times[index],
            end: self.ends[index],
            at_risk,
            events: &self.events[index * self.causes..(index + 1) * self.causes],
            censored: self.censored[index],
        }
    }

    fn with_one_cause(&self, keep: impl Fn(Row<'_>) -> (u64, u64)) -> Self {
        let (events, censored) = self.rows().map(keep).unzip();
        Self {
            patients: self.patients,
            causes: 1,
            times: self.times.clone(),
            ends: self.ends.clone(),
            events,
            censored,
        }
    }
}

fn middle(edges: &[f64]) -> f64 {
    f64::midpoint(edges[0], edges[1])
}

/// Visits the distinct times of several groups in order, with each group's row there; a group
/// that has none has a row in which nobody leaves.
///
/// # Panics
/// If the groups have different causes.
pub(crate) fn walk(groups: &[RiskTable], mut visit: impl FnMut(&[Row<'_>])) {
    let Some(first) = groups.first() else {
        return;
    };
    assert!(
        groups.iter().all(|group| group.causes == first.causes),
        "groups have the same causes"
    );
    let nobody = vec![0; first.causes];
    let mut next = vec![0; groups.len()];
    let mut at_risk: Vec<u64> = groups.iter().map(|group| group.patients).collect();
    let mut rows = Vec::with_capacity(groups.len());
    loop {
        let upcoming = groups.iter().zip(&next);
        let times = upcoming.filter_map(|(group, index)| group.times.get(*index));
        let Some(time) = times.copied().reduce(f64::min) else {
            return;
        };
        rows.clear();
        for ((group, next), at_risk) in groups.iter().zip(&mut next).zip(&mut at_risk) {
            if group.times.get(*next) == Some(&time) {
                let row = group.row(*next, *at_risk);
                *next += 1;
                *at_risk -= row.all_events() + row.censored;
                rows.push(row);
            } else {
                rows.push(Row {
                    time,
                    end: time,
                    at_risk: *at_risk,
                    events: &nobody,
                    censored: 0,
                });
            }
        }
        visit(&rows);
    }
}

/// Sums a row of bins over strata.
pub(crate) fn pool<'a>(
    tally: &Tally,
    strata: &[usize],
    row: impl Fn(usize) -> &'a [u64],
) -> Vec<u64> {
    let mut total = vec![0; tally.shape().bins];
    for stratum in strata {
        for (sum, count) in total.iter_mut().zip(row(*stratum)) {
            *sum += count;
        }
    }
    total
}

/// Patients enrolled in these strata.
pub(crate) fn patients(tally: &Tally, strata: &[usize]) -> u64 {
    strata
        .iter()
        .map(|stratum| tally.enrolled()[*stratum])
        .sum()
}
