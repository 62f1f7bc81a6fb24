//! From what is observed of a patient to the cells of a tally.

use reseed_model::Patient;
use reseed_model::endpoints::{FirstEvent, Leaving, Observed};
use reseed_model::patient::Origin;
use reseed_stats::{ArmRecord, Cause, Exit, ExitKind};
use reseed_trial::{DAYS_PER_MONTH, Histogram, Trial};

/// Times are summed in ticks of 1/1024 day, about a minute and a half.
pub(crate) const TICKS_PER_DAY: f64 = 1024.0;

/// Bins of a trial.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    edges_days: Vec<f64>,
    histograms: &'static [Histogram],
}

impl Counting {
    pub(crate) fn new(trial: &Trial) -> Self {
        Self {
            edges_days: trial.time_edges_days(),
            histograms: trial.histograms(),
        }
    }

    /// The cells of a patient in one arm.
    pub(crate) fn arm_record(&self, observed: &Observed) -> ArmRecord {
        let (first, days) = observed.first;
        let cause = match first {
            FirstEvent::Local if observed.local_origin == Some(Origin::Residual) => {
                Cause::LocalResidual
            }
            FirstEvent::Local => Cause::LocalReseeded,
            FirstEvent::Distant => Cause::Distant,
            FirstEvent::OtherDeath => Cause::OtherDeath,
            FirstEvent::Censored => Cause::Censored,
        };
        ArmRecord {
            first: (cause, self.bin(days)),
            exits: [
                self.exit(observed.local),
                self.exit(observed.distant),
                self.exit(observed.recurrence_free),
                self.exit(observed.death),
            ],
            origin: observed.local_origin.map(|origin| origin as u8),
        }
    }

    fn exit(&self, (leaving, days): (Leaving, f64)) -> Exit {
        Exit {
            kind: match leaving {
                Leaving::Event => ExitKind::Event,
                Leaving::Competing => ExitKind::Competing,
                Leaving::Censored => ExitKind::Censored,
            },
            bin: self.bin(days),
            ticks: ticks(days),
        }
    }

    /// The time bin, open below and closed above, so that what happens on a bin's last day has
    /// happened by its end.
    fn bin(&self, days: f64) -> u16 {
        let last = self.edges_days.len() - 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times are between zero and the horizon"
        )]
        let mut bin = ((days / DAYS_PER_MONTH) as usize).min(last);
        // The quotient may be off by one at an edge.
        if days <= self.edges_days[bin] {
            bin = bin.saturating_sub(1);
        } else if days > self.edges_days[bin + 1] {
            bin = (bin + 1).min(last);
        }
        u16::try_from(bin).expect("horizons are limited")
    }

    /// Bins of the tumour histograms.
    pub(crate) fn histogram_bins(&self, patient: &Patient) -> [usize; 5] {
        let values = [
            patient.tumour.self_seeded_fraction,
            f64::from(patient.tumour.self_seeds),
            f64::from(patient.covariates.nodes),
            patient.tumour.ctc_flux_per_day,
            patient.covariates.size_mm,
        ];
        std::array::from_fn(|at| self.histograms[at].bin(values[at]))
    }
}

/// Whole ticks in a time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are between zero and the horizon"
)]
fn ticks(days: f64) -> u64 {
    (days * TICKS_PER_DAY) as u64
}
