//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use reseed_report::Outcome;
use reseed_stats::Endpoint;
use reseed_stats::group_sequential::Spending;
use reseed_trial::{Design, PRECISION_MAX_POINTS};
use tracing::level_filters::LevelFilter;

use crate::commands::launch::COMPONENTS;
use crate::exit;

/// Simulates clinical trials of tumour self-seeding: the same virtual patients live once under
/// every therapy.
///
/// A trial file (or a preset) says who the patients are, what their tumours do and which
/// therapies are compared. `run` simulates it into an HDF5 file, `compare` prints the therapies
/// against the control. A result depends on the model version, the trial and the seed alone:
/// not on threads, machines or interruptions.
#[derive(Debug, Parser)]
#[command(
    name = "reseed",
    version,
    disable_version_flag = true,
    max_term_width = 100,
    arg_required_else_help = true,
    after_long_help = examples(),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) which: Which,

    /// Form of the log
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// Log what happens to stderr, down to this level [off, error, warn, info, debug, trace]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        hide_possible_values = true
    )]
    pub(crate) log: LevelFilter,

    /// Say nothing but errors and results
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Show no progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

/// Which program this is, instead of a command.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Which {
    /// Print the version
    #[arg(long, short = 'V')]
    pub(crate) version: bool,

    /// With --version, print also what the program is built from and for
    #[arg(long, requires = "version")]
    pub(crate) verbose: bool,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line, for programs that collect logs.
    Json,
}

fn examples() -> String {
    format!(
        "\
Examples:
  reseed run breast                                   a million patients into breast.h5
  reseed run breast --patients 10000 --out small.h5   fewer, for a first look
  reseed compare breast.h5                            therapies against the control
  reseed power breast --patients-per-arm 200,400      what trials of this size would find
  reseed rank breast                                  which target is best, whatever is not known
  reseed report breast.h5                             the same as figures, in breast.html
  reseed credibility breast.h5                        what a review of the model asks for
  reseed trial show breast > mine.toml                a preset to edit; then: reseed run mine.toml
  reseed patient breast.h5 --index 42                 what happened to one patient, and why
  reseed verify breast.h5 --fraction 1                compute everything again and compare

Results and --json go to stdout, everything else to stderr.

{}",
        exit::HELP
    )
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Coordinate(Coordinate),
    Work(JoinWork),
    /// Launch a trial on a cluster
    #[command(subcommand)]
    Launch(Launch),
    Status(Status),
    Drain(Drain),
    Cancel(Cancel),
    Compare(Compare),
    Power(Power),
    Rank(Rank),
    Calibrate(Calibrate),
    Report(Report),
    Validate(Validate),
    Credibility(Credibility),
    Export(Export),
    /// Check, expand and list trial files
    #[command(subcommand)]
    Trial(Trial),
    Patient(Patient),
    Verify(Verify),
    Extend(Extend),
    Merge(Merge),
    Digest(Digest),
    Keys(Keys),
    Completions(Completions),
    Man(Man),
}

/// Simulate a trial into a result file
///
/// Finished shards are kept beside the result, in FILE.h5.parts, until it is complete. So a run
/// that was stopped (Ctrl-C, a crash, a full disk) goes on where it was when the same command
/// is given again. Neither interruptions nor the number of threads change a bit of the result.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed run breast
  reseed run mine.toml --patients 10000000 --seed 7 --threads 4 --out mine.h5
  reseed run breast --precision 0.05 --patients 100000000      until the primary comparison is
                                                               known to 0.05 percentage points
  reseed run breast --first-patient 1000000 --out second.h5    the second million; see `merge`")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) chosen: TrialChoice,

    /// Index of the first patient to screen
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first_patient: u64,

    /// Result file [default: the trial's name with .h5]
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: Option<PathBuf>,

    /// Replace an existing result of another run
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to simulate: a trial, and what to change in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrialChoice {
    /// Trial file, or name of a preset (see `reseed trial presets`)
    pub(crate) trial: String,

    /// Patients to screen [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients: Option<u64>,

    /// Stop once half the width of the primary comparison's 95 % interval is below this,
    /// percentage points; --patients are then the most [default: the trial's]
    ///
    /// Judged after 10,000 patients and then four times per doubling, always on the first
    /// patients: where a run ends is as reproducible as its result, which is that of a run of so
    /// many patients.
    #[arg(long, value_name = "POINTS", value_parser = precision)]
    pub(crate) precision: Option<f64>,

    /// Seed of all randomness [default: the trial's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,

    /// Keep a record of every enrolled patient
    #[arg(long)]
    pub(crate) records: bool,
}

/// How to compute; changes nothing in the result.
#[derive(Debug, Clone, Args)]
pub(crate) struct Work {
    /// Threads to compute on [default: all cores]
    #[arg(long, short, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Patients in a shard [default: from a measurement]
    #[arg(long, value_name = "N", hide = true, value_parser = count)]
    pub(crate) shard_patients: Option<u64>,
}

impl Work {
    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        )
    }
}

/// Coordinate a trial over any number of workers
///
/// Hands out shards of the trial to `reseed work` processes, keeps what they deliver in a store,
/// and merges it into the result when all is there: the result that `reseed run` gives, bit for
/// bit, whatever happens to the workers. If the coordinator itself is stopped or killed, the same
/// command goes on from the store, and the workers find it again. The address also serves the status as
/// JSON (/status.json), metrics for Prometheus (/metrics) and health checks.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed coordinate breast --store breast.store --listen 127.0.0.1:7461
  reseed coordinate mine.toml --store mine.store --listen 0.0.0.0:7461 --keys keys
  reseed coordinate breast --precision 0.01 --patients 1000000000 --store s --listen 127.0.0.1:0")]
pub(crate) struct Coordinate {
    #[command(flatten)]
    pub(crate) chosen: TrialChoice,

    /// Folder of what is committed; made if it is absent
    #[arg(long, value_name = "DIR")]
    pub(crate) store: PathBuf,

    /// Address to serve; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: String,

    /// Address at which whoever asks is told the coordinator's health (over HTTP and gRPC) and
    /// metrics, in the clear, and nothing else: for probes and monitoring without certificates
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) probes: Option<String>,

    /// Name or address by which workers that read it in the store reach this machine [default:
    /// that of --listen, or this machine's name]
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,

    /// Seconds to wait for a store that another process has open, such as a predecessor on a
    /// machine that is lost
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=604_800))]
    pub(crate) patience: u64,

    /// Seconds that a stop may take, by SIGTERM or Ctrl-C: so long workers that have to stop too
    /// can deliver what they have
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) grace: u16,

    /// Result file [default: result.h5 in the store]
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) security: ServerSecurity,

    /// Share of the shards that a second worker computes again as a check, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub(crate) audit: f64,

    /// A worker not heard of for so long has lost its shards, seconds
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = lease_seconds)]
    pub(crate) lease_seconds: f64,

    /// Take parts over the network only, even from workers that see the store
    #[arg(long)]
    pub(crate) no_shared_store: bool,

    /// Patients in a shard [default: from a measurement]
    #[arg(long, value_name = "N", hide = true, value_parser = count)]
    pub(crate) shard_patients: Option<u64>,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a coordinator is protected.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerSecurity {
    /// Folder that `reseed keys` made: serve over TLS with server.pem and server.key, to whoever
    /// has a certificate by ca.pem
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,

    /// Certificate of the server, instead of that in --keys
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,

    /// Its private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,

    /// Authorities of the workers' certificates, instead of those in --keys
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// File of a token that admits whoever presents it
    #[arg(long, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,

    /// Serve in the clear beyond loopback: everybody in the network can read and change results
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// How to reach a coordinator.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Access {
    /// Address of the coordinator: http://HOST:PORT (loopback) or https://HOST:PORT
    #[arg(long, value_name = "URL", required_unless_present = "store")]
    pub(crate) connect: Option<String>,

    /// Store of the coordinator, on a file system that both see: its address is read there, again
    /// whenever it is lost
    #[arg(long, value_name = "DIR", conflicts_with = "connect")]
    pub(crate) store: Option<PathBuf>,

    /// Folder that `reseed keys` made: the authority and this process's certificate [default: keys
    /// in --store, if there]
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,

    /// Certificate of this process, instead of that in --keys
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,

    /// Its private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,

    /// Authorities that may vouch for the coordinator, instead of those in --keys
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// File of the coordinator's token
    #[arg(long, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,

    /// Connect in the clear beyond loopback
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Work for a coordinator
///
/// Takes shards of a trial from a coordinator, computes them on all cores and delivers the
/// results, until the run is complete. A lost coordinator is looked for, and finished parts are
/// kept for it. On SIGTERM (preemption, node drain) or Ctrl-C the worker hands back what it
/// cannot finish in its grace time, and exits with 3; a second Ctrl-C ends it at once. An operator's
/// `reseed drain` ends it with 0.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed work --connect http://127.0.0.1:7461
  reseed work --connect https://node1:7461 --keys keys --threads 16
  reseed work --connect https://node1:7461 --keys keys --time-left 3600")]
pub(crate) struct JoinWork {
    #[command(flatten)]
    pub(crate) access: Access,

    /// Threads to compute on [default: SLURM_CPUS_PER_TASK, or SLURM_CPUS_ON_NODE, or all cores]
    #[arg(long, short, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Name in reports [default: the host's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Folder for finished parts until they are delivered; what is left there is delivered next
    /// time [default: a temporary folder, or the store if this machine sees it]
    #[arg(long, value_name = "DIR")]
    pub(crate) spool: Option<PathBuf>,

    /// Seconds until this machine is taken away: no shard is begun that cannot be finished
    /// before, and the worker stops five seconds earlier [default: until SLURM_JOB_END_TIME, if
    /// that is set]
    #[arg(long, value_name = "S")]
    pub(crate) time_left: Option<u64>,

    /// Seconds that a stop may take, by SIGTERM or because the machine is taken away
    #[arg(long, value_name = "S", default_value_t = 25)]
    pub(crate) grace: u64,

    /// Seconds to look for a coordinator that does not answer
    #[arg(long, value_name = "S", default_value_t = 600)]
    pub(crate) patience: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Launch {
    Slurm(LaunchSlurm),
    Kubernetes(LaunchKubernetes),
}

/// Launch a trial as a job of Slurm
///
/// One job runs the coordinator on its first node and a worker on every node. It goes on from its store
/// when Slurm starts it again: when it was preempted, when a node is lost, or when its time was up before
/// the trial was complete. So does the same command, given again. With --elastic the coordinator runs here,
/// on a login node, and workers are a job array whose tasks come and go as there is room.
///
/// The store must be on a file system that all nodes see. Keys for this run alone are made in it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed launch slurm breast --nodes 4 --time 2:00:00
  reseed launch slurm mine.toml --nodes 16 --time 30:00 --partition short --wait
  reseed launch slurm breast --nodes 4 --time 2:00:00 --dry-run -- --account=oncology --qos=low
  reseed launch slurm breast --elastic --nodes 100 --cpus 8 --time 1:00:00 --patients 1000000000
  reseed status --store breast.store")]
pub(crate) struct LaunchSlurm {
    #[command(flatten)]
    pub(crate) chosen: TrialChoice,

    /// Nodes of the job, or with --elastic tasks of the array
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) nodes: u32,

    /// Time limit of the job, as sbatch takes it. A trial that needs more goes on in the queue
    #[arg(long, value_name = "TIME")]
    pub(crate) time: String,

    /// Partition [default: Slurm's]
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,

    /// CPUs of each node to use [default: whole nodes, for the job alone]
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) cpus: Option<u16>,

    /// Folder of what is committed; made if it is absent [default: the trial's name with .store]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Run the coordinator here, and workers as a job array
    #[arg(long)]
    pub(crate) elastic: bool,

    /// Address at which the coordinator serves here; port 0 is any free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "0.0.0.0:0",
        requires = "elastic"
    )]
    pub(crate) listen: String,

    /// Name or address by which nodes reach this machine [default: its name]
    #[arg(long, value_name = "HOST", requires = "elastic")]
    pub(crate) advertise: Option<String>,

    /// Wait until the job has ended, and end with 0 if the result is there
    #[arg(long, conflicts_with = "elastic")]
    pub(crate) wait: bool,

    /// Print what would be submitted, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// More options for sbatch, after --
    #[arg(last = true, value_name = "OPTION OF SBATCH")]
    pub(crate) sbatch: Vec<String>,
}

/// Launch a trial on Kubernetes
///
/// Writes a folder with the trial, keys for this run alone and manifests for kustomize, and applies it with
/// kubectl: a coordinator as a Job with a volume as its store, workers as an Indexed Job or a
/// Deployment, and network policies. Pods may be killed, drained, preempted and moved. The same
/// command again goes on from the store; so it does after `kubectl delete -k FOLDER`, which keeps the
/// volume. The folder is yours to edit and to apply.
///
/// Needs kubectl with kustomize 5 (1.27 or later), and an image with this program, `sleep` and `cat`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed launch kubernetes breast --image registry.example/reseed:0.1 --workers 16 --wait
  reseed launch kubernetes mine.toml --image registry.example/reseed:0.1 --cpus 8 --memory 2Gi \\
      --patients 1000000000 --storage 100Gi --namespace trials --out mine.h5
  reseed launch kubernetes breast --image registry.example/reseed:0.1 --component elastic --dry-run")]
pub(crate) struct LaunchKubernetes {
    #[command(flatten)]
    pub(crate) chosen: TrialChoice,

    /// Image with this program
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: String,

    /// Name of the run, with which all its objects begin [default: the trial's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Workers; with --component elastic, the most
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) workers: u32,

    /// Processors of each worker, which computes on as many threads
    #[arg(long, value_name = "C", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) cpus: u32,

    /// Memory of each worker
    #[arg(long, value_name = "QUANTITY", default_value = "512Mi")]
    pub(crate) memory: String,

    /// Size of the volume that is the store
    #[arg(long, value_name = "QUANTITY", default_value = "10Gi")]
    pub(crate) storage: String,

    /// Class of the volume [default: the cluster's]
    #[arg(long, value_name = "NAME")]
    pub(crate) storage_class: Option<String>,

    /// Change to the manifests; may be given several times: elastic (workers as a Deployment that
    /// scales), cert-manager (keys by it), priority (a coordinator takes the place of a worker where there is
    /// no other), kubernetes-1.20 (for clusters of 1.20 to 1.24)
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(COMPONENTS), hide_possible_values = true)]
    pub(crate) component: Vec<String>,

    /// Namespace, which must be there [default: the context's]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// Context of kubectl [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Folder for trial, keys and manifests [default: the run's name with .kubernetes]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,

    /// Write the folder, print what would be applied, and apply nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Show progress until the run has ended, and end as its coordinator did
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,

    /// Wait, and copy the result out of the volume into this file
    #[arg(long, short, value_name = "FILE.h5", conflicts_with = "dry_run")]
    pub(crate) out: Option<PathBuf>,
}

/// Show where a run stands: progress, workers, slow shards, the estimate so far
///
/// On a terminal it fills the screen and is kept up to date until the run ends or `q` is pressed
/// (with --follow, line by line); otherwise it is printed once.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) access: Access,

    /// Print one report and end, on a terminal too
    #[arg(long)]
    pub(crate) once: bool,

    /// Print JSON: one report, or a line for each with --follow
    #[arg(long)]
    pub(crate) json: bool,

    /// Print reports, one after the other, until the run has ended
    #[arg(long, conflicts_with = "once")]
    pub(crate) follow: bool,
}

/// Ask workers to finish what they compute and leave
#[derive(Debug, Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    pub(crate) access: Access,

    /// Name or number of a worker, as `reseed status` shows them [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) worker: Option<String>,
}

/// Stop a run; what is committed stays, and the same `reseed coordinate` goes on from there
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) access: Access,

    /// Why, for the logs
    #[arg(long, value_name = "TEXT", default_value = "by an operator")]
    pub(crate) reason: String,
}

/// Compare the therapies of a result with its control
///
/// Every patient lived once under every therapy, so differences are paired: each has a standard
/// error far below that of two separate groups.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed compare breast.h5
  reseed compare breast.h5 --endpoint local --years 1,5,10 --by-stratum
  reseed compare breast.h5 --endpoint rfs --columns survival,lost-difference,hr,log-rank
  reseed compare breast.h5 --json | jq '.rows[] | select(.endpoint == \"local\")'")]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) what: Compared,

    /// Columns of the tables, `all` for every one [default: incidence, difference, hr, nnt, p,
    /// reseeded, pairing]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = column_parser())]
    pub(crate) columns: Vec<String>,

    /// Print the hazard of every endpoint year by year too
    #[arg(long)]
    pub(crate) hazards: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct Compared {
    /// Result file
    pub(crate) file: PathBuf,

    /// Times, years from resection [default: the trial's]
    #[arg(long, value_name = "Y", value_delimiter = ',')]
    pub(crate) years: Vec<f64>,

    /// Endpoints [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = endpoint_parser())]
    pub(crate) endpoint: Vec<String>,

    /// Compare within each stratum too
    #[arg(long)]
    pub(crate) by_stratum: bool,
}

/// Write estimates or patients as CSV, for R, SAS, pandas and spreadsheets
///
/// Estimates are tidy: a line for each stratum, arm, endpoint, time and quantity. Records are in
/// the form of CDISC's data set for times to events (ADTTE): a line for each patient, arm and
/// parameter; since every patient lives once in every arm, TRTP names the arm of the line, and USUBJID
/// is the same in all of them. Records need a run with --records.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("tables").args(["estimates", "records"]).required(true).multiple(true),
    after_long_help = "\
Examples:
  reseed export breast.h5 --estimates estimates.csv --by-stratum
  reseed export breast.h5 --records adtte.csv"
)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) what: Compared,

    /// File of the estimates
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) estimates: Option<PathBuf>,

    /// File of the patients' times to events
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) records: Option<PathBuf>,

    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Simulate parallel-group trials: power, type I error, expected size and duration
///
/// Draws trials from the virtual patients as they would be randomised in reality: each patient in
/// one group only, entering over the time of accrual, with drop-out and interim looks, and a
/// log-rank test and hazard ratio for every trial. Every arm is the treatment of trials of its
/// own against the control; the control against itself gives the type I error. One draw serves
/// all arms and sizes.
///
/// With a trial, it is simulated as by `reseed run`. With a result file of `reseed power`, `run` or
/// `coordinate` whose trial has a table `[virtual_trials]`, what it holds is printed. If the trial
/// has uncertain parameters, power is averaged over them: assurance.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed power breast --patients-per-arm 200,400,800
  reseed power breast --endpoint rfs --looks 0.5,0.75 --arm all-five --arm radiotherapy
  reseed power breast --patients-per-arm 500 --events 120 --looks 0.5 --allocation 2
  reseed power breast-power.h5 --json")]
pub(crate) struct Power {
    /// Trial file, name of a preset, or result file (*.h5)
    pub(crate) source: String,

    /// Patients to screen, from whom trials are drawn [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients: Option<u64>,

    /// Seed of all randomness [default: the trial's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,

    /// Trials to draw of each size, at least; they are shared by all blocks of patients
    /// [default: 100 of each block]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) trials: Option<u64>,

    #[command(flatten)]
    pub(crate) plan: VirtualPlan,

    /// Arms to report [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) arm: Vec<String>,

    /// Result file [default: the trial's name with -power.h5]
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: Option<PathBuf>,

    /// Replace an existing result of another run
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Rank therapies over what is not known: the probability that each is the best
///
/// Every block of patients lives under parameters of its own, drawn from the priors in the trial's
/// table `[uncertainty]` by a design. Arms are ranked by their difference from the control at every
/// point: over all points, and within each alternative of each structural switch. The outcomes are
/// then traced to the parameters, as the design allows: rank correlations (sobol,
/// latin-hypercube), Sobol indices (saltelli), elementary effects (morris).
///
/// With a trial, it is simulated as by `reseed run`; a disease's preset stands for that of its
/// targets, such as breast-targets: five gene products and their pairs. With a result file, what
/// it holds is printed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed rank breast
  reseed rank breast --points 1024 --patients-per-point 10000 --out large.h5
  reseed rank breast --design morris --points 500 --out morris.h5
  reseed rank breast --design saltelli --points 6500 --patients-per-point 1000 --out indices.h5
  reseed rank breast-targets.h5 --endpoint rfs --json")]
pub(crate) struct Rank {
    /// Trial file, name of a preset, or result file (*.h5)
    pub(crate) source: String,

    /// Points of the design, rounded up to whole trajectories or rows [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) points: Option<u64>,

    /// Patients to screen at each point [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients_per_point: Option<u64>,

    /// How points are spread over the priors [default: the trial's]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Design::NAMES))]
    pub(crate) design: Option<String>,

    /// Rank over the posterior of a calibration: its disease, with its draws in place of what the trial
    /// believes of these parameters
    #[arg(long, value_name = "posterior.h5")]
    pub(crate) posterior: Option<PathBuf>,

    /// By what arms are ranked [default: the primary comparison's]
    #[arg(long, value_name = "NAME", value_parser = endpoint_parser())]
    pub(crate) endpoint: Option<String>,

    /// Seed of all randomness [default: the trial's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,

    /// Result file [default: the trial's name with .h5]
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: Option<PathBuf>,

    /// Replace an existing result of another run
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Find the parameters that make the model agree with cohorts
///
/// The trial says what is not known: `[uncertainty.priors]`. Waves of points are simulated; surfaces that
/// stand for the model are fitted to what they give; and the posterior is sampled from these, which
/// says where the next wave looks. Every wave is a trial file and a result in the folder, so the same
/// command goes on after an interruption, and a wave can as well be computed on a cluster (--plan).
///
/// The folder then has posterior.h5 (draws and diagnostics), posterior.toml (the trial at the draws, to
/// be run or ranked over) and best.toml (the trial at the most probable point).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Targets are tables of a cohort (CSV with a head; lines that begin with # are comments).
Rates have the columns stratum, from_years, until_years, person_years and one for each kind of
event that was counted: local, distant, recurrence, death_without_recurrence, cancer_death,
other_death. Proportions have stratum, event (one of these, or enrolled for the share of patients
in the stratum), years, value and patients. A stratum is named by classes of the trial's strata,
such as `nodes 1-3, size <=20 mm`, or `all`; a column arm names another arm than the control.

Examples:
  reseed calibrate breast.toml --targets rates.csv --targets shares.csv --out breast
  reseed calibrate breast.toml --targets rates.csv --out breast --plan
  reseed coordinate breast/wave-1.toml --store s --listen 127.0.0.1:7461 --out breast/wave-1.h5")]
pub(crate) struct Calibrate {
    /// Trial file with priors, or name of a preset
    pub(crate) trial: String,

    /// Table of rates or proportions of a cohort; may be given several times
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) targets: Vec<PathBuf>,

    /// Folder of the waves and of what is found
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    /// Waves of points
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) waves: u16,

    /// Points of a wave [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) points: Option<u64>,

    /// Patients to screen at each point [default: the trial's]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients_per_point: Option<u64>,

    /// Draws of the posterior to keep
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=65_536))]
    pub(crate) draws: u32,

    /// Draws at which invented cohorts must find the parameters again; none to leave that out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) recoveries: u64,

    /// Seed of all randomness [default: the trial's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,

    /// Do not simulate: write the next trial whose result is missing, and say what to run
    #[arg(long)]
    pub(crate) plan: bool,

    /// Replace what is in the folder from another calibration
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A plan of virtual trials; each option stands for the key of this name in the table
/// `[virtual_trials]` of a trial file.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The plan of the trials [defaults: the trial file's]")]
pub(crate) struct VirtualPlan {
    /// Patients of the control group, for each size of trial
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(crate) patients_per_arm: Vec<f64>,

    /// Treated patients for each control
    #[arg(long, value_name = "R")]
    pub(crate) allocation: Option<f64>,

    /// Months from the first to the last entry
    #[arg(long, value_name = "M")]
    pub(crate) accrual_months: Option<f64>,

    /// Months from the last entry to the end
    #[arg(long, value_name = "M")]
    pub(crate) follow_up_months: Option<f64>,

    /// Hazard of leaving a trial, besides the follow-up's
    #[arg(long, value_name = "H")]
    pub(crate) dropout_per_year: Option<f64>,

    /// Looks as fractions of the trial's time, or of its planned events
    #[arg(long, value_name = "F", value_delimiter = ',')]
    pub(crate) looks: Vec<f64>,

    /// Events of both groups at which trials end, for each size
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(crate) events: Vec<f64>,

    /// Alpha-spending function of the looks
    #[arg(long, value_name = "RULE", value_parser = spending_parser())]
    pub(crate) spending: Option<String>,

    /// Two-sided level
    #[arg(long, value_name = "A")]
    pub(crate) alpha: Option<f64>,

    /// What is tested [default: the primary comparison's]
    #[arg(long, value_name = "NAME", value_parser = endpoint_parser())]
    pub(crate) endpoint: Option<String>,
}

/// Write a report of a result: one HTML file with all figures
///
/// The file needs no other, opens without a network and prints well. It has the flow of patients,
/// arms against the control, curves with who is at risk, who benefits, first events, the model
/// beside a cohort, and how to compute the result again. The same result gives the same bytes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed report breast.h5
  reseed report breast.h5 --out report.html --figures figures --years 2,5,10
  reseed report mine.h5 --cohort mine.csv     as `reseed validate --targets` reads it
  reseed report strata.h5 --patients gbsg.csv as `reseed validate --patients` reads it")]
pub(crate) struct Report {
    /// Result file
    pub(crate) file: PathBuf,

    /// Report to write [default: FILE with .html]
    #[arg(long, short, value_name = "FILE.html")]
    pub(crate) out: Option<PathBuf>,

    /// Folder for every figure as SVG and its numbers as CSV; made if it is absent
    #[arg(long, value_name = "DIR")]
    pub(crate) figures: Option<PathBuf>,

    /// What was seen in patients, to set beside the control: a CSV file [default: the preset's
    /// cohort, if the trial has the name of one]
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) cohort: Option<PathBuf>,

    /// Patients who were followed, by whom the control's predictions are judged: a CSV file
    #[arg(long, value_name = "COHORT.csv")]
    pub(crate) patients: Option<PathBuf>,

    /// What patients were followed for
    #[arg(long, value_name = "NAME", default_value = "rfs", value_parser = outcome_parser(), requires = "patients")]
    pub(crate) endpoint: String,

    /// Times at which arms are compared and predictions are judged, years from resection [default:
    /// the trial's; for predictions, those of them that the cohort reaches]
    #[arg(long, value_name = "Y", value_delimiter = ',')]
    pub(crate) years: Vec<f64>,

    /// Title [default: the trial's]
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// Replace files that are no reports
    #[arg(long)]
    pub(crate) force: bool,
}

/// Judge a result by patients who were followed, and by published incidences
///
/// A run whose table `[strata]` divides the patients predicts the course of everybody in a stratum.
/// With --patients, each patient of a cohort is predicted the course that the virtual patients of
/// the same stratum have in the control arm, and predictions are judged by what came: whether
/// those at higher risk fare worse (Harrell's and Uno's C), the error of the probabilities (Brier
/// score), and whether as many events come as are predicted (calibration).
///
/// With --targets, incidences of the control arm and the times at which its hazards are highest are
/// set beside published ones.
///
/// A result over points of uncertain parameters, such as the posterior of `reseed calibrate`, also
/// gives the median and the central 95 % of the points, if its trial has `uncertainty.half_years`.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("cohorts").args(["patients", "targets"]).required(true).multiple(true),
    after_long_help = "\
Patients are a CSV file with a head and a line for each patient; other columns are left alone:
  years     how long the patient was followed, from resection
  event     what ended that: none (still followed), local, distant, recurrence (it is not known
            which), death_without_recurrence or recurrence_or_death; for --endpoint death,
            follow-up is until death, and the event is none, death, cancer_death or other_death
  and a column for each covariate that divides the trial's patients, named as its key in [strata],
  such as nodes and size_mm; ctc is the number of circulating cells in the sample

Targets are a CSV file with a head and a line for each quantity:
  stratum   whose it is, as the trial labels its strata, several with ; between them; or all
  event     as the first event: local, distant, recurrence or death_without_recurrence
  quantity  incidence (cumulative, a fraction), also if there is no such column, or
            hazard_peak_years (when the hazard is highest, smoothed over 0.75 years to either side)
  years     from resection, by when the incidence is; empty for a peak
  value, lower, upper   the quantity with its 95 % interval
  source    where it was seen

Endpoints:
  local, distant   as the first event; everything else competes
  recurrence       local or distant; death without a recurrence competes
  rfs              recurrence or death
  death            of any cause

Examples:
  reseed validate strata.h5 --patients gbsg.csv
  reseed validate strata.h5 --patients mine.csv --endpoint distant --years 2,5 --figures figures
  reseed validate breast.h5 --targets published.csv --json | jq .targets.inside_share"
)]
pub(crate) struct Validate {
    /// Result file
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) cohorts: Cohorts,

    /// Arm whose courses are the predictions [default: the control]
    #[arg(long, value_name = "NAME")]
    pub(crate) arm: Option<String>,

    /// Folder for figures as SVG and their numbers as CSV; made if it is absent
    #[arg(long, value_name = "DIR")]
    pub(crate) figures: Option<PathBuf>,

    /// Put figures into a folder that has other files
    #[arg(long)]
    pub(crate) force: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a result is set against.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cohorts {
    /// Patients who were followed
    #[arg(long, value_name = "COHORT.csv")]
    pub(crate) patients: Option<PathBuf>,

    /// Published incidences and peaks of hazards, with columns stratum, event, quantity, years,
    /// value, lower, upper and source
    #[arg(long, value_name = "TARGETS.csv")]
    pub(crate) targets: Option<PathBuf>,

    /// What patients were followed for
    #[arg(long, value_name = "NAME", default_value = "rfs", value_parser = outcome_parser())]
    pub(crate) endpoint: String,

    /// Times by which predictions are judged, years from resection [default: those of the trial
    /// that the cohort reaches]
    #[arg(long, value_name = "Y", value_delimiter = ',')]
    pub(crate) years: Vec<f64>,
}

/// Write what a review of a model's credibility asks for, as one document
///
/// The sections are those of ASME V&V 40: question of interest, context of use, model risk, code
/// and calculation verification, validation, applicability, uncertainty. Each says what was
/// checked, by which rule, what was found and which command shows the same; what no evidence was
/// given for is called so. A part of the run is computed again and compared with the result.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The context file says what only its author can say, and how close is close enough; every key is
in docs/credibility/breast.toml of the source, and any may be left out:
  question, context_of_use, population   in words
  cohorts_independent                    whether the cohorts had no part in choosing parameters
  [model_risk]                           influence and consequence: low, medium or high
  [acceptance]                           precision_points, saturated_share, targets_inside,
                                         observed_to_expected, slope, strata_difference

Examples:
  reseed credibility breast.h5
  reseed credibility breast.h5 --context breast.toml --targets published.csv \\
      --posterior found/posterior.h5 --ranking breast-targets.h5
  reseed credibility strata.h5 --patients gbsg.csv --years 2,5 --out credibility.md")]
pub(crate) struct Credibility {
    /// Result file
    pub(crate) file: PathBuf,

    /// Document to write: .html, or .md without figures [default: FILE with .credibility.html]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// What the model is asked, what depends on it, and how close is close enough
    #[arg(long, value_name = "CONTEXT.toml")]
    pub(crate) context: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) cohorts: Cohorts,

    /// What a calibration of the parameters found
    #[arg(long, value_name = "POSTERIOR.h5")]
    pub(crate) posterior: Option<PathBuf>,

    /// Result of `reseed rank` over the uncertain parameters [default: FILE, if it has any]
    #[arg(long, value_name = "RESULT.h5")]
    pub(crate) ranking: Option<PathBuf>,

    /// Fraction of the patients to compute again; at least one shard
    #[arg(long, value_name = "F", default_value_t = 0.0001, value_parser = fraction)]
    pub(crate) fraction: f64,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Replace a file that is no such document
    #[arg(long)]
    pub(crate) force: bool,

    /// Print JSON, and write no document
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trial {
    /// Check a trial file; silent and 0 if it is right
    Check {
        /// Trial file, or name of a preset
        trial: String,
        /// Print what is wrong as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a trial with every value explicit, documented, and all it inherits filled in
    Show {
        /// Trial file, or name of a preset
        trial: String,
        /// Print a preset's own file, with the source of every number
        #[arg(long)]
        source: bool,
        /// Print the trial at this point of its uncertain parameters, numbered from 0
        #[arg(long, value_name = "N", conflicts_with = "source")]
        point: Option<u64>,
        /// Seed of the run that has this point [default: the trial's]
        #[arg(long, value_name = "S", requires = "point")]
        seed: Option<u64>,
    },
    /// List the embedded presets
    Presets {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of trial files, for editors
    Schema,
}

/// Replay one patient, event by event
///
/// Shows the colonies that were founded, by whom and in which therapies, when they were
/// detected, and why each therapy lost or kept them.
#[derive(Debug, Args)]
pub(crate) struct Patient {
    /// Result file, trial file, or name of a preset
    pub(crate) source: String,

    /// Index of the patient in the screening order
    #[arg(long, value_name = "N")]
    pub(crate) index: u64,

    /// Show this therapy only
    #[arg(long, value_name = "NAME")]
    pub(crate) arm: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compute recorded shards again and compare their digests
///
/// The total digest is checked in any case. Which shards are computed again depends on the
/// result alone, so that the same command checks the same shards.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Result file
    pub(crate) file: PathBuf,

    /// Fraction of the patients to compute again; 1 for all
    #[arg(long, value_name = "F", default_value_t = 0.05, value_parser = fraction)]
    pub(crate) fraction: f64,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Simulate more patients into a result
///
/// The file is replaced by one with patients 0 to N, equal to a run of N patients from the
/// start. Until then it stays as it is; an interrupted extension goes on like a run.
#[derive(Debug, Args)]
pub(crate) struct Extend {
    /// Result file
    pub(crate) file: PathBuf,

    /// Patients that the result should have
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) patients: u64,

    #[command(flatten)]
    pub(crate) work: Work,

    /// Print a summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Add up results of different patients of the same trial and seed
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  reseed run breast --patients 500000 --out a.h5
  reseed run breast --patients 500000 --first-patient 500000 --out b.h5
  reseed merge a.h5 b.h5 --out breast.h5")]
pub(crate) struct Merge {
    /// Result files
    #[arg(required = true, num_args = 2..)]
    pub(crate) files: Vec<PathBuf>,

    /// Result file to write
    #[arg(long, short, value_name = "FILE.h5")]
    pub(crate) out: PathBuf,

    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// Print the digest of a result, one line of hex
///
/// Equal digests mean equal trial, seed and counts.
#[derive(Debug, Args)]
pub(crate) struct Digest {
    /// Result file
    pub(crate) file: PathBuf,
}

/// Make the certificates, keys and token by which a cluster knows its members
///
/// Makes a small certificate authority in a folder and signs a certificate for the coordinator,
/// for workers and for operators. With an authority there already, it signs new certificates by
/// it: the same command renews all of them, with the names they had. A coordinator takes new
/// files without a restart, workers take theirs at their next connection.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  reseed keys keys --host node1.cluster --host 10.0.0.7
  reseed keys keys --worker partition-a --worker partition-b --days 90
  reseed keys keys                                               again: renews them")]
pub(crate) struct Keys {
    /// Folder for the files; made if it is absent
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    /// Name or address by which the coordinator is reached, besides this machine's own
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,

    /// Days for which certificates are good
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,

    /// Name of a workers' certificate [default: those that there are, or worker]
    #[arg(long, value_name = "NAME")]
    pub(crate) worker: Vec<String>,

    /// Print what was made as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print shell completions
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  reseed completions bash > ~/.local/share/bash-completion/completions/reseed")]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}

/// Write manual pages: one for the program and one for each command
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  reseed man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Folder for the pages; made if it is absent
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

fn spending_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(Spending::ALL.map(Spending::name))
}

fn column_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(reseed_report::column_names().chain([ALL_COLUMNS]))
}

/// Stands for every column of a comparison.
pub(crate) const ALL_COLUMNS: &str = "all";

fn outcome_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(Outcome::ALL.map(Outcome::name))
}

fn endpoint_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(Endpoint::ALL.map(Endpoint::name))
}

/// A positive number of patients; `_` may group digits.
fn count(text: &str) -> Result<u64, String> {
    match text.replace('_', "").parse() {
        Ok(0) => Err("at least 1 is needed".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("a whole number such as 1000000 or 1_000_000 is needed".into()),
    }
}

/// A half-width in percentage points.
fn precision(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(points) if points > 0.0 && points <= PRECISION_MAX_POINTS => Ok(points),
        _ => Err(format!(
            "a number above 0 and up to {PRECISION_MAX_POINTS} is needed"
        )),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err("a percentage from 0 to 100 is needed".into()),
    }
}

fn lease_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.5..=3600.0).contains(&number) => Ok(number),
        _ => Err("a number of seconds from 0.5 to 3600 is needed".into()),
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 1.0 => Ok(number),
        _ => Err("a number above 0 and up to 1 is needed".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(count("1_000"), Ok(1000));
        assert!(count("0").is_err() && count("many").is_err() && count("-3").is_err());
        assert_eq!(fraction("1"), Ok(1.0));
        assert_eq!(precision("0.05"), Ok(0.05));
        for wrong in ["0", "-1", "10.5", "nan", "5%"] {
            assert!(precision(wrong).is_err(), "{wrong}");
        }
        assert!(fraction("0").is_err() && fraction("1.1").is_err() && fraction("nan").is_err());
    }
}
