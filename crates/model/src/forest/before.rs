//! What colonies shed before resection, in order of time (sections 2 and 7).
//!
//! With z = γ·(ln K − ln N), which falls as a colony grows, the intensity c·N^γ dt of founders is
//! c·(K^γ/β)·e^(−z)/z dz. In v = e^(−z) it is bounded by a constant while z is at least some
//! `z_least`; so gaps in v are exponential, and a point is kept with probability z_least/z. No
//! time step, no special function, and a later stop only cuts the tail.

use super::founders::{Marks, WEIGHT_MAX};
use super::founding::HomeShare;
use super::{Candidate, Forest, SOURCE, Stage, Window, entry};
use crate::colony::Site;
use crate::math;
use crate::random::{Key, Stream};
use crate::trace;

const BEFORE: u64 = 1;
const BEFORE_HOME: u64 = 2;
const BEFORE_HOME_LATE: u64 = 3;

/// Below this z a colony is so near its plateau that the bound in v explodes; then N^γ is bounded
/// by K^γ, and the points are uniform in time.
const Z_FLAT: f64 = 0.5;

/// A colony that sheds before resection, with the next founder that settles somewhere.
///
/// The founders of a heavy patient are many, and most come after diagnosis has been brought
/// forward by others, or after the first distant detection; so they are drawn one at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    colony: u32,
    key: Key,
    aggressive: bool,
    /// Number of the point among the source's.
    ordinal: u64,
    stream: usize,
    awake: f64,
    /// Days that the clock takes for one.
    unit_days: f64,
    /// ln of γ, or γ + 1, times the log deficit of the founder.
    ln_z_founder: f64,
    z_least: f64,
    /// 1/`z_least`.
    kept_scale: f64,
    along: f64,
    step: f64,
    /// v at `z_least`.
    reach: f64,
    /// The window's end: `reach`, or beyond it, near the plateau, in proportion to time.
    end: f64,
    flat_unit_days: f64,
    /// Share of the founders that come home.
    home_share: f64,
    /// Bound on capture in it.
    capture: f64,
    time: f64,
    /// Uniform on [0, 1): decides between home and away, and what is left of it is the
    /// founder's mark.
    fate: f64,
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
    /// Founders of a colony of the size of the plateau, per day.
    home_rate: f64,
    distant_rate: f64,
    /// Bound on capture in `home_rate`.
    capture: f64,
}

impl Forest<'_> {
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
            distant_rate: self.rates.distant(),
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

    /// Opens the window of another colony that grows before resection, given a lower bound on
    /// its log deficit at the window's end.
    pub(super) fn shed_before(&mut self, position: usize, least_deficit: f64) {
        let colony = &self.work.colonies[position];
        let gamma = self.setting.gamma();
        let home_rate = self.home_rate(colony, Window::Before);
        let distant_rate = self.rates.distant();
        let first = colony.gap * gamma * colony.rate / (home_rate + distant_rate);
        // That capture is at most one, and the colony no larger, rules out most windows.
        let most = if colony.site == Site::Distant {
            self.setting.distant_reach
        } else {
            math::exp(-gamma * least_deficit)
        };
        if first * least_deficit >= most {
            return;
        }
        let until = self.resection_so_far().min(colony.detected);
        if until <= colony.awake {
            return;
        }
        // Capture grows with the native tumour, so its value at the end bounds it.
        let last_deficit = colony.log_deficit_at(until);
        let capture = self.capture(until);
        self.open_source(&Opening {
            position,
            key: colony.key.child(BEFORE),
            gap: colony.gap,
            power: gamma,
            deficits: (colony.log_deficit, last_deficit),
            home_rate: home_rate * capture,
            distant_rate,
            capture,
        });
    }

    /// Capture κ by the primary tumour (section 2).
    fn capture(&self, time: f64) -> f64 {
        if time >= self.native_diagnosis {
            return 1.0;
        }
        let native = self.work.colonies[0].cells(self.setting.ln_plateau, time);
        (native / self.person.diagnosis_cells).min(1.0)
    }

    /// Resection as far as it is known: before diagnosis, an upper bound for patients whom no
    /// metastasis excludes.
    fn resection_so_far(&self) -> f64 {
        if self.stage == Stage::Growing {
            self.diagnosis.min(self.dominating_end)
                + self.setting.scenario.local_treatment.delay_days
        } else {
            self.resection
        }
    }

    /// Opens a window, if anything is shed in it.
    fn open_source(&mut self, window: &Opening) {
        let colony = &self.work.colonies[window.position];
        let (from_deficit, last_deficit) = window.deficits;
        let (z_from, z_last) = (window.power * from_deficit, window.power * last_deficit);
        let z_least = z_last.max(Z_FLAT);
        let rate = window.home_rate + window.distant_rate;
        let step = z_least * colony.rate / rate;
        let reach = math::exp(-z_least);
        // Days from `z_least` on, in units of v.
        let unit_days = 1.0 / colony.rate;
        let flat_days = |z: f64| math::ln(z_least / z) * unit_days;
        let end = if z_last < Z_FLAT {
            reach + flat_days(z_last) * rate * step
        } else {
            reach
        };
        let first = window.gap * step;
        // A rate of zero makes the step infinite or not a number.
        if first.is_nan() || first >= end {
            return;
        }
        let start = if z_from < Z_FLAT {
            reach + flat_days(z_from) * rate * step
        } else {
            math::exp(-z_from)
        };
        let along = first + start;
        if along >= end {
            return;
        }
        let (aggressive, awake) = (colony.aggressive, colony.awake);
        let ln_z_founder = math::ln(window.power * colony.log_deficit);
        let stream = self.open_stream(window.key);
        let number = self.work.sources.len();
        self.work.sources.push(Source {
            colony: entry(window.position),
            key: window.key,
            aggressive,
            ordinal: 0,
            stream,
            awake,
            unit_days,
            ln_z_founder,
            z_least,
            kept_scale: 1.0 / z_least,
            along,
            step,
            reach,
            end,
            flat_unit_days: 1.0 / (rate * step),
            home_share: window.home_rate / rate,
            capture: window.capture,
            time: 0.0,
            fate: 0.0,
        });
        let first = self.work.sources[number].advance(&mut self.work.streams[stream]);
        if let Some(time) = first {
            self.queue(time, entry(number) | SOURCE);
        }
    }

    /// Takes a source's founder, draws its colony if the bound founds it, and turns to the
    /// next.
    pub(super) fn take_founder(&mut self, number: usize) {
        if self.stage == Stage::Watching {
            self.requeue(None);
            return;
        }
        let source = &self.work.sources[number];
        let (time, parent) = (source.time, source.colony);
        let (site, mark) = source.destination();
        // What the native tumour sheds was drawn with its capture.
        let share = if site == Site::Distant || parent == 0 {
            1.0
        } else {
            self.capture(time) / source.capture
        };
        let source = &mut self.work.sources[number];
        let stream = &mut self.work.streams[source.stream];
        let key = source.key.child(source.ordinal);
        let aggressive = source.aggressive;
        if mark >= share {
            let next = source.advance(stream);
            self.requeue(next);
            return;
        }
        let marks = Marks::draw(self.setting, stream, Window::Before, site, aggressive);
        let next = source.advance(stream);
        self.requeue(next);
        self.followed += 1;
        if site == Site::Distant && self.is_doomed() && self.is_idle(time, &marks) {
            self.hurried = true;
            return;
        }
        let mut colony = self.colony(key, parent, site, time, &marks);
        if site == Site::Distant && colony.awake.is_finite() {
            colony.detected = colony.reaches(self.setting.distant_deficit);
        }
        if self.stage == Stage::Growing {
            // No arm differs from the dominating course yet.
            colony.arms = self.therapies.all;
            colony.dominating = true;
            self.work.colonies.push(colony);
            self.admit(trace::Source::Shed, self.therapies.all);
        } else {
            self.settle(&Candidate {
                colony,
                window: Window::Before,
                mark,
                untreated: HomeShare::equal(share),
            });
        }
    }

    /// Whether, as far as is known, a metastasis will be detected before diagnosis. Then nothing
    /// but the primary site's size by that day is asked of the patient any more.
    fn is_doomed(&self) -> bool {
        self.may_hurry && self.dominating_end <= self.diagnosis_least
    }

    /// Whether a distant colony founded before diagnosis can neither be the first to be detected
    /// nor found another.
    fn is_idle(&self, founded: f64, marks: &Marks) -> bool {
        let (_, rate) = self.growth_rates(Site::Distant, marks.z);
        let home_rate = self
            .rates
            .home(Site::Distant, marks.aggressive, Window::Before);
        let (deficit, reach) = self.detection_of(Site::Distant);
        marks.weight <= WEIGHT_MAX
            && rate * (self.dominating_end - founded) < self.setting.distant_clock
            && marks.gap * self.setting.gamma() * deficit * rate
                >= reach * (home_rate + self.rates.distant())
    }
}

impl Source {
    /// Turns to the next point that is kept, if any, and returns its time.
    #[inline]
    fn advance(&mut self, stream: &mut Stream) -> Option<f64> {
        if self.ordinal > 0 {
            self.along += stream.exponential() * self.step;
        }
        while self.along < self.end {
            self.ordinal += 1;
            if self.along >= self.reach {
                if self.keep_flat(stream.uniform()) {
                    return Some(self.time);
                }
                self.along += stream.exponential() * self.step;
                continue;
            }
            let z = -math::ln(self.along);
            let kept = stream.uniform() * z;
            if kept < self.z_least {
                // Among the points kept this is uniform again.
                self.fate = kept * self.kept_scale;
                let grown = (self.ln_z_founder - math::ln(z)) * self.unit_days;
                self.time = self.awake + grown.max(0.0);
                return Some(self.time);
            }
            self.along += stream.exponential() * self.step;
        }
        None
    }

    /// Turns to a point near the plateau, if it is kept.
    #[cold]
    fn keep_flat(&mut self, uniform: f64) -> bool {
        let flat_from = (self.ln_z_founder - math::ln(self.z_least)) * self.unit_days;
        let grown = flat_from + (self.along - self.reach) * self.flat_unit_days;
        let z = math::exp(self.ln_z_founder - grown / self.unit_days);
        let share = math::exp(-z);
        self.fate = uniform / share;
        self.time = self.awake + grown.max(0.0);
        uniform < share
    }

    /// Where the founder goes, with its mark.
    fn destination(&self) -> (Site, f64) {
        if self.fate < self.home_share || self.home_share >= 1.0 {
            (Site::Primary, self.fate / self.home_share)
        } else {
            let rest = self.fate - self.home_share;
            (Site::Distant, rest / (1.0 - self.home_share))
        }
    }
}
