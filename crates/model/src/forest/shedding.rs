//! What colonies shed, in order of time (sections 2 and 7).
//!
//! With z = γ·(ln K − ln N), which falls as a colony grows, the intensity c·N^γ dt of founders is
//! c·(K^γ/β)·e^(−z)/z dz. In v = e^(−z) it is bounded by a constant while z is at least some
//! `z_least`; so gaps in v are exponential, and a point is kept with probability z_least/z. No
//! time step, no special function, and a later stop only cuts the tail.

use super::founding::HomeShare;
use super::{CANDIDATE, Candidate, Forest, LATER_SOURCE, SOURCE, Setting, Stage, Window, entry};
use crate::colony::{Colony, Site};
use crate::math;
use crate::random::{Key, Stream};

const BEFORE: u64 = 1;
const BEFORE_HOME: u64 = 2;
const BEFORE_HOME_LATE: u64 = 3;
const AFTER: u64 = 4;
const BURST: u64 = 5;
const TAIL: u64 = 6;

/// A colony that sheds before resection, with the next founder that settles somewhere.
///
/// The founders of a heavy patient are many, and most come after diagnosis has been brought
/// forward by others, or after the first distant detection; so they are drawn one at a time.
#[derive(Debug, Clone)]
pub(super) struct Source {
    colony: u32,
    key: Key,
    /// Number of the point among the source's.
    ordinal: u64,
    stream: Stream,
    /// γ, or γ + 1, times the log deficit of the founder.
    z_founder: f64,
    z_least: f64,
    along: f64,
    step: f64,
    reach: f64,
    home_rate: f64,
    distant_rate: f64,
    /// Bound on capture in `home_rate`.
    capture: f64,
    time: f64,
    /// Uniform below the total rate: decides between home and away, and what is left of it
    /// is the founder's mark.
    fate: f64,
}

/// A distant or scar colony that sheds after resection, with the next founder that can matter.
#[derive(Debug, Clone)]
pub(super) struct LaterSource {
    colony: u32,
    key: Key,
    class: Class,
    ordinal: u64,
    stream: Stream,
    z_founder: f64,
    z_least: f64,
    from: f64,
    along: f64,
    step: f64,
    /// e^(−z) at detection.
    full_reach: f64,
    /// e^(−z) at detection or at `stop`.
    reach: f64,
    /// When every course with the colony stopped as far as was known at the last look.
    stop: f64,
    home_rate: f64,
    dull: Dull,
    next: Option<Candidate>,
}

/// Which of a colony's founders a source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// All.
    All,
    /// Those that make scar colonies with z below [`Class::Z_SLOW`], a weight up to
    /// [`Dull::WEIGHT_MAX`] and a waiting time of at least [`Class::GAP_SLOW`].
    Slow,
    /// All others.
    Rest,
}

impl Class {
    const Z_SLOW: f64 = 1.0;
    const GAP_SLOW: f64 = 1.0 / 32.0;
    /// P(z < 1).
    const BELOW_Z: f64 = 0.841_344_746_068_542_9;
    /// P(gap ≥ 1/32) = e^(-1/32).
    const ABOVE_GAP: f64 = 0.969_233_234_476_344;
    /// P(weight > 16) = e^(-16).
    const ABOVE_WEIGHT: f64 = 1.125_351_747_192_591_2e-7;
    /// Share of slow founders among those bound for the scar.
    const SLOW: f64 = Self::BELOW_Z * Self::ABOVE_GAP * (1.0 - Self::ABOVE_WEIGHT);
    /// Shares of the others: fast; early but not fast; and neither, but heavy.
    const FAST: f64 = 1.0 - Self::BELOW_Z;
    const EARLY: f64 = Self::BELOW_Z * (1.0 - Self::ABOVE_GAP);
}

/// A window before resection, about to open.
#[derive(Debug, Clone, Copy)]
struct Opening {
    position: usize,
    key: Key,
    /// First waiting time.
    gap: f64,
    /// Power of colony size in the intensity: γ, or γ + 1.
    power: f64,
    /// Log deficits at the window's start and end.
    deficits: (f64, f64),
    /// Rates per day and cell^γ of founders, at the plateau where the power is γ + 1.
    home_rate: f64,
    distant_rate: f64,
    /// Bound on capture in `home_rate`.
    capture: f64,
}

/// Everything random about a colony but when and where it was founded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    z: f64,
    weight: f64,
    gap: f64,
    later_gap: f64,
    aggressive: bool,
    sleep: f64,
}

impl Forest<'_> {
    // ---- Before resection -------------------------------------------------------------------

    /// Opens the native tumour's windows. Up to its size at diagnosis, founders that come home
    /// are captured in proportion to that size, so their intensity is exactly of power γ + 1;
    /// beyond, capture is complete.
    pub(super) fn shed_native(&mut self) {
        let native = self.work.colonies[0];
        let gamma = self.setting.gamma();
        let home_rate = self.home_rate(&native, Window::Before);
        let until = self.resection_so_far();
        let grown = native.log_deficit_at(self.native_diagnosis);
        let last = native.log_deficit_at(until);
        let window = Opening {
            position: 0,
            key: native.key.child(BEFORE),
            gap: native.gap,
            power: gamma,
            deficits: (native.log_deficit, last),
            home_rate: 0.0,
            distant_rate: self.distant_rate(),
            capture: 1.0,
        };
        self.open_source(&window);
        self.open_source(&Opening {
            key: native.key.child(BEFORE_HOME),
            gap: self.person.native_home_gap,
            power: gamma + 1.0,
            deficits: (native.log_deficit, grown),
            home_rate: home_rate * self.setting.scenario.growth.plateau_cells
                / self.person.diagnosis_cells,
            distant_rate: 0.0,
            ..window
        });
        self.open_source(&Opening {
            key: native.key.child(BEFORE_HOME_LATE),
            gap: self.person.native_late_home_gap,
            deficits: (grown, last),
            home_rate,
            distant_rate: 0.0,
            ..window
        });
    }

    /// Opens the window of another colony that grows before resection.
    pub(super) fn shed_before(&mut self, position: usize) {
        let colony = self.work.colonies[position];
        let until = self.resection_so_far().min(colony.detected);
        if until <= colony.awake {
            return;
        }
        // Capture grows with the native tumour, so its value at the end bounds it. That it is at
        // most one already rules out most windows.
        let gamma = self.setting.gamma();
        let last_deficit = colony.log_deficit_at(until);
        let home_rate = self.home_rate(&colony, Window::Before);
        let z_least = gamma * last_deficit;
        let rate = home_rate + self.distant_rate();
        let step = z_least * colony.rate / (rate * self.setting.plateau_shedding);
        if colony.gap * step >= math::exp(-z_least) {
            return;
        }
        let capture = self.capture(until);
        self.open_source(&Opening {
            position,
            key: colony.key.child(BEFORE),
            gap: colony.gap,
            power: gamma,
            deficits: (colony.log_deficit, last_deficit),
            home_rate: home_rate * capture,
            distant_rate: self.distant_rate(),
            capture,
        });
    }

    /// Capture κ by the primary tumour (section 2).
    pub(super) fn capture(&self, time: f64) -> f64 {
        if time >= self.native_diagnosis {
            return 1.0;
        }
        let native = self.work.colonies[0].cells(self.setting.ln_plateau, time);
        (native / self.person.diagnosis_cells).min(1.0)
    }

    /// Resection as far as it is known: an upper bound before diagnosis.
    fn resection_so_far(&self) -> f64 {
        if self.stage == Stage::Growing {
            self.diagnosis + self.setting.scenario.local_treatment.delay_days
        } else {
            self.resection
        }
    }

    /// Opens a window, if anything is shed in it.
    fn open_source(&mut self, window: &Opening) {
        let colony = &self.work.colonies[window.position];
        let (from_deficit, last_deficit) = window.deficits;
        let z_least = window.power * last_deficit;
        let rate = window.home_rate + window.distant_rate;
        let step = z_least * colony.rate / (rate * self.setting.plateau_shedding);
        let reach = math::exp(-z_least);
        let first = window.gap * step;
        // A rate of zero makes the step infinite or not a number.
        if first.is_nan() || first >= reach {
            return;
        }
        let along = first + math::exp(-window.power * from_deficit);
        self.stream.open(window.key);
        let mut source = Source {
            colony: entry(window.position),
            key: window.key,
            ordinal: 0,
            stream: self.stream.clone(),
            z_founder: window.power * colony.log_deficit,
            z_least,
            along,
            step,
            reach,
            home_rate: window.home_rate,
            distant_rate: window.distant_rate,
            capture: window.capture,
            time: 0.0,
            fate: 0.0,
        };
        if source.advance(colony) {
            let number = entry(self.work.sources.len());
            let time = source.time;
            self.work.sources.push(source);
            self.queue(time, number | SOURCE);
        }
    }

    /// Takes a source's founder, draws its colony if the bound founds it, and turns to the
    /// next.
    pub(super) fn take_founder(&mut self, number: usize) {
        if self.stage == Stage::Watching {
            return;
        }
        let parent_number = self.work.sources[number].colony;
        let parent = self.work.colonies[parent_number as usize];
        let source = &self.work.sources[number];
        let (time, key) = (source.time, source.key.child(source.ordinal));
        let (site, mark) = if source.fate < source.home_rate {
            (Site::Primary, source.fate / source.home_rate)
        } else {
            (
                Site::Distant,
                (source.fate - source.home_rate) / source.distant_rate,
            )
        };
        // What the native tumour sheds was drawn with its capture.
        let untreated = HomeShare::equal(if site == Site::Distant || parent_number == 0 {
            1.0
        } else {
            self.capture(time) / source.capture
        });
        let founded = mark < untreated.bound;
        let source = &mut self.work.sources[number];
        let marks = founded.then(|| {
            draw_marks(
                self.setting,
                &mut source.stream,
                Window::Before,
                site,
                parent.aggressive,
            )
        });
        if source.advance(&parent) {
            let next = source.time;
            self.queue(next, entry(number) | SOURCE);
        }
        if let Some(marks) = marks {
            self.followed += 1;
            let colony = self.colony(key, parent_number, site, time, &marks);
            self.settle(&Candidate {
                colony,
                window: Window::Before,
                mark,
                untreated,
            });
        }
    }

    // ---- After resection --------------------------------------------------------------------

    /// Opens the window of a distant or scar colony after resection.
    pub(super) fn shed_after(&mut self, position: usize, from: f64, gap: f64) {
        let colony = self.work.colonies[position];
        let (deficit, full_reach) = self.detection_of(colony.site);
        let home_rate = self.home_rate(&colony, Window::After);
        let rate = self.distant_rate() + home_rate;
        let gamma = self.setting.gamma();
        let z_least = gamma * deficit;
        let step = z_least * colony.rate / (rate * self.setting.plateau_shedding);
        let along = gap * step;
        if along.is_nan() || along >= full_reach {
            return;
        }
        let stop = self.stop_of(&colony);
        if from >= stop {
            return;
        }
        let along = along + math::exp(-gamma * colony.log_deficit_at(from));
        let reach = self.reach(&colony, full_reach, stop);
        if along >= reach {
            return;
        }
        let source = LaterSource {
            colony: entry(position),
            key: colony.key.child(AFTER),
            class: Class::All,
            ordinal: 0,
            stream: self.stream.clone(),
            z_founder: gamma * colony.log_deficit,
            z_least,
            from,
            along,
            step,
            full_reach,
            reach,
            stop,
            home_rate,
            dull: Dull::NEVER,
            next: None,
        };
        if full_reach < FEW_POINTS * step {
            self.open_later(source);
        } else {
            self.open_by_class(&source);
        }
    }

    /// Opens a source with many points as two, one of slow scar colonies and one of all the
    /// rest: the slow ones, most of all, soon come too late to matter, and then none is drawn.
    fn open_by_class(&mut self, source: &LaterSource) {
        let slow_share = source.home_rate / (source.home_rate + self.distant_rate()) * Class::SLOW;
        self.stream.open(source.key);
        let first_is_slow = self.stream.uniform() < slow_share;
        let other_gap = self.stream.exponential();
        for (class, share, ordinal) in [
            (Class::Slow, slow_share, 1),
            (Class::Rest, 1.0 - slow_share, 2),
        ] {
            let step = source.step / share;
            let is_first = first_is_slow == (class == Class::Slow);
            self.open_later(LaterSource {
                key: source.key.child(ordinal),
                class,
                step,
                along: if is_first {
                    source.along
                } else {
                    source.along + other_gap * step
                },
                ..source.clone()
            });
        }
    }

    fn open_later(&mut self, mut source: LaterSource) {
        let parent = self.work.colonies[source.colony as usize];
        let stop = source.stop;
        self.limit_later(&mut source, &parent, stop);
        if source.along >= source.reach {
            return;
        }
        self.stream.open(source.key);
        source.stream.clone_from(self.stream);
        let number = self.work.later_sources.len();
        self.work.later_sources.push(Some(Box::new(source)));
        self.advance_later(number);
    }

    /// Shortens a source's window to when its courses stop.
    fn limit_later(&self, source: &mut LaterSource, parent: &Colony, stop: f64) {
        source.stop = stop;
        source.reach = self.reach(parent, source.full_reach, stop);
        if source.reach - source.along > FEW_POINTS * source.step {
            source.dull = self.dull(parent, stop);
        }
        if source.class == Class::Slow {
            source.reach = source.reach.min(source.dull.slow());
        }
    }

    /// e^(−z) at a time, or at detection if that comes first.
    fn reach(&self, colony: &Colony, full_reach: f64, time: f64) -> f64 {
        if colony.detected <= time {
            full_reach
        } else {
            math::exp(-self.setting.gamma() * colony.log_deficit_at(time))
        }
    }

    /// Settles a source's founder and turns to the next.
    pub(super) fn take_later_founder(&mut self, number: usize) {
        let founder = self.work.later_sources[number]
            .as_mut()
            .and_then(|source| source.next.take());
        self.advance_later(number);
        if let Some(candidate) = founder {
            self.settle(&candidate);
        }
    }

    /// Draws a source's points up to the next founder that can matter, and queues it.
    fn advance_later(&mut self, number: usize) {
        let Some(mut source) = self.work.later_sources[number].take() else {
            return;
        };
        let parent = self.work.colonies[source.colony as usize];
        let stop = self.stop_of(&parent);
        if stop < source.stop {
            self.limit_later(&mut source, &parent, stop);
        }
        let distant_rate = self.distant_rate();
        if source.ordinal > 0 {
            source.along += source.stream.exponential() * source.step;
        }
        while source.along < source.reach {
            source.ordinal += 1;
            self.looked_at += 1;
            let accept = source.stream.uniform();
            let (site, mark, marks) = source.draw(self.setting, distant_rate, parent.aggressive);
            if !(site == Site::Scar && source.dull.skips(&marks, source.along)) {
                let z = -math::ln(source.along);
                if accept * z < source.z_least {
                    let grown = math::ln(source.z_founder / z) / parent.rate;
                    let time = (parent.awake + grown).max(source.from);
                    let key = source.key.child(source.ordinal);
                    let colony = self.colony(key, source.colony, site, time, &marks);
                    if self.matters_before(&colony, stop) {
                        source.next = Some(Candidate {
                            colony,
                            window: Window::After,
                            mark,
                            untreated: HomeShare::equal(1.0),
                        });
                        self.queue(time, entry(number) | LATER_SOURCE);
                        break;
                    }
                }
            }
            if self.overgrown() {
                break;
            }
            source.along += source.stream.exponential() * source.step;
        }
        self.work.later_sources[number] = Some(source);
    }

    /// Draws the founders still circulating after the removal of a primary-site colony: the
    /// flux at resection times `M_burst`, decaying exponentially (section 4).
    pub(super) fn shed_burst(&mut self, position: usize) {
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
        if along.is_nan() || along >= 1.0 {
            return;
        }
        let key = colony.key.child(BURST);
        self.stream.open(key);
        let mut ordinal = 0;
        while along < 1.0 {
            ordinal += 1;
            let time = self.resection - local.burst_days * math::ln_1p(-along);
            self.looked_at += 1;
            if time >= self.stop || self.overgrown() {
                return;
            }
            self.draw_founding(position, Window::Burst, key.child(ordinal), time, home_rate);
            along += self.stream.exponential() / total;
        }
    }

    /// Draws the founders shed between detection without therapy and detection in the last arm
    /// that has slowed the colony. Its size is bounded by the size at detection.
    pub(super) fn shed_tail(&mut self, position: usize, last_detection: f64) {
        let colony = self.work.colonies[position];
        let home_rate = self.home_rate(&colony, Window::Tail);
        let (_, reach) = self.detection_of(colony.site);
        let rate = self.distant_rate() + home_rate;
        let intensity = rate * self.setting.plateau_shedding * reach;
        let stop = last_detection.min(self.stop);
        if intensity <= 0.0 || colony.detected >= stop {
            return;
        }
        let key = colony.key.child(TAIL);
        self.stream.open(key);
        let mut time = colony.detected;
        let mut ordinal = 0;
        loop {
            ordinal += 1;
            time += self.stream.exponential() / intensity;
            self.looked_at += 1;
            if time >= stop || self.overgrown() {
                return;
            }
            self.draw_founding(position, Window::Tail, key.child(ordinal), time, home_rate);
        }
    }

    /// Draws one founder's fate and colony.
    fn draw_founding(
        &mut self,
        parent: usize,
        window: Window,
        key: Key,
        time: f64,
        home_rate: f64,
    ) {
        let distant_rate = self.distant_rate();
        let fate = self.stream.uniform() * (home_rate + distant_rate);
        let (site, mark) = if fate < home_rate {
            (Site::Scar, fate / home_rate)
        } else {
            (Site::Distant, (fate - home_rate) / distant_rate)
        };
        let aggressive = self.work.colonies[parent].aggressive;
        let marks = draw_marks(self.setting, self.stream, window, site, aggressive);
        self.found(parent, window, key, site, time, mark, &marks);
    }

    /// Queues a founder shed after resection, if its colony can matter.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one fact about the founder"
    )]
    fn found(
        &mut self,
        parent: usize,
        window: Window,
        key: Key,
        site: Site,
        time: f64,
        mark: f64,
        marks: &Marks,
    ) {
        let colony = self.colony(key, entry(parent), site, time, marks);
        let stop = self.stop_of(&self.work.colonies[parent]);
        if !self.matters_before(&colony, stop) {
            return;
        }
        let number = entry(self.work.candidates.len());
        self.work.candidates.push(Candidate {
            colony,
            window,
            mark,
            untreated: HomeShare::equal(1.0),
        });
        self.queue(time, number | CANDIDATE);
    }

    // ---- Rates ------------------------------------------------------------------------------

    /// Log deficit at detection, and e^(−γ·deficit).
    pub(super) fn detection_of(&self, site: Site) -> (f64, f64) {
        match site {
            Site::Distant => (self.setting.distant_deficit, self.setting.distant_reach),
            Site::Scar | Site::Primary => (self.setting.scar_deficit, self.setting.scar_reach),
        }
    }

    /// Bound on the rate, per day and cell^γ, at which cells of a colony come home.
    fn home_rate(&self, colony: &Colony, window: Window) -> f64 {
        self.home_rate_from(colony.site, colony.aggressive, window)
    }

    fn home_rate_from(&self, site: Site, aggressive: bool, window: Window) -> f64 {
        let shedding = &self.setting.scenario.shedding;
        let able = if aggressive {
            1.0
        } else {
            shedding.aggressive_fraction
        };
        let passing = if site == Site::Distant {
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

    // ---- Marks ------------------------------------------------------------------------------

    /// A colony with these marks, existing nowhere yet. One founded before resection that
    /// sleeps stays dormant until it is woken.
    pub(super) fn colony(
        &self,
        key: Key,
        parent: u32,
        site: Site,
        founded: f64,
        marks: &Marks,
    ) -> Colony {
        let growth = &self.setting.scenario.growth;
        let mut base_rate =
            self.person.covariates.growth_per_day * math::exp(growth.colony_sigma * marks.z);
        if site == Site::Distant {
            base_rate *= growth.distant_ratio;
        }
        let boosted = site != Site::Distant;
        let rate = if boosted {
            base_rate * (1.0 + growth.cxcl1_boost)
        } else {
            base_rate
        };
        let awake = if marks.sleep == 0.0 {
            founded
        } else if self.stage == Stage::Watching {
            self.waking_time(founded, marks.sleep)
        } else {
            f64::INFINITY
        };
        let mut colony = Colony {
            key,
            parent,
            site,
            aggressive: marks.aggressive,
            boosted,
            founded,
            awake,
            sleep: marks.sleep,
            log_deficit: self.founder_deficit(marks.weight),
            base_rate,
            rate,
            detected: f64::INFINITY,
            gap: marks.gap,
            later_gap: marks.later_gap,
            arms: 0,
            dominating: false,
        };
        if site != Site::Primary && awake.is_finite() {
            colony.detected = colony.reaches(self.detection_of(site).0);
        }
        colony
    }

    // ---- What can matter --------------------------------------------------------------------

    /// Whether a colony founded after resection can matter: it must be detected, or found
    /// another, before everything stops.
    pub(super) fn matters_before(&self, colony: &Colony, stop: f64) -> bool {
        if colony.detected < stop {
            return true;
        }
        if colony.awake >= stop {
            return false;
        }
        let (deficit, reach) = self.detection_of(colony.site);
        let rate = self.distant_rate() + self.home_rate(colony, Window::After);
        let gamma = self.setting.gamma();
        let along =
            colony.gap * gamma * deficit * colony.rate / (rate * self.setting.plateau_shedding);
        along < reach
            && along + math::exp(-gamma * colony.log_deficit)
                < math::exp(-gamma * colony.log_deficit_at(stop))
    }

    /// From when on the scar colonies that a colony founds are too late to matter.
    fn dull(&self, parent: &Colony, stop: f64) -> Dull {
        let growth = &self.setting.scenario.growth;
        let gamma = self.setting.gamma();
        let (deficit, _) = self.detection_of(Site::Scar);
        let z_detected = gamma * deficit;
        let founder = self.setting.founder_deficit - math::ln(Dull::WEIGHT_MAX);
        // The bounding intensity of a colony's founders rises with its size below this only;
        // and founders must be smaller than what is detected.
        if z_detected < 1.0 || founder <= deficit {
            return Dull::NEVER;
        }
        let rate = self.distant_rate() + self.home_rate_from(Site::Scar, true, Window::After);
        let beta = self.person.covariates.growth_per_day * (1.0 + growth.cxcl1_boost);
        let clock_detected = math::ln(founder / deficit);
        let founder_reach = math::exp(-gamma * founder);
        Dull {
            along: Dull::Z_MAX.map(|z_max| {
                let fastest = beta * math::exp(growth.colony_sigma * z_max);
                Dull::GAP_MIN.map(|gap_min| {
                    let step = z_detected * fastest / (rate * self.setting.plateau_shedding);
                    let reach = gap_min * step + founder_reach;
                    let clock_founding = if reach < 1.0 {
                        math::ln(gamma * founder / -math::ln(reach))
                    } else {
                        f64::INFINITY
                    };
                    let latest = stop - clock_detected.min(clock_founding) / fastest;
                    if latest <= parent.awake {
                        return 0.0;
                    }
                    math::exp(-gamma * parent.log_deficit_at(latest))
                })
            }),
        }
    }
}

/// Draws a colony's marks. How many words it takes depends on the window, the site and the
/// parent, never on the arms.
pub(super) fn draw_marks(
    setting: &Setting,
    stream: &mut Stream,
    window: Window,
    site: Site,
    parent_aggressive: bool,
) -> Marks {
    let mut marks = Marks {
        z: stream.normal(),
        weight: stream.exponential(),
        gap: stream.exponential(),
        later_gap: 0.0,
        aggressive: true,
        sleep: 0.0,
    };
    if window == Window::Before {
        marks.later_gap = stream.exponential();
    }
    if site == Site::Distant && !parent_aggressive {
        marks.aggressive = stream.uniform() < setting.scenario.shedding.aggressive_fraction;
    }
    if site != Site::Primary {
        marks.sleep = draw_sleep(setting, stream);
    }
    marks
}

/// Waiting time of a dormant colony, or zero.
fn draw_sleep(setting: &Setting, stream: &mut Stream) -> f64 {
    let probability = setting.scenario.dormancy.probability;
    if probability > 0.0 && stream.uniform() < probability {
        stream.exponential().max(f64::MIN_POSITIVE)
    } else {
        0.0
    }
}

impl LaterSource {
    /// Draws a founder's destination, mark and colony.
    fn draw(
        &mut self,
        setting: &Setting,
        distant_rate: f64,
        parent_aggressive: bool,
    ) -> (Site, f64, Marks) {
        let stream = &mut self.stream;
        let home_rate = match self.class {
            Class::All => self.home_rate,
            Class::Slow => {
                let mark = stream.uniform();
                return (Site::Scar, mark, draw_slow(setting, stream));
            }
            Class::Rest => self.home_rate * (1.0 - Class::SLOW),
        };
        let fate = stream.uniform() * (home_rate + distant_rate);
        if fate >= home_rate {
            let mark = (fate - home_rate) / distant_rate;
            let marks = draw_marks(
                setting,
                stream,
                Window::After,
                Site::Distant,
                parent_aggressive,
            );
            return (Site::Distant, mark, marks);
        }
        let marks = match self.class {
            Class::Rest => draw_rest(setting, stream),
            Class::All | Class::Slow => draw_marks(
                setting,
                stream,
                Window::After,
                Site::Scar,
                parent_aggressive,
            ),
        };
        (Site::Scar, fate / home_rate, marks)
    }
}

/// Marks of a slow scar colony.
fn draw_slow(setting: &Setting, stream: &mut Stream) -> Marks {
    Marks {
        z: draw_until(|| stream.normal(), |z| z < Class::Z_SLOW),
        weight: draw_until(|| stream.exponential(), |weight| weight <= Dull::WEIGHT_MAX),
        gap: Class::GAP_SLOW + stream.exponential(),
        later_gap: 0.0,
        aggressive: true,
        sleep: draw_sleep(setting, stream),
    }
}

/// Marks of a scar colony that is not slow.
fn draw_rest(setting: &Setting, stream: &mut Stream) -> Marks {
    let kind = stream.uniform() * (1.0 - Class::SLOW);
    let (z, weight, gap) = if kind < Class::FAST {
        (
            draw_fast(stream),
            stream.exponential(),
            stream.exponential(),
        )
    } else {
        let z = draw_until(|| stream.normal(), |z| z < Class::Z_SLOW);
        if kind < Class::FAST + Class::EARLY {
            let early = stream.uniform() * (1.0 - Class::ABOVE_GAP);
            (z, stream.exponential(), -math::ln_1p(-early))
        } else {
            let weight = Dull::WEIGHT_MAX + stream.exponential();
            (z, weight, Class::GAP_SLOW + stream.exponential())
        }
    };
    Marks {
        z,
        weight,
        gap,
        later_gap: 0.0,
        aggressive: true,
        sleep: draw_sleep(setting, stream),
    }
}

/// A standard normal of at least [`Class::Z_SLOW`], by rejection from an exponential (Robert,
/// Statistics and Computing 1995;5:121).
fn draw_fast(stream: &mut Stream) -> f64 {
    const RATE: f64 = 1.618_033_988_749_895;
    loop {
        let z = Class::Z_SLOW + stream.exponential() / RATE;
        let off = z - RATE;
        if 2.0 * stream.exponential() > off * off {
            return z;
        }
    }
}

fn draw_until(mut draw: impl FnMut() -> f64, wanted: impl Fn(f64) -> bool) -> f64 {
    loop {
        let value = draw();
        if wanted(value) {
            return value;
        }
    }
}

/// Sources with fewer points than this to come are not worth working out when they turn dull.
const FEW_POINTS: f64 = 8.0;

/// Points along a source, in v, beyond which a scar colony cannot matter, by how fast it grows
/// and how long its first founder waits: a slow colony can then neither be detected nor found
/// another before everything stops.
#[derive(Debug, Clone, Copy)]
struct Dull {
    along: [[f64; 3]; 4],
}

impl Dull {
    /// Upper ends of the classes of the growth deviate z.
    const Z_MAX: [f64; 4] = [0.0, 1.0, 2.0, 3.0];
    /// Lower ends of the classes of the waiting time.
    const GAP_MIN: [f64; 3] = [0.5, 1.0 / 32.0, 1.0 / 512.0];
    /// Heavier founders, in units of their mean, are never dull.
    const WEIGHT_MAX: f64 = 16.0;
    /// No point is dull.
    const NEVER: Self = Self {
        along: [[f64::INFINITY; 3]; 4],
    };

    /// From where on no slow colony matters.
    fn slow(&self) -> f64 {
        self.along[1][1]
    }

    #[inline]
    fn skips(&self, marks: &Marks, along: f64) -> bool {
        let class = Self::Z_MAX.iter().position(|z_max| marks.z < *z_max);
        let wait = Self::GAP_MIN
            .iter()
            .position(|gap_min| marks.gap >= *gap_min);
        match (class, wait) {
            (Some(class), Some(wait)) => {
                marks.weight <= Self::WEIGHT_MAX && along >= self.along[class][wait]
            }
            _ => false,
        }
    }
}

impl Source {
    /// Turns to the next point that is kept; false at the end of the window.
    fn advance(&mut self, colony: &Colony) -> bool {
        if self.ordinal > 0 {
            self.along += self.stream.exponential() * self.step;
        }
        while self.along < self.reach {
            self.ordinal += 1;
            let z = -math::ln(self.along);
            if self.stream.uniform() * z < self.z_least {
                self.fate = self.stream.uniform() * (self.home_rate + self.distant_rate);
                let grown = math::ln(self.z_founder / z) / colony.rate;
                self.time = colony.awake + grown.max(0.0);
                return true;
            }
            self.along += self.stream.exponential() * self.step;
        }
        false
    }
}
