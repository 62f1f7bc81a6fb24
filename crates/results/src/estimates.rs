//! The estimates group: what most readers open the file for, as labelled arrays.

use hdf5::{File, Group};
use reseed_stats::estimate::{
    Contrast, Estimate, cause_incidence, contrasts, reseeded_share, survival,
};
use reseed_stats::{Cause, Endpoint, Tally};

use crate::hdf::{Fault, describe, write_array, write_texts};
use crate::layout::Layout;
use crate::scales::Scales;

/// Label of all strata together.
const ALL: &str = "all";
/// Above this number of cells, an array per stratum would take longer to estimate and to store
/// than the tallies it comes from; then only all strata together are estimated.
const CELLS_MAX: usize = 1 << 20;

/// Causes that are events.
const EVENTS: [Cause; 4] = [
    Cause::LocalResidual,
    Cause::LocalReseeded,
    Cause::Distant,
    Cause::OtherDeath,
];

const BY_ENDPOINT: [&str; 4] = ["stratum", "arm", "endpoint", "time"];
const BY_CAUSE: [&str; 4] = ["stratum", "arm", "cause", "time"];
const BY_ARM: [&str; 3] = ["stratum", "arm", "time"];

/// A value of a contrast: name, description and how to get it.
type Field = (&'static str, &'static str, fn(&Contrast) -> f64);

const CONTRASTS: [Field; 7] = [
    (
        "difference",
        "difference of cumulative incidence, arm minus control",
        |c| c.difference.value,
    ),
    (
        "difference_standard_error",
        "paired standard error of difference",
        |c| c.difference.standard_error,
    ),
    (
        "difference_lower",
        "lower 95 % confidence limit of difference",
        |c| c.difference_interval.0,
    ),
    (
        "difference_upper",
        "upper 95 % confidence limit of difference",
        |c| c.difference_interval.1,
    ),
    (
        "ratio",
        "ratio of cumulative incidence, arm over control",
        |c| c.ratio,
    ),
    ("ratio_lower", "lower 95 % confidence limit of ratio", |c| {
        c.ratio_interval.0
    }),
    ("ratio_upper", "upper 95 % confidence limit of ratio", |c| {
        c.ratio_interval.1
    }),
];

/// Writes estimates by the end of each time bin, from the tally alone.
pub(crate) fn write_estimates(file: &File, layout: &Layout, tally: &Tally) -> Result<(), Fault> {
    let group = file.create_group("estimates")?;
    let mut writer = Writer::new(&group, layout, tally)?;
    writer.endpoints()?;
    writer.causes()?;
    for (name, long_name, endpoint) in [
        (
            "recurrence_free_survival",
            "alive without any recurrence",
            Endpoint::Rfs,
        ),
        ("overall_survival", "alive", Endpoint::Death),
    ] {
        let curve = |strata: &[usize], arm| survival(tally, strata, arm, endpoint);
        writer.by_arm(name, long_name, curve)?;
    }
    let bins = layout.shape.bins;
    let share = |strata: &[usize], arm| {
        (0..bins)
            .map(|bin| reseeded_share(tally, strata, arm, bin))
            .collect()
    };
    let long_name = "share of local recurrences so far that circulating cells founded";
    writer.by_arm("reseeded_share", long_name, share)?;
    writer.scales.finish()
}

struct Writer<'a> {
    group: &'a Group,
    layout: &'a Layout,
    tally: &'a Tally,
    scales: Scales<'a>,
    /// Positions of the strata that each label stands for.
    strata: Vec<Vec<usize>>,
}

impl<'a> Writer<'a> {
    fn new(group: &'a Group, layout: &'a Layout, tally: &'a Tally) -> Result<Self, Fault> {
        let (labels, strata): (Vec<String>, Vec<Vec<usize>>) = strata(layout).into_iter().unzip();
        let mut scales = Scales::new(group);
        for (name, values, long_name) in [
            ("stratum", labels, "stratum; all: every patient"),
            ("arm", layout.arms.clone(), "arm"),
            (
                "endpoint",
                owned(Endpoint::ALL.map(Endpoint::name)),
                "endpoint",
            ),
            (
                "cause",
                owned(EVENTS.map(Cause::name)),
                "kind of first event",
            ),
        ] {
            let dataset = write_texts(group, name, &values)?;
            describe(&dataset, "", long_name)?;
            scales.add(name, dataset)?;
        }
        let time = write_array(group, "time", &[layout.shape.bins], &layout.edges_days[1..])?;
        // `days` would make xarray turn the axis into durations.
        describe(&time, "day", "time since resection")?;
        scales.add("time", time)?;
        Ok(Self {
            group,
            layout,
            tally,
            scales,
            strata,
        })
    }

    fn endpoints(&mut self) -> Result<(), Fault> {
        let mut incidence = Vec::new();
        let mut fields = vec![Vec::new(); CONTRASTS.len()];
        for (strata, arm) in self.curves() {
            for endpoint in Endpoint::ALL {
                let curve = contrasts(self.tally, &strata, arm, endpoint);
                incidence.extend(curve.iter().map(|contrast| contrast.arm));
                for (values, (_, _, field)) in fields.iter_mut().zip(CONTRASTS) {
                    // The control does not differ from itself; an interval would be misread.
                    let control = arm == self.layout.shape.control;
                    let value = |c: &Contrast| if control { f64::NAN } else { field(c) };
                    values.extend(curve.iter().map(value));
                }
            }
        }
        let long_name = "cumulative incidence of the endpoint's event";
        self.estimates("cumulative_incidence", long_name, &BY_ENDPOINT, &incidence)?;
        for ((name, long_name, _), values) in CONTRASTS.iter().zip(fields) {
            self.array(name, long_name, &BY_ENDPOINT, &values)?;
        }
        Ok(())
    }

    fn causes(&mut self) -> Result<(), Fault> {
        let mut incidence = Vec::new();
        for (strata, arm) in self.curves() {
            for cause in EVENTS {
                incidence.extend(cause_incidence(self.tally, &strata, arm, cause));
            }
        }
        let long_name = "cumulative incidence of the cause as first event";
        self.estimates("cause_incidence", long_name, &BY_CAUSE, &incidence)
    }

    fn by_arm(
        &mut self,
        name: &str,
        long_name: &str,
        curve: impl Fn(&[usize], usize) -> Vec<Estimate>,
    ) -> Result<(), Fault> {
        let mut estimates = Vec::new();
        for (strata, arm) in self.curves() {
            estimates.extend(curve(&strata, arm));
        }
        self.estimates(name, long_name, &BY_ARM, &estimates)
    }

    /// Strata and arm of each curve, in the order of the arrays.
    fn curves(&self) -> Vec<(Vec<usize>, usize)> {
        let arms = self.layout.shape.arms;
        self.strata
            .iter()
            .flat_map(|strata| (0..arms).map(move |arm| (strata.clone(), arm)))
            .collect()
    }

    fn estimates(
        &mut self,
        name: &str,
        long_name: &str,
        axes: &[&str],
        estimates: &[Estimate],
    ) -> Result<(), Fault> {
        let values: Vec<f64> = estimates.iter().map(|e| e.value).collect();
        self.array(name, long_name, axes, &values)?;
        let errors: Vec<f64> = estimates.iter().map(|e| e.standard_error).collect();
        let error_name = format!("{name}_standard_error");
        self.array(
            &error_name,
            &format!("standard error of {name}"),
            axes,
            &errors,
        )
    }

    fn array(
        &mut self,
        name: &str,
        long_name: &str,
        axes: &[&str],
        values: &[f64],
    ) -> Result<(), Fault> {
        let shape: Vec<usize> = axes.iter().map(|axis| self.length(axis)).collect();
        let dataset = write_array(self.group, name, &shape, values)?;
        describe(&dataset, "1", long_name)?;
        self.scales.attach(&dataset, name, axes)
    }

    fn length(&self, axis: &str) -> usize {
        match axis {
            "stratum" => self.strata.len(),
            "arm" => self.layout.shape.arms,
            "endpoint" => Endpoint::ALL.len(),
            "cause" => EVENTS.len(),
            _ => self.layout.shape.bins,
        }
    }
}

/// Labels of the stratum axis and the strata each stands for: all together, then one by one,
/// unless there is only one or there are too many.
fn strata(layout: &Layout) -> Vec<(String, Vec<usize>)> {
    let shape = &layout.shape;
    let mut strata = vec![(ALL.to_owned(), (0..shape.strata).collect())];
    let cells = shape.strata * shape.arms * Endpoint::ALL.len() * shape.bins;
    if shape.strata > 1 && cells <= CELLS_MAX {
        let each = layout.strata.iter().cloned().zip((0..).map(|at| vec![at]));
        strata.extend(each);
    }
    strata
}

fn owned<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}
