//! A coordinator: the real store and service, on a simulated disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use reseed_coordinator::{
    Announced, Attempt, Incoming, Millis, OpenError, Opening, Phase, Rules, Terms, open,
};
use reseed_protocol::messages::{PartHeader, Receipt};

use super::Bug;
use super::disk::{Disk, Life, SimulatedFolder};
use super::log::Log;
use super::material::Material;
use super::scenario::Scenario;
use super::wire::{self, Answered, Service};

/// A delivery: the call, and which copy of it.
pub(super) type Delivery = (u64, u8);

/// A coordinator's process.
#[derive(Debug)]
pub(super) struct Coordinator {
    pub(super) service: Service,
    pub(super) folder: SimulatedFolder,
    pub(super) life: Rc<Life>,
    /// As of a worker.
    pub(super) clock_zero: u64,
    pub(super) frozen_until: u64,
    /// When the run has ended: until when it answers, at most.
    pub(super) farewell_until: Option<u64>,
    pub(super) is_drained: bool,
    /// Of the whole run.
    patients: u64,
    incoming: BTreeMap<Delivery, Incoming>,
}

/// What it takes to start one.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) disk: Rc<RefCell<Disk>>,
    pub(super) material: Rc<Material>,
    pub(super) log: Rc<Log>,
    pub(super) scenario: Rc<Scenario>,
    pub(super) bug: Option<Bug>,
}

/// A part that a coordinator has acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) header: PartHeader,
    pub(super) receipt: Receipt,
}

/// What a message of a delivery led to.
pub(super) enum Progress {
    /// More is to come.
    Waiting,
    /// The call is answered.
    Done(Answered, Option<Acknowledged>),
    /// As [`Bug::AcknowledgesEarly`] has it: the part is to be committed later.
    Postponed(Answered, Acknowledged),
}

impl Start {
    /// Opens the store, as the program does.
    pub(super) fn open(&self, now: u64) -> Result<(Coordinator, Opening), OpenError> {
        let life = Rc::new(Life::default());
        let folder = SimulatedFolder::new(
            Rc::clone(&self.disk),
            Rc::clone(&life),
            Rc::clone(&self.material),
            Rc::clone(&self.log),
            self.bug,
        );
        let owner = format!("coordinator {}", self.number);
        let (service, opening) = open(folder.clone(), self.terms(), &owner)?;
        let coordinator = Coordinator {
            service,
            folder,
            life,
            clock_zero: now,
            frozen_until: 0,
            farewell_until: None,
            is_drained: false,
            patients: self.material.target.end - self.material.target.start,
            incoming: BTreeMap::new(),
        };
        Ok((coordinator, opening))
    }

    fn terms(&self) -> Terms {
        let Material {
            trial,
            identity,
            layout,
            target,
            shard_patients,
            lead_in_patients,
            ..
        } = &*self.material;
        Terms {
            trial: trial.clone(),
            target: target.clone(),
            identity: identity.clone(),
            layout: layout.clone(),
            rules: Rules {
                lease_ms: self.scenario.lease_ms,
                audits_per_mille: self.scenario.audits_per_mille,
                first_attempt: Attempt(1),
                ..Rules::default()
            },
            shard_patients: *shard_patients,
            lead_in_patients: *lead_in_patients,
            shared_path: self.scenario.is_shared.then(|| "store".to_owned()),
        }
    }
}

impl Coordinator {
    pub(super) fn clock(&self, now: u64) -> Millis {
        Millis(now.wrapping_sub(self.clock_zero))
    }

    /// Takes a message of a delivery; `is_last` if nothing follows.
    pub(super) fn take_piece(
        &mut self,
        delivery: Delivery,
        bytes: &[u8],
        (is_first, is_last): (bool, bool),
        bug: Option<Bug>,
        now: u64,
    ) -> Progress {
        let clock = self.clock(now);
        let refused = |refusal| Progress::Done(wire::encode_receipt(Err(refusal)), None);
        if is_first {
            match wire::announce(&self.service, bytes, clock) {
                Ok((_, Announced::Wanted(incoming))) => {
                    self.incoming.insert(delivery, incoming);
                }
                Ok((header, Announced::Known(receipt))) => {
                    let answer = wire::encode_receipt(Ok(receipt));
                    return Progress::Done(answer, Some(Acknowledged { header, receipt }));
                }
                Err(refusal) => return refused(refusal),
            }
        } else {
            let Some(incoming) = self.incoming.get_mut(&delivery) else {
                return Progress::Waiting;
            };
            if let Err(refusal) = wire::receive(&self.service, incoming, bytes) {
                self.abandon(delivery);
                return refused(refusal);
            }
        }
        if !is_last {
            return Progress::Waiting;
        }
        if bug == Some(Bug::AcknowledgesEarly) {
            let header = self.incoming[&delivery].header().clone();
            let receipt = Receipt::Committed;
            let answer = wire::encode_receipt(Ok(receipt));
            return Progress::Postponed(answer, Acknowledged { header, receipt });
        }
        self.finish(delivery, now)
    }

    /// Patients in the store, and those of them that the ledger knows of; nothing if the run is
    /// not about all of them any more, or the process has ended.
    pub(super) fn patients(&self) -> Option<(u64, u64)> {
        let stored = self.service.books().store().tally().screened();
        let desk = self.service.desk();
        let progress = desk.progress();
        let is_comparable = *desk.phase() == Phase::Running || *desk.phase() == Phase::Finished;
        let is_whole = progress.patients == self.patients;
        (is_comparable && is_whole && !self.life.is_over())
            .then_some((stored, progress.patients_committed))
    }

    /// All messages of a delivery have come.
    pub(super) fn finish(&mut self, delivery: Delivery, now: u64) -> Progress {
        let Some(incoming) = self.incoming.get(&delivery) else {
            return Progress::Waiting;
        };
        let receipt = self.service.finish(incoming, self.clock(now));
        let acknowledged = receipt.as_ref().ok().map(|receipt| Acknowledged {
            header: incoming.header().clone(),
            receipt: *receipt,
        });
        self.abandon(delivery);
        Progress::Done(wire::encode_receipt(receipt), acknowledged)
    }

    /// A delivery has ended, well or not.
    pub(super) fn abandon(&mut self, delivery: Delivery) {
        if let Some(incoming) = self.incoming.remove(&delivery) {
            self.service.abandon(&incoming);
        }
    }
}
