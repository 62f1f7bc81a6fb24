//! The world: one clock, one queue of what is to happen, and everybody in it.

mod blows;
mod coordinators;
mod network;
mod workers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use reseed_coordinator::{OpenError, Opening};
use reseed_protocol::Kind;
use reseed_worker::Call;

use super::chance::{Chance, Purpose};
use super::coordinator::{Coordinator, Delivery};
use super::disk::Disk;
use super::faults::Fault;
use super::judge::Judge;
use super::log::Log;
use super::material::{Maker, Material};
use super::scenario::{Blow, Character, Scenario, Ways};
use super::wire::{Answered, Method};
use super::worker::{Inner, Worker};
use super::{Bug, Ending, Report};
use network::Amid;

/// In this time after the last fault a run must end, ms.
const PATIENCE_MS: u64 = 600_000;

/// What happens at a point in time.
#[derive(Debug, Clone)]
enum Happening {
    /// A message of a call reaches the coordinator.
    Arrives {
        call: u64,
        copy: u8,
        piece: usize,
    },
    /// A delivery breaks off.
    Breaks {
        call: u64,
        copy: u8,
    },
    /// An answer reaches the worker.
    Answered {
        call: u64,
        answer: Answered,
    },
    /// The caller gives up.
    Fails {
        call: u64,
    },
    /// A coordinator looks at its run.
    Tick {
        coordinator: u64,
    },
    /// As [`Bug::AcknowledgesEarly`] has it.
    FinishesLate {
        coordinator: u64,
        delivery: Delivery,
    },
    StartCoordinator,
    EndCoordinator {
        coordinator: u64,
        how: End,
    },
    StartWorker {
        worker: usize,
    },
    EndWorker {
        worker: usize,
        life: u64,
        fault: Fault,
    },
    /// Something happens within a worker.
    Within {
        worker: usize,
        life: u64,
        what: Inner,
    },
    Strikes(Blow),
    StoreHasRoom,
    SpoolHasRoom {
        worker: usize,
    },
    /// Nothing breaks from here on.
    Quiet,
}

/// How a coordinator ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Stopped,
}

/// A call that is not answered yet.
#[derive(Debug)]
struct Calling {
    worker: usize,
    life: u64,
    coordinator: u64,
    method: Method,
    about: Option<Call>,
    pieces: Vec<Vec<u8>>,
}

/// A machine for a worker.
#[derive(Debug)]
struct Machine {
    character: Character,
    disk: Rc<RefCell<Disk>>,
    worker: Option<Worker>,
    /// Counts the processes that ran on it.
    life: u64,
    frozen_until: u64,
    /// Nobody starts another one.
    believes_finished: bool,
    blocked: Vec<(u64, Ways)>,
    /// When the last message arrives that needs no answer.
    last_word_at: u64,
}

/// A coordinator that opens the store amid another one's file operations.
type Displacement = Rc<RefCell<Option<Result<(Coordinator, Opening), OpenError>>>>;

/// Everybody, and what is to happen to them.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one independent thing has happened"
)]
pub(super) struct World {
    seed: u64,
    now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    happened: u64,
    queued: u64,
    scenario: Rc<Scenario>,
    material: Rc<Material>,
    log: Rc<Log>,
    bug: Option<Bug>,
    judge: Judge,
    network: Chance,
    faults: Chance,
    workers: Chance,
    store: Rc<RefCell<Disk>>,
    coordinators: BTreeMap<u64, Coordinator>,
    coordinators_started: u64,
    /// The one that opened the store last.
    latest: u64,
    /// A coordinator opened the store within the file operation that is under way.
    was_displaced: bool,
    displacement: Option<(u64, u64, Displacement)>,
    amid: Option<Amid>,
    machines: Vec<Machine>,
    calls: BTreeMap<u64, Calling>,
    next_call: u64,
    was_cancelled: bool,
    has_finished: bool,
    has_failed: bool,
    /// A coordinator has ended because two machines disagreed.
    has_conflict: bool,
    ending: Option<Ending>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn new(
        seed: u64,
        scenario: Scenario,
        material: &Rc<Material>,
        log: &Rc<Log>,
        bug: Option<Bug>,
    ) -> Self {
        let mut disks = Chance::new(seed, Purpose::Disks);
        let mut disk = |label: &str| {
            let chance = Chance::new(disks.below(u64::MAX), Purpose::Disks);
            let disk = Disk::new(label.into(), chance, Rc::clone(log));
            Rc::new(RefCell::new(disk))
        };
        let store = disk("store");
        let machines = scenario
            .workers
            .iter()
            .map(|character| Machine {
                disk: disk(&character.name),
                character: character.clone(),
                worker: None,
                life: 0,
                frozen_until: 0,
                believes_finished: false,
                blocked: Vec::new(),
                last_word_at: 0,
            })
            .collect();
        Self {
            seed,
            now: 0,
            queue: BTreeMap::new(),
            happened: 0,
            queued: 0,
            judge: Judge::new(Rc::clone(material), Rc::clone(log), scenario.theme),
            scenario: Rc::new(scenario),
            material: Rc::clone(material),
            log: Rc::clone(log),
            bug,
            network: Chance::new(seed, Purpose::Network),
            faults: Chance::new(!seed, Purpose::Faults),
            workers: Chance::new(seed, Purpose::Workers),
            store,
            coordinators: BTreeMap::new(),
            coordinators_started: 0,
            latest: 0,
            was_displaced: false,
            displacement: None,
            amid: None,
            machines,
            calls: BTreeMap::new(),
            next_call: 0,
            was_cancelled: false,
            has_finished: false,
            has_failed: false,
            has_conflict: false,
            ending: None,
        }
    }

    /// Lets everything happen.
    pub(super) fn run(mut self) -> Report {
        self.set_up();
        while self.ending.is_none() && self.log.violation().is_none() {
            let Some(((at, _), happening)) = self.queue.pop_first() else {
                self.log.accuse(format_args!("nothing is left to happen"));
                break;
            };
            if at > self.scenario.quiet_at + PATIENCE_MS {
                self.log.accuse(format_args!(
                    "the run has not ended {PATIENCE_MS} ms after the last fault"
                ));
                break;
            }
            self.now = at;
            self.log.set_now(at);
            let frozen_until = self.frozen_until(&happening);
            if frozen_until > at {
                self.at(frozen_until, happening);
                continue;
            }
            self.happened += 1;
            self.happen(happening);
        }
        if self.ending == Some(Ending::Golden) && self.log.violation().is_none() {
            self.check_after_the_end();
        }
        for number in self.coordinators.keys().copied().collect::<Vec<_>>() {
            self.bury(number);
        }
        let theme = self.scenario.theme;
        Report {
            seed: self.seed,
            theme,
            ending: self
                .log
                .violation()
                .map_or_else(|| self.ending.ok_or_else(|| "it did not end".into()), Err),
            faults: self.log.counts(),
            simulated_ms: self.now,
            events: self.happened,
            trace_digest: self.log.digest(),
            trace: self.log.lines(),
        }
    }

    fn set_up(&mut self) {
        let scenario = Rc::clone(&self.scenario);
        let summary = (scenario.theme, scenario.lease_ms, scenario.audits_per_mille);
        self.log
            .say(format_args!("{summary:?} {:?}", scenario.weather));
        for character in &scenario.workers {
            self.log.say(format_args!("{character:?}"));
        }
        for (at, blow) in &scenario.blows {
            self.at(*at, Happening::Strikes(*blow));
        }
        self.at(scenario.quiet_at, Happening::Quiet);
        self.leave_a_stranger();
        self.at(0, Happening::StartCoordinator);
        for worker in 0..self.machines.len() {
            let at = self.workers.below(2_000);
            self.at(at, Happening::StartWorker { worker });
        }
    }

    /// A part of another run lies in the store, as if somebody had mistaken the folder.
    fn leave_a_stranger(&mut self) {
        let range = self.material.target.start..self.material.target.start + 1;
        let part = self.material.part(&range, Maker::Stranger);
        let start = self.start_of_coordinator(0);
        let folder = super::disk::SimulatedFolder::new(
            start.disk,
            Rc::default(),
            start.material,
            start.log,
            None,
        );
        folder
            .write_whole("shared", "stranger.h5", &part.bytes)
            .expect("the disk is fine");
    }

    fn at(&mut self, time: u64, happening: Happening) {
        self.queued += 1;
        self.queue.insert((time, self.queued), happening);
    }

    fn after(&mut self, delay_ms: u64, happening: Happening) {
        self.at(self.now + delay_ms, happening);
    }

    fn is_quiet(&self) -> bool {
        self.now >= self.scenario.quiet_at
    }

    /// Until when whoever it happens to is frozen.
    fn frozen_until(&self, happening: &Happening) -> u64 {
        let coordinator = |number: &u64| {
            let found = self.coordinators.get(number);
            found.map_or(0, |coordinator| coordinator.frozen_until)
        };
        let of_call = |call: &u64| self.calls.get(call);
        match happening {
            Happening::Arrives { call, .. } | Happening::Breaks { call, .. } => {
                of_call(call).map_or(0, |calling| coordinator(&calling.coordinator))
            }
            Happening::Tick { coordinator: of }
            | Happening::FinishesLate {
                coordinator: of, ..
            } => coordinator(of),
            Happening::Answered { call, .. } | Happening::Fails { call } => {
                of_call(call).map_or(0, |calling| self.machines[calling.worker].frozen_until)
            }
            Happening::Within { worker, .. } => self.machines[*worker].frozen_until,
            _ => 0,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { call, copy, piece } => self.arrives(call, copy, piece),
            Happening::Breaks { call, copy } => {
                if let Some(calling) = self.calls.get(&call) {
                    let number = calling.coordinator;
                    self.with_coordinator(number, |coordinator, _| {
                        coordinator.abandon((call, copy));
                    });
                }
                self.fails(call, Kind::Unreachable);
            }
            Happening::Answered { call, answer } => self.answered(call, answer),
            Happening::Fails { call } => self.fails(call, Kind::Unreachable),
            Happening::Tick { coordinator } => self.tick(coordinator),
            Happening::FinishesLate {
                coordinator,
                delivery,
            } => {
                self.with_coordinator(coordinator, |coordinator, now| {
                    coordinator.finish(delivery, now);
                });
            }
            Happening::StartCoordinator => {
                if self.coordinators.is_empty() {
                    self.start_coordinator();
                }
            }
            Happening::EndCoordinator { coordinator, how } => {
                self.end_coordinator(coordinator, how);
            }
            Happening::StartWorker { worker } => self.start_worker(worker),
            Happening::EndWorker {
                worker,
                life,
                fault,
            } => {
                if self.machines[worker].life == life && self.machines[worker].worker.is_some() {
                    self.kill_worker(worker, fault);
                }
            }
            Happening::Within { worker, life, what } => self.within(worker, life, what),
            Happening::Strikes(blow) => self.strike(blow),
            Happening::StoreHasRoom => self.store.borrow_mut().set_full(false),
            Happening::SpoolHasRoom { worker } => {
                self.machines[worker].disk.borrow_mut().set_full(false);
            }
            Happening::Quiet => self.quieten(),
        }
    }
}
