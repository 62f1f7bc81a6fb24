//! `reseed launch kubernetes`: a trial as Jobs of Kubernetes.

mod kubectl;
mod manifests;
mod watch;

use std::path::{Path, PathBuf};

use reseed_results::{ResultFile, read_result};
use reseed_trial::Trial;

use self::kubectl::Kubectl;
use self::manifests::{KEYS, READER, Run, STORE, check_name, check_run_name, name_of};
use self::watch::wait;
use super::make_keys;
use crate::args::LaunchKubernetes;
use crate::authority::make_folder;
use crate::exit::Failure;
use crate::gaps::Summary;
use crate::identity::{identity, same_run};
use crate::output::{Chatter, print};
use crate::source;

pub(crate) use self::manifests::COMPONENTS;

/// Result in the volume, as the reader's pod sees it.
const RESULT: &str = "/store/run/result.h5";
/// For how long the keys of a run are good.
const KEYS_DAYS: u16 = 365;
/// Longest name of a namespace.
const NAMESPACE_LEN_MAX: usize = 63;
/// How long the reader's pod may take to start.
const READER_START_MAX: &str = "--timeout=300s";

pub(crate) fn kubernetes(args: &LaunchKubernetes, chatter: Chatter) -> Result<(), Failure> {
    let trial = source::chosen(&args.chosen)?;
    source::check_points(&trial, &(0..trial.patients))?;
    let launch = Launch::new(args, trial)?;
    launch.prepare()?;
    if args.dry_run {
        return launch.show();
    }
    launch.apply(chatter)?;
    if args.wait || args.out.is_some() {
        wait(&launch.kubectl, &launch.run, chatter)?;
    }
    if let Some(out) = &args.out {
        launch.fetch(out, chatter)?;
    }
    Ok(())
}

/// What is applied, and where it is kept.
struct Launch {
    trial: Trial,
    run: Run,
    folder: PathBuf,
    kubectl: Kubectl,
}

impl Launch {
    fn new(args: &LaunchKubernetes, trial: Trial) -> Result<Self, Failure> {
        let name = args.name.clone().unwrap_or_else(|| name_of(&trial.name));
        check_run_name(&name)?;
        if let Some(namespace) = &args.namespace {
            check_name("--namespace", namespace, NAMESPACE_LEN_MAX)?;
        }
        let folder = args.folder.clone();
        let folder = folder.unwrap_or_else(|| PathBuf::from(format!("{name}.kubernetes")));
        Ok(Self {
            trial,
            folder,
            kubectl: Kubectl::new(args.context.as_deref(), args.namespace.as_deref())?,
            run: Run {
                name,
                namespace: args.namespace.clone(),
                image: args.image.clone(),
                workers: args.workers,
                cpus: args.cpus,
                memory: args.memory.clone(),
                storage: args.storage.clone(),
                storage_class: args.storage_class.clone(),
                components: args.component.clone(),
            },
        })
    }

    /// Writes the folder. Keys that are there stay, so that what was shown is what is applied.
    fn prepare(&self) -> Result<(), Failure> {
        make_folder(&self.folder)?;
        let keys = self.folder.join(KEYS);
        if !self.run.has("cert-manager") && !keys.exists() {
            make_keys(keys, self.hosts(), KEYS_DAYS)?;
        }
        // With everything explicit, so that nothing that changes elsewhere changes the run.
        self.run.write(&self.folder, &self.trial.canonical_toml())
    }

    /// Names of the coordinator's service.
    fn hosts(&self) -> Vec<String> {
        let short = self.run.object("coordinator");
        let namespace = self.run.namespace.iter();
        let long = namespace.map(|namespace| format!("{short}.{namespace}.svc"));
        let long = long.collect::<Vec<_>>();
        [vec![short], long].concat()
    }

    fn store(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    fn show(&self) -> Result<(), Failure> {
        let store = self.kubectl.kustomize(&self.store())?;
        let run = self.kubectl.kustomize(&self.folder)?;
        print(&format!("{store}---\n{run}"))
    }

    fn apply(&self, chatter: Chatter) -> Result<(), Failure> {
        self.kubectl.apply(&self.store())?;
        self.kubectl.apply(&self.folder)?;
        let (run, folder) = (&self.run, self.folder.display());
        let logs = run.object("coordinator");
        let workers = if run.workers == 1 {
            "worker"
        } else {
            "workers"
        };
        chatter.say(&format!(
            "{} is launched with {} {workers}; log: kubectl logs -f job/{logs}; remove it, and \
             keep what is committed: kubectl delete -k {folder}",
            run.name, run.workers
        ));
        Ok(())
    }

    /// Copies the result out of the volume.
    fn fetch(&self, out: &Path, chatter: Chatter) -> Result<(), Failure> {
        let reader = self.folder.join(READER);
        self.kubectl.apply(&reader)?;
        let fetched = self.copy(out);
        // The pod would also go by itself, after an hour.
        let removed = self.kubectl.delete(&reader);
        let file = fetched?;
        removed?;
        Summary::of_trial(&self.trial, out, &file).tell("is complete", false, chatter)
    }

    fn copy(&self, out: &Path) -> Result<ResultFile, Failure> {
        let pod = self.run.object(READER);
        let named = format!("pod/{pod}");
        self.kubectl
            .text(&["wait", "--for=condition=Ready", READER_START_MAX, &named])?;
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .suffix(".h5")
            .tempfile_in(folder)
            .map_err(Failure::system("write", out))?;
        let copy = file
            .as_file()
            .try_clone()
            .map_err(Failure::system("write", out))?;
        self.kubectl
            .save(&["exec", &pod, "--", "cat", RESULT], copy)?;
        let result = self.checked(file.path())?;
        file.as_file()
            .sync_all()
            .map_err(Failure::system("write", out))?;
        file.persist(out)
            .map_err(|failed| Failure::system("replace", out)(failed.error))?;
        Ok(result)
    }

    /// What is in a copy, if that is whole, and of this run.
    fn checked(&self, copy: &Path) -> Result<ResultFile, Failure> {
        let file = read_result(copy)?;
        if same_run(&file.identity, &identity(&self.trial, self.trial.seed)) {
            return Ok(file);
        }
        Err(Failure::File(
            "the store holds the result of another trial, or of another seed; choose another --name"
                .into(),
        ))
    }
}
