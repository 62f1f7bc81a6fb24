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

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::colony::{Colony, Site};
use crate::math;
use crate::patient::{Exclusion, Origin, Tumour};
use crate::person::{Person, days_at_rate};
use crate::random::{Key, Stream};
use crate::scenario::{GENES, Gene, LocalTreatmentKind, Scenario, TRAITS};
use crate::therapy::{ARMS_A_PASS, Courses, Therapies, bits, infiltration};
use crate::trace::{Source, TraceEvent};

const NATIVE: Key = Key::named("native primary");
const BEFORE: u64 = 1;
const AFTER: u64 = 2;
const BURST: u64 = 3;
const TAIL: u64 = 4;
const RESIDUAL: Key = Key::named("residual foci");
const RESIDUAL_COUNT: Key = Key::named("number of residual foci");
const NODES: Key = Key::named("nodes");
const NODE_COUNT: Key = Key::named("number of nodes");
const SAMPLE_COUNT: Key = Key::named("circulating cell sample");

/// A bed keeps blood flowing past 7.5 mL of 5 L at the sample (section 3).
const SAMPLE_ML: f64 = 7.5;
const BLOOD_ML: f64 = 5000.0;

/// Candidates looked at, per colony allowed, before a patient counts as saturated although few
/// of the candidates matter.
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
    pub(crate) fn new(scenario: Scenario, factor: [[f64; TRAITS]; TRAITS]) -> Self {
        let gamma = scenario.shedding.exponent;
        let ln_plateau = math::ln(scenario.growth.plateau_cells);
        let scar_deficit = ln_plateau - math::ln(scenario.detection.scar_cells);
        let distant_deficit = ln_plateau - math::ln(scenario.detection.distant_cells);
        let surgery = scenario.local_treatment.kind == LocalTreatmentKind::Surgery;
        let (capture, fold) = (
            scenario.homing.scar_capture,
            scenario.homing.radiotherapy_fold,
        );
        Self {
            factor,
            ln_plateau,
            founder_deficit: ln_plateau + math::ln(scenario.growth.establishment),
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
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    /// Colonies at the primary site.
    primaries: Vec<u32>,
    /// Colonies asleep since before resection.
    sleepers: Vec<u32>,
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
}

/// Queue entries with this bit wake a sleeper instead of founding a candidate.
const WAKE: u32 = 1 << 31;

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
    /// Diagnosis, given the self-seeds known: an upper bound until nothing is unsolved.
    diagnosis: f64,
    /// Lower bound on diagnosis, allowing for self-seeds not yet solved for.
    diagnosis_least: f64,
    /// Cells at `diagnosis` of self-seeds founded since it was solved for.
    unsolved_cells: f64,
    /// Latest founding so far.
    now: f64,
    pub(crate) resection: f64,
    attraction_before: f64,
    /// Bound on attraction after resection.
    attraction_after: f64,
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
    /// Where to freeze a lone arm that outgrows the limit after the dominating course.
    freeze: bool,
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
        work.queue.clear();
        work.primaries.clear();
        work.sleepers.clear();
        courses.clear();
        let homing = &setting.scenario.homing;
        let looks_max = u64::from(setting.scenario.colonies_max) * LOOKS_PER_COLONY;
        Self {
            attraction_before: person.milieu.tumour(homing).attraction(homing, 1.0, 1.0),
            attraction_after: person.milieu.bed(homing, 0.0).attraction(homing, 1.0, 1.0),
            setting,
            therapies,
            stream,
            work,
            courses,
            trace: None,
            person,
            tumour: Tumour::default(),
            stage: Stage::Growing,
            diagnosis: f64::INFINITY,
            diagnosis_least: 0.0,
            unsolved_cells: 0.0,
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
            freeze: therapies.len() == 1,
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
        (time < self.end).then(|| (time - self.resection).max(0.0))
    }

    /// Lives the patient's life.
    pub(crate) fn run(&mut self) -> Ending {
        self.found_native_primary();
        loop {
            if self.saturated() {
                return Ending::Excluded(Exclusion::Saturated);
            }
            if self.overgrown() {
                if !self.freeze {
                    return Ending::Overgrown;
                }
                self.frozen = self.now - self.resection;
                return Ending::Followed;
            }
            let next = self.next_time();
            match self.stage {
                Stage::Growing => {
                    let until = next.min(self.dominating_end);
                    if until > self.diagnosis_least && self.unsolved_cells > 0.0 {
                        self.solve_diagnosis();
                    }
                    if until >= self.diagnosis {
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
                    if next >= self.resection || next >= self.stop {
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

    fn limit(&self) -> u64 {
        u64::from(self.setting.scenario.colonies_max)
    }

    fn saturated(&self) -> bool {
        self.followed > self.limit() || self.looked_at > self.looks_max
    }

    fn overgrown(&self) -> bool {
        self.followed_beyond > self.limit()
    }

    fn next_time(&self) -> f64 {
        self.work
            .queue
            .peek()
            .map_or(f64::INFINITY, |Reverse((time, _))| f64::from_bits(*time))
    }

    /// Queues an entry; times are positive, so their bits are in order.
    fn queue(&mut self, time: f64, entry: u32) {
        self.work.queue.push(Reverse((time.to_bits(), entry)));
    }

    fn take_next(&mut self) {
        let Some(Reverse((time, entry))) = self.work.queue.pop() else {
            return;
        };
        self.now = f64::from_bits(time);
        if entry & WAKE != 0 {
            self.wake((entry & !WAKE) as usize);
        } else {
            self.settle(entry as usize);
        }
    }

    fn day(&self, time: f64) -> f64 {
        time - self.resection
    }

    // ---- Before diagnosis -------------------------------------------------------------------

    fn found_native_primary(&mut self) {
        let beta = self.person.covariates.growth_per_day;
        let native = Colony {
            key: NATIVE,
            parent: 0,
            site: Site::Primary,
            aggressive: false,
            boosted: false,
            founded: 0.0,
            awake: 0.0,
            sleep: 0.0,
            log_deficit: self.founder_deficit(self.person.founder_weight),
            base_rate: beta,
            rate: beta,
            detected: f64::INFINITY,
            gap: self.person.native_gap,
            later_gap: self.person.native_burst_gap,
            arms: self.therapies.all,
            dominating: true,
        };
        let deficit = self.setting.ln_plateau - math::ln(self.person.diagnosis_cells);
        self.diagnosis = native.reaches(deficit);
        self.diagnosis_least = self.diagnosis;
        self.work.colonies.push(native);
        self.work.primaries.push(0);
        self.shed_before(0);
    }

    /// ln K − ln W of a founder with this mean-one weight. Founders as large as the plateau do
    /// not occur in any sensible trial; the floor keeps the formulae finite.
    fn founder_deficit(&self, weight: f64) -> f64 {
        (self.setting.founder_deficit - math::ln(weight.max(f64::MIN_POSITIVE))).max(1e-6)
    }

    /// Counts a new self-seed into the bounds on diagnosis.
    fn bound_diagnosis(&mut self, seed: usize) {
        let ln_plateau = self.setting.ln_plateau;
        self.unsolved_cells += self.work.colonies[seed].cells(ln_plateau, self.diagnosis);
        let native = &self.work.colonies[0];
        let deficit = native.log_deficit_at(self.diagnosis);
        let cells = math::exp(ln_plateau - deficit);
        let speed = cells * native.rate * deficit;
        // Gompertz growth is fastest at K/e. Going back by twice the time that the native
        // tumour needs for the unsolved cells, it at most halves, and so does its speed at
        // worst: the total was below the size at diagnosis there.
        let fastest = if deficit > 1.0 {
            speed
        } else {
            math::exp(ln_plateau - 1.0) * native.rate
        };
        let back = 2.0 * self.unsolved_cells / speed;
        self.diagnosis_least = if back * fastest <= 0.5 * cells {
            self.diagnosis - back
        } else {
            0.0
        };
    }

    /// First time at which the primary site holds the cells of diagnosis.
    fn solve_diagnosis(&mut self) {
        let target = self.person.diagnosis_cells;
        let (mut low, mut high) = (self.now, self.diagnosis);
        let mut time = high;
        for _ in 0..200 {
            let (cells, speed) = self.primary_site(time);
            if cells >= target {
                high = time;
            } else {
                low = time;
            }
            let step = (cells - target) / speed;
            let next = time - step;
            if step.abs() < 1e-9 || high - low < 1e-9 {
                break;
            }
            time = if next > low && next < high {
                next
            } else {
                0.5 * (low + high)
            };
        }
        self.diagnosis = time;
        self.diagnosis_least = time;
        self.unsolved_cells = 0.0;
    }

    /// Cells at the primary site and their growth per day.
    fn primary_site(&self, time: f64) -> (f64, f64) {
        let mut total = (0.0, 0.0);
        for &position in &self.work.primaries {
            let colony = &self.work.colonies[position as usize];
            if colony.awake <= time {
                let deficit = colony.log_deficit_at(time);
                let cells = math::exp(self.setting.ln_plateau - deficit);
                total.0 += cells;
                total.1 += cells * colony.rate * deficit;
            }
        }
        total
    }

    // ---- Diagnosis and resection ------------------------------------------------------------

    fn diagnose(&mut self) -> Option<Exclusion> {
        if self.dominating_end <= self.diagnosis {
            return Some(Exclusion::Metastatic);
        }
        let time = self.diagnosis;
        let scenario = &self.setting.scenario;
        let native_cells = self.work.colonies[0].cells(self.setting.ln_plateau, time);
        self.tumour = Tumour {
            diagnosis_days: time,
            self_seeded_fraction: (1.0 - native_cells / self.person.diagnosis_cells).max(0.0),
            self_seeds: u32::try_from(self.work.primaries.len() - 1).unwrap_or(u32::MAX),
            ctc_flux_per_day: self.flux(time),
        };
        if self.tumour.self_seeds == 0 {
            // No more than rounding separates the native tumour from its size at diagnosis.
            self.tumour.self_seeded_fraction = 0.0;
        }
        let residence_days = scenario.shedding.half_life_days / std::f64::consts::LN_2;
        let mean = self.tumour.ctc_flux_per_day * residence_days / BLOOD_ML * SAMPLE_ML;
        let sample = self.poisson(mean, self.person.sample_uniform, SAMPLE_COUNT);
        self.person.covariates.ctc_sample = sample;
        if let Some(wanted) = scenario.eligibility.ctc_positive
            && wanted != (sample > 0)
        {
            return Some(Exclusion::CtcStatus);
        }
        self.resection = time + scenario.local_treatment.delay_days;
        self.distant[..self.therapies.len()].fill(self.dominating_end);
        self.stage = Stage::Waiting;
        self.update_stop();
        self.record(TraceEvent::Diagnosed { time });
        None
    }

    /// Circulating cells shed per day.
    fn flux(&self, time: f64) -> f64 {
        let gamma = self.setting.gamma();
        let mut sum = 0.0;
        for colony in &self.work.colonies {
            if colony.awake <= time {
                sum += math::exp(-gamma * colony.log_deficit_at(time));
            }
        }
        self.person.covariates.shedding_per_day * self.setting.plateau_shedding * sum
    }

    fn poisson(&mut self, mean: f64, uniform: f64, key: Key) -> u32 {
        if mean < crate::random::POISSON_INVERSION_MAX {
            crate::random::poisson_quantile(mean, uniform)
        } else {
            self.stream.open(key);
            self.stream.poisson(mean)
        }
    }

    fn resect(&mut self) -> Option<Exclusion> {
        let scenario = &self.setting.scenario;
        let uncertain = self.count_nodes();
        if !scenario
            .eligibility
            .nodes
            .contains(f64::from(self.person.covariates.nodes))
        {
            return Some(Exclusion::Nodes);
        }
        let observed = self
            .person
            .other_death_days
            .min(self.person.dropout_days)
            .min(scenario.follow_up.horizon_days);
        self.end = self.resection + observed;
        self.stage = Stage::Watching;
        self.now = self.resection;
        self.update_stop();
        self.record(TraceEvent::Resected {
            time: self.resection,
        });
        if self.stop <= self.resection {
            return None;
        }
        self.wake_sleepers_after_surgery();
        self.leave_residual_foci(&uncertain);
        for position in 0..self.work.primaries.len() {
            self.shed_burst(self.work.primaries[position] as usize);
        }
        for position in 0..self.work.colonies.len() {
            let colony = &self.work.colonies[position];
            if colony.site == Site::Distant && colony.awake <= self.resection {
                let gap = colony.later_gap;
                self.shed_after(position, self.resection, gap);
            }
        }
        None
    }

    /// Counts lymph-node deposits. Where an arm slows self-seeds before resection, returns the
    /// arms in which each deposit exists.
    fn count_nodes(&mut self) -> Vec<u64> {
        let shedding = &self.setting.scenario.shedding;
        let rate = self.person.covariates.shedding_per_day
            * shedding.node_probability
            * self.setting.plateau_shedding;
        if rate == 0.0 {
            return Vec::new();
        }
        let means: Vec<f64> = (0..self.work.primaries.len())
            .map(|at| self.shed_by_primary(at, rate))
            .collect();
        let mean: f64 = means.iter().sum();
        let nodes = self.poisson(mean, self.person.node_uniform, NODE_COUNT);
        self.person.covariates.nodes = nodes;
        let slowed_before_resection = self.therapies.may_act(self.day(self.diagnosis))
            && !self.therapies.cxcl1_groups.is_empty()
            && means.len() > 1;
        if !slowed_before_resection {
            return Vec::new();
        }
        self.stream.open(NODES);
        (0..nodes).map(|_| self.place_node(&means, mean)).collect()
    }

    /// Mean deposits of a primary-site colony up to resection, by the exponential integral.
    fn shed_by_primary(&self, at: usize, rate: f64) -> f64 {
        let colony = &self.work.colonies[self.work.primaries[at] as usize];
        let gamma = self.setting.gamma();
        let tail = |deficit: f64| {
            let z = gamma * deficit;
            math::exp(-z) * math::exponential_integral_scaled(z)
        };
        let late = tail(colony.log_deficit_at(self.resection));
        rate / colony.rate * (late - tail(colony.log_deficit)).max(0.0)
    }

    /// Gives a deposit a parent and a time, and returns the arms in which it exists. The stream
    /// is at [`NODES`] and stays there.
    fn place_node(&mut self, means: &[f64], mean: f64) -> u64 {
        let mut rest = self.stream.uniform() * mean;
        let at = means
            .iter()
            .position(|part| {
                rest -= part;
                rest < 0.0
            })
            .unwrap_or(0);
        let mark = self.stream.uniform();
        let parent = self.work.colonies[self.work.primaries[at] as usize];
        let gamma = self.setting.gamma();
        let start = math::exp(-gamma * parent.log_deficit);
        let z_end = gamma * parent.log_deficit_at(self.resection);
        let end = math::exp(-z_end);
        let z = loop {
            let z = -math::ln(start + (end - start) * self.stream.uniform());
            if self.stream.uniform() * z < z_end {
                break z;
            }
        };
        let time = parent.awake + math::ln(gamma * parent.log_deficit / z) / parent.rate;
        if time < self.diagnosis || !parent.boosted {
            return self.therapies.all;
        }
        // Working out a patient's drugs turns the stream elsewhere; deposits have their own.
        let mut own = self.stream.clone();
        std::mem::swap(self.stream, &mut own);
        let mut arms = parent.arms;
        for (group, share) in self.growth_shares(&parent, time, parent.arms) {
            if mark >= share {
                arms &= !group;
            }
        }
        std::mem::swap(self.stream, &mut own);
        arms
    }

    fn wake_sleepers_after_surgery(&mut self) {
        let waking = self.setting.scenario.dormancy.waking_per_day;
        for at in 0..self.work.sleepers.len() {
            let position = self.work.sleepers[at] as usize;
            let colony = self.work.colonies[position];
            if colony.awake.is_finite() {
                continue;
            }
            let left = colony.sleep - waking * (self.resection - colony.founded);
            let awake = self.waking_time(self.resection, left.max(0.0));
            self.start_growth(position, awake);
            let gap = colony.later_gap;
            self.shed_after(position, awake, gap);
        }
    }

    /// When a colony dormant at `from` (not before resection) wakes.
    fn waking_time(&self, from: f64, sleep: f64) -> f64 {
        let dormancy = &self.setting.scenario.dormancy;
        let window_end = self.resection + dormancy.surgery_window_days;
        if self.setting.surgery && from < window_end {
            let hazard = dormancy.waking_per_day * (1.0 + dormancy.surgery_excess);
            let within = hazard * (window_end - from);
            if sleep < within {
                return from + sleep / hazard;
            }
            return window_end + days_at_rate(dormancy.waking_per_day, sleep - within);
        }
        from + days_at_rate(dormancy.waking_per_day, sleep)
    }

    fn leave_residual_foci(&mut self, uncertain_nodes: &[u64]) {
        let local = &self.setting.scenario.local_treatment;
        let nodes = self.person.covariates.nodes;
        let from_nodes = if self.setting.surgery {
            local.residual_foci_per_node * f64::from(nodes)
        } else {
            0.0
        };
        let mean = local.residual_foci + from_nodes;
        let foci = self.poisson(mean, self.person.residual_uniform, RESIDUAL_COUNT);
        if foci == 0 {
            return;
        }
        self.stream.open(RESIDUAL);
        for focus in 0..foci {
            let source = self.stream.uniform() * mean;
            let (field, kill) = (self.stream.uniform(), self.stream.uniform());
            let mut colony = self.draw_colony(
                RESIDUAL.child(u64::from(focus)),
                0,
                Site::Scar,
                self.resection,
                Window::After,
            );
            colony.aggressive = false;
            colony.boosted = false;
            colony.rate = colony.base_rate;
            colony.detected = colony.reaches(self.setting.scar_deficit);
            colony.dominating = true;
            colony.arms = self.therapies.all;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a quotient between zero and the number of nodes"
            )]
            if source < from_nodes
                && let Some(arms) =
                    uncertain_nodes.get((source / local.residual_foci_per_node) as usize)
            {
                colony.arms = *arms;
            }
            if self.setting.surgery
                && field >= local.out_of_field
                && kill >= local.in_field_survival
            {
                colony.arms &= !self.therapies.irradiated;
            }
            self.look();
            if let Some(matters_in_dominating) = self.matters(&colony, Window::After) {
                self.count(matters_in_dominating);
                let saved = self.stream.clone();
                self.admit(colony, Source::Residual, self.therapies.all);
                *self.stream = saved;
            }
        }
    }

    // ---- Shedding ---------------------------------------------------------------------------

    /// Opens the window of a colony that is alive before resection.
    fn shed_before(&mut self, position: usize) {
        let colony = self.work.colonies[position];
        let resection = if self.stage == Stage::Growing {
            self.diagnosis + self.setting.scenario.local_treatment.delay_days
        } else {
            self.resection
        };
        let until = resection.min(colony.detected);
        self.shed(
            position,
            Shedding {
                window: Window::Before,
                key: colony.key.child(BEFORE),
                gap: colony.gap,
                from: colony.awake,
                until,
                stop: until.min(self.stop_of_window()),
                z_least: self.setting.gamma() * colony.log_deficit_at(until.max(colony.awake)),
                reach: 1.0,
                home_rate: self.home_rate(&colony, Window::Before),
            },
        );
    }

    fn stop_of_window(&self) -> f64 {
        if self.stage == Stage::Growing {
            self.dominating_end
        } else {
            self.stop
        }
    }

    /// Opens the window of a distant or scar colony after resection.
    fn shed_after(&mut self, position: usize, from: f64, gap: f64) {
        let colony = self.work.colonies[position];
        let (deficit, reach) = self.detection_of(colony.site);
        self.shed(
            position,
            Shedding {
                window: Window::After,
                key: colony.key.child(AFTER),
                gap,
                from,
                until: colony.detected,
                stop: colony.detected.min(self.stop),
                z_least: self.setting.gamma() * deficit,
                reach,
                home_rate: self.home_rate(&colony, Window::After),
            },
        );
    }

    /// Log deficit at detection, and e^(−γ·deficit).
    fn detection_of(&self, site: Site) -> (f64, f64) {
        match site {
            Site::Distant => (self.setting.distant_deficit, self.setting.distant_reach),
            Site::Scar | Site::Primary => (self.setting.scar_deficit, self.setting.scar_reach),
        }
    }

    /// Bound on the rate, per day and cell^γ, at which cells of a colony come home.
    fn home_rate(&self, colony: &Colony, window: Window) -> f64 {
        let shedding = &self.setting.scenario.shedding;
        let able = if colony.aggressive {
            1.0
        } else {
            shedding.aggressive_fraction
        };
        let passing = if colony.site == Site::Distant {
            1.0
        } else {
            shedding.lung_filter
        };
        let drawn = match window {
            Window::Before => self.attraction_before,
            Window::After | Window::Burst | Window::Tail => {
                self.attraction_after * self.setting.capture_bound
            }
        };
        self.person.covariates.shedding_per_day * able * passing * shedding.home_probability * drawn
    }

    fn distant_rate(&self) -> f64 {
        self.person.covariates.shedding_per_day * self.setting.scenario.shedding.distant_probability
    }

    /// Draws, in order of time, the founders that a growing colony sheds into a window.
    ///
    /// With z = γ·(ln K − ln N), which falls as the colony grows, the intensity c·N^γ dt is
    /// c·(K^γ/β)·e^(−z)/z dz. In v = e^(−z) it is bounded by a constant, so gaps in v are
    /// exponential; a point is kept with probability z_least/z.
    fn shed(&mut self, position: usize, shedding: Shedding) {
        let colony = self.work.colonies[position];
        let rate = self.distant_rate() + shedding.home_rate;
        let step = shedding.z_least * colony.rate / (rate * self.setting.plateau_shedding);
        let mut along = shedding.gap * step;
        // NaN (nothing is shed) fails the comparison and ends here, as does a gap too wide.
        if !(along < shedding.reach) || shedding.from >= shedding.stop {
            return;
        }
        let gamma = self.setting.gamma();
        let z_founder = gamma * colony.log_deficit;
        let reach = if shedding.stop < shedding.until || shedding.reach >= 1.0 {
            math::exp(-gamma * colony.log_deficit_at(shedding.stop))
        } else {
            shedding.reach
        };
        if along >= reach {
            return;
        }
        along += math::exp(-gamma * colony.log_deficit_at(shedding.from));
        if along >= reach {
            return;
        }
        self.stream.open(shedding.key);
        let mut ordinal = 0;
        while along < reach {
            ordinal += 1;
            let z = -math::ln(along);
            if self.stream.uniform() * z < shedding.z_least {
                let time = (colony.awake + math::ln(z_founder / z) / colony.rate)
                    .clamp(shedding.from, shedding.stop);
                let fate = self.stream.uniform() * rate;
                self.draw_founding(
                    position,
                    shedding.window,
                    shedding.key.child(ordinal),
                    time,
                    fate,
                    shedding.home_rate,
                );
                if self.saturated() || self.overgrown() {
                    return;
                }
            }
            along += self.stream.exponential() * step;
        }
    }

    /// Draws the founders still circulating after the removal of a primary-site colony: the
    /// flux at resection times M_burst, decaying exponentially (section 4).
    fn shed_burst(&mut self, position: usize) {
        let local = &self.setting.scenario.local_treatment;
        if !self.setting.surgery || local.burst_fold == 0.0 {
            return;
        }
        let colony = self.work.colonies[position];
        let home_rate = self.home_rate(&colony, Window::Burst);
        let rate = self.distant_rate() + home_rate;
        let size = math::exp(-self.setting.gamma() * colony.log_deficit_at(self.resection));
        let total =
            rate * self.setting.plateau_shedding * size * local.burst_fold * local.burst_days;
        let mut along = colony.later_gap / total;
        if !(along < 1.0) {
            return;
        }
        let key = colony.key.child(BURST);
        self.stream.open(key);
        let mut ordinal = 0;
        while along < 1.0 {
            ordinal += 1;
            let time = self.resection - local.burst_days * math::ln_1p(-along);
            if time >= self.stop {
                return;
            }
            let fate = self.stream.uniform() * rate;
            self.draw_founding(
                position,
                Window::Burst,
                key.child(ordinal),
                time,
                fate,
                home_rate,
            );
            if self.saturated() || self.overgrown() {
                return;
            }
            along += self.stream.exponential() / total;
        }
    }

    /// Draws the founders shed between detection without therapy and detection in the last arm
    /// that has slowed the colony. Its size is bounded by the size at detection.
    fn shed_tail(&mut self, position: usize, last_detection: f64) {
        let colony = self.work.colonies[position];
        let home_rate = self.home_rate(&colony, Window::Tail);
        let (_, reach) = self.detection_of(colony.site);
        let rate = self.distant_rate() + home_rate;
        let intensity = rate * self.setting.plateau_shedding * reach;
        let stop = last_detection.min(self.stop);
        let key = colony.key.child(TAIL);
        if !(intensity > 0.0) || colony.detected >= stop {
            return;
        }
        self.stream.open(key);
        let mut time = colony.detected;
        let mut ordinal = 0;
        loop {
            ordinal += 1;
            time += self.stream.exponential() / intensity;
            if time >= stop {
                return;
            }
            let fate = self.stream.uniform() * rate;
            self.draw_founding(
                position,
                Window::Tail,
                key.child(ordinal),
                time,
                fate,
                home_rate,
            );
            if self.overgrown() {
                return;
            }
        }
    }

    /// Turns a founder into a candidate, if it can matter. `fate`, uniform below the total
    /// rate, decides between home and away, and what is left of it is the candidate's mark.
    fn draw_founding(
        &mut self,
        parent: usize,
        window: Window,
        key: Key,
        time: f64,
        fate: f64,
        home_rate: f64,
    ) {
        let (site, mark) = if fate < home_rate {
            let site = match window {
                Window::Before => Site::Primary,
                Window::After | Window::Burst | Window::Tail => Site::Scar,
            };
            (site, fate / home_rate)
        } else {
            (Site::Distant, (fate - home_rate) / self.distant_rate())
        };
        let parent_index = u32::try_from(parent).expect("forests are limited");
        let colony = self.draw_colony(key, parent_index, site, time, window);
        if time < self.dominating_end && self.work.colonies[parent].dominating {
            self.look();
        }
        let Some(matters_in_dominating) = self.matters(&colony, window) else {
            return;
        };
        self.count(matters_in_dominating && self.work.colonies[parent].dominating);
        let entry = u32::try_from(self.work.candidates.len()).expect("forests are limited");
        self.work.candidates.push(Candidate {
            colony,
            window,
            mark,
        });
        self.queue(time, entry);
    }

    fn look(&mut self) {
        self.looked_at += 1;
    }

    fn count(&mut self, in_dominating: bool) {
        if in_dominating {
            self.followed += 1;
        } else {
            self.followed_beyond += 1;
        }
    }

    /// Draws everything random about a colony except where it exists.
    fn draw_colony(
        &mut self,
        key: Key,
        parent: u32,
        site: Site,
        founded: f64,
        window: Window,
    ) -> Colony {
        let growth = &self.setting.scenario.growth;
        let z = self.stream.normal();
        let weight = self.stream.exponential();
        let gap = self.stream.exponential();
        let later_gap = if window == Window::Before {
            self.stream.exponential()
        } else {
            0.0
        };
        let aggressive = match site {
            Site::Primary | Site::Scar => true,
            Site::Distant => {
                self.work.colonies[parent as usize].aggressive
                    || self.stream.uniform() < self.setting.scenario.shedding.aggressive_fraction
            }
        };
        let sleep = self.draw_sleep(site);
        let mut base_rate =
            self.person.covariates.growth_per_day * math::exp(growth.colony_sigma * z);
        if site == Site::Distant {
            base_rate *= growth.distant_ratio;
        }
        let boosted = site != Site::Distant;
        let rate = if boosted {
            base_rate * (1.0 + growth.cxcl1_boost)
        } else {
            base_rate
        };
        let awake = if sleep == 0.0 {
            founded
        } else if window == Window::Before {
            f64::INFINITY
        } else {
            self.waking_time(founded, sleep)
        };
        let mut colony = Colony {
            key,
            parent,
            site,
            aggressive,
            boosted,
            founded,
            awake,
            sleep,
            log_deficit: self.founder_deficit(weight),
            base_rate,
            rate,
            detected: f64::INFINITY,
            gap,
            later_gap,
            arms: 0,
            dominating: false,
        };
        if site != Site::Primary && awake.is_finite() {
            colony.detected = colony.reaches(self.detection_of(site).0);
        }
        colony
    }

    fn draw_sleep(&mut self, site: Site) -> f64 {
        let probability = self.setting.scenario.dormancy.probability;
        if site == Site::Primary || probability == 0.0 || self.stream.uniform() >= probability {
            return 0.0;
        }
        self.stream.exponential().max(f64::MIN_POSITIVE)
    }

    /// Whether a colony can matter, and if so whether in the dominating course. One founded
    /// after resection must be detected, or found another, before the last course ends.
    fn matters(&self, colony: &Colony, window: Window) -> Option<bool> {
        if window == Window::Before {
            return Some(true);
        }
        if !self.matters_before(colony, self.stop) {
            return None;
        }
        let dominating_stop = self.dominating_end.min(self.end);
        Some(dominating_stop >= self.stop || self.matters_before(colony, dominating_stop))
    }

    fn matters_before(&self, colony: &Colony, stop: f64) -> bool {
        if colony.detected < stop {
            return true;
        }
        if colony.awake >= stop {
            return false;
        }
        let (deficit, reach) = self.detection_of(colony.site);
        let rate = self.distant_rate() + self.home_rate(colony, Window::After);
        let gamma = self.setting.gamma();
        let step = gamma * deficit * colony.rate / (rate * self.setting.plateau_shedding);
        let along = colony.gap * step;
        along < reach && along < math::exp(-gamma * colony.log_deficit_at(stop))
    }

    // ---- Founding ---------------------------------------------------------------------------

    /// Decides in which arms a candidate exists, and admits it to the forest.
    fn settle(&mut self, entry: usize) {
        let candidate = self.work.candidates[entry];
        if candidate.window == Window::Before && self.stage == Stage::Watching {
            return;
        }
        let mut colony = candidate.colony;
        let parent = self.work.colonies[colony.parent as usize];
        let shed_in = self.shedding_arms(&parent, &candidate);
        let (arms, dominating) = self.captured(&parent, &candidate, shed_in);
        colony.arms = arms;
        colony.dominating = dominating;
        if arms == 0 && !dominating {
            self.record(TraceEvent::NotFounded {
                time: colony.founded,
                parent: colony.parent as usize,
                site: colony.site,
            });
            return;
        }
        let source = match candidate.window {
            Window::Burst => Source::Burst,
            Window::Before | Window::After | Window::Tail => Source::Shed,
        };
        self.admit(colony, source, shed_in.0);
    }

    /// Arms, and whether the dominating course, in which the parent is there to shed the
    /// candidate's founder.
    fn shedding_arms(&mut self, parent: &Colony, candidate: &Candidate) -> (u64, bool) {
        let time = candidate.colony.founded;
        let mut arms = parent.arms;
        let mut dominating = parent.dominating;
        if time >= self.first_end {
            dominating &= time < self.dominating_end;
            for arm in bits(arms) {
                if time >= self.distant[arm] {
                    arms &= !(1 << arm);
                }
            }
        }
        if candidate.window == Window::Tail {
            dominating = false;
            let deficit = self.detection_of(parent.site).0;
            let mut slowed = 0;
            for group in 0..self.therapies.cxcl1_groups.len() {
                let members = self.therapies.cxcl1_groups[group].arms & arms;
                if members != 0 && time < self.detection_in(parent, group, deficit) {
                    slowed |= members;
                }
            }
            arms &= slowed;
        }
        (arms, dominating)
    }

    /// Arms, and whether the dominating course, in which a founder's mark lets it settle.
    fn captured(
        &mut self,
        parent: &Colony,
        candidate: &Candidate,
        (mut arms, mut dominating): (u64, bool),
    ) -> (u64, bool) {
        let (time, mark) = (candidate.colony.founded, candidate.mark);
        let comes_home = candidate.colony.site != Site::Distant;
        let untreated = if comes_home {
            self.home_share(time)
        } else {
            HomeShare::AWAY
        };
        dominating &= mark < untreated.bound;
        if self.stage == Stage::Growing {
            return if dominating { (arms, true) } else { (0, false) };
        }
        if mark >= untreated.bound {
            return (0, false);
        }
        let slow_arms = self.slowing_arms(parent, arms);
        let mut shares = [1.0; ARMS_A_PASS];
        if comes_home {
            self.home_shares(time, untreated, arms, &mut shares);
        }
        if slow_arms != 0 {
            let growth = if candidate.window == Window::Tail {
                self.tail_shares(parent, time, slow_arms)
            } else {
                self.growth_shares(parent, self.grown_until(parent, time), slow_arms)
            };
            for (members, share) in growth {
                for arm in bits(members) {
                    shares[arm] *= share;
                }
            }
        }
        for arm in bits(arms) {
            if mark >= shares[arm] {
                arms &= !(1 << arm);
            }
        }
        (arms, dominating)
    }

    /// The last time at which a parent grew: a removed colony stopped at resection.
    fn grown_until(&self, parent: &Colony, time: f64) -> f64 {
        if parent.site == Site::Primary {
            time.min(self.resection)
        } else {
            time
        }
    }

    /// Of these arms, those in which therapy may slow a colony's growth.
    fn slowing_arms(&self, colony: &Colony, arms: u64) -> u64 {
        if !colony.boosted {
            return 0;
        }
        self.therapies
            .cxcl1_groups
            .iter()
            .fold(0, |slowed, group| slowed | (group.arms & arms))
    }

    /// Share of the bound on homing that is reached without drugs.
    fn home_share(&self, time: f64) -> HomeShare {
        if time < self.resection {
            let native = &self.work.colonies[0];
            let cells = native.cells(self.setting.ln_plateau, time);
            let capture = (cells / self.person.diagnosis_cells).min(1.0);
            return HomeShare {
                bound: capture,
                plain: capture,
                irradiated: capture,
            };
        }
        let homing = &self.setting.scenario.homing;
        let attraction = self
            .person
            .milieu
            .bed(homing, self.day(time))
            .attraction(homing, 1.0, 1.0);
        let relative = attraction / self.attraction_after;
        HomeShare {
            bound: relative,
            plain: relative * (self.setting.capture_plain / self.setting.capture_bound),
            irradiated: relative * (self.setting.capture_irradiated / self.setting.capture_bound),
        }
    }

    /// Share of the bound on homing that each arm reaches.
    fn home_shares(
        &mut self,
        time: f64,
        untreated: HomeShare,
        arms: u64,
        shares: &mut [f64; ARMS_A_PASS],
    ) {
        for arm in bits(arms) {
            shares[arm] = if self.therapies.irradiated >> arm & 1 == 1 {
                untreated.irradiated
            } else {
                untreated.plain
            };
        }
        let day = self.day(time);
        if !self.therapies.may_act(day) {
            return;
        }
        let homing = &self.setting.scenario.homing;
        let ligands = if time < self.resection {
            self.person.milieu.tumour(homing)
        } else {
            self.person.milieu.bed(homing, day)
        };
        let full = ligands.attraction(homing, 1.0, 1.0);
        let mut remaining = [[1.0; GENES]; ARMS_A_PASS];
        self.courses.remaining(
            &self.setting.scenario,
            self.stream,
            self.therapies,
            arms,
            day,
            &mut remaining,
        );
        for arm in bits(arms) {
            let left = &remaining[arm];
            let attraction =
                ligands.attraction(homing, left[Gene::Il6.index()], left[Gene::Il8.index()]);
            shares[arm] *= attraction / full * infiltration(homing, left);
        }
    }

    /// Groups of arms with (N_arm/N_untreated)^γ of a boosted colony at a time.
    fn growth_shares(&mut self, colony: &Colony, time: f64, arms: u64) -> Vec<(u64, f64)> {
        let gamma = self.setting.gamma();
        let untreated = colony.log_deficit_at(time);
        self.slowed_deficits(colony, time, arms)
            .into_iter()
            .map(|(members, deficit)| (members, math::exp(gamma * (untreated - deficit))))
            .collect()
    }

    /// The same relative to the size at detection.
    fn tail_shares(&mut self, colony: &Colony, time: f64, arms: u64) -> Vec<(u64, f64)> {
        let gamma = self.setting.gamma();
        let detection = self.detection_of(colony.site).0;
        self.slowed_deficits(colony, time, arms)
            .into_iter()
            .map(|(members, deficit)| (members, math::exp(gamma * (detection - deficit))))
            .collect()
    }

    /// ln K − ln N of a boosted colony at a time in groups of arms that inhibit CXCL1.
    fn slowed_deficits(&mut self, colony: &Colony, time: f64, arms: u64) -> Vec<(u64, f64)> {
        let mut deficits = Vec::new();
        for group in 0..self.therapies.cxcl1_groups.len() {
            let members = self.therapies.cxcl1_groups[group].arms & arms;
            if members != 0 {
                let clock = colony.rate * (time - colony.awake)
                    - self.boost_rate(colony) * self.inhibited_days(group, colony.awake, time);
                deficits.push((members, colony.log_deficit * math::exp(-clock)));
            }
        }
        deficits
    }

    /// β·η of a colony.
    fn boost_rate(&self, colony: &Colony) -> f64 {
        if colony.boosted {
            colony.base_rate * self.setting.scenario.growth.cxcl1_boost
        } else {
            0.0
        }
    }

    /// ∫ E_CXCL1 between two times in a group of arms, days.
    fn inhibited_days(&mut self, group: usize, from: f64, to: f64) -> f64 {
        let (from, to) = (self.day(from), self.day(to));
        let mut until = |day: f64| {
            self.courses.cxcl1_integral(
                &self.setting.scenario,
                self.stream,
                self.therapies,
                group,
                day,
            )
        };
        (until(to) - until(from)).max(0.0)
    }

    /// Detection of a boosted colony in a group of arms: the clock, slowed by the inhibited
    /// days, reaches the distance to go.
    fn detection_in(&mut self, colony: &Colony, group: usize, deficit: f64) -> f64 {
        let goal = colony.clock_to(deficit);
        let boost = self.boost_rate(colony);
        let (mut low, mut high) = (colony.detected, colony.awake + goal / colony.base_rate);
        let mut time = low;
        for _ in 0..100 {
            let inhibited = self.inhibited_days(group, colony.awake, time);
            let missing = goal - (colony.rate * (time - colony.awake) - boost * inhibited);
            if missing > 0.0 {
                low = time;
            } else {
                high = time;
            }
            if missing.abs() < DETECTION_TOLERANCE_DAYS * colony.base_rate || high - low < 1e-9 {
                break;
            }
            // The clock runs at least at β, so this step never overshoots from below; without
            // inhibition it is exact.
            let next = time + missing / colony.rate;
            time = if next > low && next < high {
                next
            } else {
                0.5 * (low + high)
            };
        }
        time
    }

    /// Adds a colony to the forest and lets it grow.
    fn admit(&mut self, colony: Colony, source: Source, shed_in: u64) {
        let position = self.work.colonies.len();
        self.record(TraceEvent::Founded {
            time: colony.founded,
            colony: position,
            parent: colony.parent as usize,
            site: colony.site,
            source,
            aggressive: colony.aggressive,
            awake: colony.awake,
            detected: colony.detected,
            parent_arms: self.work.colonies[colony.parent as usize].arms,
            shed_in,
            arms: colony.arms,
        });
        self.work.colonies.push(colony);
        let before = self.stage != Stage::Watching;
        match colony.site {
            Site::Primary => {
                self.work
                    .primaries
                    .push(u32::try_from(position).expect("forests are limited"));
                if self.stage == Stage::Growing {
                    self.bound_diagnosis(position);
                }
                self.shed_before(position);
            }
            Site::Distant if before && colony.sleep > 0.0 => self.put_to_sleep(position),
            Site::Distant => {
                self.note_distant(&colony);
                if before {
                    self.shed_before(position);
                } else {
                    self.shed_after(position, colony.awake, colony.gap);
                }
            }
            Site::Scar => {
                let last_detection = self.note_local(&colony, source);
                self.shed_after(position, colony.awake, colony.gap);
                if last_detection > colony.detected {
                    self.shed_tail(position, last_detection);
                }
            }
        }
    }

    fn put_to_sleep(&mut self, position: usize) {
        let colony = self.work.colonies[position];
        let entry = u32::try_from(position).expect("forests are limited");
        self.work.sleepers.push(entry);
        let awake = colony.founded
            + days_at_rate(self.setting.scenario.dormancy.waking_per_day, colony.sleep);
        if awake.is_finite() {
            self.queue(awake, entry | WAKE);
        }
    }

    /// Wakes a sleeper before resection; later ones are woken by surgery's hazard.
    fn wake(&mut self, position: usize) {
        if self.stage != Stage::Watching {
            self.start_growth(position, self.now);
            self.shed_before(position);
        }
    }

    fn start_growth(&mut self, position: usize, awake: f64) {
        let deficit = self.setting.distant_deficit;
        let colony = &mut self.work.colonies[position];
        colony.awake = awake;
        if awake.is_finite() {
            colony.detected = colony.reaches(deficit);
        }
        let colony = *colony;
        self.record(TraceEvent::Woke {
            time: awake,
            colony: position,
            detected: colony.detected,
        });
        self.note_distant(&colony);
    }

    /// Takes a distant colony's detection into account.
    fn note_distant(&mut self, colony: &Colony) {
        let time = colony.detected;
        if time >= self.stop {
            return;
        }
        if colony.dominating {
            self.dominating_end = self.dominating_end.min(time);
        }
        if self.stage != Stage::Growing {
            for arm in bits(colony.arms) {
                self.distant[arm] = self.distant[arm].min(time);
            }
        }
        self.update_stop();
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

    /// Takes a scar colony's detection into account; returns its last detection in any arm.
    fn note_local(&mut self, colony: &Colony, source: Source) -> f64 {
        if colony.detected >= self.stop {
            return colony.detected;
        }
        let origin = match (source, self.work.colonies[colony.parent as usize].site) {
            (Source::Residual, _) => Origin::Residual,
            (_, Site::Primary) => Origin::Primary,
            (_, Site::Distant) => Origin::Distant,
            (_, Site::Scar) => Origin::Scar,
        };
        let mut last = colony.detected;
        let mut slowed = 0;
        if self.boost_rate(colony) > 0.0 {
            for group in 0..self.therapies.cxcl1_groups.len() {
                let members = self.therapies.cxcl1_groups[group].arms & colony.arms;
                if members != 0 {
                    let time = self.detection_in(colony, group, self.setting.scar_deficit);
                    slowed |= members;
                    last = last.max(time);
                    self.note_local_in(members, time, origin);
                }
            }
        }
        self.note_local_in(colony.arms & !slowed, colony.detected, origin);
        last
    }

    fn note_local_in(&mut self, arms: u64, time: f64, origin: Origin) {
        for arm in bits(arms) {
            if time < self.local[arm] {
                self.local[arm] = time;
                self.origin[arm] = origin;
            }
        }
    }

    fn record(&mut self, event: TraceEvent) {
        if let Some(trace) = &mut self.trace {
            trace.push(event);
        }
    }
}

/// Detection times are found to this accuracy; the model asks for 0.01 day.
const DETECTION_TOLERANCE_DAYS: f64 = 1e-6;

/// Shares of the bound on homing.
#[derive(Debug, Clone, Copy)]
struct HomeShare {
    /// In the dominating course.
    bound: f64,
    /// In an arm without radiotherapy.
    plain: f64,
    /// In an arm with radiotherapy.
    irradiated: f64,
}

impl HomeShare {
    /// For founders that settle elsewhere.
    const AWAY: Self = Self {
        bound: 1.0,
        plain: 1.0,
        irradiated: 1.0,
    };
}

/// A window in which a growing colony sheds.
#[derive(Debug, Clone, Copy)]
struct Shedding {
    window: Window,
    key: Key,
    /// First waiting time.
    gap: f64,
    from: f64,
    /// Where the bound is tight; the same for all arms.
    until: f64,
    /// Where drawing may end.
    stop: f64,
    /// z at `until`.
    z_least: f64,
    /// e^(−z) at `until`, or 1 if not worked out.
    reach: f64,
    /// Bound on homing, per day and cell^γ.
    home_rate: f64,
}
