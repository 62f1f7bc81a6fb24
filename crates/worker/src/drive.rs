//! Carries out what the agent decides.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use reseed_protocol::channel::Whereabouts;
use reseed_protocol::messages::{
    Ask, Failed, Held, Machine, PartHeader, Pulse, Registration, Release, RunSpec, Session,
    Versions, Welcome,
};
use reseed_protocol::{Kind, Refusal};
use reseed_results::{Digest, Layout, PartInfo, RunIdentity};
use reseed_trial::Trial;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{Instrument, Span, info_span};

use crate::agent::{Action, Agent, Call, Event, Outcome, Settings, key};
use crate::calls::Line;
use crate::compute::{self, Computed, Job, Prepared};
use crate::spool::Spool;

/// How long the speed of this machine is measured.
const PILOT: Duration = Duration::from_millis(50);
/// How long the last calls may take.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

/// A worker to be.
#[derive(Debug)]
pub struct Config {
    /// Where the coordinator is.
    pub coordinator: Whereabouts,
    /// Random bytes that nobody else knows.
    pub session: Session,
    /// Name in reports.
    pub name: String,
    /// What the coordinator must have too.
    pub versions: Versions,
    /// Where this is.
    pub machine: Machine,
    /// How to work. Times are milliseconds from the start of [`work`].
    pub settings: Settings,
    /// Where to keep finished parts.
    pub spool: PathBuf,
    /// Whether the spool goes away with the worker.
    pub spool_is_temporary: bool,
}

/// What the driver is told.
enum Message {
    Event(Event),
    Connected(Box<(Line, Welcome)>),
    Computed(Computed),
    Prepared(Arc<Prepared>, f64),
}

/// A worker's hands.
struct Driver {
    config: Config,
    start: Instant,
    tell: UnboundedSender<Message>,
    jobs: mpsc::Sender<Job>,
    line: Option<Line>,
    spool: Spool,
    run: Option<Arc<Prepared>>,
    under_way: BTreeMap<(u64, u64), UnderWay>,
    /// Spans of shards from the first computing to the delivery.
    spans: BTreeMap<(u64, u64), Span>,
    /// Calls that must be over before the worker leaves.
    last_calls: Vec<JoinHandle<()>>,
}

/// A shard on a thread.
struct UnderWay {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

/// Works for a coordinator until there is nothing left to do. The first time that `stop` yields
/// asks the worker to hand back what it cannot finish in its grace time.
///
/// Returns how it ended, and where finished parts are left that could not be delivered.
///
/// # Errors
/// The system's, if there are no threads or no spool.
pub async fn work(
    config: Config,
    stop: impl Future<Output = ()>,
) -> std::io::Result<(Outcome, Option<PathBuf>)> {
    let (tell, told) = unbounded_channel();
    let computed = {
        let tell = tell.clone();
        // If the driver has ended, nobody needs to know.
        move |computed| drop(tell.send(Message::Computed(computed)))
    };
    // Part of a digest: names of files must not give a session away.
    let mark = Digest::of(&config.session.0).to_string()[..8].to_owned();
    let driver = Driver {
        start: Instant::now(),
        jobs: compute::start(config.settings.threads, computed)?,
        spool: Spool::open(config.spool.clone(), config.spool_is_temporary, mark)?,
        line: None,
        run: None,
        under_way: BTreeMap::new(),
        spans: BTreeMap::new(),
        last_calls: Vec::new(),
        tell,
        config,
    };
    Ok(driver.run(told, stop).await)
}

impl Driver {
    async fn run(
        mut self,
        mut told: UnboundedReceiver<Message>,
        stop: impl Future<Output = ()>,
    ) -> (Outcome, Option<PathBuf>) {
        let mut agent = Agent::new(self.config.settings.clone(), self.now());
        let mut stop = pin!(stop);
        let mut stopping = false;
        let mut events = vec![Event::Tick];
        loop {
            for event in events.drain(..) {
                for action in agent.handle(event, self.now()) {
                    if let Action::Exit(outcome) = action {
                        return self.end(outcome).await;
                    }
                    self.act(action);
                }
            }
            let wait = Duration::from_millis(agent.wakes_at().saturating_sub(self.now()));
            tokio::select! {
                message = told.recv() => {
                    events.extend(message.map(|message| self.hear(message)));
                }
                () = &mut stop, if !stopping => {
                    stopping = true;
                    events.push(Event::Stop);
                }
                () = tokio::time::sleep(wait) => events.push(Event::Tick),
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes what a message brings, and passes on what the agent should know.
    fn hear(&mut self, message: Message) -> Event {
        match message {
            Message::Event(event) => event,
            Message::Connected(connected) => {
                let (line, welcome) = *connected;
                tracing::info!(
                    worker = welcome.worker,
                    "registered with {}",
                    self.config.coordinator.name()
                );
                self.line = Some(line);
                Event::Registered(welcome)
            }
            Message::Prepared(run, patients_per_second) => {
                self.run = Some(run);
                Event::Prepared {
                    patients_per_second,
                }
            }
            Message::Computed(computed) => self.computed(computed),
        }
    }

    fn computed(&mut self, computed: Computed) -> Event {
        match computed {
            Computed::Part { info, seconds } => {
                let PartInfo { range, digest, .. } = &info;
                let span = self.spans.get(&key(range));
                tracing::info!(parent: span.and_then(Span::id), seconds, %digest, "computed a shard");
                self.under_way.remove(&key(range));
                self.spool.note(&info);
                let range = info.range;
                Event::Computed { range, seconds }
            }
            Computed::Aborted(range) => {
                self.under_way.remove(&key(&range));
                self.spans.remove(&key(&range));
                Event::Aborted { range }
            }
            Computed::Failed(range, error) => {
                let span = self.spans.remove(&key(&range));
                tracing::error!(parent: span.as_ref().and_then(Span::id), "{error}");
                self.under_way.remove(&key(&range));
                Event::Failed { range, error }
            }
            Computed::Unkept(range, error) => {
                self.under_way.remove(&key(&range));
                let problem = error.to_string();
                Event::Unkept { range, problem }
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Register { holding } => self.register(holding),
            Action::Prepare(welcome) => self.prepare(&welcome),
            Action::Ask { wanted } => {
                let session = self.config.session;
                let ask = Ask { session, wanted };
                self.call(Call::Ask, |line| async move {
                    line.ask(ask).await.map(Event::Answered)
                });
            }
            Action::Pulse { held } => self.pulse(&held),
            Action::Compute { range, attempt } => self.compute(range, attempt),
            Action::Abort { range } => {
                if let Some(shard) = self.under_way.get(&key(&range)) {
                    shard.stop.store(true, Ordering::Relaxed);
                }
            }
            Action::Deliver { range, attempt } => self.deliver(range, attempt),
            Action::Discard { range } => {
                self.spans.remove(&key(&range));
                self.spool.remove(&range);
            }
            Action::Release { attempts } => {
                let session = self.config.session;
                let release = Release { session, attempts };
                self.tell_coordinator(|line| async move { line.release(release).await });
            }
            Action::Fail {
                attempt,
                retryable,
                error,
            } => {
                let failed = Failed {
                    session: self.config.session,
                    attempt,
                    retryable,
                    error,
                };
                self.tell_coordinator(|line| async move { line.fail(failed).await });
            }
            Action::Leave => {
                let session = self.config.session;
                // What was said before must not arrive after.
                let before = std::mem::take(&mut self.last_calls);
                self.tell_coordinator(|line| async move {
                    for call in before {
                        // A call that failed says nothing any more.
                        let _ = call.await;
                    }
                    line.leave(session).await
                });
            }
            Action::Exit(_) => {}
        }
    }

    fn register(&mut self, holding: Vec<Range<u64>>) {
        self.line = None;
        let registration = Registration {
            session: self.config.session,
            name: self.config.name.clone(),
            versions: self.config.versions.clone(),
            machine: self.config.machine.clone(),
            holding,
        };
        let (coordinator, tell) = (self.config.coordinator.clone(), self.tell.clone());
        tokio::spawn(async move {
            let message = match Line::register(&coordinator, registration).await {
                Ok(connected) => Message::Connected(Box::new(connected)),
                Err(refusal) => {
                    tracing::warn!("cannot register: {refusal}");
                    let call = Call::Register;
                    Message::Event(Event::Refused { call, refusal })
                }
            };
            // If the driver has ended, nobody needs to know.
            let _ = tell.send(message);
        });
    }

    /// Gets ready for a run, unless it is the one that is being computed.
    fn prepare(&mut self, welcome: &Welcome) {
        let engine_version = self.config.versions.engine.clone();
        let known = self.run.as_ref().filter(|run| {
            run.identity.fingerprint == welcome.run.fingerprint
                && run.identity.seed == welcome.run.seed
        });
        let identity = RunIdentity {
            trial_toml: welcome.run.trial_toml.clone(),
            fingerprint: welcome.run.fingerprint,
            seed: welcome.run.seed,
            engine_version,
            model_version: self.config.versions.model.clone(),
        };
        match self.spool.enter(&identity, welcome.shared.as_ref()) {
            Ok(ranges) if ranges.is_empty() => {}
            Ok(ranges) => {
                tracing::info!("{} finished parts lie in the spool", ranges.len());
                let _ = self.tell.send(Message::Event(Event::Found { ranges }));
            }
            Err(error) => {
                let problem = format!(
                    "cannot use the spool {}: {error}",
                    self.config.spool.display()
                );
                let _ = self.tell.send(Message::Event(Event::Broken { problem }));
                return;
            }
        }
        if known.is_some() {
            return;
        }
        self.run = None;
        let (tell, run) = (self.tell.clone(), welcome.run.clone());
        spawn_blocking(move || {
            let message = match understand(&run, &identity) {
                Ok(trial) => {
                    let rate = reseed_engine::patients_per_second(
                        &trial,
                        run.seed,
                        &(0..u64::MAX),
                        PILOT,
                        &AtomicBool::new(false),
                    );
                    let layout = Layout::of(&trial);
                    let prepared = Prepared {
                        trial,
                        identity,
                        layout,
                    };
                    Message::Prepared(Arc::new(prepared), rate)
                }
                Err(problem) => Message::Event(Event::Unfit { problem }),
            };
            let _ = tell.send(message);
        });
    }

    fn pulse(&mut self, held: &[(u64, Range<u64>)]) {
        let done = |range: &Range<u64>| {
            let shard = self.under_way.get(&key(range));
            shard.map_or(0, |shard| shard.done.load(Ordering::Relaxed))
        };
        let pulse = Pulse {
            session: self.config.session,
            held: held
                .iter()
                .map(|(attempt, range)| Held {
                    attempt: *attempt,
                    patients_done: done(range),
                })
                .collect(),
        };
        self.call(Call::Pulse, |line| async move {
            line.pulse(pulse).await.map(Event::Pulsed)
        });
    }

    fn compute(&mut self, range: Range<u64>, attempt: u64) {
        let (Some(run), Some(place)) = (self.run.clone(), self.spool.place()) else {
            let error = "the run is not prepared".into();
            let _ = self
                .tell
                .send(Message::Event(Event::Failed { range, error }));
            return;
        };
        let shard = UnderWay {
            stop: Arc::default(),
            done: Arc::default(),
        };
        let job = Job {
            run,
            attempt,
            worker: self.config.name.clone(),
            place,
            span: self.span(&range, attempt),
            stop: Arc::clone(&shard.stop),
            done: Arc::clone(&shard.done),
            range: range.clone(),
        };
        self.under_way.insert(key(&range), shard);
        // Threads live as long as the sender does.
        let _ = self.jobs.send(job);
    }

    fn deliver(&mut self, range: Range<u64>, attempt: u64) {
        let call = Call::Deliver {
            range: range.clone(),
        };
        let Some(part) = self.spool.get(&range).cloned() else {
            let refusal = Refusal::new(Kind::Foreign, "there is no such part");
            let _ = self
                .tell
                .send(Message::Event(Event::Refused { call, refusal }));
            return;
        };
        let header = PartHeader {
            session: self.config.session,
            attempt,
            range: range.clone(),
            digest: part.digest,
            file_bytes: fs::metadata(&part.path).map_or(0, |file| file.len()),
            shared_name: part.shared_name.clone(),
        };
        let span = info_span!(parent: &self.span(&range, attempt), "deliver");
        let deliver = |line: Line| async move {
            let receipt = line.deliver(header, part).await?;
            Ok(Event::Taken { range, receipt })
        };
        let delivery = span.in_scope(|| self.call(call, deliver));
        self.remember(delivery);
    }

    /// The span of a shard, which lasts until its part is delivered or given up.
    fn span(&mut self, range: &Range<u64>, attempt: u64) -> Span {
        let Range { start, end } = *range;
        let worker = &self.config.name;
        let new = || info_span!("shard", worker, shard = format!("{start}..{end}"), attempt);
        self.spans.entry((start, end)).or_insert_with(new).clone()
    }

    /// Makes a call and tells the agent what came of it.
    fn call<F>(&mut self, call: Call, make: impl FnOnce(Line) -> F) -> Option<JoinHandle<()>>
    where
        F: Future<Output = Result<Event, Refusal>> + Send + 'static,
    {
        let tell = self.tell.clone();
        let Some(line) = self.line.clone() else {
            let refusal = Refusal::new(Kind::Unreachable, "there is no connection");
            let _ = tell.send(Message::Event(Event::Refused { call, refusal }));
            return None;
        };
        let made = make(line);
        let made = async move {
            let event = made.await.unwrap_or_else(|refusal| {
                tracing::warn!(?call, "{refusal}");
                Event::Refused { call, refusal }
            });
            let _ = tell.send(Message::Event(event));
        };
        Some(tokio::spawn(made.in_current_span()))
    }

    /// Says something that needs no answer: if it is lost, the lease runs out by itself.
    fn tell_coordinator<F>(&mut self, say: impl FnOnce(Line) -> F)
    where
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        let Some(line) = self.line.clone() else {
            return;
        };
        let said = say(line);
        let call = tokio::spawn(async move {
            if let Err(refusal) = said.await {
                tracing::warn!("{refusal}");
            }
        });
        self.remember(Some(call));
    }

    /// The worker shall not leave before a call is over.
    fn remember(&mut self, call: Option<JoinHandle<()>>) {
        self.last_calls.retain(|call| !call.is_finished());
        self.last_calls.extend(call);
    }

    /// Lets the last calls end and closes the spool.
    async fn end(self, outcome: Outcome) -> (Outcome, Option<PathBuf>) {
        let farewell = async {
            for call in self.last_calls {
                // A call that failed has said so.
                let _ = call.await;
            }
        };
        // Whoever does not answer by now finds out by itself.
        let _ = tokio::time::timeout(FAREWELL_MAX, farewell).await;
        (outcome, self.spool.close())
    }
}

/// Reads the trial as the coordinator means it.
fn understand(run: &RunSpec, identity: &RunIdentity) -> Result<Trial, String> {
    let trial = Trial::parse_identity("trial of the coordinator", &run.trial_toml, 1, run.seed)
        .map_err(|error| format!("this worker cannot read the coordinator's trial: {error}"))?;
    if trial.fingerprint() == identity.fingerprint {
        Ok(trial)
    } else {
        Err(
            "the coordinator's trial has another fingerprint here, so this worker would \
             compute something else; run the same version of reseed on both sides"
                .into(),
        )
    }
}
