//! The whole model, one patient in one arm, in small time steps.
//!
//! Each arm is simulated alone, from the rates of sections 2 to 6 of the model description:
//! no bound, no thinning against another course, no inversion, no coupling of arms. Rates are
//! taken at the middle of a step and events placed in it by an exponential countdown, so the
//! error of the method is of second order in the step.

use reseed_model::patient::{Exclusion, Origin, Tumour};
use reseed_model::scenario::{
    Action, Amount, Arm, Dosed, Drug, GENES, Gene, Interaction, LocalTreatmentKind, Route,
    Scenario, TRAITS,
};

use super::Generator;
use super::patient::{
    Course, Outcome, Person, YEAR_DAYS, cholesky, exponential, happens, normal, poisson,
    sample_mean, varying,
};
use rand::RngExt as _;

/// Simulates patients of one arm.
#[derive(Debug)]
pub struct TimeStepped<'a> {
    scenario: &'a Scenario,
    arm: &'a Arm,
    step_days: f64,
    factor: [[f64; TRAITS]; TRAITS],
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
    /// ln K − ln W.
    deficit: f64,
    /// e^(−G), where G is the growth clock.
    fade: f64,
    growth_per_day: f64,
    boost: f64,
    awake: bool,
    /// Detected, hence treated and no longer shedding.
    detected: bool,
}

/// Something that sheds during a step, with its rates at the middle of the step.
#[derive(Debug, Clone, Copy)]
struct Source {
    origin: Origin,
    aggressive: bool,
    node_rate: f64,
    distant_rate: f64,
    home_rate: f64,
    /// Time at which it stops within the step.
    until: f64,
}

impl Source {
    fn rate(&self) -> f64 {
        self.node_rate + self.distant_rate + self.home_rate
    }
}

impl<'a> TimeStepped<'a> {
    /// A simulator of `arm`. Days on which a therapy or the waking window begins or ends, doses
    /// and the delay must be multiples of the step.
    ///
    /// # Panics
    /// If one is not.
    pub fn new(scenario: &'a Scenario, arm: &'a Arm, step_days: f64) -> Self {
        let on_grid = |day: f64| {
            let steps = day / step_days;
            assert!(
                day.is_infinite() || (steps - steps.round()).abs() < 1e-6,
                "day {day} is not a multiple of the step"
            );
        };
        on_grid(scenario.local_treatment.delay_days);
        on_grid(scenario.dormancy.surgery_window_days);
        for &drug in &arm.drugs {
            match &scenario.drugs[drug].action {
                Action::Direct(direct) => {
                    on_grid(direct.from_day);
                    on_grid(direct.until_day);
                }
                Action::Dosed(dosed) => {
                    for block in &dosed.schedule {
                        on_grid(block.first_day);
                        on_grid(block.interval_days);
                    }
                    if let Route::Infusion { days } = dosed.route {
                        on_grid(days);
                    }
                }
            }
        }
        Self {
            scenario,
            arm,
            step_days,
            factor: cholesky(&scenario.population.correlation),
        }
    }

    /// Simulates one patient.
    pub fn simulate(&self, rng: &mut Generator) -> Outcome {
        let person = Person::draw(self.scenario, &self.factor, rng);
        let mut outcome = Outcome {
            covariates: person.covariates(self.scenario),
            tumour: Tumour::default(),
            exclusion: None,
            course: None,
        };
        let eligibility = &self.scenario.eligibility;
        let known = &outcome.covariates;
        outcome.exclusion = [
            (
                eligibility.age_years.contains(known.age_years),
                Exclusion::Age,
            ),
            (eligibility.size_mm.contains(known.size_mm), Exclusion::Size),
            (
                eligibility.il6_ng_per_ml.contains(known.il6_ng_per_ml),
                Exclusion::Il6,
            ),
            (
                eligibility.il8_ng_per_ml.contains(known.il8_ng_per_ml),
                Exclusion::Il8,
            ),
        ]
        .into_iter()
        .find_map(|(admitted, reason)| (!admitted).then_some(reason));
        if outcome.exclusion.is_some() {
            return outcome;
        }
        Run::new(self, person, rng).patient(outcome)
    }
}

struct Run<'a, 'r> {
    model: &'a TimeStepped<'a>,
    scenario: &'a Scenario,
    rng: &'r mut Generator,
    person: Person,
    treatments: Vec<Treatment<'a>>,
    colonies: Vec<Colony>,
    sources: Vec<Source>,
    /// Days from the founding of the native primary.
    time: f64,
    diagnosed_at: f64,
    resected_at: f64,
    /// Flux at resection times the burst factor, from native and aggressive colonies.
    burst: [f64; 2],
    nodes: u32,
    countdown: f64,
    distant_at: f64,
    local: Option<(f64, Origin)>,
}

impl<'a, 'r> Run<'a, 'r> {
    fn new(model: &'a TimeStepped<'a>, person: Person, rng: &'r mut Generator) -> Self {
        let treatments = model
            .arm
            .drugs
            .iter()
            .map(|&drug| Treatment::new(&model.scenario.drugs[drug], &person, rng))
            .collect();
        let countdown = exponential(rng);
        let mut run = Self {
            model,
            scenario: model.scenario,
            rng,
            person,
            treatments,
            colonies: Vec::new(),
            sources: Vec::new(),
            time: 0.0,
            diagnosed_at: f64::INFINITY,
            resected_at: f64::INFINITY,
            burst: [0.0; 2],
            nodes: 0,
            countdown,
            distant_at: f64::INFINITY,
            local: None,
        };
        let mut native = run.colony(Site::Primary, false, Origin::Primary, 0.0);
        native.growth_per_day = person.growth_per_day;
        run.colonies.push(native);
        run
    }

    fn patient(mut self, mut outcome: Outcome) -> Outcome {
        let step = self.model.step_days;
        while self.primary_cells(step) < self.person.size_cells {
            self.advance(step);
        }
        self.advance(self.time_to_diagnosis(step));
        self.diagnosed_at = self.time;
        outcome.tumour = self.tumour();
        let sampled = sample_mean(
            outcome.tumour.ctc_flux_per_day,
            self.scenario.shedding.half_life_days,
        );
        outcome.covariates.ctc_sample = poisson(sampled, self.rng);
        let positive = outcome.covariates.ctc_sample > 0;
        if self.distant_at.is_finite() {
            outcome.exclusion = Some(Exclusion::Metastatic);
            return outcome;
        }
        if self
            .scenario
            .eligibility
            .ctc_positive
            .is_some_and(|wanted| wanted != positive)
        {
            outcome.exclusion = Some(Exclusion::CtcStatus);
            return outcome;
        }
        let delay = self.scenario.local_treatment.delay_days;
        while self.time < self.diagnosed_at + delay - step / 2.0 {
            self.advance(step);
        }
        outcome.covariates.nodes = self.nodes;
        if !self
            .scenario
            .eligibility
            .nodes
            .contains(f64::from(self.nodes))
        {
            outcome.exclusion = Some(Exclusion::Nodes);
            return outcome;
        }
        outcome.course = Some(self.follow_up());
        outcome
    }

    fn follow_up(&mut self) -> Course {
        if self.distant_at.is_finite() {
            return Course {
                distant_days: 0.0,
                ..Course::FREE
            };
        }
        let end = self.end_of_follow_up();
        self.resect();
        while self.time < self.resected_at + end && self.distant_at.is_infinite() {
            self.advance(self.model.step_days);
        }
        let within = |at: f64| Some(at - self.resected_at).filter(|&days| days <= end);
        let local = self
            .local
            .filter(|&(at, _)| at < self.distant_at)
            .and_then(|(at, origin)| within(at).map(|days| (days, origin)));
        Course {
            local_days: local.map_or(f64::INFINITY, |(days, _)| days),
            local_origin: local.map(|(_, origin)| origin),
            distant_days: within(self.distant_at).unwrap_or(f64::INFINITY),
        }
    }

    fn end_of_follow_up(&mut self) -> f64 {
        let follow_up = &self.scenario.follow_up;
        let dropout = if follow_up.dropout_per_year > 0.0 {
            exponential(self.rng) / follow_up.dropout_per_year * YEAR_DAYS
        } else {
            f64::INFINITY
        };
        self.person
            .other_death_days(self.scenario, self.rng)
            .min(dropout)
            .min(follow_up.horizon_days)
    }

    /// Takes the primary-site colonies away, starts the burst and leaves residual foci.
    fn resect(&mut self) {
        self.resected_at = self.time;
        let treatment = &self.scenario.local_treatment;
        let surgery = treatment.kind == LocalTreatmentKind::Surgery;
        for colony in self
            .colonies
            .iter()
            .filter(|colony| colony.site == Site::Primary)
        {
            if surgery {
                self.burst[usize::from(colony.aggressive)] +=
                    treatment.burst_fold * self.flux(self.log_cells(colony, 0.0, 0.0));
            }
        }
        self.colonies.retain(|colony| colony.site != Site::Primary);
        let (per_node, kept) = if surgery {
            let irradiated = treatment.out_of_field
                + (1.0 - treatment.out_of_field) * treatment.in_field_survival;
            (
                treatment.residual_foci_per_node,
                if self.model.arm.radiotherapy {
                    irradiated
                } else {
                    1.0
                },
            )
        } else {
            (0.0, 1.0)
        };
        let mean = treatment.residual_foci + per_node * f64::from(self.nodes);
        for _ in 0..poisson(mean, self.rng) {
            if happens(kept, self.rng) {
                let focus = self.colony(Site::Scar, false, Origin::Residual, 0.0);
                self.colonies.push(focus);
            }
        }
    }

    /// A new colony, asleep or awake, with its own weight and growth rate.
    fn colony(&mut self, site: Site, aggressive: bool, origin: Origin, boost: f64) -> Colony {
        let growth = &self.scenario.growth;
        let weight = exponential(self.rng) / growth.establishment;
        let ratio = if site == Site::Distant {
            growth.distant_ratio
        } else {
            1.0
        };
        let spread = (growth.colony_sigma * normal(self.rng)).exp();
        let sleeps = site != Site::Primary && happens(self.scenario.dormancy.probability, self.rng);
        Colony {
            site,
            aggressive,
            origin,
            deficit: growth.plateau_cells.ln() - weight.ln(),
            fade: 1.0,
            growth_per_day: self.person.growth_per_day * ratio * spread,
            boost,
            awake: !sleeps,
            detected: false,
        }
    }

    /// ln N after `days` more at the given inhibition of CXCL1.
    fn log_cells(&self, colony: &Colony, days: f64, cxcl1: f64) -> f64 {
        let rate = colony.growth_per_day * (1.0 + colony.boost * (1.0 - cxcl1));
        self.scenario.growth.plateau_cells.ln()
            - colony.deficit * colony.fade * (-rate * days).exp()
    }

    fn flux(&self, log_cells: f64) -> f64 {
        self.person.shedding_per_day * (self.scenario.shedding.exponent * log_cells).exp()
    }

    /// Cells at the primary site after `days` more; before diagnosis, so without therapy.
    fn primary_cells(&self, days: f64) -> f64 {
        self.colonies
            .iter()
            .filter(|colony| colony.site == Site::Primary)
            .map(|colony| self.log_cells(colony, days, 0.0).exp())
            .sum()
    }

    fn time_to_diagnosis(&self, step: f64) -> f64 {
        let (mut low, mut high) = (0.0, step);
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            if self.primary_cells(middle) < self.person.size_cells {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    fn tumour(&self) -> Tumour {
        let primaries = || {
            self.colonies
                .iter()
                .filter(|colony| colony.site == Site::Primary)
        };
        let seeded = || primaries().filter(|colony| colony.aggressive);
        let cells = |colony: &Colony| self.log_cells(colony, 0.0, 0.0).exp();
        let shedding = |colony: &&Colony| colony.awake && !colony.detected;
        Tumour {
            diagnosis_days: self.time,
            self_seeded_fraction: seeded().map(cells).sum::<f64>()
                / primaries().map(cells).sum::<f64>(),
            self_seeds: u32::try_from(seeded().count()).expect("few colonies"),
            ctc_flux_per_day: self
                .colonies
                .iter()
                .filter(shedding)
                .map(|colony| self.flux(self.log_cells(colony, 0.0, 0.0)))
                .sum(),
        }
    }

    /// One step: growth, detection, waking, shedding and founding.
    fn advance(&mut self, step: f64) {
        let start = self.time;
        let day = if self.diagnosed_at.is_infinite() {
            f64::NEG_INFINITY
        } else if self.resected_at.is_infinite() {
            start + step / 2.0 - self.diagnosed_at - self.scenario.local_treatment.delay_days
        } else {
            start + step / 2.0 - self.resected_at
        };
        let inhibition = self.inhibition(day, step);
        let homing = self.scenario.shedding.home_probability
            * self.capture(step)
            * self.attraction(day, &inhibition)
            * self.infiltration(&inhibition);
        self.gather_sources(step, homing, inhibition[Gene::Cxcl1.index()]);
        self.grow(step, day, inhibition[Gene::Cxcl1.index()]);
        self.shed(step, inhibition[Gene::Cxcl1.index()]);
        self.time = start + step;
    }

    fn inhibition(&mut self, day: f64, step: f64) -> [f64; GENES] {
        let mut free = [1.0; GENES];
        if day.is_finite() {
            for treatment in &mut self.treatments {
                for (free, effect) in free.iter_mut().zip(treatment.advance(day, step)) {
                    *free *= 1.0 - effect;
                }
            }
        }
        free.map(|free| 1.0 - free)
    }

    /// κ at the middle of the step.
    fn capture(&self, step: f64) -> f64 {
        let homing = &self.scenario.homing;
        if self.resected_at.is_infinite() {
            // The native primary is always the first colony until it is removed.
            let native = self.log_cells(&self.colonies[0], step / 2.0, 0.0).exp();
            (native / self.person.size_cells).min(1.0)
        } else if self.model.arm.radiotherapy
            || self.scenario.local_treatment.kind == LocalTreatmentKind::Radiotherapy
        {
            homing.scar_capture * homing.radiotherapy_fold
        } else {
            homing.scar_capture
        }
    }

    fn attraction(&self, day: f64, inhibition: &[f64; GENES]) -> f64 {
        let homing = &self.scenario.homing;
        let response = |ligand: &reseed_model::scenario::Ligand, expression: f64, gene: Gene| {
            let level = if self.resected_at.is_infinite() {
                ligand.tumour_ng_per_ml
            } else {
                ligand.bed_lasting_ng_per_ml
                    + ligand.bed_fast_ng_per_ml * (-day / homing.wound_fast_days).exp()
                    + ligand.bed_slow_ng_per_ml * (-day / homing.wound_slow_days).exp()
            };
            let free = level * expression * (1.0 - inhibition[gene.index()]);
            free / (free + ligand.ec50_ng_per_ml)
        };
        let x6 = response(&homing.il6, self.person.il6, Gene::Il6);
        let x8 = response(&homing.il8, self.person.il8, Gene::Il8);
        let (a6, a8) = (homing.il6.weight, homing.il8.weight);
        homing.base
            + match homing.interaction {
                Interaction::Additive => a6 * x6 + a8 * x8,
                Interaction::And => (a6 + a8) * (x6 * x8).sqrt(),
                Interaction::Or => (a6 + a8) * x6.max(x8),
            }
    }

    fn infiltration(&self, inhibition: &[f64; GENES]) -> f64 {
        let homing = &self.scenario.homing;
        (1.0 - homing.mmp1_ceiling * inhibition[Gene::Mmp1.index()])
            * (1.0 - homing.fscn1_ceiling * inhibition[Gene::Fscn1.index()])
    }

    /// Lists what sheds in this step. `homing` is `p_home·κ·A·I`.
    fn gather_sources(&mut self, step: f64, homing: f64, cxcl1: f64) {
        let shedding = &self.scenario.shedding;
        let mut sources = std::mem::take(&mut self.sources);
        sources.clear();
        let class = |aggressive: bool| {
            if aggressive {
                1.0
            } else {
                shedding.aggressive_fraction
            }
        };
        let source = |flux: f64, origin: Origin, aggressive: bool, node: f64, until: f64| {
            let filter = if origin == Origin::Distant {
                1.0
            } else {
                shedding.lung_filter
            };
            Source {
                origin,
                aggressive,
                node_rate: flux * node,
                distant_rate: flux * shedding.distant_probability,
                home_rate: flux * class(aggressive) * filter * homing,
                until,
            }
        };
        for colony in &self.colonies {
            if !colony.awake || colony.detected {
                continue;
            }
            let flux = self.flux(self.log_cells(colony, step / 2.0, cxcl1));
            let (origin, node) = match colony.site {
                Site::Primary => (Origin::Primary, shedding.node_probability),
                Site::Distant => (Origin::Distant, 0.0),
                Site::Scar => (Origin::Scar, 0.0),
            };
            let until = self.detection_time(colony, cxcl1);
            sources.push(source(flux, origin, colony.aggressive, node, until));
        }
        if self.resected_at.is_finite() {
            let passed = self.time + step / 2.0 - self.resected_at;
            let left = (-passed / self.scenario.local_treatment.burst_days).exp();
            for aggressive in [false, true] {
                let flux = self.burst[usize::from(aggressive)] * left;
                sources.push(source(
                    flux,
                    Origin::Primary,
                    aggressive,
                    0.0,
                    f64::INFINITY,
                ));
            }
        }
        self.sources = sources;
    }

    /// When the colony reaches its detection size if inhibition stays as it is.
    fn detection_time(&self, colony: &Colony, cxcl1: f64) -> f64 {
        let size = match colony.site {
            Site::Primary => return f64::INFINITY,
            Site::Distant => self.scenario.detection.distant_cells,
            Site::Scar => self.scenario.detection.scar_cells,
        };
        let needed = self.scenario.growth.plateau_cells.ln() - size.ln();
        let rate = colony.growth_per_day * (1.0 + colony.boost * (1.0 - cxcl1));
        self.time + (colony.deficit * colony.fade / needed).ln() / rate
    }

    fn grow(&mut self, step: f64, day: f64, cxcl1: f64) {
        let end = self.time + step;
        let hazard = self.waking_hazard(day);
        for index in 0..self.colonies.len() {
            let mut colony = self.colonies[index];
            let rate = colony.growth_per_day * (1.0 + colony.boost * (1.0 - cxcl1));
            if colony.awake {
                let detected_at = self.detection_time(&colony, cxcl1);
                if !colony.detected && detected_at <= end {
                    colony.detected = true;
                    self.detect(&colony, detected_at);
                }
                colony.fade *= (-rate * step).exp();
            } else if hazard > 0.0 {
                let slept = exponential(self.rng) / hazard;
                if slept < step {
                    colony.awake = true;
                    colony.fade = (-rate * (step - slept)).exp();
                }
            }
            self.colonies[index] = colony;
        }
    }

    fn detect(&mut self, colony: &Colony, at: f64) {
        if colony.site == Site::Distant {
            self.distant_at = self.distant_at.min(at);
        } else if self.local.is_none_or(|(earlier, _)| at < earlier) {
            self.local = Some((at, colony.origin));
        }
    }

    fn waking_hazard(&self, day: f64) -> f64 {
        let dormancy = &self.scenario.dormancy;
        let woken = self.resected_at.is_finite()
            && self.scenario.local_treatment.kind == LocalTreatmentKind::Surgery
            && day < dormancy.surgery_window_days;
        dormancy.waking_per_day
            * if woken {
                1.0 + dormancy.surgery_excess
            } else {
                1.0
            }
    }

    /// Lets the sources of the step shed, and founds what they found.
    fn shed(&mut self, step: f64, cxcl1: f64) {
        let total: f64 = self.sources.iter().map(Source::rate).sum();
        if total <= 0.0 {
            return;
        }
        let mut passed = 0.0;
        loop {
            let wait = self.countdown / total;
            if passed + wait >= step {
                self.countdown -= (step - passed) * total;
                return;
            }
            passed += wait;
            self.countdown = exponential(self.rng);
            self.fate(passed, total, step, cxcl1);
        }
    }

    /// The fate of one cell shed `passed` days into the step.
    fn fate(&mut self, passed: f64, total: f64, step: f64, cxcl1: f64) {
        let mut mark = self.rng.random::<f64>() * total;
        let chosen = self.sources.iter().find(|source| {
            mark -= source.rate();
            mark < 0.0
        });
        let Some(&source) = chosen else {
            // Rounding left the mark at the very end of the last source.
            return;
        };
        // A metastasis found while the patient waits does not stop the primary from filling nodes.
        let followed_until = if self.resected_at.is_finite() {
            self.distant_at
        } else {
            f64::INFINITY
        };
        if self.time + passed > source.until.min(followed_until) {
            return;
        }
        let mark = mark + source.rate();
        let mut colony = if mark < source.node_rate {
            self.nodes += 1;
            return;
        } else if mark < source.node_rate + source.distant_rate {
            let aggressive =
                source.aggressive || happens(self.scenario.shedding.aggressive_fraction, self.rng);
            self.colony(Site::Distant, aggressive, source.origin, 0.0)
        } else {
            let boost = self.scenario.growth.cxcl1_boost;
            let bed = if self.resected_at.is_infinite() {
                Site::Primary
            } else {
                Site::Scar
            };
            self.colony(bed, true, source.origin, boost)
        };
        if colony.awake {
            let rate = colony.growth_per_day * (1.0 + colony.boost * (1.0 - cxcl1));
            colony.fade = (-rate * (step - passed)).exp();
        }
        self.colonies.push(colony);
    }
}

/// One drug in one patient.
struct Treatment<'a> {
    drug: &'a Drug,
    kinetics: Option<Kinetics<'a>>,
}

impl<'a> Treatment<'a> {
    fn new(drug: &'a Drug, person: &Person, rng: &mut Generator) -> Self {
        let kinetics = match &drug.action {
            Action::Direct(_) => None,
            Action::Dosed(dosed) => Some(Kinetics::new(dosed, person, rng)),
        };
        Self { drug, kinetics }
    }

    /// Moves the drug over the step around `day` and returns its effects at the middle.
    fn advance(&mut self, day: f64, step: f64) -> [f64; GENES] {
        match (&self.drug.action, &mut self.kinetics) {
            (Action::Direct(direct), _) => {
                if day >= direct.from_day && day < direct.until_day {
                    direct.inhibition
                } else {
                    [0.0; GENES]
                }
            }
            (Action::Dosed(dosed), Some(kinetics)) => {
                let acting = dosed.tissue_fraction * kinetics.advance(day, step);
                dosed.effects.map(|effect| {
                    effect.map_or(0.0, |effect| {
                        let raised = acting.powf(effect.hill);
                        effect.imax * raised / (effect.ic50_mg_per_l.powf(effect.hill) + raised)
                    })
                })
            }
            (Action::Dosed(_), None) => unreachable!("dosed drugs have kinetics"),
        }
    }
}

/// Amounts in depot, centre and periphery, moved by the classical Runge–Kutta method.
struct Kinetics<'a> {
    dosed: &'a Dosed,
    weight_kg: f64,
    amounts_mg: [f64; 3],
    absorption: f64,
    elimination: f64,
    outward: f64,
    inward: f64,
    central_l: f64,
}

impl<'a> Kinetics<'a> {
    fn new(dosed: &'a Dosed, person: &Person, rng: &mut Generator) -> Self {
        let central_l = varying(dosed.central_l, rng);
        let (outward, inward) = dosed.peripheral.map_or((0.0, 0.0), |peripheral| {
            let exchange = varying(peripheral.exchange_l_per_day, rng);
            (
                exchange / central_l,
                exchange / varying(peripheral.volume_l, rng),
            )
        });
        let absorption = match dosed.route {
            Route::Absorption { rate_per_day, .. } => varying(rate_per_day, rng),
            Route::Bolus | Route::Infusion { .. } => 0.0,
        };
        Self {
            dosed,
            weight_kg: person.weight_kg,
            amounts_mg: [0.0; 3],
            absorption,
            elimination: varying(dosed.clearance_l_per_day, rng) / central_l,
            outward,
            inward,
            central_l,
        }
    }

    /// Moves over the step around `day`; the concentration at the middle, mg/L.
    fn advance(&mut self, day: f64, step: f64) -> f64 {
        let start = day - step / 2.0;
        let mut infused = 0.0;
        for block in &self.dosed.schedule {
            let amount = match block.amount {
                Amount::Milligrams(amount) => amount,
                Amount::MilligramsPerKilogram(amount) => amount * self.weight_kg,
            };
            let last = block.first_day + block.interval_days * f64::from(block.doses - 1);
            let latest = ((day - block.first_day) / block.interval_days).floor();
            let given = (block.first_day + latest * block.interval_days).min(last);
            if day < block.first_day {
                continue;
            }
            let just_given = (given - start).abs() < step / 4.0;
            match self.dosed.route {
                Route::Bolus if just_given => self.amounts_mg[1] += amount,
                Route::Absorption {
                    bioavailability, ..
                } if just_given => self.amounts_mg[0] += bioavailability * amount,
                Route::Infusion { days } if day < given + days => infused += amount / days,
                _ => {}
            }
        }
        self.runge_kutta(step / 2.0, infused);
        let concentration = self.amounts_mg[1] / self.central_l;
        self.runge_kutta(step / 2.0, infused);
        concentration
    }

    fn runge_kutta(&mut self, step: f64, infused: f64) {
        let moved = |from: [f64; 3], slope: [f64; 3], days: f64| -> [f64; 3] {
            std::array::from_fn(|i| from[i] + slope[i] * days)
        };
        let k1 = self.slope(self.amounts_mg, infused);
        let k2 = self.slope(moved(self.amounts_mg, k1, step / 2.0), infused);
        let k3 = self.slope(moved(self.amounts_mg, k2, step / 2.0), infused);
        let k4 = self.slope(moved(self.amounts_mg, k3, step), infused);
        for (i, amount) in self.amounts_mg.iter_mut().enumerate() {
            *amount += step / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
        }
    }

    fn slope(&self, [depot, central, peripheral]: [f64; 3], infused: f64) -> [f64; 3] {
        [
            -self.absorption * depot,
            infused + self.absorption * depot + self.inward * peripheral
                - (self.elimination + self.outward) * central,
            self.outward * central - self.inward * peripheral,
        ]
    }
}
