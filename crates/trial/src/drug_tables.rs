//! The field tables of drugs and arms.

use reseed_model::scenario::{Direct, Dosed, Effect, GENES, Gene, Peripheral, Route, Varying};

use crate::field::{Field, Kind, OtherUnit, above, optional, quantity, required, within};
use crate::tables::{HORIZON_DAYS_MAX, inverse, years};

/// Most doses in one regular run.
pub(crate) const DOSES_MAX: u64 = 100_000;

/// How a drug acts; the words of its `kind`.
pub(crate) const DRUG_KINDS: [&str; 2] = ["direct", "dosed"];

/// How a dose enters; the words of a route's `kind`.
pub(crate) const ROUTE_KINDS: [&str; 3] = ["bolus", "infusion", "absorption"];

const UNKNOWN: Varying = Varying {
    median: f64::NAN,
    cv: 0.0,
};

/// Keys of every drug; `kind`, `like` and `remove` are read before the others.
pub(crate) static DRUG: &[Field<String>] = &[
    required(
        "kind",
        "direct: a constant inhibition; dosed: through a concentration",
        Kind::Special,
    ),
    optional(
        "molecule",
        "what keys the between-patient variability, so that one molecule's schedules share it; \
         the drug's own name by default",
        Kind::Name(|molecule| molecule),
    ),
    optional(
        "like",
        "another drug whose keys are inherited, its molecule too",
        Kind::Special,
    ),
    optional("remove", "true drops an inherited drug", Kind::Special),
];

macro_rules! inhibition {
    ($gene:ident) => {
        optional(
            Gene::$gene.symbol(),
            "inhibition of this gene product",
            Kind::Number(quantity("", within(0.0, 1.0)), |direct: &mut Direct| {
                &mut direct.inhibition[Gene::$gene.index()]
            }),
        )
    };
}

/// Further keys of a direct drug.
pub(crate) static DIRECT: &[Field<Direct>] = &[
    required(
        "from_day",
        "first day of inhibition, from resection; not before diagnosis",
        Kind::Number(
            quantity("days", within(-3653.0, HORIZON_DAYS_MAX)),
            |direct| &mut direct.from_day,
        ),
    ),
    optional(
        "until_day",
        "day on which it ends, from resection; without it, it never ends",
        Kind::Number(
            quantity("days", within(-3653.0, HORIZON_DAYS_MAX)).or(&[OtherUnit {
                key: "until_years",
                unit: "years",
                convert: years,
            }]),
            |direct| &mut direct.until_day,
        ),
    ),
    required(
        "inhibits",
        "inhibition by gene product",
        Kind::Section(&[
            inhibition!(Il6),
            inhibition!(Il8),
            inhibition!(Mmp1),
            inhibition!(Fscn1),
            inhibition!(Cxcl1),
        ]),
    ),
];

/// Further keys of a dosed drug.
pub(crate) static DOSED: &[Field<Dosed>] = &[
    required(
        "schedule",
        "when and how much: one regular run of doses, or a list of them",
        Kind::Special,
    ),
    required("route", "how a dose enters", Kind::Special),
    required(
        "clearance_l_per_day",
        "clearance; over bioavailability where that is how it was published",
        Kind::Varying(quantity("L/day", above(0.0, 1e6)), |dosed| {
            &mut dosed.clearance_l_per_day
        }),
    ),
    required(
        "central_l",
        "central volume",
        Kind::Varying(quantity("L", above(0.0, 1e6)), |dosed| &mut dosed.central_l),
    ),
    optional("peripheral", "second compartment", Kind::Special),
    required(
        "tissue_fraction",
        "share of the plasma concentration that acts in the tissue",
        Kind::Number(quantity("", above(0.0, 1.0)), |dosed| {
            &mut dosed.tissue_fraction
        }),
    ),
    required("effects", "effect by gene product", Kind::Special),
];

/// Keys of a second compartment.
pub(crate) static PERIPHERAL: &[Field<Peripheral>] = &[
    required(
        "volume_l",
        "volume",
        Kind::Varying(quantity("L", above(0.0, 1e6)), |peripheral| {
            &mut peripheral.volume_l
        }),
    ),
    required(
        "exchange_l_per_day",
        "inter-compartmental clearance",
        Kind::Varying(quantity("L/day", above(0.0, 1e6)), |peripheral| {
            &mut peripheral.exchange_l_per_day
        }),
    ),
];

pub(crate) const BLANK_PERIPHERAL: Peripheral = Peripheral {
    volume_l: UNKNOWN,
    exchange_l_per_day: UNKNOWN,
};

/// Keys of an effect: E = imax·(f·C)^hill / (ic50^hill + (f·C)^hill).
pub(crate) static EFFECT: &[Field<Effect>] = &[
    required(
        "imax",
        "largest inhibition",
        Kind::Number(quantity("", within(0.0, 1.0)), |effect| &mut effect.imax),
    ),
    required(
        "ic50_mg_per_l",
        "concentration in the tissue of half the largest inhibition; 1 mg/L is 1 µg/mL",
        Kind::Number(quantity("mg/L", above(0.0, 1e6)), |effect| {
            &mut effect.ic50_mg_per_l
        }),
    ),
    optional(
        "hill",
        "Hill exponent",
        Kind::Number(quantity("", within(0.1, 10.0)), |effect| &mut effect.hill),
    ),
];

pub(crate) const BLANK_EFFECT: Effect = Effect {
    imax: f64::NAN,
    ic50_mg_per_l: f64::NAN,
    hill: 1.0,
};

/// A route in the making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteDraft {
    pub(crate) days: f64,
    pub(crate) rate_per_day: Varying,
    pub(crate) bioavailability: f64,
}

impl RouteDraft {
    pub(crate) const BLANK: Self = Self {
        days: f64::NAN,
        rate_per_day: UNKNOWN,
        bioavailability: 1.0,
    };

    /// Word of the route's kind, and its values.
    pub(crate) fn of(route: Route) -> (&'static str, Self) {
        match route {
            Route::Bolus => (ROUTE_KINDS[0], Self::BLANK),
            Route::Infusion { days } => (
                ROUTE_KINDS[1],
                Self {
                    days,
                    ..Self::BLANK
                },
            ),
            Route::Absorption {
                rate_per_day,
                bioavailability,
            } => (
                ROUTE_KINDS[2],
                Self {
                    rate_per_day,
                    bioavailability,
                    ..Self::BLANK
                },
            ),
        }
    }
}

/// Keys of a route besides its `kind`, in the order of [`ROUTE_KINDS`].
pub(crate) static ROUTES: [&[Field<RouteDraft>]; 3] = [&[], INFUSION, ABSORPTION];

const INFUSION: &[Field<RouteDraft>] = &[required(
    "days",
    "length of an infusion",
    Kind::Number(
        quantity("days", above(0.0, 365.0)).or(&[OtherUnit {
            key: "hours",
            unit: "hours",
            convert: hours,
        }]),
        |route| &mut route.days,
    ),
)];

const ABSORPTION: &[Field<RouteDraft>] = &[
    required(
        "rate_per_day",
        "first-order absorption rate",
        Kind::Varying(quantity("per day", above(0.0, 1e5)), |route| {
            &mut route.rate_per_day
        }),
    ),
    optional(
        "bioavailability",
        "share absorbed; 1 where clearance and volume are published over it",
        Kind::Number(quantity("", above(0.0, 1.0)), |route| {
            &mut route.bioavailability
        }),
    ),
];

fn hours(value: f64) -> f64 {
    value / 24.0
}

/// A regular run of doses in the making; NaN and 0 where not given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) first_day: f64,
    pub(crate) every_days: f64,
    pub(crate) until_day: f64,
    pub(crate) doses: u64,
    pub(crate) dose_mg: f64,
    pub(crate) dose_mg_per_kg: f64,
    pub(crate) on_days: f64,
    pub(crate) of_days: f64,
}

impl Block {
    pub(crate) const BLANK: Self = Self {
        first_day: f64::NAN,
        every_days: f64::NAN,
        until_day: f64::NAN,
        doses: 0,
        dose_mg: f64::NAN,
        dose_mg_per_kg: f64::NAN,
        on_days: f64::NAN,
        of_days: f64::NAN,
    };
}

/// Keys of a regular run of doses.
pub(crate) static BLOCK: &[Field<Block>] = &[
    required(
        "first_day",
        "day of the first dose, from resection; not before diagnosis",
        Kind::Number(
            quantity("days", within(-3653.0, HORIZON_DAYS_MAX)),
            |block| &mut block.first_day,
        ),
    ),
    required(
        "every_days",
        "days between doses",
        Kind::Number(
            quantity("days", above(0.01, 3653.0)).or(&[OtherUnit {
                key: "doses_per_day",
                unit: "doses per day",
                convert: inverse,
            }]),
            |block| &mut block.every_days,
        ),
    ),
    optional(
        "until_day",
        "no dose on or after this day; either this or `doses`",
        Kind::Number(
            quantity("days", within(-3653.0, HORIZON_DAYS_MAX)).or(&[OtherUnit {
                key: "until_years",
                unit: "years",
                convert: years,
            }]),
            |block| &mut block.until_day,
        ),
    ),
    optional(
        "doses",
        "number of doses; either this or `until_day`",
        Kind::Count(1, DOSES_MAX, |block| &mut block.doses),
    ),
    optional(
        "dose_mg",
        "amount of a dose; either this or `dose_mg_per_kg`",
        Kind::Number(quantity("mg", above(0.0, 1e6)), |block| &mut block.dose_mg),
    ),
    optional(
        "dose_mg_per_kg",
        "amount of a dose per body weight; either this or `dose_mg`",
        Kind::Number(quantity("mg/kg", above(0.0, 1e4)), |block| {
            &mut block.dose_mg_per_kg
        }),
    ),
    optional(
        "cycle",
        "doses on the first days of every cycle only; needs `until_day`",
        Kind::Section(&[
            required(
                "on_days",
                "days of a cycle with doses",
                Kind::Number(quantity("days", above(0.0, 3653.0)), |block| {
                    &mut block.on_days
                }),
            ),
            required(
                "of_days",
                "length of a cycle",
                Kind::Number(quantity("days", above(0.0, 3653.0)), |block| {
                    &mut block.of_days
                }),
            ),
        ]),
    ),
];

/// Keys of an arm.
pub(crate) static ARM: &[Field<bool>] = &[
    optional("drugs", "names of the arm's drugs", Kind::Special),
    optional(
        "radiotherapy",
        "whether the bed is irradiated after surgery",
        Kind::Flag(|radiotherapy| radiotherapy),
    ),
    optional("remove", "true drops an inherited arm", Kind::Special),
];

pub(crate) fn blank_direct() -> Direct {
    Direct {
        inhibition: [0.0; GENES],
        from_day: f64::NAN,
        until_day: f64::INFINITY,
    }
}

pub(crate) fn blank_dosed() -> Dosed {
    Dosed {
        schedule: Vec::new(),
        route: Route::Bolus,
        clearance_l_per_day: UNKNOWN,
        central_l: UNKNOWN,
        peripheral: None,
        tissue_fraction: f64::NAN,
        effects: [None; GENES],
    }
}
