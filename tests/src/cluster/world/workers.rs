//! How workers come and go, and who does what they decide.

use std::rc::Rc;

use reseed_worker::{Event, Outcome};

use super::super::faults::Fault;
use super::super::scenario::Place;
use super::super::worker::{self, Deed, Inner, Worker};
use super::{Happening, Machine, World};

impl World {
    pub(super) fn start_worker(&mut self, worker: usize) {
        if self.machines[worker].worker.is_some() {
            return;
        }
        let machine = &self.machines[worker];
        let parts = worker::Parts {
            number: u8::try_from(worker % 3).expect("less than 3"),
            character: &machine.character,
            own: Rc::clone(&machine.disk),
            store: Rc::clone(&self.store),
            failing_patient: self.scenario.failing_patient,
            material: &self.material,
            log: &self.log,
            bug: self.bug,
        };
        let mut process = Worker::start(parts, self.now, &mut self.workers);
        let deeds = process.handle(Event::Tick, self.now, &mut self.workers);
        let machine = &mut self.machines[worker];
        machine.life += 1;
        machine.frozen_until = 0;
        machine.worker = Some(process);
        let life = machine.life;
        if let Some(lent_ms) = machine.character.lent_ms
            && !self.is_quiet()
        {
            self.after(
                lent_ms,
                Happening::EndWorker {
                    worker,
                    life,
                    fault: Fault::WorkerTimeEnded,
                },
            );
        }
        self.carry_out(worker, deeds);
    }

    pub(super) fn within(&mut self, worker: usize, life: u64, what: Inner) {
        if self.machines[worker].life != life {
            return;
        }
        let now = self.now;
        let Some(process) = &mut self.machines[worker].worker else {
            return;
        };
        let deeds = process.happen(what, now, &mut self.workers);
        self.carry_out(worker, deeds);
    }

    /// Tells the agent of a worker.
    pub(super) fn tell(&mut self, worker: usize, event: Event) {
        let now = self.now;
        if let Some(process) = &mut self.machines[worker].worker {
            let deeds = process.handle(event, now, &mut self.workers);
            self.carry_out(worker, deeds);
        }
    }

    pub(super) fn carry_out(&mut self, worker: usize, deeds: Vec<Deed>) {
        let is_dead = |machine: &Machine| {
            let process = machine.worker.as_ref();
            process.is_none_or(|process| process.life.is_over())
        };
        if is_dead(&self.machines[worker]) {
            return self.kill_worker(worker, Fault::WorkerKilledInFileOperation);
        }
        for deed in deeds {
            match deed {
                Deed::Call(request, about) => self.send(worker, request, about),
                Deed::Later(delay_ms, what) => {
                    let life = self.machines[worker].life;
                    self.after(delay_ms, Happening::Within { worker, life, what });
                }
                Deed::Exit(outcome) => self.exits(worker, &outcome),
            }
        }
    }

    pub(super) fn exits(&mut self, worker: usize, outcome: &Outcome) {
        let character = &self.machines[worker].character;
        self.log
            .say(format_args!("{} exits: {outcome:?}", character.name));
        let is_fair = match outcome {
            Outcome::Finished => self.has_finished,
            Outcome::RunFailed(_) => self.has_failed,
            Outcome::Refused(_) => character.has_another_version,
            Outcome::Broken(_) => self.log.counts().of(Fault::DiskFull) > 0,
            Outcome::Left | Outcome::Stopped | Outcome::Unreachable(_) => true,
        };
        if !is_fair {
            self.log.accuse(format_args!(
                "{} exits without a reason: {outcome:?}",
                character.name
            ));
        }
        if let Outcome::Broken(_) = outcome {
            self.log.count(Fault::WorkerBroken);
        }
        if character.has_another_version {
            self.log.count(Fault::WorkerOfAnotherVersion);
        }
        let believes_finished = *outcome == Outcome::Finished;
        let comes_back = !believes_finished && !character.has_another_version;
        self.machines[worker].believes_finished = believes_finished;
        self.remove_worker(worker, comes_back);
    }

    pub(super) fn kill_worker(&mut self, worker: usize, fault: Fault) {
        self.log.say(format_args!(
            "{}: {}",
            self.machines[worker].character.name,
            fault.what()
        ));
        self.log.count(fault);
        self.remove_worker(worker, true);
    }

    pub(super) fn remove_worker(&mut self, worker: usize, comes_back: bool) {
        let machine = &mut self.machines[worker];
        if let Some(process) = machine.worker.take() {
            process.life.end();
        }
        machine.frozen_until = 0;
        if machine.character.place != Place::Kept {
            // The next one has a folder of its own.
            machine.disk.borrow_mut().wipe();
        }
        if comes_back {
            let delay_ms = self.workers.within(500..=6_000);
            self.after(delay_ms, Happening::StartWorker { worker });
        }
    }
}
