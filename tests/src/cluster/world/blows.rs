//! What strikes whom.

use std::rc::Rc;

use reseed_worker::Event;

use super::super::faults::Fault;
use super::super::scenario::Blow;
use super::{Displacement, End, Happening, World};

/// A program that was to die in a file operation and did none dies after this time, ms.
const NO_OPERATION_MS: u64 = 3_000;
/// An operator who drained everybody starts the coordinator anew after this time, ms.
const DRAINED_MS: u64 = 6_000;

impl World {
    pub(super) fn strike(&mut self, blow: Blow) {
        self.log.say(format_args!("{blow:?}"));
        let newest = self.coordinators.keys().next_back().copied();
        match blow {
            Blow::KillWorker { .. }
            | Blow::KillWorkerInFileOperation { .. }
            | Blow::CutPowerOfWorker { .. }
            | Blow::StopWorker { .. }
            | Blow::FreezeWorker { .. }
            | Blow::JumpWorkerClock { .. }
            | Blow::FillSpool { .. }
            | Blow::CutLine { .. } => self.strike_worker(blow),
            Blow::CutPower => {
                self.cut_power();
                self.supervise();
            }
            Blow::FillStore { ms } => {
                self.store.borrow_mut().set_full(true);
                self.after(ms, Happening::StoreHasRoom);
            }
            Blow::DecayPart => {
                let decayed = self.store.borrow_mut().decay("parts/");
                if let Some(name) = decayed {
                    self.log.count(Fault::PartDecayed);
                    self.judge.note_decay(&name);
                }
            }
            Blow::FailStoreSyncs { count } => self.store.borrow_mut().set_failing_syncs(count),
            _ => {
                if let Some(number) = newest {
                    self.strike_coordinator(number, blow);
                }
            }
        }
    }

    pub(super) fn strike_coordinator(&mut self, number: u64, blow: Blow) {
        let operations = self.faults.below(30);
        let until = |ms: u64| (self.now + ms).min(self.scenario.quiet_at);
        let frozen_until = match blow {
            Blow::FreezeCoordinator { ms } => until(ms),
            _ => 0,
        };
        let coordinator = self.coordinators.get_mut(&number).expect("a living one");
        match blow {
            Blow::KillCoordinator => self.end_coordinator(number, End::Killed),
            Blow::StopCoordinator => self.end_coordinator(number, End::Stopped),
            Blow::KillCoordinatorInFileOperation => {
                coordinator.life.end_after(operations);
                self.after(
                    NO_OPERATION_MS,
                    Happening::EndCoordinator {
                        coordinator: number,
                        how: End::Killed,
                    },
                );
            }
            Blow::FreezeCoordinator { .. } => {
                coordinator.frozen_until = frozen_until;
                self.log.count(Fault::CoordinatorFrozen);
            }
            Blow::JumpCoordinatorClock { ms } => {
                coordinator.clock_zero = coordinator.clock_zero.wrapping_sub(ms);
                self.log.count(Fault::CoordinatorClockJumped);
            }
            Blow::SecondCoordinator => {
                self.log.count(Fault::CoordinatorDisplaced);
                self.start_coordinator();
                self.split();
            }
            Blow::SecondCoordinatorInFileOperation { operations } => {
                self.displace(number, operations);
            }
            Blow::DrainWorker { worker } => {
                let name = &self.machines[worker].character.name;
                if coordinator.service.desk().drain(name) > 0 {
                    self.log.count(Fault::DrainedByOperator);
                }
            }
            Blow::DrainAll => {
                coordinator.service.desk().drain("");
                coordinator.is_drained = true;
                self.log.count(Fault::DrainedByOperator);
                self.after(
                    DRAINED_MS,
                    Happening::EndCoordinator {
                        coordinator: number,
                        how: End::Stopped,
                    },
                );
            }
            Blow::Cancel => {
                let clock = coordinator.clock(self.now);
                let reason = "by the operator".to_owned();
                coordinator.service.desk().cancel(reason, clock);
                self.was_cancelled = true;
                self.log.count(Fault::CancelledByOperator);
            }
            _ => unreachable!("{blow:?} is not for coordinators"),
        }
    }

    /// Another coordinator will open the store amid the file operations of this one.
    pub(super) fn displace(&mut self, number: u64, operations: u64) {
        if self.displacement.is_some() {
            return;
        }
        self.coordinators_started += 1;
        let successor = self.coordinators_started;
        let start = self.start_of_coordinator(successor);
        let slot = Displacement::default();
        let (opened, now) = (Rc::clone(&slot), self.now);
        let open = move || *opened.borrow_mut() = Some(start.open(now));
        self.coordinators[&number]
            .life
            .interrupt_after(operations, Box::new(open));
        self.displacement = Some((number, successor, slot));
    }

    pub(super) fn strike_worker(&mut self, blow: Blow) {
        let (now, quiet_at) = (self.now, self.scenario.quiet_at);
        let until = |ms: u64| (now + ms).min(quiet_at);
        let alive = |world: &Self, worker: usize| world.machines[worker].worker.is_some();
        match blow {
            Blow::CutLine { worker, ms, ways } => {
                self.machines[worker].blocked.push((until(ms), ways));
                self.log.count(Fault::Partition);
            }
            Blow::FillSpool { worker, ms } => {
                self.machines[worker].disk.borrow_mut().set_full(true);
                self.after(ms, Happening::SpoolHasRoom { worker });
            }
            Blow::KillWorker { worker } if alive(self, worker) => {
                self.kill_worker(worker, Fault::WorkerKilled);
            }
            Blow::CutPowerOfWorker { worker } if alive(self, worker) => {
                self.machines[worker].disk.borrow_mut().cut_power();
                self.kill_worker(worker, Fault::WorkerPowerCut);
            }
            Blow::KillWorkerInFileOperation { worker, operations } => {
                let machine = &self.machines[worker];
                if let Some(process) = &machine.worker {
                    process.life.end_after(operations);
                    let life = machine.life;
                    let fault = Fault::WorkerKilled;
                    self.after(
                        NO_OPERATION_MS * 4,
                        Happening::EndWorker {
                            worker,
                            life,
                            fault,
                        },
                    );
                }
            }
            Blow::StopWorker { worker } if alive(self, worker) => {
                self.log.count(Fault::WorkerStopped);
                self.tell(worker, Event::Stop);
            }
            Blow::FreezeWorker { worker, ms } if alive(self, worker) => {
                self.log.count(Fault::WorkerFrozen);
                self.machines[worker].frozen_until = until(ms);
            }
            Blow::JumpWorkerClock { worker, ms } => {
                if let Some(process) = &mut self.machines[worker].worker {
                    let deeds = process.jump(ms, now);
                    self.log.count(Fault::WorkerClockJumped);
                    self.carry_out(worker, deeds);
                }
            }
            _ => {}
        }
    }

    pub(super) fn quieten(&mut self) {
        self.log.say(format_args!("nothing breaks from here on"));
        for disk in std::iter::once(&self.store).chain(self.machines.iter().map(|of| &of.disk)) {
            let mut disk = disk.borrow_mut();
            disk.set_full(false);
            disk.set_failing_syncs(0);
        }
        let drained: Vec<u64> = self
            .coordinators
            .iter()
            .filter(|(_, coordinator)| coordinator.is_drained)
            .map(|(number, _)| *number)
            .collect();
        for number in drained {
            self.end_coordinator(number, End::Stopped);
        }
    }
}
