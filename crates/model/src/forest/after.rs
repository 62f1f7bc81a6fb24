//! What colonies shed after resection, in order of time (sections 2, 4 and 7).
//!
//! Most founders shed after resection come too late: a colony must be detected, or found
//! another, before every course of the patient stops. So a founder's colony is drawn whole, and
//! worked out only where it is not plain that it cannot matter.

use super::founders::{Marks, WEIGHT_MAX, draw_sleep};
use super::founding::HomeShare;
use super::{CANDIDATE, Candidate, Forest, LATER_SOURCE, Setting, Window, entry};
use crate::colony::{Colony, Site};
use crate::math;
use crate::random::{Key, Stream};

const AFTER: u64 = 4;
const BURST: u64 = 5;
const TAIL: u64 = 6;

/// Founders of one class that a distant or scar colony sheds after resection, with the next one
/// that can matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaterSource {
    colony: u32,
    key: Key,
    class: Class,
    aggressive: bool,
    ordinal: u64,
    stream: usize,
    /// ln of γ times the founder's log deficit.
    ln_z_founder: f64,
    z_least: f64,
    sight: Sight,
    /// e^(−z) of the next point.
    along: f64,
    step: f64,
    /// How far it is worth looking.
    limits: Limits,
    /// When every course with the colony stopped as far as was known at the last look.
    stop: f64,
    home_rate: f64,
    distant_rate: f64,
    /// Position of its next founder's candidate.
    candidate: usize,
}

/// Classes of the founders of a colony. Each has a waiting time of its own, drawn with the
/// colony, so that most classes of most colonies need not be looked at: the slow founders are
/// the most, and soon come too late to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Those that make [`Slow`] scar colonies.
    Slow,
    /// All others.
    Other,
}

/// A slow scar colony: z below [`Slow::Z`], a weight up to [`WEIGHT_MAX`] and waiting times of at
/// least [`Slow::GAP`].
struct Slow;

impl Slow {
    const Z: f64 = 2.0;
    const GAP: f64 = 1.0 / 32.0;
    /// P(z < 2).
    const BELOW_Z: f64 = 0.977_249_868_051_820_8;
    /// P(both gaps ≥ 1/32) = e^(-1/16).
    const ABOVE_GAP: f64 = 0.939_413_062_813_475_8;
    /// P(weight > 16) = e^(-16).
    const ABOVE_WEIGHT: f64 = 1.125_351_747_192_591_2e-7;
    /// Share of slow founders among those bound for the scar.
    const SHARE: f64 = Self::BELOW_Z * Self::ABOVE_GAP * (1.0 - Self::ABOVE_WEIGHT);
    /// Shares of the others: fast; early but not fast; and neither, but heavy.
    const FAST: f64 = 1.0 - Self::BELOW_Z;
    const EARLY: f64 = Self::BELOW_Z * (1.0 - Self::ABOVE_GAP);

    /// Marks of a slow scar colony.
    #[expect(
        clippy::inline_always,
        reason = "a call would write what is drawn to memory and read it back in other pieces"
    )]
    #[inline(always)]
    fn draw(setting: &Setting, stream: &mut Stream) -> Marks {
        Marks {
            z: draw_until(|| stream.normal(), |z| z < Self::Z),
            weight: draw_until(|| stream.exponential(), |weight| weight <= WEIGHT_MAX),
            later_gaps: Self::draw_gaps(stream),
            ..Self::scar(setting, stream)
        }
    }

    /// Marks of a scar colony that is not slow.
    fn draw_other(setting: &Setting, stream: &mut Stream) -> Marks {
        let kind = stream.uniform() * (1.0 - Self::SHARE);
        let (z, weight, later_gaps) = if kind < Self::FAST {
            let gaps = [stream.exponential(), stream.exponential()];
            (draw_fast(stream), stream.exponential(), gaps)
        } else {
            let z = draw_until(|| stream.normal(), |z| z < Self::Z);
            if kind < Self::FAST + Self::EARLY {
                (z, stream.exponential(), Self::draw_early_gaps(stream))
            } else {
                let weight = WEIGHT_MAX + stream.exponential();
                (z, weight, Self::draw_gaps(stream))
            }
        };
        Marks {
            z,
            weight,
            later_gaps,
            ..Self::scar(setting, stream)
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "a call would write what is drawn to memory and read it back in other pieces"
    )]
    #[inline(always)]
    fn draw_gaps(stream: &mut Stream) -> [f64; 2] {
        [
            Self::GAP + stream.exponential(),
            Self::GAP + stream.exponential(),
        ]
    }

    /// Waiting times of which one is below [`Slow::GAP`] at least. The lesser of two is
    /// exponential with rate two.
    fn draw_early_gaps(stream: &mut Stream) -> [f64; 2] {
        let least = -0.5 * math::ln(1.0 - stream.uniform() * (1.0 - Self::ABOVE_GAP));
        let gaps = [least, least + stream.exponential()];
        if stream.uniform() < 0.5 {
            gaps
        } else {
            [gaps[1], gaps[0]]
        }
    }

    /// What scar colonies of both classes have alike.
    fn scar(setting: &Setting, stream: &mut Stream) -> Marks {
        Marks {
            z: 0.0,
            weight: 0.0,
            gap: 0.0,
            later_gaps: [0.0; 2],
            aggressive: true,
            sleep: draw_sleep(setting, stream),
        }
    }
}

/// A standard normal of at least [`Slow::Z`], by rejection from an exponential (Robert,
/// Statistics and Computing 1995;5:121).
fn draw_fast(stream: &mut Stream) -> f64 {
    const RATE: f64 = 2.414_213_562_373_095;
    loop {
        let z = Slow::Z + stream.exponential() / RATE;
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

/// Points along a source, in v, from which on nothing can matter.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Of any founder: detection, or when everything stops.
    any: f64,
    /// Of slow founders.
    slow: f64,
    /// Of founders as slow, but for z below [`Limits::Z_FAST`].
    fast: f64,
    /// Of the slowest half: z below [`Limits::Z_SLOWEST`], waiting times of at least
    /// [`Limits::GAP_SLOWEST`].
    slowest: f64,
}

impl Limits {
    const Z_FAST: f64 = 3.0;
    const Z_SLOWEST: f64 = 1.0;
    const GAP_SLOWEST: f64 = 0.25;

    /// The limits of whole classes.
    fn of_classes(sight: &Sight, colony: &Colony, stop: f64, delay: Delay) -> Self {
        let any = sight.until(colony, stop);
        Self {
            any,
            slow: sight.until(colony, stop - delay.slow),
            fast: any,
            slowest: any,
        }
    }

    /// With those of parts of classes, worth their work only for a source that is opened.
    fn refined(self, sight: &Sight, colony: &Colony, stop: f64, delay: Delay) -> Self {
        Self {
            fast: sight.until(colony, stop - delay.fast),
            slowest: sight.until(colony, stop - delay.slowest),
            ..self
        }
    }

    #[inline]
    fn rule_out(&self, marks: &Marks, along: f64) -> bool {
        let least_gap = marks.later_gaps[0].min(marks.later_gaps[1]);
        let limit = if marks.z < Self::Z_SLOWEST && least_gap >= Self::GAP_SLOWEST {
            self.slowest
        } else if marks.z < Self::Z_FAST && least_gap >= Slow::GAP {
            self.fast
        } else {
            self.any
        };
        along >= limit && marks.weight <= WEIGHT_MAX
    }

    fn of(&self, class: Class) -> f64 {
        match class {
            Class::Slow => self.slow,
            Class::Other => self.any,
        }
    }
}

/// The part of a colony's life in which it sheds after resection.
#[derive(Debug, Clone, Copy)]
struct Sight {
    from: f64,
    /// e^(−z) at detection.
    full_reach: f64,
    gamma: f64,
}

impl Sight {
    /// e^(−z) at a time, or at detection if that comes first; zero before the colony sheds.
    fn until(&self, colony: &Colony, time: f64) -> f64 {
        if time <= self.from {
            0.0
        } else if colony.detected <= time {
            self.full_reach
        } else {
            math::exp(-self.gamma * colony.log_deficit_at(time))
        }
    }
}

/// Days that scar colonies of the kinds of [`Limits`] need at least from founding to be detected
/// or to found another: numbers of each patient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delay {
    slow: f64,
    fast: f64,
    slowest: f64,
}

impl LaterSource {
    /// e^(−z) from where on no point can matter.
    fn end(&self) -> f64 {
        self.limits.of(self.class)
    }

    /// Draws a founder's destination, mark and colony. A slow one's mark is left open: what its
    /// point's acceptance leaves of a uniform will do.
    #[expect(
        clippy::inline_always,
        reason = "a call would write what is drawn to memory and read it back in other pieces"
    )]
    #[inline(always)]
    fn draw(&self, setting: &Setting, stream: &mut Stream) -> (Site, Option<f64>, Marks) {
        if self.class == Class::Slow {
            return (Site::Scar, None, Slow::draw(setting, stream));
        }
        let home_rate = self.home_rate * (1.0 - Slow::SHARE);
        let fate = stream.uniform() * (home_rate + self.distant_rate);
        let (site, mark) = destination(fate, home_rate, self.distant_rate);
        let marks = if site == Site::Scar {
            Slow::draw_other(setting, stream)
        } else {
            Marks::draw(setting, stream, Window::After, site, self.aggressive)
        };
        (site, Some(mark), marks)
    }
}

/// A source that has had no candidate.
const NONE_YET: usize = usize::MAX;

/// Where a founder goes, and its mark, from a uniform below the sum of the rates.
fn destination(fate: f64, home_rate: f64, distant_rate: f64) -> (Site, f64) {
    if fate < home_rate {
        (Site::Scar, fate / home_rate)
    } else {
        (Site::Distant, (fate - home_rate) / distant_rate)
    }
}

impl Forest<'_> {
    /// Bounds on the founders of each [`Class`] that a colony of the size of the plateau sheds
    /// after resection, per day.
    pub(super) fn later_rates(&self, site: Site, aggressive: bool) -> [f64; 2] {
        let home = self.rates.home(site, aggressive, Window::After);
        let slow = home * Slow::SHARE;
        [slow, home - slow + self.rates.distant()]
    }

    /// Opens the windows of a distant or scar colony after resection.
    pub(super) fn shed_after(&mut self, position: usize, from: f64) {
        let colony = &self.work.colonies[position];
        let (deficit, full_reach) = self.detection_of(colony.site);
        let rates = self.later_rates(colony.site, colony.aggressive);
        let gamma = self.setting.gamma();
        let z_least = gamma * deficit;
        let steps = rates.map(|rate| z_least * colony.rate / rate);
        let gaps = [
            colony.later_gaps[0] * steps[0],
            colony.later_gaps[1] * steps[1],
        ];
        // A rate of zero makes a step infinite or not a number.
        if !(gaps[0] < full_reach || gaps[1] < full_reach) {
            return;
        }
        let stop = self.stop_of(colony);
        if from >= stop {
            return;
        }
        let start = math::exp(-gamma * colony.log_deficit_at(from));
        if !(start + gaps[0] < full_reach || start + gaps[1] < full_reach) {
            return;
        }
        let delay = self.scar_delay();
        let colony = &self.work.colonies[position];
        let sight = Sight {
            from,
            full_reach,
            gamma,
        };
        let limits = Limits::of_classes(&sight, colony, stop, delay);
        if !(start + gaps[0] < limits.slow || start + gaps[1] < limits.any) {
            return;
        }
        let limits = limits.refined(&sight, colony, stop, delay);
        for (class, ordinal) in [(Class::Slow, 1), (Class::Other, 2)] {
            let along = start + gaps[class as usize];
            if along < limits.of(class) {
                let colony = &self.work.colonies[position];
                let key = colony.key.child(AFTER).child(ordinal);
                let source = LaterSource {
                    stream: self.work.streams_used,
                    colony: entry(position),
                    key,
                    class,
                    aggressive: colony.aggressive,
                    ordinal: 0,
                    ln_z_founder: math::ln(gamma * colony.log_deficit),
                    z_least,
                    sight,
                    along,
                    step: steps[class as usize],
                    limits,
                    stop,
                    home_rate: self.home_rate(colony, Window::After),
                    distant_rate: self.rates.distant(),
                    candidate: NONE_YET,
                };
                let number = self.work.later_sources.len();
                self.work.later_sources.push(source);
                self.open_stream(key);
                if let Some(time) = self.advance_later(number) {
                    self.queue(time, entry(number) | LATER_SOURCE);
                }
            }
        }
    }

    /// The patient's least delays of scar colonies, worked out when first needed.
    fn scar_delay(&mut self) -> Delay {
        if let Some(delay) = self.scar_delay {
            return delay;
        }
        let gamma = self.setting.gamma();
        let (deficit, _) = self.detection_of(Site::Scar);
        let z_detected = gamma * deficit;
        let founder = self.setting.founder_deficit - math::ln(WEIGHT_MAX);
        // The bounding intensity of a colony's founders rises with its size below this only;
        // and founders must be smaller than what is detected.
        let delay = if z_detected < 1.0 || founder <= deficit {
            Delay {
                slow: 0.0,
                fast: 0.0,
                slowest: 0.0,
            }
        } else {
            let rate = self.rates.distant() + self.rates.home(Site::Scar, true, Window::After);
            let founder_reach = math::exp(-gamma * founder);
            let days = |z: f64, gap: f64| {
                let (_, fastest) = self.growth_rates(Site::Scar, z);
                let reach = gap * z_detected * fastest / rate + founder_reach;
                let clock_founding = if reach < 1.0 {
                    math::ln(gamma * founder / -math::ln(reach))
                } else {
                    f64::INFINITY
                };
                self.setting.scar_clock.min(clock_founding) / fastest
            };
            Delay {
                slow: days(Slow::Z, Slow::GAP),
                fast: days(Limits::Z_FAST, Slow::GAP),
                slowest: days(Limits::Z_SLOWEST, Limits::GAP_SLOWEST),
            }
        };
        self.scar_delay = Some(delay);
        delay
    }

    /// Settles a source's founder and turns to the next.
    pub(super) fn take_later_founder(&mut self, number: usize) {
        let founder = self.work.candidates[self.work.later_sources[number].candidate];
        let next = self.advance_later(number);
        self.requeue(next);
        self.settle(&founder);
    }

    /// Draws a source's points up to the next founder that can matter; returns its time.
    fn advance_later(&mut self, number: usize) -> Option<f64> {
        let mut source = self.work.later_sources[number];
        let parent = &self.work.colonies[source.colony as usize];
        let (awake, days) = (parent.awake, 1.0 / parent.rate);
        let stop = self.stop_of(parent);
        if stop < source.stop {
            source.stop = stop;
            let delay = self.scar_delay();
            let parent = &self.work.colonies[source.colony as usize];
            source.limits = Limits::of_classes(&source.sight, parent, stop, delay).refined(
                &source.sight,
                parent,
                stop,
                delay,
            );
        }
        let end = source.end();
        let mut next = None;
        while source.along < end && !self.overgrown() {
            source.ordinal += 1;
            self.looked_at += 1;
            let along = source.along;
            let stream = &mut self.work.streams[source.stream];
            let accept = stream.uniform();
            let (site, mark, marks) = source.draw(self.setting, stream);
            source.along += stream.exponential() * source.step;
            if site == Site::Scar && source.limits.rule_out(&marks, along) {
                continue;
            }
            let z = -math::ln(along);
            let kept = accept * z;
            if kept >= source.z_least {
                continue;
            }
            let grown = (source.ln_z_founder - math::ln(z)) * days;
            let time = (awake + grown).max(source.sight.from);
            let key = source.key.child(source.ordinal);
            if let Some(colony) = self.prospect(key, source.colony, site, time, &marks, stop) {
                let founder = Candidate {
                    colony,
                    window: Window::After,
                    mark: mark.unwrap_or(kept / source.z_least),
                    untreated: HomeShare::equal(1.0),
                };
                if source.candidate == NONE_YET {
                    source.candidate = self.work.candidates.len();
                    self.work.candidates.push(founder);
                } else {
                    self.work.candidates[source.candidate] = founder;
                }
                next = Some(time);
                break;
            }
        }
        self.work.later_sources[number] = source;
        next
    }

    /// Draws the founders still circulating after the removal of a primary-site colony: the
    /// flux at resection times `M_burst`, decaying exponentially (section 4).
    pub(super) fn shed_burst(&mut self, position: usize, relative_flux: f64) {
        let local = &self.setting.scenario.local_treatment;
        if !self.setting.surgery || local.burst_fold == 0.0 {
            return;
        }
        let colony = &self.work.colonies[position];
        let home_rate = self.home_rate(colony, Window::Burst);
        let rate = self.rates.distant() + home_rate;
        let total = rate * relative_flux * local.burst_fold * local.burst_days;
        let mut along = colony.later_gaps[0] / total;
        if along.is_nan() || along >= 1.0 {
            return;
        }
        let key = colony.key.child(BURST);
        self.stream.open(key);
        let mut ordinal = 0;
        while along < 1.0 {
            ordinal += 1;
            let time = self.resection - local.burst_days * math::ln(1.0 - along);
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
        let colony = &self.work.colonies[position];
        let home_rate = self.home_rate(colony, Window::Tail);
        let (_, reach) = self.detection_of(colony.site);
        let intensity = (self.rates.distant() + home_rate) * reach;
        let stop = last_detection.min(self.stop);
        if intensity <= 0.0 || colony.detected >= stop {
            return;
        }
        let key = colony.key.child(TAIL);
        let mut time = colony.detected;
        self.stream.open(key);
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

    /// Draws one founder, and queues it if its colony can matter.
    fn draw_founding(
        &mut self,
        position: usize,
        window: Window,
        key: Key,
        time: f64,
        home_rate: f64,
    ) {
        let distant_rate = self.rates.distant();
        let fate = self.stream.uniform() * (home_rate + distant_rate);
        let (site, mark) = destination(fate, home_rate, distant_rate);
        let parent = &self.work.colonies[position];
        let stop = self.stop_of(parent);
        let marks = Marks::draw(self.setting, self.stream, window, site, parent.aggressive);
        let Some(colony) = self.prospect(key, entry(position), site, time, &marks, stop) else {
            return;
        };
        let number = entry(self.work.candidates.len());
        self.work.candidates.push(Candidate {
            colony,
            window,
            mark,
            untreated: HomeShare::equal(1.0),
        });
        self.queue(time, number | CANDIDATE);
    }
}
