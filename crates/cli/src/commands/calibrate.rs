//! `reseed calibrate`: which parameters make the model agree with cohorts.

use std::fs;
use std::path::{Path, PathBuf};

use reseed_calibration::emulator::Emulator;
use reseed_calibration::optimum::optimum;
use reseed_calibration::posterior::{self, Settings, Wave};
use reseed_calibration::sampler::{Sample, prior_log_density};
use reseed_calibration::targets::{self, Measure, Target};
use reseed_report::Calibrated;
use reseed_results::{PosteriorFile, TargetRow, WaveRow, read_blocks, write_posterior};
use reseed_stats::cells::Cells;
use reseed_stats::distribution::{normal_tail, normal_upper_quantile};
use reseed_stats::{RecordColumn, quantile};
use reseed_trial::{Design, Factor, Prior, Trial, Uncertainty};

use crate::args::{Calibrate, Work};
use crate::commands::run;
use crate::exit::Failure;
use crate::identity;
use crate::output::{Chatter, print, print_json};
use crate::{signals, source};

/// Scores beyond which a prior has no mass to speak of.
const SCORE_MAX: f64 = 7.0;

/// Half-years that are kept if the trial does not say: twenty years.
const HALF_YEARS: usize = 40;

/// How many times the patients of a point of a wave a draw has whose cohorts are invented, so that the
/// engine's own noise is small beside that of a cohort.
const RECOVERY_PATIENTS_FOLD: u64 = 10;

/// Decimals to which drawn values are written into trial files, of their leading digit.
const DRAWN_DIGITS: usize = 8;

/// Longest table of targets, bytes. Those of a large cohort have some ten thousand.
const TARGETS_BYTES_MAX: u64 = 1 << 24;

const QUANTILES: [f64; 3] = [0.025, 0.5, 0.975];

pub(crate) fn calibrate(args: &Calibrate, chatter: Chatter) -> Result<(), Failure> {
    let trial = prior_trial(args)?;
    let targets = read_targets(args, &trial)?;
    fs::create_dir_all(&args.out).map_err(Failure::system("make", &args.out))?;
    let calibration = Calibration {
        trial: &trial,
        targets: &targets,
        folder: &args.out,
        work: &args.work,
        force: args.force,
        is_plan: args.plan,
        settings: Settings {
            particles: usize::try_from(args.draws).expect("at most 65,536"),
            seed: trial.seed,
            threads: args.work.threads(),
        },
        chatter,
    };
    let found = calibration.waves(args.waves)?;
    let recovery_ranks = match args.recoveries {
        0 => Vec::new(),
        recoveries => calibration.recover(&found, recoveries)?,
    };
    let best = calibration.best(&found);
    let file = calibration.file(&found, &best, recovery_ranks);
    write_posterior(&args.out.join("posterior.h5"), &file)?;
    calibration.write_presets(&file)?;
    let calibrated = Calibrated::of(&file);
    if args.json {
        print_json(&calibrated)
    } else {
        print(&calibrated.to_text())
    }
}

/// The trial with its priors, as the command line changes it.
fn prior_trial(args: &Calibrate) -> Result<Trial, Failure> {
    let mut trial = source::trial(&args.trial)?;
    let points = args.points.unwrap_or(trial.blocks());
    let Some(uncertainty) = &mut trial.uncertainty else {
        return Err(Failure::Usage(format!(
            "{} has no uncertain parameters, so there is nothing to calibrate; give it a table \
             [uncertainty] with priors",
            args.trial
        )));
    };
    let is_list = |factor: &&Factor| matches!(factor.prior, Prior::Choice(_) | Prior::Draws(_));
    if let Some(factor) = uncertainty.factors.iter().find(is_list) {
        return Err(Failure::Usage(format!(
            "{} has a list of values as its prior, and a calibration needs a distribution; of \
             alternatives, calibrate each by itself",
            factor.path
        )));
    }
    uncertainty.design = Design::Sobol;
    if uncertainty.half_years == 0 {
        uncertainty.half_years = HALF_YEARS;
    }
    trial.block_patients = args.patients_per_point.or(trial.block_patients);
    trial.patients = points.saturating_mul(trial.block_patients.unwrap_or(1));
    trial.seed = args.seed.unwrap_or(trial.seed);
    source::checked(&trial)
}

fn read_targets(args: &Calibrate, trial: &Trial) -> Result<Vec<Target>, Failure> {
    let shape = trial.cell_shape().expect("the trial keeps cells");
    let mut all = Vec::new();
    for path in &args.targets {
        let text = source::cohort(path, TARGETS_BYTES_MAX)?;
        let found = targets::parse(&path.display().to_string(), &text, trial, shape)
            .map_err(|error| Failure::File(error.to_string()))?;
        all.extend(found);
    }
    if all.is_empty() {
        return Err(Failure::Usage(
            "there is nothing to agree with; give a table of a cohort with --targets".into(),
        ));
    }
    Ok(all)
}

/// A calibration at work.
struct Calibration<'a> {
    trial: &'a Trial,
    targets: &'a [Target],
    folder: &'a Path,
    work: &'a Work,
    force: bool,
    /// Whether simulations are made elsewhere.
    is_plan: bool,
    settings: Settings,
    chatter: Chatter,
}

/// What the waves found.
struct Found {
    emulator: Emulator,
    sample: Sample,
    waves: Vec<WaveRow>,
}

impl Calibration<'_> {
    /// Simulates waves, as far as their results are not there, and samples the posterior after each.
    fn waves(&self, number: u16) -> Result<Found, Failure> {
        let mut waves: Vec<Wave> = Vec::new();
        let mut found: Option<Found> = None;
        for place in 1..=number {
            let points = (found.as_ref()).map(|found| self.plausible(&found.emulator, waves.len()));
            let name = format!("wave-{place}");
            let trial = self.trial_at(&name, u64::from(place) - 1, points)?;
            waves.push(self.simulate(&name, &trial)?);
            let next = self.after(&waves, found);
            let row = next.waves[next.waves.len() - 1];
            self.chatter.say(&told(place, &row));
            found = Some(next);
        }
        Ok(found.expect("at least one wave"))
    }

    fn plausible(&self, emulator: &Emulator, waves: usize) -> Vec<Vec<f64>> {
        let points = usize::try_from(self.trial.blocks()).unwrap_or(usize::MAX);
        let dimensions = self.uncertainty().factors.len();
        posterior::plausible(
            emulator,
            self.targets,
            dimensions,
            waves,
            points,
            self.settings,
        )
    }

    /// The posterior after the last of some waves, and how it differs from the one before.
    fn after(&self, waves: &[Wave], before: Option<Found>) -> Found {
        let dimensions = self.uncertainty().factors.len();
        let emulator = posterior::emulate(waves, self.settings.threads);
        let sample = posterior::posterior(&emulator, self.targets, dimensions, self.settings);
        let mut dispersions = emulator.dispersions();
        dispersions.sort_by(f64::total_cmp);
        let (agreement, mut rows) = before.map_or((f64::NAN, Vec::new()), |before| {
            let agreement = posterior::agreement(&before.sample, self.targets, &emulator);
            (agreement, before.waves)
        });
        rows.push(WaveRow {
            points: waves[waves.len() - 1].points.len() as f64,
            best_log_likelihood: (sample.log_likelihoods.iter().copied())
                .fold(f64::NEG_INFINITY, f64::max),
            dispersion: quantile(&dispersions, 0.5),
            agreement,
        });
        Found {
            emulator,
            sample,
            waves: rows,
        }
    }

    /// Ranks of draws of the posterior among those that cohorts invented at them give.
    fn recover(&self, found: &Found, number: u64) -> Result<Vec<Vec<f64>>, Failure> {
        let draws = usize::try_from(number).unwrap_or(usize::MAX);
        let truths = posterior::chosen(&found.sample.points, draws, self.settings.seed);
        let mut trial = self.trial_at("recovery", u64::MAX, Some(truths))?;
        let patients = trial.block_patients.unwrap_or(1) * RECOVERY_PATIENTS_FOLD;
        trial.block_patients = Some(patients);
        trial.patients = patients * number;
        let truths = self.simulate("recovery", &source::checked(&trial)?)?;
        Ok(posterior::recover(
            &found.emulator,
            self.targets,
            &found.sample,
            &truths,
            self.settings,
        ))
    }

    /// The most probable point.
    fn best(&self, found: &Found) -> Vec<f64> {
        let likelihood = found.emulator.likelihood(self.targets);
        let density = |point: &[f64]| {
            prior_log_density(point) + likelihood.log_at(&found.emulator.log_rates(point))
        };
        let draws = found.sample.points.iter();
        let start = draws.max_by(|a, b| density(a).total_cmp(&density(b)));
        optimum(start.expect("there are draws"), density, self.settings.seed)
    }

    /// What is simulated of a wave, by points and targets. Its trial is kept beside the result, so
    /// that it can as well be computed elsewhere.
    fn simulate(&self, name: &str, trial: &Trial) -> Result<Wave, Failure> {
        let toml = self.path(name, "toml");
        fs::write(&toml, trial.canonical_toml()).map_err(Failure::system("write", &toml))?;
        let out = self.path(name, "h5");
        if self.is_plan && !out.exists() {
            return Err(Failure::Interrupted(format!(
                "{} waits for its result {}; compute it, for example with `reseed coordinate {} \
                 --store {}.store --listen 127.0.0.1:7461 --out {}` and workers, and give this \
                 command again",
                toml.display(),
                out.display(),
                toml.display(),
                trial.name,
                out.display()
            )));
        }
        run::completed(trial, &out, self.force, self.work, self.chatter)?;
        if signals::is_stopped() {
            return Err(Failure::Interrupted(format!(
                "stopped: waves are kept in {}; run the same command again to go on",
                self.folder.display()
            )));
        }
        self.wave(&read_blocks(&out)?)
            .map_err(|problem| Failure::File(format!("{}: {problem}", out.display())))
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    /// The trial of a wave: with points as draws, or with the priors.
    fn trial_at(
        &self,
        name: &str,
        wave: u64,
        points: Option<Vec<Vec<f64>>>,
    ) -> Result<Trial, Failure> {
        let mut trial = self.trial.clone();
        trial.name = format!("{}-{name}", trial.name);
        // Patients of their own, so that waves do not share their chance.
        trial.seed = trial.seed.wrapping_add(wave);
        if let Some(points) = points {
            let values: Vec<Vec<f64>> = points.iter().map(|point| self.values(point)).collect();
            draw(&mut trial, &values);
        }
        source::checked(&trial)
    }

    fn wave(&self, blocks: &[RecordColumn]) -> Result<Wave, String> {
        let factors = &self.uncertainty().factors;
        let parameters = RecordColumn::named(blocks, "parameter")
            .and_then(|column| column.numbers(factors.len()))
            .ok_or("the blocks do not say what was tried")?;
        let scores = |row: &[f64]| {
            let pairs = factors.iter().zip(row);
            pairs.map(|(factor, value)| score(factor, *value)).collect()
        };
        let shape = self.trial.cell_shape().expect("the trial keeps cells");
        let cells = Cells::read(shape, blocks).map_err(|error| error.to_string())?;
        let counts = |target: &Target| cells.iter().map(|cells| target.simulated(cells)).collect();
        Ok(Wave {
            points: parameters.chunks_exact(factors.len()).map(scores).collect(),
            counts: self.targets.iter().map(counts).collect(),
        })
    }

    fn file(&self, found: &Found, best: &[f64], recovery_ranks: Vec<Vec<f64>>) -> PosteriorFile {
        let effective_draws = posterior::effective_draws(&found.sample.points);
        let sample = posterior::shuffled(&found.sample, self.settings.seed);
        let points = &sample.points;
        let factors = &self.uncertainty().factors;
        let prior = |factor: &Factor| QUANTILES.map(|probability| factor.quantile(probability));
        PosteriorFile {
            identity: identity::identity(self.trial, self.trial.seed),
            parameters: factors.iter().map(|factor| factor.path.clone()).collect(),
            priors: factors.iter().map(prior).collect(),
            draws: points.iter().map(|point| self.values(point)).collect(),
            weights: vec![1.0 / points.len() as f64; points.len()],
            effective_draws,
            best: self.values(best),
            contractions: (posterior::marginals(points).iter())
                .map(posterior::Marginal::contraction)
                .collect(),
            log_likelihoods: sample.log_likelihoods,
            waves: found.waves.clone(),
            targets: self.target_rows(found),
            recovery_ranks,
        }
    }

    fn target_rows(&self, found: &Found) -> Vec<TargetRow> {
        let expected: Vec<Vec<f64>> = (found.sample.points.iter())
            .map(|point| found.emulator.rates(point))
            .collect();
        let rows = self.targets.iter().enumerate().map(|(at, target)| {
            let (events, exposure) = target.seen.counts();
            let mut values: Vec<f64> = expected.iter().map(|rates| rates[at] * exposure).collect();
            values.sort_by(f64::total_cmp);
            let (what, half_years) = match &target.measure {
                Measure::Rate(event, half_years) => (event.name().to_owned(), half_years.clone()),
                Measure::Incidence(event, until) => {
                    (format!("{} incidence", event.name()), 0..*until)
                }
                Measure::Share => ("share".to_owned(), 0..0),
            };
            TargetRow {
                arm: self.trial.scenario.arms[target.arm].name.clone(),
                stratum: target.stratum.clone(),
                what,
                from_years: half_years.start as f64 / 2.0,
                until_years: half_years.end as f64 / 2.0,
                events,
                exposure,
                expected: QUANTILES.map(|probability| quantile(&values, probability)),
            }
        });
        rows.collect()
    }

    /// Writes two trials without what only a calibration needs: at the best point, and at the draws of
    /// the posterior, to be run or ranked over.
    fn write_presets(&self, file: &PosteriorFile) -> Result<(), Failure> {
        let mut posterior = self.trial.clone();
        posterior.name = format!("{}-posterior", self.trial.name);
        draw(&mut posterior, &file.draws);
        let mut at_best = self.trial.clone();
        draw(&mut at_best, std::slice::from_ref(&file.best));
        let mut best = at_best
            .at_point(0)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        best.name = format!("{}-best", self.trial.name);
        for (name, trial) in [("posterior", posterior), ("best", best)] {
            let path = self.path(name, "toml");
            fs::write(&path, trial.canonical_toml()).map_err(Failure::system("write", &path))?;
        }
        Ok(())
    }

    /// The values of a point in the units of their keys, as they are written.
    fn values(&self, point: &[f64]) -> Vec<f64> {
        let pairs = self.uncertainty().factors.iter().zip(point);
        pairs.map(|(factor, score)| value(factor, *score)).collect()
    }

    fn uncertainty(&self) -> &Uncertainty {
        self.trial.uncertainty.as_ref().expect("checked before")
    }
}

/// Gives the parameters of a trial these values, point by point.
fn draw(trial: &mut Trial, values: &[Vec<f64>]) {
    let uncertainty = trial.uncertainty.as_mut().expect("checked before");
    for (axis, factor) in uncertainty.factors.iter_mut().enumerate() {
        factor.prior = Prior::Draws(values.iter().map(|values| values[axis]).collect());
    }
}

/// A parameter's value at a score, with as many digits as a trial file needs.
fn value(factor: &Factor, score: f64) -> f64 {
    let score = score.clamp(-SCORE_MAX, SCORE_MAX);
    let exact = factor.quantile(normal_tail(-score));
    let rounded = format!("{exact:.DRAWN_DIGITS$e}").parse().unwrap_or(exact);
    // Rounding must not leave the range of the prior.
    let is_within = |value: f64| (0.0..=1.0).contains(&quantile_of(factor, value));
    if is_within(rounded) { rounded } else { exact }
}

/// The inverse.
fn score(factor: &Factor, value: f64) -> f64 {
    normal_upper_quantile(1.0 - quantile_of(factor, value)).clamp(-SCORE_MAX, SCORE_MAX)
}

fn quantile_of(factor: &Factor, value: f64) -> f64 {
    factor
        .quantile_of(value)
        .expect("the trial's priors are distributions")
}

/// A wave in a sentence.
fn told(place: u16, row: &WaveRow) -> String {
    let kept = if row.agreement.is_finite() {
        let percent = 100.0 * row.agreement;
        format!("; {percent:.0} % of the posterior before it remains")
    } else {
        String::new()
    };
    format!(
        "wave {place}: best logarithm of the likelihood {:.1}, counts {:.2} times as variable as \
         chance makes them{kept}",
        row.best_log_likelihood, row.dispersion
    )
}
