//! One patient's forest of colonies, lived once for all arms of a pass (section 7).
//!
//! The forest is grown event by event, in the order in which colonies are founded. Candidates
//! come from a bound that no arm exceeds, the *dominating course*: untreated, with the larger of
//! the attractions of an irradiated and an unirradiated bed. Each candidate carries a mark, and
//! exists in the arms in which the mark is below that arm's share of the bound. The dominating
//! course is followed like an arm of its own, whatever the trial's arms are, so that what is
//! drawn, and whether a patient is saturated, never depends on them.
//!
//! A colony that can neither be detected nor found another before the last arm's follow-up ends
//! cannot change any outcome and is dropped as soon as it is drawn.

mod after;
mod before;
mod diagnosis;
mod founders;
mod founding;
mod resection;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::colony::Colony;
use crate::math;
use crate::patient::{Exclusion, Origin, Tumour};
use crate::person::Person;
use crate::random::{Key, Stream};
use crate::scenario::{LocalTreatmentKind, Scenario, TRAITS};
use crate::therapy::{ARMS_A_PASS, Courses, Therapies, bits};
use crate::trace::TraceEvent;

use after::{Delay, LaterSource};
use before::Source;
use founders::Rates;
use founding::HomeShare;

/// Founders looked at after resection, per colony allowed, before the forest counts as overgrown
/// although few of them matter.
const LOOKS_PER_COLONY: u64 = 100;

/// A scenario with what follows from it alone.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) scenario: Scenario,
    pub(crate) factor: [[f64; TRAITS]; TRAITS],
    ln_plateau: f64,
    /// ln K + ln π: minus ln of a mean-one founder weight, this is a founder's log deficit.
    founder_deficit: f64,
    /// K^γ.
    plateau_shedding: f64,
    scar_deficit: f64,
    distant_deficit: f64,
    /// Clock from founding to detection of a scar colony of [`founders::WEIGHT_MAX`]; zero where it
    /// is detected at once.
    scar_clock: f64,
    /// The same of a distant colony.
    distant_clock: f64,
    /// e^(−γ·deficit) at detection.
    scar_reach: f64,
    distant_reach: f64,
    surgery: bool,
    /// Bound on capture after resection, over all arms that could be: ρ·max(1, fold).
    capture_bound: f64,
    capture_plain: f64,
    capture_irradiated: f64,
}

impl Setting {
    pub(crate) fn new(scenario: Scenario, factor: &[[f64; TRAITS]; TRAITS]) -> Self {
        let gamma = scenario.shedding.exponent;
        let ln_plateau = math::ln(scenario.growth.plateau_cells);
        let scar_deficit = ln_plateau - math::ln(scenario.detection.scar_cells);
        let distant_deficit = ln_plateau - math::ln(scenario.detection.distant_cells);
        let founder_deficit = ln_plateau + math::ln(scenario.growth.establishment);
        let heavy_deficit = founder_deficit - math::ln(founders::WEIGHT_MAX);
        let surgery = scenario.local_treatment.kind == LocalTreatmentKind::Surgery;
        let (capture, fold) = (
            scenario.homing.scar_capture,
            scenario.homing.radiotherapy_fold,
        );
        Self {
            factor: *factor,
            ln_plateau,
            founder_deficit,
            scar_clock: math::ln((heavy_deficit / scar_deficit).max(1.0)),
            distant_clock: math::ln((heavy_deficit / distant_deficit).max(1.0)),
            plateau_shedding: math::exp(gamma * ln_plateau),
            scar_deficit,
            distant_deficit,
            scar_reach: math::exp(-gamma * scar_deficit),
            distant_reach: math::exp(-gamma * distant_deficit),
            surgery,
            capture_bound: capture * fold.max(1.0),
            capture_plain: if surgery { capture } else { capture * fold },
            capture_irradiated: capture * fold,
            scenario,
        }
    }

    fn gamma(&self) -> f64 {
        self.scenario.shedding.exponent
    }
}

/// Buffers that outlive a patient.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workspace {
    colonies: Vec<Colony>,
    candidates: Vec<Candidate>,
    /// Colonies that shed founders before resection, each with its next one.
    sources: Vec<Source>,
    /// Colonies that shed founders after resection, each with its next one.
    later_sources: Vec<LaterSource>,
    /// Streams of the sources; those of earlier patients are used again.
    streams: Vec<Stream>,
    streams_used: usize,
    /// What comes next: the bits of its time, and below them what it is.
    queue: BinaryHeap<Reverse<u128>>,
    /// Colonies at the primary site.
    primaries: Vec<u32>,
    /// Colonies asleep since before resection.
    sleepers: Vec<u32>,
    /// γ·(ln K − ln N) and (N/K)^γ at resection of the colonies at the primary site.
    removed: Vec<(f64, f64)>,
    /// Mean lymph-node deposits of each.
    node_means: Vec<f64>,
}

/// In which window a founder was shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Before resection.
    Before,
    /// After resection, by a living colony.
    After,
    /// After resection, by a removed colony, still circulating.
    Burst,
    /// After detection without therapy, by a colony that therapy has slowed.
    Tail,
}

/// A colony that the bound founds.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    colony: Colony,
    window: Window,
    mark: f64,
    /// Share of the bound reached without drugs by founders that come home before resection;
    /// one for all others.
    untreated: HomeShare,
}

/// What a queue entry refers to, in its top two bits.
const KIND: u32 = 0b11 << 30;
/// Settles a candidate.
const CANDIDATE: u32 = 0b00 << 30;
/// Takes the next founder of a source.
const SOURCE: u32 = 0b01 << 30;
/// Wakes a sleeper.
const WAKE: u32 = 0b10 << 30;
/// Takes the next founder of a source after resection.
const LATER_SOURCE: u32 = 0b11 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Growing,
    Waiting,
    Watching,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Followed in every arm.
    Followed,
    /// Not enrolled.
    Excluded(Exclusion),
    /// After the end of the dominating course, the arms' forests together outgrew the limit.
    Overgrown,
    /// Diagnosed after all before the metastasis that seemed to come first, when something had
    /// been left out: to be lived again unhurried.
    Misjudged,
}

/// One pass of one patient.
pub(crate) struct Forest<'a> {
    setting: &'a Setting,
    therapies: &'a Therapies,
    stream: &'a mut Stream,
    work: &'a mut Workspace,
    courses: &'a mut Courses,
    trace: Option<&'a mut Vec<TraceEvent>>,
    pub(crate) person: Person,
    pub(crate) tumour: Tumour,
    stage: Stage,
    /// When the native tumour alone reaches the size at diagnosis.
    native_diagnosis: f64,
    /// Diagnosis, given the self-seeds solved for: an upper bound until nothing is unsolved.
    diagnosis: f64,
    /// Lower bound on diagnosis, allowing for self-seeds not yet solved for.
    diagnosis_least: f64,
    /// Cells at `diagnosis` of self-seeds founded since it was solved for.
    unsolved_cells: f64,
    /// Growth of the primary site at `diagnosis`, cells per day.
    site_speed: f64,
    /// Largest growth per cell that a primary-site colony ever had, per day.
    fastest_growth: f64,
    /// Latest founding so far.
    now: f64,
    pub(crate) resection: f64,
    rates: Rates,
    /// Attraction in the bed at resection, a bound on it later.
    attraction_after: f64,
    scar_delay: Option<Delay>,
    /// Distant detection in the dominating course.
    dominating_end: f64,
    /// Distant detection by arm.
    distant: [f64; ARMS_A_PASS],
    /// Local detection by arm.
    local: [f64; ARMS_A_PASS],
    origin: [Origin; ARMS_A_PASS],
    /// Earliest distant detection in any course.
    first_end: f64,
    /// Nothing after this matters in any course.
    stop: f64,
    /// End of follow-up.
    end: f64,
    followed: u64,
    followed_beyond: u64,
    looked_at: u64,
    looks_max: u64,
    /// Whether what only matters after diagnosis may be left out for a patient who seems to be
    /// metastatic before.
    pub(crate) may_hurry: bool,
    /// Whether it was.
    hurried: bool,
    /// Whether the pass has a single arm, which is frozen where it outgrows the limit.
    alone: bool,
    /// When it was, days from resection.
    pub(crate) frozen: f64,
}

impl<'a> Forest<'a> {
    pub(crate) fn new(
        setting: &'a Setting,
        therapies: &'a Therapies,
        stream: &'a mut Stream,
        work: &'a mut Workspace,
        courses: &'a mut Courses,
        person: Person,
    ) -> Self {
        work.colonies.clear();
        work.candidates.clear();
        work.sources.clear();
        work.later_sources.clear();
        work.streams_used = 0;
        work.queue.clear();
        work.primaries.clear();
        work.sleepers.clear();
        work.removed.clear();
        courses.clear();
        let homing = &setting.scenario.homing;
        let looks_max = u64::from(setting.scenario.colonies_max) * LOOKS_PER_COLONY;
        let attraction_before = person.milieu.tumour(homing).attraction(homing, 1.0, 1.0);
        let attraction_after = person.milieu.bed(homing, 0.0).attraction(homing, 1.0, 1.0);
        Self {
            rates: Rates::new(setting, &person, (attraction_before, attraction_after)),
            attraction_after,
            scar_delay: None,
            setting,
            therapies,
            stream,
            work,
            courses,
            trace: None,
            person,
            tumour: Tumour::default(),
            stage: Stage::Growing,
            native_diagnosis: f64::INFINITY,
            diagnosis: f64::INFINITY,
            diagnosis_least: 0.0,
            unsolved_cells: 0.0,
            site_speed: 0.0,
            fastest_growth: 0.0,
            now: 0.0,
            resection: f64::INFINITY,
            dominating_end: f64::INFINITY,
            distant: [f64::INFINITY; ARMS_A_PASS],
            local: [f64::INFINITY; ARMS_A_PASS],
            origin: [Origin::Residual; ARMS_A_PASS],
            first_end: f64::INFINITY,
            stop: f64::INFINITY,
            end: f64::INFINITY,
            followed: 0,
            followed_beyond: 0,
            looked_at: 0,
            looks_max,
            may_hurry: false,
            hurried: false,
            alone: therapies.len() == 1,
            frozen: f64::INFINITY,
        }
    }

    /// Records what happens.
    pub(crate) fn traced(mut self, trace: &'a mut Vec<TraceEvent>) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Local recurrence in an arm: days from resection and origin.
    pub(crate) fn local_recurrence(&self, arm: usize) -> Option<(f64, Origin)> {
        let time = self.local[arm];
        (time < self.distant[arm] && time < self.end)
            .then(|| (time - self.resection, self.origin[arm]))
    }

    /// Distant recurrence in an arm, days from resection; zero if before.
    pub(crate) fn distant_recurrence(&self, arm: usize) -> Option<f64> {
        let time = self.distant[arm];
        (time < self.end && self.frozen.is_infinite()).then(|| (time - self.resection).max(0.0))
    }

    /// Lives the patient's life.
    pub(crate) fn run(&mut self) -> Ending {
        self.found_native_primary();
        loop {
            if self.saturated() {
                return Ending::Excluded(Exclusion::Saturated);
            }
            if self.overgrown() {
                if !self.alone {
                    return Ending::Overgrown;
                }
                if self.frozen.is_finite() {
                    return Ending::Followed;
                }
                self.freeze();
            }
            let next = self.next_time();
            match self.stage {
                Stage::Growing => {
                    let until = next.min(self.dominating_end);
                    if until > self.diagnosis_least && self.unsolved_cells > 0.0 {
                        self.solve_diagnosis();
                    }
                    if until >= self.diagnosis {
                        if self.hurried {
                            return Ending::Misjudged;
                        }
                        if let Some(reason) = self.diagnose() {
                            return Ending::Excluded(reason);
                        }
                        continue;
                    }
                    if self.dominating_end <= next {
                        return Ending::Excluded(Exclusion::Metastatic);
                    }
                }
                Stage::Waiting => {
                    if next >= self.resection {
                        if let Some(reason) = self.resect() {
                            return Ending::Excluded(reason);
                        }
                        continue;
                    }
                }
                Stage::Watching => {
                    if next >= self.stop {
                        return Ending::Followed;
                    }
                }
            }
            self.take_next();
        }
    }

    /// Ends the observation of a lone arm. The dominating course goes on, since it decides
    /// whether the patient is saturated, in this arm as in every other.
    fn freeze(&mut self) {
        self.frozen = self.now - self.resection;
        self.distant[0] = self.now;
        self.followed_beyond = 0;
        self.looked_at = 0;
        self.update_stop();
    }

    fn limit(&self) -> u64 {
        u64::from(self.setting.scenario.colonies_max)
    }

    fn saturated(&self) -> bool {
        self.followed > self.limit()
    }

    fn overgrown(&self) -> bool {
        self.followed_beyond > self.limit() || self.looked_at > self.looks_max
    }

    fn next_time(&self) -> f64 {
        self.work
            .queue
            .peek()
            .map_or(f64::INFINITY, |Reverse(next)| unpack(*next).0)
    }

    /// Queues an entry.
    fn queue(&mut self, time: f64, entry: u32) {
        self.work.queue.push(Reverse(pack(time, entry)));
    }

    /// Puts a source, which is the first entry of the queue, where its next founder belongs.
    fn requeue(&mut self, next: Option<f64>) {
        let Some(mut first) = self.work.queue.peek_mut() else {
            return;
        };
        match next {
            Some(time) => first.0 = pack(time, unpack(first.0).1),
            None => {
                PeekMut::pop(first);
            }
        }
    }

    fn take_next(&mut self) {
        let Some(Reverse(next)) = self.work.queue.peek() else {
            return;
        };
        let (time, entry) = unpack(*next);
        self.now = time;
        let position = (entry & !KIND) as usize;
        match entry & KIND {
            CANDIDATE => {
                self.work.queue.pop();
                let candidate = self.work.candidates[position];
                self.settle(&candidate);
            }
            SOURCE => self.take_founder(position),
            LATER_SOURCE => self.take_later_founder(position),
            _ => {
                self.work.queue.pop();
                self.wake(position);
            }
        }
    }

    /// Opens a stream for a source; returns its position.
    fn open_stream(&mut self, key: Key) -> usize {
        let Workspace {
            streams,
            streams_used,
            ..
        } = &mut *self.work;
        if *streams_used == streams.len() {
            streams.push(self.stream.clone());
        }
        streams[*streams_used].open_beside(self.stream, key);
        *streams_used += 1;
        *streams_used - 1
    }

    fn update_stop(&mut self) {
        let mut last = self.dominating_end;
        let mut first = self.dominating_end;
        if self.stage != Stage::Growing {
            for &time in &self.distant[..self.therapies.len()] {
                last = last.max(time);
                first = first.min(time);
            }
        }
        self.first_end = first;
        self.stop = last.min(self.end);
    }

    /// When the last course that has a colony stops: no descendant matters after that.
    fn stop_of(&self, colony: &Colony) -> f64 {
        if self.first_end >= self.stop {
            return self.stop;
        }
        let mut last = if colony.dominating {
            self.dominating_end
        } else {
            0.0
        };
        for arm in bits(colony.arms) {
            last = last.max(self.distant[arm]);
        }
        last.min(self.end)
    }

    fn record(&mut self, event: TraceEvent) {
        if let Some(trace) = &mut self.trace {
            trace.push(event);
        }
    }

    /// Poisson number from a uniform kept for it; large means take a stream of their own.
    fn poisson(&mut self, mean: f64, uniform: f64, key: Key) -> u32 {
        if mean < crate::random::POISSON_INVERSION_MAX {
            crate::random::poisson_quantile(mean, uniform)
        } else {
            self.stream.open(key);
            self.stream.poisson(mean)
        }
    }

    fn day(&self, time: f64) -> f64 {
        time - self.resection
    }
}

/// A queue entry. Times are positive, so their bits are in order.
fn pack(time: f64, entry: u32) -> u128 {
    u128::from(time.to_bits()) << 32 | u128::from(entry)
}

#[expect(clippy::cast_possible_truncation, reason = "takes packed parts apart")]
fn unpack(next: u128) -> (f64, u32) {
    (f64::from_bits((next >> 32) as u64), next as u32)
}

/// Position of a colony or source as a queue entry and parent number.
fn entry(position: usize) -> u32 {
    u32::try_from(position)
        .ok()
        .filter(|entry| entry & KIND == 0)
        .expect("the colony limit keeps forests far smaller")
}
