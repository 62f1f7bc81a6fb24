//! What colonies shed at the most, and the colonies that founders make (sections 2 and 7).

use super::{Forest, Setting, Stage, Window};
use crate::colony::{Colony, Site};
use crate::math;
use crate::person::Person;
use crate::random::{Key, Stream};

/// Founders heavier than this, in units of their mean, are too rare to be told apart early.
pub(super) const WEIGHT_MAX: f64 = 16.0;

/// Founders that a colony of the size of the plateau sheds, per day: bounds over all arms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    distant: f64,
    /// Of a colony whose cells all can home and skip the lung.
    home_before: f64,
    home_after: f64,
    lung_filter: f64,
    aggressive_fraction: f64,
}

impl Rates {
    pub(super) fn new(setting: &Setting, person: &Person, attraction: (f64, f64)) -> Self {
        let shedding = &setting.scenario.shedding;
        let shed = person.covariates.shedding_per_day * setting.plateau_shedding;
        let home = shed * shedding.home_probability;
        Self {
            distant: shed * shedding.distant_probability,
            home_before: home * attraction.0,
            home_after: home * attraction.1 * setting.capture_bound,
            lung_filter: shedding.lung_filter,
            aggressive_fraction: shedding.aggressive_fraction,
        }
    }

    /// Founders of distant colonies.
    pub(super) fn distant(&self) -> f64 {
        self.distant
    }

    /// Founders that come home, from colonies at a site.
    pub(super) fn home(&self, site: Site, aggressive: bool, window: Window) -> f64 {
        let drawn = match window {
            Window::Before => self.home_before,
            Window::After | Window::Burst | Window::Tail => self.home_after,
        };
        let passing = if site == Site::Distant {
            1.0
        } else {
            self.lung_filter
        };
        let able = if aggressive {
            1.0
        } else {
            self.aggressive_fraction
        };
        drawn * passing * able
    }
}

/// Everything random about a colony but when and where it was founded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// Standard normal behind the growth rate.
    pub(super) z: f64,
    /// Founder weight, in units of its mean.
    pub(super) weight: f64,
    pub(super) gap: f64,
    pub(super) later_gaps: [f64; 2],
    pub(super) aggressive: bool,
    pub(super) sleep: f64,
}

impl Marks {
    /// Draws a colony's marks. How many words it takes depends on the window, the site and the
    /// parent, never on the arms.
    #[expect(
        clippy::inline_always,
        reason = "a call would write what is drawn to memory and read it back in other pieces"
    )]
    #[inline(always)]
    pub(super) fn draw(
        setting: &Setting,
        stream: &mut Stream,
        window: Window,
        site: Site,
        parent_aggressive: bool,
    ) -> Self {
        let mut marks = Self {
            z: stream.normal(),
            weight: stream.exponential(),
            gap: 0.0,
            later_gaps: [stream.exponential(), 0.0],
            aggressive: true,
            sleep: 0.0,
        };
        if window == Window::Before {
            marks.gap = stream.exponential();
        }
        if site != Site::Primary {
            marks.later_gaps[1] = stream.exponential();
        }
        if site == Site::Distant && !parent_aggressive {
            marks.aggressive = stream.uniform() < setting.scenario.shedding.aggressive_fraction;
        }
        if site != Site::Primary {
            marks.sleep = draw_sleep(setting, stream);
        }
        marks
    }
}

/// Waiting time of a dormant colony, or zero.
#[expect(
    clippy::inline_always,
    reason = "a call would write what is drawn to memory and read it back in other pieces"
)]
#[inline(always)]
pub(super) fn draw_sleep(setting: &Setting, stream: &mut Stream) -> f64 {
    let probability = setting.scenario.dormancy.probability;
    if probability > 0.0 && stream.uniform() < probability {
        stream.exponential().max(f64::MIN_POSITIVE)
    } else {
        0.0
    }
}

impl Forest<'_> {
    /// Log deficit at detection, and e^(−γ·deficit).
    pub(super) fn detection_of(&self, site: Site) -> (f64, f64) {
        match site {
            Site::Distant => (self.setting.distant_deficit, self.setting.distant_reach),
            Site::Scar | Site::Primary => (self.setting.scar_deficit, self.setting.scar_reach),
        }
    }

    /// Bound on the founders that come home from a colony of the size of the plateau, per day.
    pub(super) fn home_rate(&self, colony: &Colony, window: Window) -> f64 {
        self.rates.home(colony.site, colony.aggressive, window)
    }

    /// A colony with these marks, existing nowhere and not detected yet. One founded before
    /// resection that sleeps stays dormant until it is woken.
    #[expect(
        clippy::inline_always,
        reason = "a call would write what is drawn to memory and read it back in other pieces"
    )]
    #[inline(always)]
    pub(super) fn colony(
        &self,
        key: Key,
        parent: u32,
        site: Site,
        founded: f64,
        marks: &Marks,
    ) -> Colony {
        let (base_rate, rate) = self.growth_rates(site, marks.z);
        let awake = if marks.sleep == 0.0 {
            founded
        } else if self.stage == Stage::Watching {
            self.waking_time(founded, marks.sleep)
        } else {
            f64::INFINITY
        };
        Colony {
            key,
            parent,
            site,
            aggressive: marks.aggressive,
            boosted: site != Site::Distant,
            founded,
            awake,
            sleep: marks.sleep,
            log_deficit: self.founder_deficit(marks.weight),
            base_rate,
            rate,
            detected: f64::INFINITY,
            gap: marks.gap,
            later_gaps: marks.later_gaps,
            arms: 0,
            dominating: false,
        }
    }

    /// A colony founded after resection, if it can matter before `stop`.
    #[inline]
    pub(super) fn prospect(
        &self,
        key: Key,
        parent: u32,
        site: Site,
        founded: f64,
        marks: &Marks,
        stop: f64,
    ) -> Option<Colony> {
        let (_, rate) = self.growth_rates(site, marks.z);
        let clock = rate * (stop - founded);
        let log_deficit = self.founder_deficit(marks.weight);
        let first = self.first_founder(site, marks.aggressive, &marks.later_gaps) * rate;
        // Were it awake from the start, it would do no less.
        if !self.matters_by(site, log_deficit, clock, first) {
            return None;
        }
        let mut colony = self.colony(key, parent, site, founded, marks);
        if marks.sleep > 0.0 && !self.matters_before(&colony, stop) {
            return None;
        }
        if colony.awake.is_finite() {
            colony.detected = colony.reaches(self.detection_of(site).0);
        }
        Some(colony)
    }

    /// Whether a colony founded after resection can matter: it must be detected, or found
    /// another, before everything stops.
    pub(super) fn matters_before(&self, colony: &Colony, stop: f64) -> bool {
        let clock = colony.rate * (stop - colony.awake);
        let first = self.first_founder(colony.site, colony.aggressive, &colony.later_gaps);
        self.matters_by(colony.site, colony.log_deficit, clock, first * colony.rate)
    }

    /// Whether a colony is detected or founds another within a time of its own clock, given the
    /// waiting time to its first founder after resection, over founders per unit of its clock.
    #[inline]
    fn matters_by(&self, site: Site, log_deficit: f64, clock: f64, first: f64) -> bool {
        if clock <= 0.0 || clock.is_nan() {
            return false;
        }
        let (deficit, reach) = self.detection_of(site);
        let last_deficit = log_deficit * math::exp(-clock);
        if last_deficit < deficit {
            return true;
        }
        let gamma = self.setting.gamma();
        let along = first * (gamma * deficit);
        if along >= reach {
            return false;
        }
        let last = math::exp(-gamma * last_deficit);
        along < last && along + math::exp(-gamma * log_deficit) < last
    }

    /// Waiting time to a colony's first founder after resection, over the rate of founders.
    fn first_founder(&self, site: Site, aggressive: bool, gaps: &[f64; 2]) -> f64 {
        let rates = self.later_rates(site, aggressive);
        (gaps[0] / rates[0]).min(gaps[1] / rates[1])
    }

    /// Growth rates β and β·(1 + η), or β again for a colony that CXCL1 does not speed, per day.
    #[inline]
    pub(super) fn growth_rates(&self, site: Site, z: f64) -> (f64, f64) {
        let growth = &self.setting.scenario.growth;
        let base = self.person.covariates.growth_per_day * math::exp(growth.colony_sigma * z);
        if site == Site::Distant {
            let rate = base * growth.distant_ratio;
            (rate, rate)
        } else {
            (base, base * (1.0 + growth.cxcl1_boost))
        }
    }
}
