//! From the founding of the native tumour to diagnosis (section 3).

use super::{Forest, Stage};
use crate::colony::{Colony, Site};
use crate::math;
use crate::patient::{Exclusion, Tumour};
use crate::random::Key;
use crate::trace::TraceEvent;

const NATIVE: Key = Key::named("native primary");
const SAMPLE_COUNT: Key = Key::named("circulating cell sample");

/// The sample's volume and that of the blood it is drawn from (section 3).
const SAMPLE_ML: f64 = 7.5;
const BLOOD_ML: f64 = 5000.0;

/// Up to this step one Newton step finds diagnosis to better than 10⁻⁷ day: the growth of a
/// primary site changes by a few per cent a day at the most.
const ONE_STEP_DAYS: f64 = 1e-3;

impl Forest<'_> {
    pub(super) fn found_native_primary(&mut self) {
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
            later_gaps: [self.person.native_burst_gap, 0.0],
            arms: self.therapies.all,
            dominating: true,
        };
        let deficit = self.setting.ln_plateau - math::ln(self.person.diagnosis_cells);
        self.diagnosis = native.reaches(deficit);
        self.diagnosis_least = self.diagnosis;
        self.native_diagnosis = self.diagnosis;
        self.site_speed = self.person.diagnosis_cells * native.rate * deficit;
        self.fastest_growth = native.rate * native.log_deficit;
        self.work.colonies.push(native);
        self.work.primaries.push(0);
        self.shed_native();
    }

    /// ln K − ln W of a founder with this mean-one weight. Founders as large as the plateau do
    /// not occur in any sensible trial; the floor keeps the formulae finite.
    pub(super) fn founder_deficit(&self, weight: f64) -> f64 {
        (self.setting.founder_deficit - math::ln(weight.max(f64::MIN_POSITIVE))).max(1e-6)
    }

    /// Counts a new self-seed into the bounds on diagnosis, and returns a lower bound on its log
    /// deficit at resection.
    pub(super) fn bound_diagnosis(&mut self, seed: usize) -> f64 {
        let colony = &self.work.colonies[seed];
        let rate = colony.rate;
        let deficit = colony.log_deficit_at(self.diagnosis);
        let cells = math::exp(self.setting.ln_plateau - deficit);
        self.unsolved_cells += cells;
        self.site_speed += cells * rate * deficit;
        self.fastest_growth = self.fastest_growth.max(rate * colony.log_deficit);
        // Going back in time, a Gompertz curve slows by no more than its size shrinks. Over a
        // step in which no colony shrinks by more than e^(-1/2), the site shrinks at no less
        // than 0.6 of its speed; so twice the time that the unsolved cells take at full speed
        // is more than enough to undo them.
        if self.unsolved_cells > self.person.diagnosis_cells {
            // It reaches the size of diagnosis alone, and must not shed until the old bound.
            self.search_diagnosis(self.now);
            self.diagnosis_least = self.diagnosis;
            self.unsolved_cells = 0.0;
            return 0.0;
        }
        let back = 2.0 * self.unsolved_cells / self.site_speed;
        self.diagnosis_least = if back * self.fastest_growth < 0.5 {
            self.diagnosis - back
        } else {
            0.0
        };
        // e^(-x) ≥ 1 - x.
        let delay_days = self.setting.scenario.local_treatment.delay_days;
        deficit * (1.0 - rate * delay_days).max(0.0)
    }

    /// First time at which the primary site holds the cells of diagnosis.
    pub(super) fn solve_diagnosis(&mut self) {
        let step = self.unsolved_cells / self.site_speed;
        if step < ONE_STEP_DAYS {
            self.diagnosis -= step;
        } else {
            self.search_diagnosis(self.diagnosis - step);
        }
        self.diagnosis_least = self.diagnosis;
        self.unsolved_cells = 0.0;
    }

    /// Newton's method from a first guess, kept inside a bracket.
    fn search_diagnosis(&mut self, guess: f64) {
        let target = self.person.diagnosis_cells;
        let (mut low, mut high) = (self.now, self.diagnosis);
        let mut time = guess.clamp(low, high);
        for _ in 0..200 {
            let (cells, speed) = self.primary_site(time);
            self.site_speed = speed;
            if cells >= target {
                high = time;
            } else {
                low = time;
            }
            let step = (cells - target) / speed;
            if step.abs() < 1e-7 || high - low < 1e-7 {
                break;
            }
            let next = time - step;
            time = if next > low && next < high {
                next
            } else {
                0.5 * (low + high)
            };
        }
        self.diagnosis = time;
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

    /// Screens at diagnosis; sets the date of resection.
    pub(super) fn diagnose(&mut self) -> Option<Exclusion> {
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
}
