//! Strata: classes of patients, known at resection, that are counted apart.

use reseed_model::patient::Covariates;

/// Largest number of strata of a trial.
pub const STRATA_MAX: usize = 4096;

/// Cut points per covariate. A value equal to a cut point belongs to the class below it: cuts
/// `[20, 50]` make the classes ≤ 20, > 20 to 50, and > 50. A covariate without cut points does
/// not divide. The strata are all combinations, the first covariate varying slowest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Strata {
    /// Size at diagnosis, mm.
    pub size_mm: Vec<f64>,
    /// Positive nodes, whole numbers: `[0, 3]` makes 0, 1–3, 4+.
    pub nodes: Vec<f64>,
    /// IL-6 in the tumour, ng/mL.
    pub il6_ng_per_ml: Vec<f64>,
    /// IL-8 in the tumour, ng/mL.
    pub il8_ng_per_ml: Vec<f64>,
    /// Age, years.
    pub age_years: Vec<f64>,
    /// Gompertz rate, per day.
    pub growth_per_day: Vec<f64>,
    /// Whether to tell apart patients with and without a circulating cell in the sample.
    pub ctc: bool,
}

/// One covariate that divides the patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// Key in the trial file.
    pub name: &'static str,
    /// Labels of its classes, in order; at least two.
    pub classes: Vec<String>,
}

impl Strata {
    /// Number of strata; 1 when nothing divides.
    pub fn len(&self) -> usize {
        self.cuts()
            .iter()
            .map(|(_, _, cuts)| cuts.len() + 1)
            .fold(1, usize::saturating_mul)
            .saturating_mul(if self.ctc { 2 } else { 1 })
    }

    /// Always false: there is at least one stratum.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Stratum of a patient.
    pub fn of(&self, patient: &Covariates) -> usize {
        let values = [
            patient.size_mm,
            f64::from(patient.nodes),
            patient.il6_ng_per_ml,
            patient.il8_ng_per_ml,
            patient.age_years,
            patient.growth_per_day,
        ];
        let stratum = self
            .cuts()
            .iter()
            .zip(values)
            .fold(0, |stratum, ((_, _, cuts), value)| {
                let class = cuts.partition_point(|cut| *cut < value);
                stratum * (cuts.len() + 1) + class
            });
        if self.ctc {
            stratum * 2 + usize::from(patient.ctc_sample > 0)
        } else {
            stratum
        }
    }

    /// Stratum of a patient who has these values, one for each of [`Self::axes`]; of circulating
    /// cells how many there are in the sample.
    ///
    /// # Panics
    /// If there are not as many values as axes.
    pub fn at(&self, values: &[f64]) -> usize {
        let cuts = self.cuts();
        let dividing = cuts.iter().map(|(_, _, cuts)| *cuts);
        let mut dividing: Vec<&[f64]> = dividing.filter(|cuts| !cuts.is_empty()).collect();
        if self.ctc {
            dividing.push(&[0.0]);
        }
        assert_eq!(values.len(), dividing.len(), "every axis has a value");
        let further = |stratum: usize, (cuts, value): (&&[f64], &f64)| {
            stratum * (cuts.len() + 1) + cuts.partition_point(|cut| cut < value)
        };
        dividing.iter().zip(values).fold(0, further)
    }

    /// The covariates that divide, slowest first; empty when nothing does.
    pub fn axes(&self) -> Vec<Axis> {
        let mut axes: Vec<Axis> = self
            .cuts()
            .iter()
            .filter(|(_, _, cuts)| !cuts.is_empty())
            .map(|(name, unit, cuts)| Axis {
                name,
                classes: if *name == "nodes" {
                    node_classes(cuts)
                } else {
                    classes(cuts, unit)
                },
            })
            .collect();
        if self.ctc {
            axes.push(Axis {
                name: "ctc",
                classes: vec!["negative".into(), "positive".into()],
            });
        }
        axes
    }

    /// Class on each of [`Self::axes`] of a stratum.
    pub fn classes_of(&self, stratum: usize) -> Vec<usize> {
        let mut rest = stratum;
        let mut classes: Vec<usize> = self
            .axes()
            .iter()
            .rev()
            .map(|axis| {
                let class = rest % axis.classes.len();
                rest /= axis.classes.len();
                class
            })
            .collect();
        classes.reverse();
        classes
    }

    /// A label per stratum, such as `nodes 1-3, ctc positive`; `all` when nothing divides.
    pub fn labels(&self) -> Vec<String> {
        let axes = self.axes();
        if axes.is_empty() {
            return vec!["all".into()];
        }
        (0..self.len())
            .map(|stratum| {
                self.classes_of(stratum)
                    .into_iter()
                    .zip(&axes)
                    .map(|(class, axis)| {
                        let covariate = axis.name.split('_').next().unwrap_or(axis.name);
                        format!("{covariate} {}", axis.classes[class])
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            })
            .collect()
    }

    /// The strata that a label names: those whose own labels have all of its parts, such as
    /// `nodes 0` or `nodes 1-3, size <=20 mm`; all of them for `all`, none if a part is no class.
    pub fn matching(&self, label: &str) -> Vec<usize> {
        let parts: Vec<&str> = match label.trim() {
            "all" => Vec::new(),
            label => label.split(',').map(str::trim).collect(),
        };
        let has_all = |own: &String| {
            let own: Vec<&str> = own.split(", ").collect();
            parts.iter().all(|part| own.contains(part))
        };
        let labels = self.labels();
        (labels.iter().enumerate())
            .filter(|(_, own)| has_all(own))
            .map(|(stratum, _)| stratum)
            .collect()
    }

    /// Name, unit and cut points of every covariate that has cut points, in stratum order.
    fn cuts(&self) -> [(&'static str, &'static str, &[f64]); 6] {
        [
            ("size_mm", " mm", &self.size_mm),
            ("nodes", "", &self.nodes),
            ("il6_ng_per_ml", " ng/mL", &self.il6_ng_per_ml),
            ("il8_ng_per_ml", " ng/mL", &self.il8_ng_per_ml),
            ("age_years", " years", &self.age_years),
            ("growth_per_day", " per day", &self.growth_per_day),
        ]
    }
}

/// Labels of the classes between the cuts of a continuous covariate.
fn classes(cuts: &[f64], unit: &str) -> Vec<String> {
    let mut labels = vec![format!("<={}{unit}", cuts[0])];
    for pair in cuts.windows(2) {
        labels.push(format!(">{}-{}{unit}", pair[0], pair[1]));
    }
    labels.push(format!(">{}{unit}", cuts[cuts.len() - 1]));
    labels
}

/// Labels of the classes between the cuts of a count.
fn node_classes(cuts: &[f64]) -> Vec<String> {
    let mut lowest = 0.0;
    let mut labels = Vec::with_capacity(cuts.len() + 1);
    for cut in cuts {
        labels.push(if lowest >= *cut {
            format!("{cut}")
        } else {
            format!("{lowest}-{cut}")
        });
        lowest = cut + 1.0;
    }
    labels.push(format!("{lowest}+"));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strata() -> Strata {
        Strata {
            size_mm: vec![20.0, 50.0],
            nodes: vec![0.0, 3.0],
            ctc: true,
            ..Strata::default()
        }
    }

    #[test]
    fn labels_name_every_combination() {
        let labels = strata().labels();
        assert_eq!(labels.len(), 18);
        assert_eq!(labels[0], "size <=20 mm, nodes 0, ctc negative");
        assert_eq!(labels[3], "size <=20 mm, nodes 1-3, ctc positive");
        assert_eq!(labels[17], "size >50 mm, nodes 4+, ctc positive");
        assert_eq!(Strata::default().labels(), ["all"]);
    }

    #[test]
    fn a_label_names_strata_by_some_of_their_classes() {
        let strata = strata();
        assert_eq!(strata.matching("all").len(), 18);
        assert_eq!(strata.matching("nodes 0, size >50 mm"), [12, 13]);
        assert_eq!(
            strata.matching("ctc positive, nodes 1-3, size <=20 mm"),
            [3]
        );
        assert!(strata.matching("nodes 2").is_empty());
        assert_eq!(Strata::default().matching("all"), [0]);
    }

    #[test]
    fn a_value_at_a_cut_belongs_below_it() {
        let patient = |size_mm, nodes, ctc_sample| Covariates {
            size_mm,
            nodes,
            ctc_sample,
            ..Covariates::default()
        };
        let strata = strata();
        assert_eq!(strata.of(&patient(20.0, 0, 0)), 0);
        assert_eq!(strata.of(&patient(20.0, 3, 1)), 3);
        assert_eq!(strata.of(&patient(20.1, 4, 0)), 6 + 4);
        assert_eq!(strata.of(&patient(90.0, 4, 7)), 17);
        assert_eq!(Strata::default().of(&patient(90.0, 4, 7)), 0);
    }

    #[test]
    fn values_of_the_axes_say_as_much_as_the_patient() {
        let strata = strata();
        for size_mm in [5.0, 20.0, 20.5, 50.0, 51.0] {
            for nodes in [0, 1, 3, 4, 30] {
                for ctc_sample in [0, 1, 5] {
                    let patient = Covariates {
                        size_mm,
                        nodes,
                        ctc_sample,
                        ..Covariates::default()
                    };
                    let values = [size_mm, f64::from(nodes), f64::from(ctc_sample)];
                    assert_eq!(strata.at(&values), strata.of(&patient), "{values:?}");
                }
            }
        }
        assert_eq!(Strata::default().at(&[]), 0);
    }

    #[test]
    fn classes_of_a_stratum_match_its_label() {
        let strata = strata();
        let axes = strata.axes();
        for (stratum, label) in strata.labels().iter().enumerate() {
            for (class, axis) in strata.classes_of(stratum).into_iter().zip(&axes) {
                assert!(label.contains(&axis.classes[class]), "{label}");
            }
        }
    }
}
