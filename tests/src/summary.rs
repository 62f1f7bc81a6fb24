//! Many patients of one arm, reduced to what two implementations are compared by.

use reseed_model::patient::{Covariates, EXCLUSIONS, Exclusion, Origin};
use reseed_model::scenario::TRAITS;

use crate::reference::patient::Outcome;
use crate::statistics::{Agreement, Mean, chi_square_two_sample, kolmogorov_smirnov_two_sample};

/// Summary of many patients of one arm; all but `screened` and `excluded` of enrolled ones.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Patients simulated.
    pub screened: u64,
    /// Patients not enrolled, by reason in the order of [`Exclusion`].
    pub excluded: [u64; EXCLUSIONS],
    /// Traits, as logarithms where log-normal.
    pub traits: [Mean; TRAITS],
    /// Products of two traits, each counted from 0 at about its middle.
    pub products: [[Mean; TRAITS]; TRAITS],
    /// Days from founding to diagnosis.
    pub diagnosis_days: Vec<f64>,
    /// Share of the primary that descends from self-seeding.
    pub seeded_share: Vec<f64>,
    /// Self-seeds in the primary.
    pub seeds: Mean,
    /// Patients without any.
    pub without_seeds: u64,
    /// Logarithm of the flux at diagnosis.
    pub ln_flux: Mean,
    /// Logarithm of one more than the positive nodes, whose own law has a heavy tail.
    pub ln_nodes: Mean,
    /// Patients without any.
    pub node_negative: u64,
    /// Patients with a cell in the sample.
    pub ctc_positive: u64,
    /// Days to local recurrence, infinite without one.
    pub local_days: Vec<f64>,
    /// Days to distant recurrence, infinite without one.
    pub distant_days: Vec<f64>,
    /// Local recurrences by origin in the order of [`Origin`].
    pub origins: [u64; 4],
}

impl FromIterator<Outcome> for Summary {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        let mut summary = Self::default();
        for outcome in outcomes {
            summary.push(&outcome);
        }
        summary
    }
}

impl Summary {
    /// Adds a patient.
    ///
    /// # Panics
    /// If the patient has neither a course nor a reason for exclusion.
    pub fn push(&mut self, outcome: &Outcome) {
        self.screened += 1;
        let Some(course) = outcome.course else {
            let reason: Exclusion = outcome.exclusion.expect("excluded for a reason");
            self.excluded[reason as usize] += 1;
            return;
        };
        self.push_traits(&outcome.covariates);
        self.diagnosis_days.push(outcome.tumour.diagnosis_days);
        self.seeded_share.push(outcome.tumour.self_seeded_fraction);
        self.seeds.push(f64::from(outcome.tumour.self_seeds));
        self.without_seeds += u64::from(outcome.tumour.self_seeds == 0);
        self.ln_flux.push(outcome.tumour.ctc_flux_per_day.ln());
        self.ln_nodes
            .push(f64::from(outcome.covariates.nodes).ln_1p());
        self.node_negative += u64::from(outcome.covariates.nodes == 0);
        self.ctc_positive += u64::from(outcome.covariates.ctc_sample > 0);
        self.local_days.push(course.local_days);
        self.distant_days.push(course.distant_days);
        if let Some(origin) = course.local_origin {
            let index = match origin {
                Origin::Residual => 0,
                Origin::Primary => 1,
                Origin::Distant => 2,
                Origin::Scar => 3,
            };
            self.origins[index] += 1;
        }
    }

    fn push_traits(&mut self, covariates: &Covariates) {
        // About the middle of each trait in the scenarios, so that products show correlation.
        let traits = [
            (covariates.growth_per_day / 0.005).ln(),
            covariates.size_mm.ln(),
            covariates.shedding_per_day.ln(),
            (covariates.il6_ng_per_ml / 3.0).ln(),
            (covariates.il8_ng_per_ml / 15.0).ln(),
            (covariates.age_years - 60.0) / 10.0,
        ];
        for (i, one) in traits.iter().enumerate() {
            self.traits[i].push(*one);
            for (j, other) in traits.iter().enumerate().take(i + 1) {
                self.products[i][j].push(one * other);
            }
        }
    }

    /// Patients enrolled.
    pub fn enrolled(&self) -> u64 {
        self.distant_days.len() as u64
    }

    /// Compares screening and the primary at diagnosis.
    pub fn compare_tumours(&self, other: &Self, label: &str, agreement: &mut Agreement) {
        let screened = [self.screened, other.screened];
        let enrolled = [self.enrolled(), other.enrolled()];
        agreement.proportions(&format!("{label}: enrolled"), enrolled, screened);
        for reason in 0..EXCLUSIONS {
            let hits = [self.excluded[reason], other.excluded[reason]];
            if hits[0] + hits[1] > 0 {
                agreement.proportions(&format!("{label}: exclusion {reason}"), hits, screened);
            }
        }
        let days = |summary: &Self| summary.diagnosis_days.iter().copied().collect::<Mean>();
        let share = |summary: &Self| summary.seeded_share.iter().copied().collect::<Mean>();
        agreement.means(
            &format!("{label}: days to diagnosis"),
            &days(self),
            &days(other),
        );
        agreement.means(
            &format!("{label}: self-seeded share"),
            &share(self),
            &share(other),
        );
        agreement.means(&format!("{label}: self-seeds"), &self.seeds, &other.seeds);
        agreement.means(&format!("{label}: ln flux"), &self.ln_flux, &other.ln_flux);
        agreement.means(
            &format!("{label}: ln nodes"),
            &self.ln_nodes,
            &other.ln_nodes,
        );
        for (name, hits) in [
            (
                "without self-seeds",
                [self.without_seeds, other.without_seeds],
            ),
            ("node-negative", [self.node_negative, other.node_negative]),
            ("CTC-positive", [self.ctc_positive, other.ctc_positive]),
        ] {
            agreement.proportions(&format!("{label}: {name}"), hits, enrolled);
        }
        let p = kolmogorov_smirnov_two_sample(&self.diagnosis_days, &other.diagnosis_days);
        agreement.p(&format!("{label}: law of days to diagnosis"), p);
    }

    /// Compares means, variances and correlations of the traits.
    pub fn compare_traits(&self, other: &Self, label: &str, agreement: &mut Agreement) {
        for i in 0..TRAITS {
            let name = format!("{label}: mean of trait {i}");
            agreement.means(&name, &self.traits[i], &other.traits[i]);
            for j in 0..=i {
                let name = format!("{label}: product of traits {i} and {j}");
                agreement.means(&name, &self.products[i][j], &other.products[i][j]);
            }
        }
    }

    /// Puts recurrences reseeded from the scar with those from distant colonies. Cell by cell,
    /// lines that die out shed too while they last, and what they found has no older sibling to
    /// overtake: with detection at a few hundred cells that doubles the rare origin "scar".
    pub fn join_metastatic_origins(&mut self) {
        self.origins[2] += std::mem::take(&mut self.origins[3]);
    }

    /// Adds the patients of another summary.
    pub fn absorb(&mut self, other: &Self) {
        self.screened += other.screened;
        for (mine, others) in self.excluded.iter_mut().zip(other.excluded) {
            *mine += others;
        }
        self.diagnosis_days.extend(&other.diagnosis_days);
        self.seeded_share.extend(&other.seeded_share);
        self.local_days.extend(&other.local_days);
        self.distant_days.extend(&other.distant_days);
        for (mine, others) in self.origins.iter_mut().zip(other.origins) {
            *mine += others;
        }
        self.seeds.absorb(&other.seeds);
        self.ln_flux.absorb(&other.ln_flux);
        self.ln_nodes.absorb(&other.ln_nodes);
        self.without_seeds += other.without_seeds;
        self.node_negative += other.node_negative;
        self.ctc_positive += other.ctc_positive;
        for i in 0..TRAITS {
            self.traits[i].absorb(&other.traits[i]);
            for j in 0..=i {
                self.products[i][j].absorb(&other.products[i][j]);
            }
        }
    }

    /// Compares the whole law of the self-seeded share. A cell-by-cell share counts lines that
    /// will die out, which changes the law but not the mean.
    pub fn compare_seeded_share(&self, other: &Self, label: &str, agreement: &mut Agreement) {
        let p = kolmogorov_smirnov_two_sample(&self.seeded_share, &other.seeded_share);
        agreement.p(&format!("{label}: law of the self-seeded share"), p);
    }

    /// Compares recurrences: incidences by `days`, origins, and whole laws.
    pub fn compare_courses(
        &self,
        other: &Self,
        label: &str,
        days: &[f64],
        agreement: &mut Agreement,
    ) {
        let enrolled = [self.enrolled(), other.enrolled()];
        for (name, mine, others) in [
            ("local", &self.local_days, &other.local_days),
            ("distant", &self.distant_days, &other.distant_days),
        ] {
            for &day in days {
                let hits = [mine, others]
                    .map(|times| times.iter().filter(|&&time| time <= day).count() as u64);
                agreement.proportions(&format!("{label}: {name} by {day}"), hits, enrolled);
            }
            let p = kolmogorov_smirnov_two_sample(mine, others);
            agreement.p(&format!("{label}: law of {name}"), p);
        }
        for (origin, name) in ["residual", "primary", "distant", "scar"]
            .iter()
            .enumerate()
        {
            let hits = [self.origins[origin], other.origins[origin]];
            agreement.proportions(&format!("{label}: local from {name}"), hits, enrolled);
        }
        let p = chi_square_two_sample(&self.origins, &other.origins);
        agreement.p(&format!("{label}: origins"), p);
    }
}
