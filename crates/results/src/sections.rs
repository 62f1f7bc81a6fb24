//! What part and result files have in common: identity, labels and tallies.

use hdf5::{Dataset, File, Group, H5Type};
use reseed_stats::{Cause, Endpoint, ExitKind, ORIGINS, Shape, Table, Tally};

use crate::digest::Digest;
use crate::hdf::{
    Fault, describe, ensure, open_dataset, open_group, read_array, read_attribute, read_list,
    read_list_attribute, read_values, write_array, write_attribute, write_list_attribute,
    write_texts,
};
use crate::layout::{AXIS_MAX, HistogramAxis, Layout, RunIdentity};
use crate::scales::Scales;
use crate::texts::TextForm;

/// Version of both file formats; a reader refuses others.
pub const FORMAT_VERSION: u32 = 2;

/// The two kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Part,
    Result,
}

impl Format {
    pub(crate) const ALL: [Self; 2] = [Self::Part, Self::Result];

    /// Value of the attribute `format`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Part => "reseed-part",
            Self::Result => "reseed-result",
        }
    }

    /// What a file of this format is called.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Part => "part of a reseed run",
            Self::Result => "result of a reseed run",
        }
    }

    /// How such a file keeps its texts.
    pub(crate) fn texts(self) -> TextForm {
        match self {
            Self::Part => TextForm::Bytes,
            Self::Result => TextForm::Native,
        }
    }

    /// The format that a file seems to have, by the way in which it keeps its texts.
    pub(crate) fn of(file: &File) -> Option<Self> {
        let texts = TextForm::of(file, "format").ok()?;
        Self::ALL.into_iter().find(|format| format.texts() == texts)
    }
}

/// Writes the root attributes and the trial.
pub(crate) fn write_head(
    file: &File,
    format: Format,
    identity: &RunIdentity,
    digest: Digest,
    patients_screened: u64,
) -> Result<(), Fault> {
    let texts = format.texts();
    texts.write_attribute(file, "format", format.name())?;
    write_attribute(file, "format_version", &FORMAT_VERSION)?;
    texts.write_attribute(file, "engine_version", &identity.engine_version)?;
    texts.write_attribute(file, "model_version", &identity.model_version)?;
    let fingerprint = Digest(identity.fingerprint).to_string();
    texts.write_attribute(file, "trial_fingerprint", &fingerprint)?;
    write_attribute(file, "seed", &identity.seed)?;
    texts.write_attribute(file, "digest", &digest.to_string())?;
    write_attribute(file, "patients_screened", &patients_screened)?;
    let trial = texts.write(file, "trial", &identity.trial_toml)?;
    texts.describe(&trial, "", "canonical trial file (TOML)")
}

/// Reads what [`write_head`] wrote, after the format has been checked.
pub(crate) fn read_head(file: &File, format: Format) -> Result<(RunIdentity, Digest), Fault> {
    let texts = format.texts();
    let identity = RunIdentity {
        trial_toml: texts.read(file, "trial")?,
        fingerprint: read_digest(file, texts, "trial_fingerprint")?.0,
        seed: read_attribute(file, "seed")?,
        engine_version: texts.read_attribute(file, "engine_version")?,
        model_version: texts.read_attribute(file, "model_version")?,
    };
    Ok((identity, read_digest(file, texts, "digest")?))
}

fn read_digest(file: &File, texts: TextForm, name: &str) -> Result<Digest, Fault> {
    let text = texts.read_attribute(file, name)?;
    Digest::from_hex(&text)
        .ok_or_else(|| Fault::Problem(format!("attribute {name} is not a digest: {text:?}")))
}

/// Writes the labels of all axes outside of the groups that have scales.
pub(crate) fn write_layout(file: &File, format: Format, layout: &Layout) -> Result<(), Fault> {
    let texts = format.texts();
    let shape = &layout.shape;
    let arms = texts.write_list(file, "arms", &layout.arms)?;
    texts.describe(&arms, "", "arms; all are compared with the control")?;
    write_attribute(&arms, "control", &(shape.control as u64))?;
    let radiotherapy: Vec<u8> = layout
        .radiotherapy
        .iter()
        .map(|yes| u8::from(*yes))
        .collect();
    write_list_attribute(&arms, "radiotherapy", &radiotherapy)?;
    let strata = texts.write_list(file, "strata", &layout.strata)?;
    texts.describe(&strata, "", "strata of the patients")?;
    let exclusions = texts.write_list(file, "exclusions", &layout.exclusions)?;
    texts.describe(
        &exclusions,
        "",
        "reasons of exclusion, in the order in which they are applied",
    )?;
    let time = file.create_group("time")?;
    let edges = write_array(&time, "edges_days", &[shape.bins + 1], &layout.edges_days)?;
    texts.describe(&edges, "day", "edges of the time bins, days from resection")?;
    let group = file.create_group("histograms")?;
    let names: Vec<&str> = shape
        .histograms
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    texts.write_list_attribute(&group, "order", &names)?;
    for (name, axis) in names.iter().zip(&layout.histograms) {
        let edges = write_array(&group, name, &[axis.edges.len()], &axis.edges)?;
        texts.describe(
            &edges,
            &axis.unit,
            &format!("edges of the bins of tumour histogram {name}"),
        )?;
    }
    Ok(())
}

/// Reads and checks what [`write_layout`] wrote.
pub(crate) fn read_layout(file: &File, format: Format) -> Result<Layout, Fault> {
    let texts = format.texts();
    let arms_dataset = open_dataset(file, "arms")?;
    let arms = texts.read_list(file, "arms", AXIS_MAX)?;
    let control: u64 = read_attribute(&arms_dataset, "control")?;
    let radiotherapy: Vec<u8> = read_list_attribute(&arms_dataset, "radiotherapy", arms.len())?;
    let strata = texts.read_list(file, "strata", AXIS_MAX)?;
    let exclusions = texts.read_list(file, "exclusions", AXIS_MAX)?;
    let edges_days: Vec<f64> = read_list(&open_group(file, "time")?, "edges_days", AXIS_MAX + 1)?;
    let group = open_group(file, "histograms")?;
    let mut names = Vec::new();
    let mut histograms = Vec::new();
    for name in texts.read_list_attribute(&group, "order")? {
        let edges: Vec<f64> = read_list(&group, &name, AXIS_MAX + 1)?;
        let dataset = open_dataset(&group, &name)?;
        let unit = texts.read_attribute(&dataset, "units")?;
        names.push((name, edges.len().saturating_sub(1)));
        histograms.push(HistogramAxis { unit, edges });
    }
    let layout = Layout {
        shape: Shape {
            strata: strata.len(),
            arms: arms.len(),
            control: usize::try_from(control).unwrap_or(usize::MAX),
            bins: edges_days.len().saturating_sub(1),
            reasons: exclusions.len(),
            histograms: names,
        },
        radiotherapy: radiotherapy.iter().map(|flag| *flag != 0).collect(),
        arms,
        strata,
        exclusions,
        edges_days,
        histograms,
    };
    layout.check()?;
    Ok(layout)
}

/// Writes the integer tallies, in results with labelled axes.
pub(crate) fn write_tally(
    file: &File,
    format: Format,
    layout: &Layout,
    tally: &Tally,
) -> Result<(), Fault> {
    ensure(*tally.shape() == layout.shape, || {
        "the tally's axes are not the layout's".into()
    })?;
    let group = file.create_group("tally")?;
    let tumour = group.create_group("tumour")?;
    for table in tally.tables() {
        if let Some(name) = table.name.strip_prefix("tumour/") {
            let histogram = tumour.create_group(name)?;
            write_counts(&histogram, "patients", format, &table)?;
        } else if table.shape == [1] {
            let builder = group.new_dataset::<u64>().obj_track_times(false);
            let dataset = builder.create(table.name.as_str())?;
            dataset.write_scalar(&table.values[0])?;
        } else {
            write_counts(&group, &table.name, format, &table)?;
        }
    }
    match format {
        Format::Part => Ok(()),
        Format::Result => label_tally(&group, layout, tally),
    }
}

/// Writes the counts of a table. A part's are as narrow as its largest allows: most are small, and
/// what a coordinator does all day is to unpack them.
fn write_counts(group: &Group, name: &str, format: Format, table: &Table<'_>) -> Result<(), Fault> {
    let largest = table.values.iter().copied().max().unwrap_or(0);
    let narrowest = match format {
        Format::Part => largest,
        Format::Result => u64::MAX,
    };
    if narrowest <= u8::MAX.into() {
        write_narrow::<u8>(group, name, table)
    } else if narrowest <= u16::MAX.into() {
        write_narrow::<u16>(group, name, table)
    } else if narrowest <= u32::MAX.into() {
        write_narrow::<u32>(group, name, table)
    } else {
        write_array(group, name, &table.shape, table.values).map(drop)
    }
}

fn write_narrow<T: H5Type + TryFrom<u64>>(
    group: &Group,
    name: &str,
    table: &Table<'_>,
) -> Result<(), Fault> {
    let narrow: Result<Vec<T>, _> = table.values.iter().map(|v| T::try_from(*v)).collect();
    let narrow = narrow.map_err(|_| format!("a count of {name} is too large"))?;
    write_array(group, name, &table.shape, &narrow).map(drop)
}

/// Reads counts, which in a part have any width.
fn read_counts(
    group: &Group,
    name: &str,
    format: Format,
    shape: &[usize],
) -> Result<Vec<u64>, Fault> {
    let dataset = open_dataset(group, name)?;
    let found = dataset.dtype()?.to_descriptor()?;
    if format == Format::Part && found == u8::type_descriptor() {
        read_narrow::<u8>(&dataset, name, shape)
    } else if format == Format::Part && found == u16::type_descriptor() {
        read_narrow::<u16>(&dataset, name, shape)
    } else if format == Format::Part && found == u32::type_descriptor() {
        read_narrow::<u32>(&dataset, name, shape)
    } else {
        read_values(&dataset, name, shape)
    }
}

fn read_narrow<T: H5Type + Into<u64>>(
    dataset: &Dataset,
    name: &str,
    shape: &[usize],
) -> Result<Vec<u64>, Fault> {
    let narrow: Vec<T> = read_values(dataset, name, shape)?;
    Ok(narrow.into_iter().map(Into::into).collect())
}

/// Labels the axes of all tables.
fn label_tally(group: &Group, layout: &Layout, tally: &Tally) -> Result<(), Fault> {
    let mut scales = tally_scales(group, layout)?;
    let tumour = group.group("tumour")?;
    for table in tally.tables() {
        if let Some(name) = table.name.strip_prefix("tumour/") {
            label_histogram(&tumour.group(name)?, name, layout)?;
        } else if table.shape != [1] {
            let axes: Vec<&str> = table.axes.iter().map(|axis| scale_name(axis)).collect();
            scales.attach(&group.dataset(&table.name)?, &table.name, &axes)?;
        }
    }
    scales.finish()
}

/// Name of the scale of a table's axis: the axis' own, but where a table has that name.
fn scale_name(axis: &str) -> &str {
    match axis {
        "origin" => "founder",
        other => other,
    }
}

fn tally_scales<'a>(group: &'a Group, layout: &Layout) -> Result<Scales<'a>, Fault> {
    let mut scales = Scales::new(group);
    let endpoints = Endpoint::ALL.map(Endpoint::name);
    let causes = Cause::ALL.map(Cause::name);
    let exits = exit_labels(layout);
    let exits: Vec<&str> = exits.iter().map(String::as_str).collect();
    let labels: [(&str, Vec<&str>, &str); 9] = [
        ("stratum", names(&layout.strata), "stratum"),
        ("arm", names(&layout.arms), "arm"),
        ("reason", names(&layout.exclusions), "reason of exclusion"),
        ("endpoint", endpoints.to_vec(), "endpoint"),
        ("cause", causes.to_vec(), "kind of first event"),
        (
            "founder",
            ORIGINS.to_vec(),
            "where a local recurrence came from",
        ),
        (
            "side",
            vec!["control_only", "arm_only"],
            "who has had the event by the bin's end, or first",
        ),
        (
            "control_exit",
            exits.clone(),
            "how and when patients leave in the control",
        ),
        ("arm_exit", exits, "how and when patients leave in the arm"),
    ];
    for (name, values, long_name) in labels {
        let dataset = write_texts(group, name, &values)?;
        describe(&dataset, "", long_name)?;
        scales.add(name, dataset)?;
    }
    let ends = write_array(group, "bin", &[layout.shape.bins], &layout.edges_days[1..])?;
    describe(&ends, "day", "end of the time bin, days from resection")?;
    scales.add("bin", ends)?;
    Ok(scales)
}

/// Labels of the cells of joint exits: the kind, and the part of follow-up by its last day.
fn exit_labels(layout: &Layout) -> Vec<String> {
    let parts = layout.shape.parts();
    let label =
        |kind: ExitKind, end: usize| format!("{} by day {}", kind.name(), layout.edges_days[end]);
    ExitKind::ALL
        .into_iter()
        .flat_map(|kind| parts.iter().map(move |part| label(kind, part.end)))
        .collect()
}

/// Labels a tumour histogram, a group of its own because each has its own axis.
fn label_histogram(group: &Group, name: &str, layout: &Layout) -> Result<(), Fault> {
    let mut names = layout.shape.histograms.iter();
    let position = names.position(|(other, _)| other == name);
    let axis = position
        .and_then(|position| layout.histograms.get(position))
        .ok_or_else(|| Fault::Problem(format!("histogram {name} has no axis")))?;
    let mut scales = Scales::new(group);
    let strata = write_texts(group, "stratum", &layout.strata)?;
    scales.add("stratum", strata)?;
    let bins = axis.edges.len() - 1;
    let lower = write_array(group, "lower", &[bins], &axis.edges[..bins])?;
    describe(&lower, &axis.unit, "lower edge of the bin")?;
    scales.add("lower", lower)?;
    let upper = write_array(group, "upper", &[bins], &axis.edges[1..])?;
    describe(&upper, &axis.unit, "upper edge of the bin")?;
    scales.attach(&upper, "upper", &["lower"])?;
    let patients = group.dataset("patients")?;
    scales.attach(&patients, "patients", &["stratum", "lower"])?;
    scales.finish()
}

/// Reads and checks the integer tallies.
pub(crate) fn read_tally(file: &File, format: Format, layout: &Layout) -> Result<Tally, Fault> {
    let group = open_group(file, "tally")?;
    let tumour = open_group(&group, "tumour")?;
    Tally::from_tables(layout.shape.clone(), |name, shape| {
        match name.strip_prefix("tumour/") {
            Some(histogram) => {
                read_counts(&open_group(&tumour, histogram)?, "patients", format, shape)
            }
            None if shape == [1] => read_array(&group, name, &[]),
            None => read_counts(&group, name, format, shape),
        }
    })
}

fn names(labels: &[String]) -> Vec<&str> {
    labels.iter().map(String::as_str).collect()
}
