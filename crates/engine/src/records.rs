//! The optional row per enrolled patient.

use reseed_model::Patient;
use reseed_model::endpoints::{self, FirstEvent};
use reseed_model::scenario::FollowUp;
use reseed_stats::records::{RecordColumn, RecordValues};
use reseed_stats::{ENDPOINTS, Endpoint};
use reseed_trial::Trial;

/// Columns being filled.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    arms: usize,
    index: Vec<u64>,
    stratum: Vec<u32>,
    covariates: [Vec<f64>; 10],
    counts: [Vec<u32>; 3],
    local_days: Vec<f64>,
    local_origin: Vec<u8>,
    distant_days: Vec<f64>,
    first_event: Vec<u8>,
    first_event_days: Vec<f64>,
    exits: [Exits; ENDPOINTS],
}

/// How and when patients leave the risk set of an endpoint.
#[derive(Debug, Clone, Default)]
struct Exits {
    kind: Vec<u8>,
    days: Vec<f64>,
}

const COVARIATES: [(&str, &str, &str); 10] = [
    ("age", "year", "age at resection"),
    ("size", "mm", "diameter or Breslow thickness at diagnosis"),
    ("growth", "1/day", "Gompertz rate of the primary"),
    (
        "shedding",
        "1/day",
        "circulating cells shed per day and cell^gamma",
    ),
    ("il6", "ng/mL", "IL-6 in the tumour"),
    ("il8", "ng/mL", "IL-8 in the tumour"),
    (
        "self_seeded_fraction",
        "1",
        "fraction of the primary's cells at diagnosis that descend from self-seeding",
    ),
    (
        "ctc_flux",
        "1/day",
        "circulating tumour cells shed per day by all colonies at diagnosis",
    ),
    (
        "other_death_days",
        "day",
        "death of other causes, from resection; infinite if never",
    ),
    (
        "dropout_days",
        "day",
        "drop-out, from resection; infinite if never",
    ),
];

const COUNTS: [(&str, &str); 3] = [
    ("nodes", "positive lymph nodes at resection"),
    (
        "ctc_sample",
        "circulating cells in the sample of 7.5 mL at diagnosis",
    ),
    (
        "self_seeds",
        "colonies in the primary bed founded by homing before diagnosis",
    ),
];

/// Code of a missing origin.
const NO_ORIGIN: u8 = u8::MAX;

impl Records {
    pub(crate) fn new(trial: &Trial) -> Self {
        Self {
            arms: trial.scenario.arms.len(),
            index: Vec::new(),
            stratum: Vec::new(),
            covariates: Default::default(),
            counts: Default::default(),
            local_days: Vec::new(),
            local_origin: Vec::new(),
            distant_days: Vec::new(),
            first_event: Vec::new(),
            first_event_days: Vec::new(),
            exits: Default::default(),
        }
    }

    pub(crate) fn push(&mut self, patient: &Patient, stratum: usize, follow_up: &FollowUp) {
        let (known, tumour) = (&patient.covariates, &patient.tumour);
        self.index.push(patient.index.0);
        self.stratum
            .push(u32::try_from(stratum).expect("strata are limited"));
        let values = [
            known.age_years,
            known.size_mm,
            known.growth_per_day,
            known.shedding_per_day,
            known.il6_ng_per_ml,
            known.il8_ng_per_ml,
            tumour.self_seeded_fraction,
            tumour.ctc_flux_per_day,
            patient.other_death_days,
            patient.dropout_days,
        ];
        for (column, value) in self.covariates.iter_mut().zip(values) {
            column.push(value);
        }
        let counts = [known.nodes, known.ctc_sample, tumour.self_seeds];
        for (column, count) in self.counts.iter_mut().zip(counts) {
            column.push(count);
        }
        for course in &patient.courses {
            let observed = endpoints::observe(follow_up, patient, course);
            self.local_days.push(course.local_days);
            self.local_origin
                .push(course.local_origin.map_or(NO_ORIGIN, |origin| origin as u8));
            self.distant_days.push(course.distant_days);
            self.first_event.push(match observed.first.0 {
                FirstEvent::Local => 0,
                FirstEvent::Distant => 1,
                FirstEvent::OtherDeath => 2,
                FirstEvent::Censored => 3,
            });
            self.first_event_days.push(observed.first.1);
            let leaving = [
                observed.local,
                observed.distant,
                observed.recurrence_free,
                observed.death,
            ];
            for (exits, (leaving, days)) in self.exits.iter_mut().zip(leaving) {
                exits.kind.push(leaving as u8);
                exits.days.push(days);
            }
        }
    }

    pub(crate) fn into_columns(self) -> Vec<RecordColumn> {
        let one = |name: &str, unit: &str, description: &str, values| RecordColumn {
            name: name.to_owned(),
            unit: unit.to_owned(),
            description: description.to_owned(),
            width: 1,
            values,
        };
        let mut columns = vec![
            one(
                "index",
                "1",
                "screening index",
                RecordValues::U64(self.index),
            ),
            one(
                "stratum",
                "1",
                "position among the strata",
                RecordValues::U32(self.stratum),
            ),
        ];
        for ((name, unit, description), values) in COVARIATES.into_iter().zip(self.covariates) {
            columns.push(one(name, unit, description, RecordValues::F64(values)));
        }
        for ((name, description), values) in COUNTS.into_iter().zip(self.counts) {
            columns.push(one(name, "1", description, RecordValues::U32(values)));
        }
        let arms = self.arms;
        let per_arm = |name: &str, unit: &str, description: &str, values| RecordColumn {
            width: arms,
            ..one(name, unit, description, values)
        };
        columns.extend([
            per_arm(
                "local_days",
                "day",
                "local recurrence, from resection; infinite if none before distant recurrence",
                RecordValues::F64(self.local_days),
            ),
            per_arm(
                "local_origin",
                "1",
                "origin of the local recurrence: 0 residual, or where its founder was shed: 1 primary, 2 distant, 3 scar; 255 none",
                RecordValues::U8(self.local_origin),
            ),
            per_arm(
                "distant_days",
                "day",
                "distant recurrence, from resection; infinite if none",
                RecordValues::F64(self.distant_days),
            ),
            per_arm(
                "first_event",
                "1",
                "first recorded event: 0 local, 1 distant, 2 death of other causes, 3 censored",
                RecordValues::U8(self.first_event),
            ),
            per_arm(
                "first_event_days",
                "day",
                "its time, from resection",
                RecordValues::F64(self.first_event_days),
            ),
        ]);
        for (endpoint, exits) in Endpoint::ALL.into_iter().zip(self.exits) {
            let name = endpoint.name();
            columns.push(per_arm(
                &format!("{name}_exit"),
                "1",
                "recorded end of being at risk of the endpoint: 0 by its event, 1 by a competing one, 2 censored",
                RecordValues::U8(exits.kind),
            ));
            columns.push(per_arm(
                &format!("{name}_exit_days"),
                "day",
                "its time, from resection",
                RecordValues::F64(exits.days),
            ));
        }
        columns
    }
}
