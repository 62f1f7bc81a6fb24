//! Cell-by-cell simulation: every birth, death and shedding of a cell is an event.
//!
//! Here nothing is established by definition: a founder arrives more often than the model says,
//! by the factor 1/π, and its line dies out by itself as often as it happens to. So the
//! comparison tests the model's idea of an effective initial size as well as the engine.

use rand::RngExt as _;
use reseed_model::patient::{Exclusion, Origin, Tumour};
use reseed_model::scenario::{Interaction, LocalTreatmentKind, Scenario};

use super::Generator;
use super::patient::{Course, Outcome, Person, cholesky, exponential, happens, normal, poisson};

/// Linear birth–death process from one cell until `days`, or until it dies out.
pub fn birth_death(birth: f64, death: f64, days: f64, rng: &mut Generator) -> u64 {
    let mut cells = 1_u64;
    let mut time = 0.0;
    while cells > 0 {
        time += exponential(rng) / ((birth + death) * cells as f64);
        if time > days {
            break;
        }
        if happens(birth / (birth + death), rng) {
            cells += 1;
        } else {
            cells -= 1;
        }
    }
    cells
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    Primary,
    Distant,
    Scar,
}

#[derive(Debug, Clone, Copy)]
struct Colony {
    site: Site,
    aggressive: bool,
    origin: Origin,
    cells: u64,
    growth_per_day: f64,
    asleep: bool,
    /// Detected, hence treated: it neither grows nor sheds any more.
    detected: bool,
    /// Events per day, kept up to date with the rest.
    rate: f64,
}

/// Cell-by-cell patients in an arm without drugs or radiotherapy.
#[derive(Debug)]
pub struct CellByCell<'a> {
    scenario: &'a Scenario,
}

impl<'a> CellByCell<'a> {
    /// A simulator of the untreated course of `scenario`.
    ///
    /// # Panics
    /// If shedding is not proportional to size, if radiation replaces surgery, or if a cell's
    /// probabilities over π exceed one: no cell-by-cell process has these rates.
    pub fn new(scenario: &'a Scenario) -> Self {
        let shedding = &scenario.shedding;
        assert!((shedding.exponent - 1.0).abs() < 1e-12);
        assert!(scenario.local_treatment.kind == LocalTreatmentKind::Surgery);
        assert!(scenario.homing.interaction == Interaction::Additive);
        let founding = shedding.distant_probability + shedding.home_probability;
        assert!(founding / scenario.growth.establishment + shedding.node_probability <= 1.0);
        Self { scenario }
    }

    /// Simulates one patient.
    pub fn simulate(&self, rng: &mut Generator) -> Outcome {
        let factor = cholesky(&self.scenario.population.correlation);
        let person = Person::draw(self.scenario, &factor, rng);
        loop {
            let run = Run::new(self.scenario, person, rng);
            // A patient whose first cell's line dies out never becomes a patient.
            if let Some(outcome) = run.patient() {
                return outcome;
            }
        }
    }
}

struct Run<'a, 'r> {
    scenario: &'a Scenario,
    rng: &'r mut Generator,
    person: Person,
    colonies: Vec<Colony>,
    time: f64,
    resected_at: f64,
    burst: Vec<Release>,
    nodes: u32,
    distant_at: f64,
    local: Option<(f64, Origin)>,
}

/// A cell released by the operation.
#[derive(Debug, Clone, Copy)]
struct Release {
    at: f64,
    aggressive: bool,
}

impl<'a, 'r> Run<'a, 'r> {
    fn new(scenario: &'a Scenario, person: Person, rng: &'r mut Generator) -> Self {
        let native = Colony {
            site: Site::Primary,
            aggressive: false,
            origin: Origin::Primary,
            cells: 1,
            growth_per_day: person.growth_per_day,
            asleep: false,
            detected: false,
            rate: 0.0,
        };
        let mut run = Self {
            scenario,
            rng,
            person,
            colonies: vec![native],
            time: 0.0,
            resected_at: f64::INFINITY,
            burst: Vec::new(),
            nodes: 0,
            distant_at: f64::INFINITY,
            local: None,
        };
        run.refresh_all();
        run
    }

    fn patient(mut self) -> Option<Outcome> {
        while (self.primary_cells() as f64) < self.person.size_cells {
            if self.colonies[0].cells == 0 {
                return None;
            }
            self.event(f64::INFINITY);
        }
        let mut outcome = Outcome {
            covariates: self.person.covariates(self.scenario),
            tumour: self.tumour(),
            exclusion: None,
            course: None,
        };
        if self.distant_at.is_finite() {
            outcome.exclusion = Some(Exclusion::Metastatic);
            return Some(outcome);
        }
        let resection = self.time + self.scenario.local_treatment.delay_days;
        while self.time < resection {
            self.event(resection);
        }
        outcome.covariates.nodes = self.nodes;
        outcome.course = Some(self.follow_up());
        Some(outcome)
    }

    fn follow_up(&mut self) -> Course {
        let mut course = Course::FREE;
        if self.distant_at.is_finite() {
            course.distant_days = 0.0;
            return course;
        }
        self.resect();
        let end = self.resected_at + self.scenario.follow_up.horizon_days;
        while self.time < end && self.distant_at.is_infinite() {
            let next = self
                .burst
                .last()
                .map_or(f64::INFINITY, |release| release.at);
            self.event(end.min(next));
            if self.time >= next {
                self.release();
            }
        }
        course.distant_days = self.distant_at - self.resected_at;
        if let Some((at, origin)) = self.local.filter(|&(at, _)| at < self.distant_at) {
            course.local_days = at - self.resected_at;
            course.local_origin = Some(origin);
        }
        course
    }

    fn resect(&mut self) {
        self.resected_at = self.time;
        let treatment = &self.scenario.local_treatment;
        for colony in self
            .colonies
            .iter()
            .filter(|colony| colony.site == Site::Primary)
        {
            let mean = treatment.burst_fold
                * treatment.burst_days
                * self.person.shedding_per_day
                * colony.cells as f64;
            for _ in 0..poisson(mean, self.rng) {
                self.burst.push(Release {
                    at: self.time + treatment.burst_days * exponential(self.rng),
                    aggressive: colony.aggressive,
                });
            }
        }
        // The next one to arrive is the last of the list.
        self.burst
            .sort_by(|left, right| right.at.total_cmp(&left.at));
        self.colonies.retain(|colony| colony.site != Site::Primary);
        self.refresh_all();
        let mean =
            treatment.residual_foci + treatment.residual_foci_per_node * f64::from(self.nodes);
        for _ in 0..poisson(mean / self.scenario.growth.establishment, self.rng) {
            self.found(Site::Scar, false, Origin::Residual);
        }
    }

    fn release(&mut self) {
        if let Some(release) = self.burst.pop() {
            self.fate(Site::Primary, release.aggressive);
        }
    }

    fn primary_cells(&self) -> u64 {
        let primaries = self
            .colonies
            .iter()
            .filter(|colony| colony.site == Site::Primary);
        primaries.map(|colony| colony.cells).sum()
    }

    fn tumour(&mut self) -> Tumour {
        let seeded = |colony: &&Colony| colony.site == Site::Primary && colony.aggressive;
        let cells: u64 = self
            .colonies
            .iter()
            .filter(seeded)
            .map(|colony| colony.cells)
            .sum();
        let shedding: u64 = self
            .colonies
            .iter()
            .filter(|colony| !colony.asleep && !colony.detected)
            .map(|colony| colony.cells)
            .sum();
        Tumour {
            diagnosis_days: self.time,
            self_seeded_fraction: cells as f64 / self.primary_cells() as f64,
            self_seeds: self.established_seeds(),
            ctc_flux_per_day: self.person.shedding_per_day * shedding as f64,
        }
    }

    /// Self-seeds whose line will not die out: the only ones that the model counts.
    fn established_seeds(&mut self) -> u32 {
        let doomed = 1.0 - self.scenario.growth.establishment;
        let mut seeds = 0;
        for colony in &self.colonies {
            if colony.site == Site::Primary && colony.aggressive {
                let lines = i32::try_from(colony.cells).expect("few cells");
                seeds += u32::from(happens(1.0 - doomed.powi(lines), self.rng));
            }
        }
        seeds
    }

    /// Births and deaths per cell and day. Deaths are constant; births fall with size so that
    /// the mean follows Gompertz' equation, and at one cell their ratio makes π.
    fn rates(&self, colony: &Colony) -> (f64, f64) {
        let growth = &self.scenario.growth;
        let ln_plateau = growth.plateau_cells.ln();
        let death = colony.growth_per_day * ln_plateau * (1.0 - growth.establishment)
            / growth.establishment;
        let net = colony.growth_per_day * (ln_plateau - (colony.cells as f64).ln());
        (death + net, death)
    }

    fn total_rate(&self, colony: &Colony) -> f64 {
        if colony.cells == 0 || colony.detected {
            0.0
        } else if colony.asleep {
            self.waking_hazard()
        } else {
            let (birth, death) = self.rates(colony);
            (birth + death + self.person.shedding_per_day) * colony.cells as f64
        }
    }

    fn refresh(&mut self, index: usize) {
        self.colonies[index].rate = self.total_rate(&self.colonies[index]);
    }

    fn refresh_all(&mut self) {
        for index in 0..self.colonies.len() {
            self.refresh(index);
        }
    }

    /// End of the days in which surgery wakes; infinite before surgery.
    fn window_end(&self) -> f64 {
        self.resected_at + self.scenario.dormancy.surgery_window_days
    }

    fn waking_hazard(&self) -> f64 {
        let dormancy = &self.scenario.dormancy;
        let woken = self.resected_at.is_finite() && self.time < self.window_end();
        dormancy.waking_per_day
            * if woken {
                1.0 + dormancy.surgery_excess
            } else {
                1.0
            }
    }

    /// The next event, or none if it lies beyond `limit`; the clock stops there.
    fn event(&mut self, limit: f64) {
        let total: f64 = self.colonies.iter().map(|colony| colony.rate).sum();
        // The waking hazard changes at the window's end; stopping there keeps rates constant.
        let window = self.window_end();
        let limit = if self.time < window {
            limit.min(window)
        } else {
            limit
        };
        let at = if total > 0.0 {
            self.time + exponential(self.rng) / total
        } else {
            f64::INFINITY
        };
        self.time = at.min(limit);
        if at > limit {
            if self.time >= window {
                self.refresh_all();
            }
            return;
        }
        let mut mark = self.rng.random::<f64>() * total;
        let chosen = self.colonies.iter().position(|colony| {
            mark -= colony.rate;
            mark < 0.0
        });
        if let Some(index) = chosen {
            let mark = mark + self.colonies[index].rate;
            self.happen(index, mark);
        }
    }

    fn happen(&mut self, index: usize, mark: f64) {
        let colony = self.colonies[index];
        if colony.asleep {
            self.colonies[index].asleep = false;
            self.refresh(index);
            return;
        }
        let (birth, death) = self.rates(&colony);
        let per_cell = mark / colony.cells as f64;
        if per_cell < birth {
            self.colonies[index].cells += 1;
            self.detect(index);
            self.refresh(index);
        } else if per_cell < birth + death {
            self.colonies[index].cells -= 1;
            self.refresh(index);
            // The native colony stays in its place, first, until it is removed.
            if index > 0 && self.colonies[index].cells == 0 {
                self.colonies.remove(index);
            }
        } else {
            self.fate(colony.site, colony.aggressive);
        }
    }

    fn detect(&mut self, index: usize) {
        let detection = &self.scenario.detection;
        let colony = &mut self.colonies[index];
        let cells = colony.cells as f64;
        match colony.site {
            Site::Distant if cells >= detection.distant_cells => {
                colony.detected = true;
                self.distant_at = self.distant_at.min(self.time);
            }
            Site::Scar if cells >= detection.scar_cells => {
                colony.detected = true;
                self.local = self.local.or(Some((self.time, colony.origin)));
            }
            _ => {}
        }
    }

    /// The fate of one circulating cell.
    fn fate(&mut self, from: Site, aggressive: bool) {
        let shedding = &self.scenario.shedding;
        let founder = self.scenario.growth.establishment;
        let before = self.resected_at.is_infinite();
        let mark = self.rng.random::<f64>();
        let node = if from == Site::Primary && before {
            shedding.node_probability
        } else {
            0.0
        };
        let distant = shedding.distant_probability / founder;
        let home = shedding.home_probability / founder;
        let origin = match from {
            Site::Primary => Origin::Primary,
            Site::Distant => Origin::Distant,
            Site::Scar => Origin::Scar,
        };
        if mark < node {
            self.nodes += 1;
        } else if mark < node + distant {
            let aggressive = aggressive || happens(shedding.aggressive_fraction, self.rng);
            self.found(Site::Distant, aggressive, origin);
        } else if mark < node + distant + home {
            let class = if aggressive {
                1.0
            } else {
                shedding.aggressive_fraction
            };
            let filter = if from == Site::Distant {
                1.0
            } else {
                shedding.lung_filter
            };
            if happens(
                class * filter * self.capture() * self.attraction(),
                self.rng,
            ) {
                let bed = if before { Site::Primary } else { Site::Scar };
                self.found(bed, true, origin);
            }
        }
    }

    fn capture(&self) -> f64 {
        if self.resected_at.is_infinite() {
            (self.colonies[0].cells as f64 / self.person.size_cells).min(1.0)
        } else {
            self.scenario.homing.scar_capture
        }
    }

    fn attraction(&self) -> f64 {
        let homing = &self.scenario.homing;
        let passed = self.time - self.resected_at;
        let response = |ligand: &reseed_model::scenario::Ligand, expression: f64| {
            let level = if self.resected_at.is_infinite() {
                ligand.tumour_ng_per_ml
            } else {
                ligand.bed_lasting_ng_per_ml
                    + ligand.bed_fast_ng_per_ml * (-passed / homing.wound_fast_days).exp()
                    + ligand.bed_slow_ng_per_ml * (-passed / homing.wound_slow_days).exp()
            };
            ligand.weight * level * expression / (level * expression + ligand.ec50_ng_per_ml)
        };
        homing.base
            + response(&homing.il6, self.person.il6)
            + response(&homing.il8, self.person.il8)
    }

    fn found(&mut self, site: Site, aggressive: bool, origin: Origin) {
        let growth = &self.scenario.growth;
        let ratio = if site == Site::Distant {
            growth.distant_ratio
        } else {
            1.0
        };
        // Colonies founded by homing are the only aggressive ones outside distant sites.
        let boost = if site != Site::Distant && aggressive {
            growth.cxcl1_boost
        } else {
            0.0
        };
        let spread = (growth.colony_sigma * normal(self.rng)).exp();
        let asleep = site != Site::Primary && happens(self.scenario.dormancy.probability, self.rng);
        self.colonies.push(Colony {
            site,
            aggressive,
            origin,
            cells: 1,
            growth_per_day: self.person.growth_per_day * ratio * spread * (1.0 + boost),
            asleep,
            detected: false,
            rate: 0.0,
        });
        self.refresh(self.colonies.len() - 1);
    }
}
