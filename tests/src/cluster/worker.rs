//! A worker: the real agent, and hands that need no threads, sockets or disks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use reseed_protocol::messages::{
    Ask, Failed, Held, Machine, PartHeader, Pulse, Registration, Release, Session, Versions, Wait,
    Welcome,
};
use reseed_protocol::{Kind, PROTOCOL_REVISION, Refusal};
use reseed_results::Folder;
use reseed_trial::MODEL_VERSION;
use reseed_worker::{Action, Agent, Call, Event, Outcome, Settings};

use super::Bug;
use super::chance::Chance;
use super::disk::{Disk, Life, SimulatedFolder};
use super::faults::Fault;
use super::log::Log;
use super::material::{ENGINE_VERSION, Maker, Material, is_part};
use super::scenario::{Character, Place};
use super::wire::Request;

/// Subfolder of a worker's own disk with its parts.
const OWN: &str = "own";
/// Subfolder of the store for parts of workers that see it.
const SHARED: &str = "shared";
/// One computation in so many takes ten times as long.
const SLOW_ONE_IN: u64 = 25;
/// A computation that is told to stop ends within this time, ms.
const ABORT_MS_MAX: u64 = 60;

type Key = (u64, u64);

/// What comes of an event.
#[derive(Debug)]
pub(super) enum Deed {
    /// Make a call; the agent is told what came of it if it is about something.
    Call(Request, Option<Call>),
    /// Something happens within the worker after some time, ms.
    Later(u64, Inner),
    /// It has ended.
    Exit(Outcome),
}

/// What happens within a worker.
#[derive(Debug, Clone)]
pub(super) enum Inner {
    /// The agent is told.
    Tell(Event),
    /// It is ready to compute.
    Ready,
    /// A computation ends.
    JobEnds(u64),
    /// The agent wanted to be woken, the so-manieth time.
    Wake(u64),
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct Worker {
    character: Character,
    agent: Agent,
    pub(super) life: Rc<Life>,
    session: Session,
    /// Time of the world at which its clock is zero, ms. It goes back if the clock jumps.
    clock_zero: u64,
    /// Coordinator that it is connected with.
    pub(super) line: Option<u64>,
    own: SimulatedFolder,
    store: SimulatedFolder,
    has_entered: bool,
    sees_store: bool,
    is_ready: bool,
    parts: BTreeMap<Key, Finished>,
    /// Parts that a coordinator has taken, as it said itself.
    taken: BTreeSet<Key>,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    wake: (u64, u64),
    failing_patient: Option<u64>,
    maker: Maker,
    material: Rc<Material>,
    log: Rc<Log>,
    bug: Option<Bug>,
}

/// A finished part.
#[derive(Debug, Clone)]
struct Finished {
    is_shared: bool,
    name: String,
    digest: [u8; 32],
    /// Its name, if the coordinator sees it too.
    shared_name: Option<String>,
}

#[derive(Debug)]
struct Job {
    range: Range<u64>,
    since: u64,
    is_aborted: bool,
}

/// What a worker is made of.
pub(super) struct Parts<'a> {
    pub(super) number: u8,
    pub(super) character: &'a Character,
    pub(super) own: Rc<RefCell<Disk>>,
    pub(super) store: Rc<RefCell<Disk>>,
    pub(super) failing_patient: Option<u64>,
    pub(super) material: &'a Rc<Material>,
    pub(super) log: &'a Rc<Log>,
    pub(super) bug: Option<Bug>,
}

impl Worker {
    /// Starts a process.
    pub(super) fn start(parts: Parts<'_>, now: u64, chance: &mut Chance) -> Self {
        let character = parts.character.clone();
        let life = Rc::new(Life::default());
        let folder = |disk| {
            SimulatedFolder::new(
                disk,
                Rc::clone(&life),
                Rc::clone(parts.material),
                Rc::clone(parts.log),
                None,
            )
        };
        let settings = Settings {
            threads: character.threads,
            ahead: character.ahead,
            grace_ms: character.grace_ms,
            patience_ms: character.patience_ms,
            ends_at: character.lent_ms,
            jitter_seed: chance.below(u64::MAX),
        };
        Self {
            agent: Agent::new(settings, 0),
            session: Session(chance.bytes()),
            clock_zero: now,
            line: None,
            own: folder(parts.own),
            store: folder(parts.store),
            life,
            has_entered: false,
            sees_store: false,
            is_ready: false,
            parts: BTreeMap::new(),
            taken: BTreeSet::new(),
            jobs: BTreeMap::new(),
            next_job: 0,
            wake: (0, 0),
            failing_patient: parts.failing_patient,
            maker: if character.is_faulty {
                Maker::Faulty
            } else {
                Maker::Sound(parts.number)
            },
            material: Rc::clone(parts.material),
            log: Rc::clone(parts.log),
            bug: parts.bug,
            character,
        }
    }

    /// Lets the clock jump forward.
    pub(super) fn jump(&mut self, ms: u64, now: u64) -> Vec<Deed> {
        // Before the start of the world there was time, too.
        self.clock_zero = self.clock_zero.wrapping_sub(ms);
        let mut deeds = Vec::new();
        self.plan_to_wake(now, &mut deeds);
        deeds
    }

    fn clock(&self, now: u64) -> u64 {
        now.wrapping_sub(self.clock_zero)
    }

    /// A coordinator has answered that it has taken a part.
    pub(super) fn note_receipt(&mut self, range: &Range<u64>) {
        self.taken.insert(key(range));
    }

    /// Something happened within the worker.
    pub(super) fn happen(&mut self, what: Inner, now: u64, chance: &mut Chance) -> Vec<Deed> {
        match what {
            Inner::Tell(event) => self.handle(event, now, chance),
            Inner::Ready => {
                self.is_ready = true;
                let per_shard = self.character.ms_per_shard as f64 / 1000.0;
                let patients_per_second = self.material.shard_patients as f64 / per_shard;
                self.handle(
                    Event::Prepared {
                        patients_per_second,
                    },
                    now,
                    chance,
                )
            }
            Inner::JobEnds(number) => match self.jobs.remove(&number) {
                Some(job) => self.end_job(&job, now, chance),
                None => Vec::new(),
            },
            Inner::Wake(number) if number == self.wake.0 => self.handle(Event::Tick, now, chance),
            Inner::Wake(_) => Vec::new(),
        }
    }

    /// Takes an event and does what the agent says.
    pub(super) fn handle(&mut self, event: Event, now: u64, chance: &mut Chance) -> Vec<Deed> {
        let given_up = GivenUp::by(&event);
        self.log.say(format_args!(
            "{}: {}",
            self.character.name,
            describe(&event)
        ));
        let clock = self.clock(now);
        let mut deeds = Vec::new();
        for action in self.agent.handle(event, clock) {
            if let Action::Discard { range } = &action
                && !given_up.covers(range)
                && !self.taken.contains(&key(range))
                && self.parts.contains_key(&key(range))
            {
                self.log.accuse(format_args!(
                    "{} discards {range:?}, which nobody has and nobody gave up",
                    self.character.name
                ));
            }
            self.act(action, now, chance, &mut deeds);
        }
        self.plan_to_wake(now, &mut deeds);
        deeds
    }

    fn plan_to_wake(&mut self, now: u64, deeds: &mut Vec<Deed>) {
        let wakes_at = self.agent.wakes_at();
        if wakes_at == u64::MAX {
            self.wake.0 += 1;
            return;
        }
        let delay_ms = wakes_at.saturating_sub(self.clock(now));
        if self.wake.1 != now + delay_ms || self.wake.0 == 0 || delay_ms == 0 {
            self.wake = (self.wake.0 + 1, now + delay_ms);
            deeds.push(Deed::Later(delay_ms, Inner::Wake(self.wake.0)));
        }
    }

    fn act(&mut self, action: Action, now: u64, chance: &mut Chance, deeds: &mut Vec<Deed>) {
        let session = self.session;
        let request = match action {
            Action::Register { holding } => {
                self.line = None;
                let request = Request::Register(self.registration(holding));
                return deeds.push(Deed::Call(request, Some(Call::Register)));
            }
            Action::Prepare(welcome) => return self.prepare(&welcome, chance, deeds),
            Action::Ask { wanted } => {
                let request = Request::Ask(Ask { session, wanted });
                return deeds.push(Deed::Call(request, Some(Call::Ask)));
            }
            Action::Pulse { held } => {
                let held = held.into_iter().map(|(attempt, _)| Held {
                    attempt,
                    patients_done: 0,
                });
                let held = held.collect();
                let request = Request::Pulse(Pulse { session, held });
                return deeds.push(Deed::Call(request, Some(Call::Pulse)));
            }
            Action::Compute { range, .. } => return self.compute(range, now, chance, deeds),
            Action::Abort { range } => return self.abort(&range, chance, deeds),
            Action::Deliver { range, attempt } => {
                return self.deliver(range, attempt, chance, deeds);
            }
            Action::Discard { range } => return self.discard(&range),
            Action::Release { attempts } => Request::Release(Release { session, attempts }),
            Action::Fail {
                attempt,
                retryable,
                error,
            } => Request::Fail(Failed {
                session,
                attempt,
                retryable,
                error,
            }),
            Action::Leave => Request::Leave(session),
            Action::Exit(outcome) => return deeds.push(Deed::Exit(outcome)),
        };
        deeds.push(Deed::Call(request, None));
    }

    fn registration(&self, holding: Vec<Range<u64>>) -> Registration {
        let engine = if self.character.has_another_version {
            "0.0.9"
        } else {
            ENGINE_VERSION
        };
        Registration {
            session: self.session,
            name: self.character.name.clone(),
            versions: Versions {
                protocol_revision: PROTOCOL_REVISION,
                engine: engine.into(),
                model: MODEL_VERSION.into(),
            },
            machine: Machine::default(),
            holding,
        }
    }

    /// Enters the spool, and gets ready unless it is.
    fn prepare(&mut self, welcome: &Welcome, chance: &mut Chance, deeds: &mut Vec<Deed>) {
        self.sees_store = self.character.place == Place::Shared
            && welcome.shared.as_ref().is_some_and(|shared| {
                let epoch = self.store.read("epoch");
                epoch.is_ok_and(|epoch| epoch == shared.marker.as_bytes())
            });
        if !self.has_entered {
            self.has_entered = true;
            let ranges = self.find_parts();
            if !ranges.is_empty() {
                deeds.push(Deed::Later(0, Inner::Tell(Event::Found { ranges })));
            }
        }
        if !self.is_ready {
            deeds.push(Deed::Later(chance.within(50..=400), Inner::Ready));
        }
    }

    fn find_parts(&mut self) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        for name in self.own.names(OWN).unwrap_or_default() {
            let name = format!("{OWN}/{name}");
            if !is_part(&name) {
                continue;
            }
            let (identity, layout) = (&self.material.identity, &self.material.layout);
            if let Ok(part) = self.own.read_part(&name, identity, layout) {
                let finished = Finished {
                    is_shared: false,
                    name,
                    digest: part.info.digest.0,
                    shared_name: None,
                };
                self.parts.insert(key(&part.info.range), finished);
                found.push(part.info.range);
            }
        }
        found
    }

    fn compute(&mut self, range: Range<u64>, now: u64, chance: &mut Chance, deeds: &mut Vec<Deed>) {
        let usual =
            self.character.ms_per_shard * (range.end - range.start) / self.material.shard_patients;
        let slowness = if chance.one_in(SLOW_ONE_IN) { 10 } else { 1 };
        let takes = slowness * chance.within(usual / 2..=usual * 3 / 2).max(20);
        let job = Job {
            range,
            since: now,
            is_aborted: false,
        };
        self.next_job += 1;
        self.jobs.insert(self.next_job, job);
        deeds.push(Deed::Later(takes, Inner::JobEnds(self.next_job)));
    }

    fn abort(&mut self, range: &Range<u64>, chance: &mut Chance, deeds: &mut Vec<Deed>) {
        if let Some((number, job)) = self.jobs.iter_mut().find(|(_, job)| job.range == *range) {
            job.is_aborted = true;
            deeds.push(Deed::Later(
                chance.within(1..=ABORT_MS_MAX),
                Inner::JobEnds(*number),
            ));
        }
    }

    fn end_job(&mut self, job: &Job, now: u64, chance: &mut Chance) -> Vec<Deed> {
        let range = job.range.clone();
        // It may have been done just before it was told to stop.
        if job.is_aborted && !chance.one_in(4) {
            return self.handle(Event::Aborted { range }, now, chance);
        }
        if let Some(patient) = self.failing_patient
            && range.contains(&patient)
        {
            self.log.count(Fault::ShardFailed);
            let error = format!("the program failed: patient {patient} is beyond it");
            return self.handle(Event::Failed { range, error }, now, chance);
        }
        let seconds = (now - job.since) as f64 / 1000.0;
        let event = match self.keep(&range, chance) {
            Ok(()) => Event::Computed { range, seconds },
            Err(problem) => Event::Unkept { range, problem },
        };
        if self.life.is_over() {
            return Vec::new();
        }
        self.handle(event, now, chance)
    }

    /// Writes a part to the first place that takes it.
    fn keep(&mut self, range: &Range<u64>, chance: &mut Chance) -> Result<(), String> {
        let maker = match self.maker {
            Maker::Faulty if chance.one_in(2) => Maker::Sound(0),
            maker => maker,
        };
        if maker == Maker::Faulty {
            self.log.count(Fault::WrongPartComputed);
        }
        let part = self.material.part(range, maker);
        let name = format!("{:020}-{:020}", range.start, range.end);
        let shared_name = format!("{name}-{}.h5", self.character.name);
        let places = [
            (true, &self.store, SHARED, shared_name),
            (false, &self.own, OWN, format!("{name}.h5")),
        ];
        let mut problem = String::new();
        for (is_shared, folder, subfolder, name) in places {
            if is_shared && !self.sees_store {
                continue;
            }
            match folder.write_whole(subfolder, &name, &part.bytes) {
                Ok(()) => {
                    let finished = Finished {
                        is_shared,
                        name: format!("{subfolder}/{name}"),
                        digest: part.digest,
                        shared_name: is_shared.then_some(name),
                    };
                    self.parts.insert(key(range), finished);
                    return Ok(());
                }
                Err(error) => problem = error.to_string(),
            }
        }
        Err(problem)
    }

    fn deliver(
        &mut self,
        range: Range<u64>,
        attempt: u64,
        chance: &mut Chance,
        deeds: &mut Vec<Deed>,
    ) {
        let call = Call::Deliver {
            range: range.clone(),
        };
        let Some(part) = self.parts.get(&key(&range)).cloned() else {
            let refusal = Refusal::new(Kind::Foreign, "there is no such part");
            let event = Event::Refused { call, refusal };
            return deeds.push(Deed::Later(0, Inner::Tell(event)));
        };
        let bytes = self.folder_of(&part).bytes(&part.name).ok();
        let header = PartHeader {
            session: self.session,
            attempt,
            range: range.clone(),
            digest: part.digest,
            file_bytes: bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            shared_name: part.shared_name.clone(),
        };
        let pieces = match (part.shared_name, bytes) {
            (None, Some(bytes)) => {
                let middle = chance.position(bytes.len());
                [&bytes[..middle], &bytes[middle..]]
                    .into_iter()
                    .filter(|piece| !piece.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect()
            }
            _ => Vec::new(),
        };
        deeds.push(Deed::Call(Request::Deliver(header, pieces), Some(call)));
        if self.bug == Some(Bug::WorkerForgetsEarly) {
            let event = Event::Taken {
                range,
                receipt: reseed_protocol::messages::Receipt::Committed,
            };
            deeds.push(Deed::Later(1, Inner::Tell(event)));
        }
    }

    fn discard(&mut self, range: &Range<u64>) {
        if let Some(part) = self.parts.remove(&key(range)) {
            // From a shared folder the coordinator has taken it.
            let _ = self.folder_of(&part).remove(&part.name);
        }
    }

    fn folder_of(&self, part: &Finished) -> &SimulatedFolder {
        if part.is_shared {
            &self.store
        } else {
            &self.own
        }
    }
}

/// Parts that a worker may throw away because of an event.
enum GivenUp {
    All,
    One(Range<u64>),
    None,
}

impl GivenUp {
    fn by(event: &Event) -> Self {
        let is_over = |wait: &Option<Wait>| matches!(wait, Some(Wait::Finished));
        match event {
            // It was told to stop computing, too late.
            Event::Computed { range, .. } => Self::One(range.clone()),
            Event::Refused {
                call: Call::Deliver { range },
                refusal,
            } if matches!(refusal.kind, Kind::Foreign | Kind::Damaged) => Self::One(range.clone()),
            Event::Answered(answer) if is_over(&answer.wait) => Self::All,
            Event::Pulsed(answer) if is_over(&answer.over) => Self::All,
            _ => Self::None,
        }
    }

    fn covers(&self, range: &Range<u64>) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == range,
            Self::None => false,
        }
    }
}

fn key(range: &Range<u64>) -> Key {
    (range.start, range.end)
}

fn describe(event: &Event) -> String {
    match event {
        Event::Registered(welcome) => format!(
            "registered as worker {}, holds {:?}",
            welcome.worker,
            grants(&welcome.grants)
        ),
        Event::Answered(answer) => format!(
            "was answered {:?}, {:?}, drain {}",
            grants(&answer.grants),
            answer.wait,
            answer.drain
        ),
        Event::Refused { call, refusal } => format!("{call:?} refused: {:?}", refusal.kind),
        event => format!("{event:?}"),
    }
}

fn grants(grants: &[reseed_protocol::messages::Grant]) -> Vec<(u64, &Range<u64>)> {
    grants
        .iter()
        .map(|grant| (grant.attempt, &grant.range))
        .collect()
}
