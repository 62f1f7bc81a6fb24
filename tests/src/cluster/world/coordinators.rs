//! What coordinators do, and how they come and go.

use std::rc::Rc;

use reseed_coordinator::{Fatal, Millis, OpenError, Opening, Phase};
use reseed_results::ResultsError;

use super::super::Ending;
use super::super::coordinator::{Coordinator, Start};
use super::super::faults::Fault;
use super::super::scenario::Theme;
use super::{End, Happening, World};

/// Between two looks of a coordinator at the state of its run, ms.
const TICK_MS: u64 = 100;
/// Between two reports, ms.
const REPORT_MS: u64 = 1_000;
/// How long a coordinator answers after the end, ms.
const FAREWELL_MS: u64 = 3_000;
/// In one seed of so many the parts are also merged as files.
const MERGE_ONE_IN: u64 = 50;

impl World {
    pub(super) fn start_of_coordinator(&self, number: u64) -> Start {
        Start {
            number,
            disk: Rc::clone(&self.store),
            material: Rc::clone(&self.material),
            log: Rc::clone(&self.log),
            scenario: Rc::clone(&self.scenario),
            bug: self.bug,
        }
    }

    pub(super) fn start_coordinator(&mut self) {
        self.coordinators_started += 1;
        let number = self.coordinators_started;
        let opened = self.start_of_coordinator(number).open(self.now);
        self.opened(number, opened);
    }

    pub(super) fn opened(
        &mut self,
        number: u64,
        opened: Result<(Coordinator, Opening), OpenError>,
    ) {
        match opened {
            Ok(_) if self.has_conflict => self.log.accuse(format_args!(
                "coordinator {number} goes on as if two machines had not disagreed"
            )),
            Ok((coordinator, opening)) => {
                let Opening {
                    patients_resumed,
                    shards,
                    warnings,
                } = opening;
                self.log.say(format_args!(
                    "coordinator {number} opens with {patients_resumed} patients, {shards} shards \
                     missing, {} warnings",
                    warnings.len()
                ));
                for _ in &warnings {
                    self.log.count(Fault::PartSetAside);
                }
                self.judge.check_opened(&coordinator, &self.store.borrow());
                self.latest = number;
                if shards > 0 {
                    self.call_back_workers();
                }
                self.coordinators.insert(number, coordinator);
                self.after(
                    TICK_MS,
                    Happening::Tick {
                        coordinator: number,
                    },
                );
            }
            Err(OpenError::Results(ResultsError::Io { source, action, .. })) => {
                self.log.say(format_args!(
                    "coordinator {number} cannot {action}: {source}"
                ));
                self.log.count(Fault::CoordinatorCouldNotOpen);
                self.supervise();
            }
            Err(OpenError::Evidence(files)) if self.has_conflict => {
                self.log.say(format_args!(
                    "coordinator {number} does not go on after a conflict: {files:?}"
                ));
                self.ending = Some(Ending::Conflict);
            }
            Err(error) => self.log.accuse(format_args!(
                "coordinator {number} cannot open the store: {error}"
            )),
        }
    }

    /// Somebody starts the workers that believed the run finished, though a part has decayed.
    pub(super) fn call_back_workers(&mut self) {
        for worker in 0..self.machines.len() {
            if std::mem::take(&mut self.machines[worker].believes_finished) {
                self.after(1_000, Happening::StartWorker { worker });
            }
        }
    }

    /// Lets a coordinator do something, and sees to what came of it.
    pub(super) fn with_coordinator<T>(
        &mut self,
        number: u64,
        act: impl FnOnce(&mut Coordinator, u64) -> T,
    ) -> Option<T> {
        let now = self.now;
        self.was_displaced = false;
        let done = act(self.coordinators.get_mut(&number)?, now);
        self.take_displacement();
        let coordinator = &self.coordinators[&number];
        if coordinator.life.is_over() {
            self.log.say(format_args!(
                "coordinator {number} dies in a file operation"
            ));
            self.log.count(Fault::CoordinatorKilledInFileOperation);
            self.bury(number);
            if self.faults.one_in(2) {
                self.cut_power();
            }
            self.supervise();
            return None;
        }
        match coordinator.service.desk().phase() {
            Phase::Running => {}
            Phase::Finished => self.has_finished = true,
            Phase::Failed(_) => self.has_failed = true,
        }
        Some(done)
    }

    pub(super) fn take_displacement(&mut self) {
        let opened = match &self.displacement {
            Some((_, _, slot)) => slot.borrow_mut().take(),
            None => None,
        };
        if let Some(opened) = opened
            && let Some((of, number, _)) = self.displacement.take()
        {
            self.log
                .say(format_args!("{of} was displaced in a file operation"));
            self.log.count(Fault::CoordinatorDisplacedInFileOperation);
            self.was_displaced = true;
            self.opened(number, opened);
            self.split();
        }
    }

    pub(super) fn tick(&mut self, number: u64) {
        let has_ended = self.with_coordinator(number, |coordinator, now| {
            let clock = coordinator.clock(now);
            coordinator.service.tick(clock);
            let report = (now % REPORT_MS < TICK_MS).then(|| coordinator.service.report(clock));
            let failure = coordinator.service.take_failure();
            let phase = coordinator.service.desk().phase().clone();
            (report, failure, phase)
        });
        let Some((report, failure, phase)) = has_ended else {
            return;
        };
        if let Some(report) = report {
            self.judge.check_report(&report);
        }
        self.after(
            TICK_MS,
            Happening::Tick {
                coordinator: number,
            },
        );
        if let Some(error) = failure {
            return self.give_up(number, &error);
        }
        let coordinator = &self.coordinators[&number];
        if let Some(until) = coordinator.farewell_until {
            let lately = coordinator.clock(self.now).0.saturating_sub(FAREWELL_MS);
            let lately = Millis(lately);
            if self.now >= until || coordinator.service.desk().is_empty_since(lately) {
                self.leaves(number);
            }
            return;
        }
        match phase {
            Phase::Running => {}
            Phase::Finished => self.finished(number),
            Phase::Failed(fatal) => self.failed(number, &fatal),
        }
    }

    /// A coordinator can commit nothing more.
    pub(super) fn give_up(&mut self, number: u64, error: &ResultsError) {
        self.log
            .say(format_args!("coordinator {number} gives up: {error}"));
        if !matches!(error, ResultsError::Fenced { .. }) || self.latest == number {
            self.log.accuse(format_args!(
                "coordinator {number} gives up though nobody displaced it: {error}"
            ));
        }
        self.log.count(Fault::CoordinatorGaveUp);
        self.bury(number);
        self.supervise();
    }

    /// Some workers lose their connection, and may find another coordinator than the rest.
    pub(super) fn split(&mut self) {
        for machine in &mut self.machines {
            if let Some(worker) = &mut machine.worker
                && self.network.one_in(2)
            {
                worker.line = None;
            }
        }
    }

    /// All is committed: the parts are merged.
    pub(super) fn finished(&mut self, number: u64) {
        let merges = self.seed.is_multiple_of(MERGE_ONE_IN);
        let coordinator = &self.coordinators[&number];
        let (needed, committed) = {
            let books = coordinator.service.books();
            (books.part_paths().len(), books.store().committed().len())
        };
        if needed < committed {
            self.log.count(Fault::LaterPartsNotNeeded);
        }
        let checked = self.judge.check_result(coordinator, merges);
        if coordinator.life.is_over() {
            self.with_coordinator(number, |_, _| ());
            return;
        }
        match checked {
            Ok(true) => self.log.say(format_args!("coordinator {number}: golden")),
            Ok(false) => self
                .log
                .accuse(format_args!("the result is not that of one run")),
            Err(problem) if self.judge.excuses(&problem) => {
                self.log
                    .say(format_args!("coordinator {number} cannot merge: {problem}"));
                self.bury(number);
                // Another coordinator may have opened the store already, and wait for them.
                self.call_back_workers();
                return self.supervise();
            }
            Err(problem) => self
                .log
                .accuse(format_args!("the parts cannot be merged: {problem}")),
        }
        self.say_farewell(number);
    }

    pub(super) fn failed(&mut self, number: u64, fatal: &Fatal) {
        let text = self.coordinators[&number].service.desk().describe(fatal);
        self.log
            .say(format_args!("coordinator {number}: the run fails: {text}"));
        let theme = self.scenario.theme;
        let is_fair = match fatal {
            Fatal::Cancelled { .. } => self.was_cancelled,
            Fatal::Conflict { .. } => {
                theme == Theme::FaultyMachine
                    && text.matches("host-").count() == 2
                    && text.contains("host-0")
                    && text.contains("different results for patients")
            }
            Fatal::Deterministic { .. } => {
                theme == Theme::FailingShard && text.contains("the program failed: patient")
            }
            Fatal::TooManyFailures { .. } => {
                theme == Theme::FailingShard || self.log.counts().of(Fault::PartChangedOnTheWay) > 0
            }
        };
        if !is_fair {
            self.log
                .accuse(format_args!("the run fails without a reason: {text}"));
        }
        self.say_farewell(number);
    }

    pub(super) fn say_farewell(&mut self, number: u64) {
        let until = self.now + FAREWELL_MS;
        if let Some(coordinator) = self.coordinators.get_mut(&number) {
            coordinator.farewell_until = Some(until);
        }
    }

    /// A coordinator ends by itself.
    pub(super) fn leaves(&mut self, number: u64) {
        let phase = self.coordinators[&number].service.desk().phase().clone();
        self.bury(number);
        match (phase, self.scenario.theme) {
            (Phase::Finished, _) => self.ending = Some(Ending::Golden),
            (Phase::Failed(Fatal::Conflict { .. }), Theme::FaultyMachine) => {
                // A scheduler starts the same command again, perhaps after the power was cut.
                self.has_conflict = true;
                if self.faults.one_in(2) {
                    self.cut_power();
                }
                self.supervise();
            }
            (Phase::Failed(Fatal::Deterministic { .. }), Theme::FailingShard) => {
                self.ending = Some(Ending::ShardFails);
            }
            _ => self.supervise(),
        }
    }

    pub(super) fn end_coordinator(&mut self, number: u64, how: End) {
        if !self.coordinators.contains_key(&number) {
            return;
        }
        self.log
            .say(format_args!("coordinator {number} is {how:?}"));
        self.log.count(match how {
            End::Killed => Fault::CoordinatorKilled,
            End::Stopped => Fault::CoordinatorStopped,
        });
        self.bury(number);
        self.supervise();
    }

    /// A coordinator is no more; whoever waits for an answer learns of it, or not.
    pub(super) fn bury(&mut self, number: u64) {
        let Some(coordinator) = self.coordinators.remove(&number) else {
            return;
        };
        let counts = coordinator.service.desk().counts();
        for (fault, count) in [
            (Fault::LeaseLost, counts.leases_lost),
            (Fault::ShardRepeated, counts.leases_repeated),
            (Fault::AuditPassed, counts.audits_passed),
        ] {
            for _ in 0..count {
                self.log.count(fault);
            }
        }
        coordinator.life.end();
        if let Some((of, _, _)) = &self.displacement
            && *of == number
        {
            coordinator.life.let_be();
            self.displacement = None;
        }
        let waiting: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, calling)| calling.coordinator == number)
            .map(|(call, _)| *call)
            .collect();
        for call in waiting {
            if !self.network.one_in(4) {
                let delay_ms = self.latency();
                self.after(delay_ms, Happening::Fails { call });
            }
        }
    }

    /// Somebody sees to it that there is a coordinator.
    pub(super) fn supervise(&mut self) {
        if self.coordinators.is_empty() {
            let delay_ms = self.faults.within(100..=4_000);
            self.after(delay_ms, Happening::StartCoordinator);
        }
    }

    pub(super) fn cut_power(&mut self) {
        self.log.say(format_args!("the power fails at the store"));
        self.log.count(Fault::PowerCut);
        for number in self.coordinators.keys().copied().collect::<Vec<_>>() {
            self.bury(number);
        }
        self.store.borrow_mut().cut_power();
    }

    /// After the end a power cut loses nothing either.
    pub(super) fn check_after_the_end(&mut self) {
        if self.judge.has_seen_decay() {
            return;
        }
        self.quieten();
        self.store.borrow_mut().cut_power();
        self.coordinators_started += 1;
        match self
            .start_of_coordinator(self.coordinators_started)
            .open(self.now)
        {
            Ok((coordinator, _)) => {
                coordinator.service.tick(coordinator.clock(self.now));
                let phase = coordinator.service.desk().phase().clone();
                if phase != Phase::Finished
                    || self.judge.check_result(&coordinator, false) != Ok(true)
                {
                    self.log.accuse(format_args!(
                        "a power cut after the end takes some of the result"
                    ));
                }
            }
            Err(error) => self.log.accuse(format_args!(
                "the store cannot be opened after the end: {error}"
            )),
        }
    }
}
