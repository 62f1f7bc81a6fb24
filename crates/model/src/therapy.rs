//! What every arm inhibits, and when (sections 5 and 6).

use crate::cumulative::{Inhibition, Profile, Schedule};
use crate::pharmacokinetics::{Kinetics, LogNormal, Variation};
use crate::random::{Key, Stream};
use crate::scenario::{Action, GENES, Gene, Homing, Interaction, Ligand, Scenario, Varying};

/// Standard normals behind the kinetics of one patient.
const VARIATION: Key = Key::named("pharmacokinetics");
/// Body weight.
const WEIGHT: Key = Key::named("weight");

/// Largest number of arms that live through one pass: a bit each.
pub(crate) const ARMS_A_PASS: usize = 64;

/// Iterates over the positions of set bits.
pub(crate) fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let position = set.trailing_zeros() as usize;
            set &= set - 1;
            position
        })
    })
}

/// The arms of a pass, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Therapies {
    arms: Vec<ArmPlan>,
    /// All arms.
    pub(crate) all: u64,
    /// Arms with radiotherapy of the bed.
    pub(crate) irradiated: u64,
    /// Arms grouped by the drugs that inhibit CXCL1; arms without any are in no group.
    pub(crate) cxcl1_groups: Vec<Cxcl1Group>,
}

#[derive(Debug, Clone)]
struct ArmPlan {
    drugs: Vec<usize>,
    /// First and last day on which a drug can act.
    from_day: f64,
    until_day: f64,
    /// Whether a drug inhibits IL-6 or IL-8.
    il6: bool,
    il8: bool,
    /// Infiltration at the largest inhibition.
    least_infiltration: f64,
}

impl ArmPlan {
    fn new(scenario: &Scenario, drugs: &[usize]) -> Self {
        let mut left = [1.0; GENES];
        let (mut from_day, mut until_day) = (f64::INFINITY, f64::NEG_INFINITY);
        for &drug in drugs {
            let (from, until) = days_of_action(&scenario.drugs[drug].action);
            from_day = from_day.min(from);
            until_day = until_day.max(until);
            for (gene, left) in left.iter_mut().enumerate() {
                *left *= 1.0 - largest_inhibition(&scenario.drugs[drug].action, gene);
            }
        }
        Self {
            drugs: drugs.to_vec(),
            from_day,
            until_day,
            il6: left[Gene::Il6.index()] < 1.0,
            il8: left[Gene::Il8.index()] < 1.0,
            least_infiltration: infiltration(&scenario.homing, &left),
        }
    }
}

/// Arms that inhibit CXCL1 by the same drugs.
#[derive(Debug, Clone)]
pub(crate) struct Cxcl1Group {
    pub(crate) arms: u64,
    drugs: Vec<usize>,
    schedule: Schedule,
}

impl Therapies {
    /// Compiles the arms at these positions of a scenario.
    pub(crate) fn new(scenario: &Scenario, arms: std::ops::Range<usize>) -> Self {
        assert!(arms.len() <= ARMS_A_PASS, "an arm needs a bit of its own");
        let chosen = &scenario.arms[arms];
        let mut irradiated = 0;
        let mut cxcl1_groups: Vec<Cxcl1Group> = Vec::new();
        for (position, arm) in chosen.iter().enumerate() {
            let bit = 1 << position;
            if arm.radiotherapy {
                irradiated |= bit;
            }
            let mut drugs: Vec<usize> = arm
                .drugs
                .iter()
                .copied()
                .filter(|&drug| inhibits_cxcl1(&scenario.drugs[drug].action))
                .collect();
            drugs.sort_unstable();
            if drugs.is_empty() {
                continue;
            }
            match cxcl1_groups.iter_mut().find(|group| group.drugs == drugs) {
                Some(group) => group.arms |= bit,
                None => cxcl1_groups.push(Cxcl1Group {
                    arms: bit,
                    schedule: Schedule::new(&kinks(scenario, &drugs)),
                    drugs,
                }),
            }
        }
        Self {
            arms: chosen
                .iter()
                .map(|arm| ArmPlan::new(scenario, &arm.drugs))
                .collect(),
            all: if chosen.len() == ARMS_A_PASS {
                u64::MAX
            } else {
                (1 << chosen.len()) - 1
            },
            irradiated,
            cxcl1_groups,
        }
    }

    /// Number of arms.
    pub(crate) fn len(&self) -> usize {
        self.arms.len()
    }

    /// Relative attraction and infiltration in an arm are at least this, whatever its drugs'
    /// concentrations are.
    pub(crate) fn least_homing(&self, arm: usize, least_attraction: &LeastAttraction) -> f64 {
        let plan = &self.arms[arm];
        least_attraction.0[usize::from(plan.il6)][usize::from(plan.il8)] * plan.least_infiltration
    }

    /// Whether a drug of an arm may act on a day from resection.
    pub(crate) fn may_act(&self, arm: usize, day: f64) -> bool {
        let plan = &self.arms[arm];
        day >= plan.from_day && day < plan.until_day
    }

    /// Whether CXCL1 is inhibited in any arm by a day from resection.
    pub(crate) fn slow_growth_before(&self, day: f64) -> bool {
        self.cxcl1_groups
            .iter()
            .any(|group| bits(group.arms).any(|arm| self.arms[arm].from_day < day))
    }
}

fn days_of_action(action: &Action) -> (f64, f64) {
    match action {
        Action::Direct(direct) => (direct.from_day, direct.until_day),
        Action::Dosed(dosed) => (
            dosed
                .schedule
                .iter()
                .fold(f64::INFINITY, |first, block| first.min(block.first_day)),
            f64::INFINITY,
        ),
    }
}

fn inhibits_cxcl1(action: &Action) -> bool {
    largest_inhibition(action, Gene::Cxcl1.index()) > 0.0
}

/// Inhibition of a gene at the highest of concentrations.
fn largest_inhibition(action: &Action, gene: usize) -> f64 {
    match action {
        Action::Direct(direct) => direct.inhibition[gene],
        Action::Dosed(dosed) => dosed.effects[gene].map_or(0.0, |effect| effect.imax),
    }
}

/// One patient's drugs, worked out when first needed.
#[derive(Debug, Clone)]
pub(crate) struct Courses {
    /// Of the dosed drugs; those that are not known are of an earlier patient.
    kinetics: Vec<Option<Kinetics>>,
    known: Vec<bool>,
    profiles: Vec<Option<Profile>>,
    weight: LogNormal,
    weight_kg: Option<f64>,
    /// Day of `today`.
    day: f64,
    /// Inhibition by every drug on a day, where it has been asked for.
    today: Vec<Option<[f64; GENES]>>,
}

impl Courses {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            kinetics: scenario
                .drugs
                .iter()
                .map(|drug| match &drug.action {
                    Action::Direct(_) => None,
                    Action::Dosed(dosed) => Some(Kinetics::of_nobody(dosed)),
                })
                .collect(),
            known: vec![false; scenario.drugs.len()],
            profiles: Vec::new(),
            weight: LogNormal::new(Varying {
                median: scenario.population.weight_median_kg,
                cv: scenario.population.weight_cv,
            }),
            weight_kg: None,
            day: f64::NAN,
            today: vec![None; scenario.drugs.len()],
        }
    }

    /// Forgets the last patient.
    pub(crate) fn clear(&mut self) {
        if self.weight_kg.take().is_some() {
            self.known.fill(false);
        }
        self.profiles.clear();
        self.day = f64::NAN;
    }

    /// Inhibition of every gene by a drug on the day turned to.
    fn inhibition(
        &mut self,
        scenario: &Scenario,
        stream: &mut Stream,
        drug: usize,
    ) -> [f64; GENES] {
        if let Some(inhibition) = self.today[drug] {
            return inhibition;
        }
        let inhibition = match &scenario.drugs[drug].action {
            Action::Direct(direct) => {
                if self.day >= direct.from_day && self.day < direct.until_day {
                    direct.inhibition
                } else {
                    [0.0; GENES]
                }
            }
            Action::Dosed(_) => {
                self.learn(scenario, stream, drug);
                self.kinetics[drug]
                    .as_ref()
                    .map_or([0.0; GENES], |kinetics| kinetics.inhibition(self.day))
            }
        };
        self.today[drug] = Some(inhibition);
        inhibition
    }

    /// Works out a dosed drug's kinetics, unless they are known. The stream is left elsewhere.
    fn learn(&mut self, scenario: &Scenario, stream: &mut Stream, drug: usize) {
        if self.known[drug] {
            return;
        }
        let weight_kg = *self.weight_kg.get_or_insert_with(|| {
            stream.open(WEIGHT);
            self.weight.at(stream.normal())
        });
        if let Some(kinetics) = &mut self.kinetics[drug] {
            stream.open(VARIATION.child(name_hash(&scenario.drugs[drug].name)));
            let variation = Variation {
                clearance: stream.normal(),
                central: stream.normal(),
                peripheral: stream.normal(),
                exchange: stream.normal(),
                absorption: stream.normal(),
            };
            kinetics.turn_to(&variation, weight_kg);
        }
        self.known[drug] = true;
    }

    /// Turns to a day from resection.
    pub(crate) fn turn_to_day(&mut self, day: f64) {
        if day.to_bits() != self.day.to_bits() {
            self.day = day;
            self.today.fill(None);
        }
    }

    /// What is left of every gene's product in an arm on the day turned to: Π(1 − E) over the
    /// arm's drugs. The stream is left elsewhere.
    pub(crate) fn remaining(
        &mut self,
        scenario: &Scenario,
        stream: &mut Stream,
        therapies: &Therapies,
        arm: usize,
    ) -> [f64; GENES] {
        let mut remaining = [1.0; GENES];
        for &drug in &therapies.arms[arm].drugs {
            let inhibition = self.inhibition(scenario, stream, drug);
            for (left, inhibited) in remaining.iter_mut().zip(inhibition) {
                *left *= 1.0 - inhibited;
            }
        }
        remaining
    }

    /// Day from resection after which no drug of a group of arms inhibits CXCL1.
    pub(crate) fn cxcl1_until_day(
        &mut self,
        scenario: &Scenario,
        stream: &mut Stream,
        therapies: &Therapies,
        group: usize,
    ) -> f64 {
        let mut until_day = f64::NEG_INFINITY;
        for &drug in &therapies.cxcl1_groups[group].drugs {
            until_day = until_day.max(match &scenario.drugs[drug].action {
                Action::Direct(direct) => direct.until_day,
                Action::Dosed(_) => {
                    self.learn(scenario, stream, drug);
                    self.kinetics[drug]
                        .as_ref()
                        .map_or(f64::INFINITY, Kinetics::until_day)
                }
            });
        }
        until_day
    }

    /// ∫ `E_CXCL1` over days from resection in a group of arms, from long ago to `day`.
    pub(crate) fn cxcl1_integral(
        &mut self,
        scenario: &Scenario,
        stream: &mut Stream,
        therapies: &Therapies,
        group: usize,
        day: f64,
    ) -> f64 {
        if self.profiles.len() <= group {
            self.profiles.resize(therapies.cxcl1_groups.len(), None);
        }
        let Cxcl1Group {
            drugs, schedule, ..
        } = &therapies.cxcl1_groups[group];
        if self.profiles[group].is_none() {
            for &drug in drugs {
                self.learn(scenario, stream, drug);
            }
        }
        let inhibition = Cxcl1Inhibition {
            scenario,
            drugs,
            kinetics: &self.kinetics,
        };
        self.profiles[group]
            .get_or_insert_with(|| Profile::new(schedule, &inhibition))
            .until(schedule, &inhibition, day)
    }
}

/// Kinks of the combined inhibition by some drugs, sorted.
fn kinks(scenario: &Scenario, drugs: &[usize]) -> Vec<f64> {
    let mut kinks = Vec::new();
    for &drug in drugs {
        match &scenario.drugs[drug].action {
            Action::Direct(direct) => {
                kinks.push(direct.from_day);
                kinks.push(direct.until_day.min(END_OF_TIME_DAY));
            }
            Action::Dosed(dosed) => kinks.extend(dosed.kinks()),
        }
    }
    kinks.sort_unstable_by(f64::total_cmp);
    kinks.dedup();
    kinks
}

/// E_CXCL1 of one patient by some drugs whose kinetics are known.
struct Cxcl1Inhibition<'a> {
    scenario: &'a Scenario,
    drugs: &'a [usize],
    kinetics: &'a [Option<Kinetics>],
}

impl Cxcl1Inhibition<'_> {
    fn courses(&self) -> impl Iterator<Item = (&Action, Option<&Kinetics>)> {
        self.drugs.iter().map(|&drug| {
            (
                &self.scenario.drugs[drug].action,
                self.kinetics[drug].as_ref(),
            )
        })
    }
}

impl Inhibition for Cxcl1Inhibition<'_> {
    fn until_day(&self) -> f64 {
        self.courses()
            .map(|(_, kinetics)| kinetics.map_or(f64::NEG_INFINITY, Kinetics::until_day))
            .fold(f64::NEG_INFINITY, f64::max)
    }

    fn fastest_per_day(&self) -> f64 {
        self.courses()
            .map(|(_, kinetics)| kinetics.map_or(0.0, Kinetics::fastest_per_day))
            .fold(0.0, f64::max)
    }

    fn from(&self, day: f64) -> impl Fn(f64) -> f64 {
        let gene = Gene::Cxcl1.index();
        let mut constant_left = 1.0;
        let mut segments = Vec::new();
        for (action, kinetics) in self.courses() {
            match (action, kinetics) {
                (Action::Direct(direct), _) => {
                    if day >= direct.from_day && day < direct.until_day {
                        constant_left *= 1.0 - direct.inhibition[gene];
                    }
                }
                (Action::Dosed(_), Some(kinetics)) => {
                    segments.push((kinetics, kinetics.segment(day)));
                }
                (Action::Dosed(_), None) => {}
            }
        }
        move |days| {
            let mut left = constant_left;
            for (kinetics, segment) in &segments {
                left *= 1.0 - kinetics.effect(gene, segment.concentration_mg_per_l(days));
            }
            1.0 - left
        }
    }
}

/// No trial follows anyone for ten thousand years; an unending window ends here.
const END_OF_TIME_DAY: f64 = 3_652_500.0;

fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Free ligand of a patient, ng/mL, and attraction (section 5).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Milieu {
    /// IL-6 expression e6.
    pub(crate) il6: f64,
    /// IL-8 expression e8.
    pub(crate) il8: f64,
}

/// Ligand concentrations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ligands {
    il6: f64,
    il8: f64,
}

impl Milieu {
    /// In the tumour, before resection.
    pub(crate) fn tumour(self, homing: &Homing) -> Ligands {
        Ligands {
            il6: homing.il6.tumour_ng_per_ml * self.il6,
            il8: homing.il8.tumour_ng_per_ml * self.il8,
        }
    }

    /// In the bed, days after resection.
    pub(crate) fn bed(self, homing: &Homing, day: f64) -> Ligands {
        let fast = crate::math::exp(-day / homing.wound_fast_days);
        let slow = crate::math::exp(-day / homing.wound_slow_days);
        let level = |ligand: &Ligand| {
            ligand.bed_lasting_ng_per_ml
                + ligand.bed_fast_ng_per_ml * fast
                + ligand.bed_slow_ng_per_ml * slow
        };
        Ligands {
            il6: level(&homing.il6) * self.il6,
            il8: level(&homing.il8) * self.il8,
        }
    }
}

impl Ligands {
    /// Attraction A with what therapy leaves of either ligand.
    pub(crate) fn attraction(self, homing: &Homing, il6_left: f64, il8_left: f64) -> f64 {
        let response = |concentration: f64, ec50: f64| concentration / (concentration + ec50);
        let x6 = response(self.il6 * il6_left, homing.il6.ec50_ng_per_ml);
        let x8 = response(self.il8 * il8_left, homing.il8.ec50_ng_per_ml);
        let (a6, a8) = (homing.il6.weight, homing.il8.weight);
        homing.base
            + match homing.interaction {
                Interaction::Additive => a6 * x6 + a8 * x8,
                Interaction::And => (a6 + a8) * (x6 * x8).sqrt(),
                Interaction::Or => (a6 + a8) * x6.max(x8),
            }
    }
}

/// Least relative attraction, by whether IL-6 and IL-8 are inhibited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeastAttraction([[f64; 2]; 2]);

impl LeastAttraction {
    pub(crate) fn new(ligands: Ligands, homing: &Homing, full: f64) -> Self {
        let at = |il6_left, il8_left| ligands.attraction(homing, il6_left, il8_left) / full;
        Self([[1.0, at(1.0, 0.0)], [at(0.0, 1.0), at(0.0, 0.0)]])
    }
}

/// Infiltration I with what therapy leaves of MMP1 and FSCN1.
pub(crate) fn infiltration(homing: &Homing, remaining: &[f64; GENES]) -> f64 {
    let inhibited = |gene: Gene| 1.0 - remaining[gene.index()];
    (1.0 - homing.mmp1_ceiling * inhibited(Gene::Mmp1))
        * (1.0 - homing.fscn1_ceiling * inhibited(Gene::Fscn1))
}
