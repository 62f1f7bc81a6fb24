//! The agent: what a worker does next, as a state machine without I/O.
//!
//! Events tell what happened and when; actions say what to do. Calls are answered by events,
//! in any order or not at all. The same agent drives a real worker and those of a simulated
//! cluster.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use reseed_protocol::messages::{Answer, PulseAnswer, Receipt, RunSpec, Wait, Welcome};
use reseed_protocol::{Kind, Refusal, Retry};

use crate::backoff::Backoff;

/// Milliseconds since an epoch of the driver's choosing.
pub type Millis = u64;

/// Deliveries at a time.
const DELIVERIES_MAX: usize = 4;
/// A part whose stream was cut so often is not sent again.
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
    /// When the machine is taken away: no shard is taken that cannot be finished before, and the
    /// worker stops its grace time earlier.
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
    /// A shard is computed, but its part cannot be kept: the fault is this machine's.
    Unkept {
        /// Its patients.
        range: Range<u64>,
        /// What the system says.
        problem: String,
    },
    /// There is no place for parts: the fault is this machine's.
    Broken {
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
    /// An operator asked it to leave, and it left nothing behind that the coordinator counts on.
    Left,
    /// The same before the end of its work: it was told to stop, or its machine is taken away. In
    /// another place it would go on.
    Stopped,
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
    Computing { since: Millis },
    Aborting,
    Finished { tries: u32, not_before: Millis },
    Delivering { tries: u32 },
}

/// Why no more shards are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// Finish what is being computed, deliver it, end so.
    Drain(Outcome),
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
            Event::Taken { range, .. } => self.taken(range, now, &mut actions),
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
            Event::Unkept { range, problem } => self.unkept(&range, problem, &mut actions),
            Event::Broken { problem } => self.over(Outcome::Broken(problem), &mut actions),
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
            Some(Ending::Stop { until }) => vec![until.saturating_sub(self.margin_ms()), until],
            _ => self.stops_at().into_iter().collect(),
        };
        let times = link.into_iter().chain(deliveries).chain(stop);
        let later = times.filter(|time| *time > self.handled_at);
        later.min().unwrap_or(Millis::MAX)
    }

    /// Shards that are queued or being computed.
    pub fn shards_in_hand(&self) -> usize {
        self.count(|stage| matches!(stage, Stage::Queued | Stage::Computing { .. }))
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
            work.attempt == 0 && matches!(work.stage, Stage::Queued | Stage::Computing { .. })
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
        let mut threads = self.threads_free_at(now);
        let mut back = Vec::new();
        for grant in answer.grants {
            if self.ending.is_some() || !self.has_time_for(&grant.range, &mut threads) {
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
            self.run_out_of_time();
        }
    }

    fn pulsed(&mut self, answer: PulseAnswer, actions: &mut Vec<Action>) {
        self.pulsing = false;
        // A part that is finished is delivered all the same: it is as good as any other.
        self.drop_where(actions, |work| {
            answer.revoked.contains(&work.attempt)
                && matches!(work.stage, Stage::Queued | Stage::Computing { .. })
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

    /// A coordinator that takes one part will take those that its store had no room for.
    fn taken(&mut self, range: Range<u64>, now: Millis, actions: &mut Vec<Action>) {
        self.work.remove(&key(&range));
        actions.push(Action::Discard { range });
        self.backoff.reset();
        for work in self.work.values_mut() {
            if let Stage::Finished {
                tries: 0,
                not_before,
            } = &mut work.stage
            {
                *not_before = now.min(*not_before);
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
            // The rest may be late because the coordinator has much to do; this is not.
            (Kind::Late, Call::Pulse) => self.lose(&refusal.message, now),
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
            (_, Call::Deliver { range }) => self.undelivered(range, refusal, now, actions),
            // Nothing but a delivery can be left to others.
            (_, Call::Register | Call::Ask | Call::Pulse) if refusal.retry != Retry::Here => {
                self.over(Outcome::Refused(refusal.message.clone()), actions);
            }
            (_, Call::Register) => self.lose(&refusal.message, now),
            (Kind::Late, Call::Ask) => self.ask_at = now + self.backoff.step(),
            (_, Call::Ask | Call::Pulse) => {
                let later = now + self.backoff.step();
                self.ask_at = later;
                self.pulse_at = self.pulse_at.max(later);
            }
        }
    }

    /// A part was not taken: it is sent again, or its shard is left to others or to nobody.
    fn undelivered(
        &mut self,
        range: Range<u64>,
        refusal: &Refusal,
        now: Millis,
        actions: &mut Vec<Action>,
    ) {
        let mut tries = self.tries(&range);
        // A stream that was cut is the network's fault, unless it is cut every time.
        tries += u32::from(refusal.kind == Kind::Damaged);
        match refusal.retry {
            Retry::Here if tries < DELIVERY_TRIES_MAX => {
                let not_before = now + self.backoff.step();
                self.set_finished(&range, tries, not_before);
            }
            Retry::Here | Retry::Elsewhere => self.give_up(range, true, refusal, actions),
            Retry::Never => self.give_up(range, false, refusal, actions),
        }
    }

    /// Removes a part that will never be taken from here, and reports it as a failure: that ends
    /// its lease.
    fn give_up(
        &mut self,
        range: Range<u64>,
        retryable: bool,
        refusal: &Refusal,
        actions: &mut Vec<Action>,
    ) {
        let Some(work) = self.work.remove(&key(&range)) else {
            return;
        };
        if work.attempt != 0 {
            actions.push(Action::Fail {
                attempt: work.attempt,
                retryable,
                error: refusal.message.clone(),
            });
        }
        actions.push(Action::Discard { range });
    }

    fn undeliver(&mut self, call: &Call, now: Millis) {
        if let Call::Deliver { range } = call {
            self.set_finished(range, self.tries(range), now);
        }
    }

    /// How often the stream of a part under way was cut before.
    fn tries(&self, range: &Range<u64>) -> u32 {
        match self.work.get(&key(range)).map(|work| work.stage) {
            Some(Stage::Delivering { tries }) => tries,
            _ => 0,
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
        let until = (now + self.settings.grace_ms).min(self.settings.ends_at.unwrap_or(u64::MAX));
        self.ending = Some(Ending::Stop { until });
        self.hand_back_queue(actions);
    }

    fn drain(&mut self) {
        self.ending.get_or_insert(Ending::Drain(Outcome::Left));
    }

    /// No other shard can be finished before the machine is taken away.
    fn run_out_of_time(&mut self) {
        self.ending.get_or_insert(Ending::Drain(Outcome::Stopped));
    }

    /// Another worker may keep what this one cannot. Parts that are there can be delivered yet.
    fn unkept(&mut self, range: &Range<u64>, problem: String, actions: &mut Vec<Action>) {
        if let Some(work) = self.work.remove(&key(range)) {
            self.release(vec![work.attempt], actions);
        }
        let end = Ending::Drain(Outcome::Broken(problem));
        self.ending.get_or_insert(end);
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
                matches!(work.stage, Stage::Queued | Stage::Computing { .. })
            });
        }
        self.ending = Some(Ending::Over(outcome));
    }

    /// Everything that follows from the state and the time.
    fn go_on(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if self.stops_at().is_some_and(|stops_at| now >= stops_at) {
            self.stop(now, actions);
        }
        match self.ending.clone() {
            Some(Ending::Over(outcome)) => return self.exit_when_idle(outcome, actions),
            Some(Ending::Stop { until }) if self.must_hurry(until, now) => {
                self.drop_where(actions, |work| {
                    matches!(work.stage, Stage::Computing { .. })
                });
                if now >= until || self.work.is_empty() {
                    return self.exit(Outcome::Stopped, actions);
                }
            }
            Some(Ending::Stop { .. }) => {
                self.hand_back_queue(actions);
                if self.work.is_empty() {
                    return self.exit(Outcome::Stopped, actions);
                }
            }
            Some(Ending::Drain(outcome)) => {
                if !matches!(outcome, Outcome::Broken(_)) {
                    // Threads that are free finish what they can still begin.
                    self.compute(now, actions);
                }
                self.hand_back_queue(actions);
                if self.work.is_empty() {
                    return self.exit(outcome, actions);
                }
            }
            None => {}
        }
        self.compute(now, actions);
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
            self.over(outcome.clone(), actions);
            return self.exit_when_idle(outcome, actions);
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

    /// Ends once no thread has anything to give up.
    fn exit_when_idle(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        if self.count(|stage| stage == Stage::Aborting) == 0 {
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

    fn compute(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if !self.prepared {
            return;
        }
        let busy = self.count(|stage| matches!(stage, Stage::Computing { .. } | Stage::Aborting));
        let free = self.settings.threads.saturating_sub(busy);
        for (range, attempt) in self.queue().into_iter().take(free) {
            if let Some(work) = self.work.get_mut(&key(&range)) {
                work.stage = Stage::Computing { since: now };
            }
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
            return self.run_out_of_time();
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

    /// Shards that wait for a thread, with their leases. Those leased first are begun first.
    fn queue(&self) -> Vec<(Range<u64>, u64)> {
        let queued = self
            .work
            .iter()
            .filter(|(_, work)| work.stage == Stage::Queued);
        let mut queue: Vec<_> = queued
            .map(|((start, end), work)| (*start..*end, work.attempt))
            .collect();
        queue.sort_by_key(|(_, attempt)| *attempt);
        queue
    }

    /// When each thread will be done with the shards in hand, as far as anybody can tell.
    fn threads_free_at(&self, now: Millis) -> Vec<Millis> {
        let mut threads: Vec<Millis> = self
            .work
            .iter()
            .filter_map(|((start, end), work)| match work.stage {
                Stage::Computing { since } => {
                    Some(since.saturating_add(self.takes_ms(&(*start..*end))))
                }
                Stage::Aborting => Some(now),
                _ => None,
            })
            .map(|free_at| free_at.max(now))
            .collect();
        threads.resize(self.settings.threads.max(threads.len()), now);
        for (range, _) in self.queue() {
            self.assign(&mut threads, &range);
        }
        threads
    }

    /// Gives a shard to the thread that is free first; returns when it is finished.
    fn assign(&self, threads: &mut [Millis], range: &Range<u64>) -> Option<Millis> {
        let thread = threads.iter_mut().min()?;
        *thread = thread.saturating_add(self.takes_ms(range));
        Some(*thread)
    }

    /// How long a thread computes a shard, ms.
    fn takes_ms(&self, range: &Range<u64>) -> u64 {
        let patients = (range.end - range.start) as f64;
        let takes = Duration::try_from_secs_f64(patients / self.patients_per_second);
        let takes_ms = takes.unwrap_or(Duration::MAX).as_millis();
        u64::try_from(takes_ms).unwrap_or(u64::MAX)
    }

    /// Whether the next shard can be finished and delivered before the machine is taken away. If
    /// so, a thread is taken for it.
    fn has_time_for(&self, range: &Range<u64>, threads: &mut [Millis]) -> bool {
        let Some(ends_at) = self.settings.ends_at else {
            return true;
        };
        self.assign(threads, range)
            .is_some_and(|done_at| done_at.saturating_add(END_MARGIN_MS) <= ends_at)
    }

    /// When the worker stops because the machine will be taken away.
    fn stops_at(&self) -> Option<Millis> {
        let ends_at = self.settings.ends_at?;
        Some(ends_at.saturating_sub(self.settings.grace_ms.min(END_MARGIN_MS)))
    }

    fn hand_back_queue(&mut self, actions: &mut Vec<Action>) {
        self.drop_where(actions, |work| work.stage == Stage::Queued);
    }

    /// Hands back leases. Those that nobody is there to take run out by themselves.
    fn release(&self, mut attempts: Vec<u64>, actions: &mut Vec<Action>) {
        attempts.retain(|attempt| *attempt != 0);
        if !attempts.is_empty() && matches!(self.link, Link::Up) {
            actions.push(Action::Release { attempts });
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
                Stage::Computing { .. } => {
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
        self.release(back, actions);
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

/// What ranges are ordered by.
pub(crate) fn key(range: &Range<u64>) -> (u64, u64) {
    (range.start, range.end)
}
