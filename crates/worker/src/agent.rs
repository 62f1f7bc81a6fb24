//! The agent: what a worker does next, as a state machine without I/O.
//!
//! Events tell what happened and when; actions say what to do. Calls are answered by events,
//! in any order or not at all. The same agent drives a real worker and those of a simulated
//! cluster.

use std::collections::BTreeMap;
use std::ops::Range;

use reseed_protocol::messages::{Answer, Grant, PulseAnswer, Receipt, RunSpec, Wait, Welcome};
use reseed_protocol::{Kind, Refusal};

use crate::backoff::Backoff;

/// Milliseconds since an epoch of the driver's choosing.
pub type Millis = u64;

/// Deliveries at a time.
const DELIVERIES_MAX: usize = 4;
/// A part that was called damaged so often is not sent again.
const DELIVERY_TRIES_MAX: u32 = 3;
/// No more shards are taken while so many finished parts wait for each place in the queue.
const PARTS_PER_PLACE_MAX: usize = 4;
/// Time kept free at the end of an allocation for delivering, ms.
const END_MARGIN_MS: u64 = 5_000;

/// How an agent works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Shards computed at a time.
    pub threads: usize,
    /// Shards held beyond those, so that no thread waits for the next.
    pub ahead: usize,
    /// How long a stop may take, ms: what cannot be finished by then is handed back.
    pub grace_ms: u64,
    /// How long to look for a lost coordinator, ms.
    pub patience_ms: u64,
    /// When the machine is taken away: no shard is begun that cannot be finished before.
    pub ends_at: Option<Millis>,
    /// Seed of the jitter of repeated calls.
    pub jitter_seed: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Answer to [`Action::Register`].
    Registered(Welcome),
    /// The driver is ready to compute the run of the last [`Action::Prepare`].
    Prepared {
        /// Patients that one thread simulates in a second.
        patients_per_second: f64,
    },
    /// The driver cannot compute this run.
    Unfit {
        /// Why.
        problem: String,
    },
    /// Answer to [`Action::Ask`].
    Answered(Answer),
    /// Answer to [`Action::Pulse`].
    Pulsed(PulseAnswer),
    /// Answer to [`Action::Deliver`].
    Taken {
        /// Patients of the part.
        range: Range<u64>,
        /// What became of it.
        receipt: Receipt,
    },
    /// A call came to nothing.
    Refused {
        /// Which one.
        call: Call,
        /// Why.
        refusal: Refusal,
    },
    /// A part is finished and lies in the spool.
    Computed {
        /// Its patients.
        range: Range<u64>,
        /// How long it took.
        seconds: f64,
    },
    /// A computation was given up as asked.
    Aborted {
        /// Its patients.
        range: Range<u64>,
    },
    /// A shard could not be computed: the fault is the shard's or the program's.
    Failed {
        /// Its patients.
        range: Range<u64>,
        /// The error.
        error: String,
    },
    /// Parts cannot be kept: the fault is this machine's.
    Broken {
        /// Patients of the part that is lost, if it is about one.
        range: Option<Range<u64>>,
        /// What the system says.
        problem: String,
    },
    /// Finished parts of this run were found in the spool.
    Found {
        /// Their patients.
        ranges: Vec<Range<u64>>,
    },
    /// The machine will be taken away, or somebody has had enough.
    Stop,
    /// Time passed.
    Tick,
}

/// A call that may be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// [`Action::Register`].
    Register,
    /// [`Action::Ask`].
    Ask,
    /// [`Action::Pulse`].
    Pulse,
    /// [`Action::Deliver`].
    Deliver {
        /// Patients of the part.
        range: Range<u64>,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect anew and introduce the worker.
    Register {
        /// Shards that it is computing or has finished.
        holding: Vec<Range<u64>>,
    },
    /// Get ready to compute a run; what belongs to another one is of no use any more.
    Prepare(Welcome),
    /// Ask for shards.
    Ask {
        /// How many.
        wanted: u32,
    },
    /// Send a heartbeat.
    Pulse {
        /// Leases held, with their patients.
        held: Vec<(u64, Range<u64>)>,
    },
    /// Compute a shard on a thread that is free.
    Compute {
        /// Its patients.
        range: Range<u64>,
        /// Under which lease.
        attempt: u64,
    },
    /// Give up computing a shard.
    Abort {
        /// Its patients.
        range: Range<u64>,
    },
    /// Deliver a finished part.
    Deliver {
        /// Its patients.
        range: Range<u64>,
        /// Under which lease; 0 if there is none any more.
        attempt: u64,
    },
    /// Remove a finished part.
    Discard {
        /// Its patients.
        range: Range<u64>,
    },
    /// Hand shards back.
    Release {
        /// Which leases.
        attempts: Vec<u64>,
    },
    /// Report that a shard cannot be computed.
    Fail {
        /// Which lease.
        attempt: u64,
        /// Whether another worker may fare better.
        retryable: bool,
        /// Why.
        error: String,
    },
    /// Say goodbye.
    Leave,
    /// End.
    Exit(Outcome),
}

/// How a worker's life ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The run is complete.
    Finished,
    /// It was asked to leave, and left nothing behind that the coordinator counts on.
    Left,
    /// The run has failed.
    RunFailed(String),
    /// The coordinator will not have this worker.
    Refused(String),
    /// The coordinator was not found again.
    Unreachable(String),
    /// This machine cannot do the work.
    Broken(String),
}

#[derive(Debug)]
enum Link {
    /// Not connected; the next try is at some time.
    Down {
        retry_at: Millis,
    },
    Registering,
    Up,
}

#[derive(Debug)]
struct Work {
    /// 0 if the lease is gone and the part is delivered for its own sake.
    attempt: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Computing,
    Aborting,
    Finished { tries: u32, not_before: Millis },
    Delivering { tries: u32 },
}

/// Why no more shards are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// Finish what is being computed, deliver it, leave.
    Drain,
    /// The same, but no later than this.
    Stop { until: Millis },
    /// Nothing that is under way matters any more.
    Over(Outcome),
}

/// A worker.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one independent thing is under way"
)]
pub struct Agent {
    settings: Settings,
    link: Link,
    backoff: Backoff,
    /// When the coordinator was lost; the start, before it was ever found.
    lost_at: Millis,
    why_lost: String,
    run: Option<RunSpec>,
    prepared: bool,
    heartbeat_ms: u64,
    /// By first patient and the one after the last.
    work: BTreeMap<(u64, u64), Work>,
    asking: bool,
    ask_at: Millis,
    pulsing: bool,
    pulse_at: Millis,
    /// Patients that one thread simulates in a second.
    patients_per_second: f64,
    ending: Option<Ending>,
    exited: bool,
    /// Time of the last event.
    handled_at: Millis,
}

impl Agent {
    /// A worker that knows nobody yet.
    pub fn new(settings: Settings, now: Millis) -> Self {
        Self {
            backoff: Backoff::new(settings.jitter_seed),
            settings,
            link: Link::Down { retry_at: now },
            lost_at: now,
            why_lost: "it was never found".into(),
            run: None,
            prepared: false,
            heartbeat_ms: 1_000,
            work: BTreeMap::new(),
            asking: false,
            ask_at: now,
            pulsing: false,
            pulse_at: now,
            patients_per_second: 0.0,
            ending: None,
            exited: false,
            handled_at: now,
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        self.handled_at = now;
        if self.exited {
            return actions;
        }
        match event {
            Event::Registered(welcome) => self.registered(welcome, now, &mut actions),
            Event::Prepared {
                patients_per_second,
            } => {
                self.prepared = true;
                self.patients_per_second = patients_per_second;
            }
            Event::Unfit { problem } => self.over(Outcome::Refused(problem), &mut actions),
            Event::Answered(answer) => self.answered(answer, now, &mut actions),
            Event::Pulsed(answer) => self.pulsed(answer, &mut actions),
            Event::Taken { range, .. } => {
                self.work.remove(&key(&range));
                actions.push(Action::Discard { range });
            }
            Event::Refused { call, refusal } => self.refused(call, &refusal, now, &mut actions),
            Event::Computed { range, seconds } => self.computed(range, seconds, now, &mut actions),
            Event::Aborted { range } => {
                self.work.remove(&key(&range));
            }
            Event::Failed { range, error } => {
                if let Some(work) = self.work.remove(&key(&range)) {
                    actions.push(Action::Fail {
                        attempt: work.attempt,
                        retryable: false,
                        error,
                    });
                }
            }
            Event::Broken { range, problem } => self.broken(range, problem, &mut actions),
            Event::Found { ranges } => {
                for range in ranges {
                    self.work.entry(key(&range)).or_insert(Work {
                        attempt: 0,
                        stage: FINISHED,
                    });
                }
            }
            Event::Stop => self.stop(now, &mut actions),
            Event::Tick => {}
        }
        self.go_on(now, &mut actions);
        actions
    }

    /// When time alone changes something. What was due by the last event has been done.
    pub fn wakes_at(&self) -> Millis {
        let link = match self.link {
            Link::Down { retry_at } => [retry_at, Millis::MAX],
            Link::Registering => [Millis::MAX; 2],
            Link::Up => [self.pulse_at, self.ask_at],
        };
        let deliveries = self.work.values().filter_map(|work| match work.stage {
            Stage::Finished { not_before, .. } => Some(not_before),
            _ => None,
        });
        let stop = match self.ending {
            Some(Ending::Stop { until }) => vec![until - self.margin_ms(), until],
            _ => Vec::new(),
        };
        let times = link.into_iter().chain(deliveries).chain(stop);
        let later = times.filter(|time| *time > self.handled_at);
        later.min().unwrap_or(Millis::MAX)
    }

    /// Shards that are queued or being computed.
    pub fn shards_in_hand(&self) -> usize {
        self.count(|stage| matches!(stage, Stage::Queued | Stage::Computing))
    }

    /// Finished parts that are not delivered.
    pub fn parts_in_hand(&self) -> usize {
        self.count(|stage| matches!(stage, Stage::Finished { .. } | Stage::Delivering { .. }))
    }

    fn registered(&mut self, welcome: Welcome, now: Millis, actions: &mut Vec<Action>) {
        self.link = Link::Up;
        self.backoff.reset();
        self.heartbeat_ms = welcome.heartbeat_ms;
        self.pulse_at = now + self.heartbeat_ms;
        self.ask_at = now;
        self.asking = false;
        self.pulsing = false;
        let same = self.run.as_ref() == Some(&welcome.run);
        if !same {
            self.give_up_all(actions);
            self.run = Some(welcome.run.clone());
            self.prepared = false;
        }
        for work in self.work.values_mut() {
            work.attempt = 0;
        }
        for grant in &welcome.grants {
            if let Some(work) = self.work.get_mut(&key(&grant.range)) {
                work.attempt = grant.attempt;
            }
        }
        // What nobody leased to this worker is somebody else's; a finished part may still help.
        self.drop_where(actions, |work| {
            work.attempt == 0 && matches!(work.stage, Stage::Queued | Stage::Computing)
        });
        // The folder for parts may be another one now.
        actions.push(Action::Prepare(welcome));
    }

    fn answered(&mut self, answer: Answer, now: Millis, actions: &mut Vec<Action>) {
        self.asking = false;
        if answer.drain {
            self.drain();
        }
        match answer.wait {
            Some(Wait::Busy { retry_ms }) => {
                self.ask_at = now + self.backoff.jitter(retry_ms);
            }
            Some(over) => self.run_is_over(over, actions),
            None => self.ask_at = now,
        }
        let mut back = Vec::new();
        for grant in answer.grants {
            if self.ending.is_some() || !self.has_time_for(&grant, now) {
                back.push(grant.attempt);
                continue;
            }
            self.work.insert(
                key(&grant.range),
                Work {
                    attempt: grant.attempt,
                    stage: Stage::Queued,
                },
            );
        }
        if !back.is_empty() {
            actions.push(Action::Release { attempts: back });
            self.drain();
        }
    }

    fn pulsed(&mut self, answer: PulseAnswer, actions: &mut Vec<Action>) {
        self.pulsing = false;
        // A part that is finished is delivered all the same: it is as good as any other.
        self.drop_where(actions, |work| {
            answer.revoked.contains(&work.attempt)
                && matches!(work.stage, Stage::Queued | Stage::Computing)
        });
        if answer.drain {
            self.drain();
        }
        if let Some(over) = answer.over {
            self.run_is_over(over, actions);
        }
    }

    fn computed(
        &mut self,
        range: Range<u64>,
        seconds: f64,
        now: Millis,
        actions: &mut Vec<Action>,
    ) {
        let patients = (range.end - range.start) as f64;
        if seconds > 0.0 {
            self.patients_per_second = patients / seconds;
        }
        match self.work.get_mut(&key(&range)) {
            Some(work) if work.stage != Stage::Aborting => {
                work.stage = Stage::Finished {
                    tries: 0,
                    not_before: now,
                };
            }
            _ => {
                self.work.remove(&key(&range));
                actions.push(Action::Discard { range });
            }
        }
    }

    fn refused(&mut self, call: Call, refusal: &Refusal, now: Millis, actions: &mut Vec<Action>) {
        match &call {
            Call::Register | Call::Deliver { .. } => {}
            Call::Ask => self.asking = false,
            Call::Pulse => self.pulsing = false,
        }
        match (refusal.kind, call) {
            (Kind::Unreachable, call) => {
                self.undeliver(&call, now);
                self.lose(&refusal.message, now);
            }
            (Kind::UnknownSession, call) => {
                self.undeliver(&call, now);
                if let Link::Up = self.link {
                    self.link = Link::Down { retry_at: now };
                    self.lost_at = now;
                }
            }
            (Kind::Ended | Kind::Conflict, _) => {
                self.over(Outcome::RunFailed(refusal.message.clone()), actions);
            }
            (Kind::Version | Kind::Denied | Kind::Malformed, _) => {
                self.over(Outcome::Refused(refusal.message.clone()), actions);
            }
            (Kind::Foreign, Call::Deliver { range }) => {
                self.work.remove(&key(&range));
                actions.push(Action::Discard { range });
            }
            (Kind::Damaged, Call::Deliver { range }) => {
                self.damaged(range, refusal, now, actions);
            }
            (_, Call::Deliver { range }) => {
                let not_before = now + self.backoff.step();
                self.set_finished(&range, 0, not_before);
            }
            (_, Call::Register) => self.lose(&refusal.message, now),
            (_, Call::Ask | Call::Pulse) => {
                let later = now + self.backoff.step();
                self.ask_at = later;
                self.pulse_at = self.pulse_at.max(later);
            }
        }
    }

    /// A part cannot be kept. Nobody computes its shard any more, so it is handed back like one that
    /// was never begun.
    fn broken(&mut self, range: Option<Range<u64>>, problem: String, actions: &mut Vec<Action>) {
        if let Some(work) = range.and_then(|range| self.work.get_mut(&key(&range))) {
            work.stage = Stage::Queued;
        }
        self.over(Outcome::Broken(problem), actions);
    }

    /// The coordinator says that a part arrived damaged. Once or twice that is the network.
    fn damaged(
        &mut self,
        range: Range<u64>,
        refusal: &Refusal,
        now: Millis,
        actions: &mut Vec<Action>,
    ) {
        let Some(work) = self.work.get(&key(&range)) else {
            return;
        };
        let tries = match work.stage {
            Stage::Delivering { tries } => tries + 1,
            _ => 1,
        };
        if tries < DELIVERY_TRIES_MAX {
            let not_before = now + self.backoff.step();
            return self.set_finished(&range, tries, not_before);
        }
        actions.push(Action::Fail {
            attempt: work.attempt,
            retryable: true,
            error: refusal.message.clone(),
        });
        self.work.remove(&key(&range));
        actions.push(Action::Discard { range });
    }

    fn undeliver(&mut self, call: &Call, now: Millis) {
        if let Call::Deliver { range } = call {
            let tries = match self.work.get(&key(range)).map(|work| work.stage) {
                Some(Stage::Delivering { tries }) => tries,
                _ => 0,
            };
            self.set_finished(range, tries, now);
        }
    }

    fn set_finished(&mut self, range: &Range<u64>, tries: u32, not_before: Millis) {
        if let Some(work) = self.work.get_mut(&key(range)) {
            work.stage = Stage::Finished { tries, not_before };
        }
    }

    fn lose(&mut self, why: &str, now: Millis) {
        if let Link::Up = self.link {
            self.lost_at = now;
        }
        if !matches!(self.link, Link::Down { .. }) {
            why.clone_into(&mut self.why_lost);
            self.link = Link::Down {
                retry_at: now + self.backoff.step(),
            };
        }
    }

    fn stop(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if matches!(self.ending, Some(Ending::Stop { .. } | Ending::Over(_))) {
            return;
        }
        let until = now + self.settings.grace_ms;
        self.ending = Some(Ending::Stop { until });
        self.hand_back_queue(actions);
    }

    fn drain(&mut self) {
        self.ending.get_or_insert(Ending::Drain);
    }

    fn run_is_over(&mut self, wait: Wait, actions: &mut Vec<Action>) {
        match wait {
            Wait::Busy { .. } => {}
            Wait::Finished => self.over(Outcome::Finished, actions),
            Wait::Failed { problem } => self.over(Outcome::RunFailed(problem), actions),
        }
    }

    fn over(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        if matches!(self.ending, Some(Ending::Over(_))) {
            return;
        }
        // Parts of a run that failed may be of use when it is run again; others are not.
        if outcome == Outcome::Finished {
            self.give_up_all(actions);
        } else {
            self.drop_where(actions, |work| {
                matches!(work.stage, Stage::Queued | Stage::Computing)
            });
        }
        self.ending = Some(Ending::Over(outcome));
    }

    /// Everything that follows from the state and the time.
    fn go_on(&mut self, now: Millis, actions: &mut Vec<Action>) {
        match self.ending.clone() {
            Some(Ending::Over(outcome)) => {
                if self.count(|stage| stage == Stage::Aborting) == 0 {
                    self.exit(outcome, actions);
                }
                return;
            }
            Some(Ending::Stop { until }) if self.must_hurry(until, now) => {
                self.drop_where(actions, |work| work.stage == Stage::Computing);
                if now >= until || self.work.is_empty() {
                    return self.exit(Outcome::Left, actions);
                }
            }
            Some(Ending::Stop { .. } | Ending::Drain) => {
                if self.ending == Some(Ending::Drain) {
                    // Threads that are free finish what they can still begin.
                    self.compute(actions);
                }
                self.hand_back_queue(actions);
                if self.work.is_empty() {
                    return self.exit(Outcome::Left, actions);
                }
            }
            None => {}
        }
        self.compute(actions);
        match self.link {
            Link::Down { retry_at } if now >= retry_at => self.reconnect(now, actions),
            Link::Down { .. } | Link::Registering => {}
            Link::Up => {
                self.deliver(now, actions);
                self.ask(now, actions);
                self.pulse(now, actions);
            }
        }
    }

    /// Whether computing on would leave no time to hand back and deliver. Without a
    /// coordinator there is nobody to do either with.
    fn must_hurry(&self, until: Millis, now: Millis) -> bool {
        now + self.margin_ms() >= until || !matches!(self.link, Link::Up)
    }

    /// The end of a stop's grace, in which nothing is computed, ms.
    fn margin_ms(&self) -> u64 {
        (self.settings.grace_ms / 5).min(END_MARGIN_MS)
    }

    fn reconnect(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if now.saturating_sub(self.lost_at) > self.settings.patience_ms {
            let outcome = Outcome::Unreachable(self.why_lost.clone());
            return self.over_and_out(outcome, actions);
        }
        self.link = Link::Registering;
        let holding = self
            .work
            .iter()
            .filter(|(_, work)| work.stage != Stage::Aborting)
            .map(|((start, end), _)| *start..*end);
        actions.push(Action::Register {
            holding: holding.collect(),
        });
    }

    fn over_and_out(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        self.over(outcome, actions);
        if let Some(Ending::Over(outcome)) = self.ending.clone()
            && self.count(|stage| stage == Stage::Aborting) == 0
        {
            self.exit(outcome, actions);
        }
    }

    fn exit(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        if let Link::Up = self.link {
            actions.push(Action::Leave);
        }
        actions.push(Action::Exit(outcome));
        self.exited = true;
    }

    fn compute(&mut self, actions: &mut Vec<Action>) {
        if !self.prepared {
            return;
        }
        let busy = self.count(|stage| matches!(stage, Stage::Computing | Stage::Aborting));
        let mut queued: Vec<((u64, u64), u64)> = self
            .work
            .iter()
            .filter(|(_, work)| work.stage == Stage::Queued)
            .map(|(key, work)| (*key, work.attempt))
            .collect();
        // Those leased first are begun first.
        queued.sort_by_key(|(_, attempt)| *attempt);
        let free = self.settings.threads.saturating_sub(busy);
        for ((start, end), attempt) in queued.into_iter().take(free) {
            if let Some(work) = self.work.get_mut(&(start, end)) {
                work.stage = Stage::Computing;
            }
            let range = start..end;
            actions.push(Action::Compute { range, attempt });
        }
    }

    fn deliver(&mut self, now: Millis, actions: &mut Vec<Action>) {
        let under_way = self.count(|stage| matches!(stage, Stage::Delivering { .. }));
        let mut free = DELIVERIES_MAX.saturating_sub(under_way);
        for ((start, end), work) in &mut self.work {
            if let Stage::Finished { tries, not_before } = work.stage
                && not_before <= now
                && free > 0
            {
                free -= 1;
                work.stage = Stage::Delivering { tries };
                actions.push(Action::Deliver {
                    range: *start..*end,
                    attempt: work.attempt,
                });
            }
        }
    }

    fn ask(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if !self.prepared || self.asking || self.ending.is_some() || now < self.ask_at {
            return;
        }
        let room = self.settings.threads + self.settings.ahead;
        let wanted = room.saturating_sub(self.shards_in_hand());
        // Parts that the coordinator cannot take must not fill this machine.
        let piled_up = self.parts_in_hand() > PARTS_PER_PLACE_MAX * room;
        if wanted == 0 || piled_up {
            return;
        }
        if self
            .settings
            .ends_at
            .is_some_and(|end| now + END_MARGIN_MS >= end)
        {
            return self.drain();
        }
        self.asking = true;
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        actions.push(Action::Ask { wanted });
    }

    fn pulse(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if self.pulsing || now < self.pulse_at {
            return;
        }
        self.pulsing = true;
        self.pulse_at = now + self.heartbeat_ms;
        let held = self
            .work
            .iter()
            .filter(|(_, work)| work.attempt != 0 && work.stage != Stage::Aborting)
            .map(|((start, end), work)| (work.attempt, *start..*end));
        actions.push(Action::Pulse {
            held: held.collect(),
        });
    }

    /// Whether a shard can be finished and delivered before the machine is taken away.
    fn has_time_for(&self, grant: &Grant, now: Millis) -> bool {
        let Some(end) = self.settings.ends_at else {
            return true;
        };
        let patients = (grant.range.end - grant.range.start) as f64;
        let before = self
            .work
            .iter()
            .filter(|(_, work)| work.stage == Stage::Queued);
        let waiting: u64 = before.map(|((start, end), _)| end - start).sum();
        let patients = patients + waiting as f64 / self.settings.threads as f64;
        let seconds = patients / self.patients_per_second.max(f64::MIN_POSITIVE);
        now as f64 + seconds * 1000.0 + END_MARGIN_MS as f64 <= end as f64
    }

    fn hand_back_queue(&mut self, actions: &mut Vec<Action>) {
        let queued: Vec<u64> = self
            .work
            .values()
            .filter(|work| work.stage == Stage::Queued)
            .map(|work| work.attempt)
            .collect();
        if queued.is_empty() {
            return;
        }
        self.work.retain(|_, work| work.stage != Stage::Queued);
        if let Link::Up = self.link {
            actions.push(Action::Release { attempts: queued });
        }
    }

    /// Drops work: what is being computed is aborted and handed back, parts are discarded.
    fn drop_where(&mut self, actions: &mut Vec<Action>, which: impl Fn(&Work) -> bool) {
        let mut back = Vec::new();
        self.work.retain(|(start, end), work| {
            if !which(work) {
                return true;
            }
            let range = *start..*end;
            match work.stage {
                Stage::Aborting => return true,
                Stage::Queued => back.push(work.attempt),
                Stage::Computing => {
                    back.push(work.attempt);
                    actions.push(Action::Abort { range });
                    work.stage = Stage::Aborting;
                    return true;
                }
                Stage::Finished { .. } | Stage::Delivering { .. } => {
                    actions.push(Action::Discard { range });
                }
            }
            false
        });
        back.retain(|attempt| *attempt != 0);
        if !back.is_empty() && matches!(self.link, Link::Up) {
            actions.push(Action::Release { attempts: back });
        }
    }

    fn give_up_all(&mut self, actions: &mut Vec<Action>) {
        self.drop_where(actions, |_| true);
    }

    fn count(&self, which: impl Fn(Stage) -> bool) -> usize {
        self.work.values().filter(|work| which(work.stage)).count()
    }
}

/// A part that is ready to be delivered.
const FINISHED: Stage = Stage::Finished {
    tries: 0,
    not_before: 0,
};

fn key(range: &Range<u64>) -> (u64, u64) {
    (range.start, range.end)
}
