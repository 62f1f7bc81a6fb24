//! The network: what becomes of messages on their way.

use std::cell::RefCell;
use std::rc::Rc;

use reseed_protocol::messages::Receipt;
use reseed_protocol::{Kind, Refusal};
use reseed_worker::{Call, Event};

use super::super::Bug;
use super::super::coordinator::{Acknowledged, Coordinator, Delivery, Progress};
use super::super::faults::Fault;
use super::super::material::Maker;
use super::super::scenario::{Ways, Weather};
use super::super::wire::{self, Answered, Method, Request};
use super::{Calling, End, Happening, World};

/// Longest time that a message takes in fair weather, ms.
const LATENCY_MS_MAX: u64 = 20;
/// When a caller gives up, ms: between the time in which a dead connection is noticed and the
/// longest time of a call.
const DEADLINE_MS: (u64, u64) = (15_000, 20_000);
/// From reading the part to synchronising its name.
const FILE_OPERATIONS_OF_A_COMMIT: u64 = 5;
/// How much later [`Bug::AcknowledgesEarly`] commits, ms.
const POSTPONED_MS: u64 = 500;

/// A delivery that reaches another coordinator, too, amid the file operations of the first one.
pub(super) struct Amid {
    number: u64,
    aside: Rc<RefCell<Option<Aside>>>,
    /// Power cuts before.
    power_cuts: u64,
}

/// The other coordinator, kept aside meanwhile, and what it has to do.
struct Aside {
    coordinator: Coordinator,
    pieces: Vec<Vec<u8>>,
    /// Nothing is missing from the delivery.
    is_whole: bool,
    bug: Option<Bug>,
    acknowledged: Option<Acknowledged>,
    has_acted: bool,
}

impl Aside {
    fn act(&mut self, delivery: Delivery, now: u64) {
        self.has_acted = true;
        for (at, piece) in self.pieces.iter().enumerate() {
            let place = (at == 0, self.is_whole && at + 1 == self.pieces.len());
            let progress = self
                .coordinator
                .take_piece(delivery, piece, place, self.bug, now);
            if let Progress::Done(_, acknowledged) = progress {
                self.acknowledged = acknowledged;
                return;
            }
        }
    }
}

impl World {
    pub(super) fn weather(&self) -> Weather {
        if self.is_quiet() {
            Weather::FAIR
        } else {
            self.scenario.weather
        }
    }

    pub(super) fn latency(&mut self) -> u64 {
        self.network.within(1..=LATENCY_MS_MAX)
    }

    /// How long a message takes; `None` if it never arrives.
    pub(super) fn travel(&mut self, worker: usize, is_request: bool) -> Option<u64> {
        let weather = self.weather();
        let mut takes = self.latency();
        if self.network.per_mille(weather.late) {
            self.log.count(Fault::MessageLate);
            takes += self.network.below(weather.late_ms_max);
        }
        let now = self.now;
        let blocks = |ways: Ways| {
            if is_request {
                ways.blocks_requests()
            } else {
                ways.blocks_answers()
            }
        };
        let blocked = &mut self.machines[worker].blocked;
        blocked.retain(|(until, _)| *until > now);
        let blocked_until = blocked
            .iter()
            .filter(|(_, ways)| blocks(*ways))
            .map(|(until, _)| *until)
            .max();
        if let Some(until) = blocked_until {
            if self.network.one_in(2) {
                return None;
            }
            takes += until - now;
        }
        let is_lost = self.network.per_mille(weather.lost);
        (!is_lost).then_some(takes)
    }

    pub(super) fn send(&mut self, worker: usize, request: Request, about: Option<Call>) {
        let method = request.method();
        let line = match method {
            Method::Register => self.route(),
            _ => self.line_of(worker),
        };
        self.next_call += 1;
        let call = self.next_call;
        let machine = &self.machines[worker];
        self.log.say(format_args!(
            "{} calls {method:?} of {line:?}",
            machine.character.name
        ));
        let calling = Calling {
            worker,
            life: machine.life,
            coordinator: line.unwrap_or(0),
            method,
            about,
            pieces: request.encode(),
        };
        let pieces = calling.pieces.len();
        self.calls.insert(call, calling);
        if line.is_none() {
            return self.after(1, Happening::Fails { call });
        }
        let deadline_ms = self.network.within(DEADLINE_MS.0..=DEADLINE_MS.1);
        self.after(deadline_ms, Happening::Fails { call });
        let first = self.travel(worker, true);
        match first {
            Some(takes) => self.send_copy(call, 0, takes, pieces),
            None => self.log.count(Fault::RequestLost),
        }
        let weather = self.weather();
        if self.network.per_mille(weather.duplicated)
            && let Some(takes) = self.travel(worker, true)
        {
            self.log.count(Fault::MessageDuplicated);
            let later = self.network.below(8_000);
            self.send_copy(call, 1, takes + later, pieces);
        }
    }

    pub(super) fn send_copy(&mut self, call: u64, copy: u8, takes: u64, pieces: usize) {
        let calling = &self.calls[&call];
        let (worker, method, is_quiet) = (calling.worker, calling.method, calling.about.is_none());
        let mut at = self.now + takes;
        if method == Method::Leave {
            at = at.max(self.machines[worker].last_word_at + 1);
        } else if is_quiet {
            self.machines[worker].last_word_at = at;
        }
        let weather = self.weather();
        let breaks_at = (pieces > 1 && self.network.per_mille(weather.cut))
            .then(|| usize::try_from(self.network.below(pieces as u64)).expect("few pieces"));
        if pieces > 1 && self.network.per_mille(weather.changed) {
            self.change_piece(call);
        }
        for piece in 0..pieces {
            if breaks_at == Some(piece) {
                self.log.count(Fault::StreamCut);
                self.at(at, Happening::Breaks { call, copy });
                return;
            }
            self.at(at, Happening::Arrives { call, copy, piece });
            at += self.network.below(10);
        }
    }

    /// A piece of a part arrives otherwise than it was sent.
    pub(super) fn change_piece(&mut self, call: u64) {
        self.log.count(Fault::PartChangedOnTheWay);
        let stranger = {
            let range = self.material.target.start..self.material.target.start + 1;
            Rc::clone(&self.material.part(&range, Maker::Stranger).bytes)
        };
        let chance = &mut self.network;
        let calling = self.calls.get_mut(&call).expect("the call under way");
        let Some(piece) = calling.pieces.last_mut() else {
            return;
        };
        wire::change_chunk(piece, |chunk| match chance.below(3) {
            0 => {
                let at = chance.position(chunk.len() - 1);
                chunk[at] ^= 1 << chance.below(8);
            }
            1 => chunk.truncate(chance.position(chunk.len())),
            _ => {
                let from = stranger.len().saturating_sub(chunk.len());
                *chunk = stranger[from..].to_vec();
            }
        });
    }

    /// Where somebody who looks for a coordinator is led.
    pub(super) fn route(&mut self) -> Option<u64> {
        let oldest = *self.coordinators.keys().next()?;
        let newest = *self.coordinators.keys().next_back()?;
        Some(if self.network.one_in(4) {
            oldest
        } else {
            newest
        })
    }

    pub(super) fn line_of(&self, worker: usize) -> Option<u64> {
        self.machines[worker].worker.as_ref()?.line
    }

    pub(super) fn arrives(&mut self, call: u64, copy: u8, piece: usize) {
        let Some(calling) = self.calls.get(&call) else {
            return;
        };
        let (number, method) = (calling.coordinator, calling.method);
        if !self.coordinators.contains_key(&number) {
            let delay_ms = self.latency();
            return self.after(delay_ms, Happening::Fails { call });
        }
        let bytes = calling.pieces[piece].clone();
        let place = (piece == 0, piece + 1 == calling.pieces.len());
        let bug = self.bug;
        if method == Method::Deliver && place.1 {
            self.begin_amid(number, (call, copy));
        }
        let progress = self.with_coordinator(number, |coordinator, now| {
            if method == Method::Deliver {
                coordinator.take_piece((call, copy), &bytes, place, bug, now)
            } else {
                let clock = coordinator.clock(now);
                let answer = wire::answer(&coordinator.service, method, &bytes, clock);
                Progress::Done(answer, None)
            }
        });
        if let Some(progress) = progress {
            self.judge.check_books(&self.coordinators[&number]);
            self.progressed(number, (call, copy), progress);
        }
        self.end_amid(number, (call, copy));
    }

    /// Lets another coordinator take the same delivery amid the file operations to come.
    pub(super) fn begin_amid(&mut self, number: u64, (call, copy): Delivery) {
        if self.displacement.is_some() {
            return;
        }
        let now = self.now;
        let others = self.coordinators.iter();
        let mut others =
            others.filter(|(other, found)| **other != number && found.frozen_until <= now);
        let Some((other, _)) = others.next() else {
            return;
        };
        let other = *other;
        let coordinator = self.coordinators.remove(&other).expect("just found");
        let mut pieces = self.calls[&call].pieces.clone();
        let is_whole = self.faults.one_in(2);
        if !is_whole {
            pieces.pop();
        }
        let aside = Rc::new(RefCell::new(Some(Aside {
            coordinator,
            pieces,
            is_whole,
            bug: self.bug,
            acknowledged: None,
            has_acted: false,
        })));
        let acting = Rc::clone(&aside);
        let act = move || {
            if let Some(aside) = acting.borrow_mut().as_mut() {
                aside.act((call, copy), now);
            }
        };
        let operations = self.faults.below(FILE_OPERATIONS_OF_A_COMMIT);
        self.coordinators[&number]
            .life
            .interrupt_after(operations, Box::new(act));
        self.amid = Some(Amid {
            number: other,
            aside,
            power_cuts: self.log.counts().of(Fault::PowerCut),
        });
    }

    /// The other coordinator is back.
    pub(super) fn end_amid(&mut self, number: u64, delivery: Delivery) {
        let Some(amid) = self.amid.take() else {
            return;
        };
        if let Some(coordinator) = self.coordinators.get(&number) {
            coordinator.life.let_be();
        }
        let aside = amid.aside.borrow_mut().take().expect("put there");
        self.coordinators.insert(amid.number, aside.coordinator);
        if self.log.counts().of(Fault::PowerCut) > amid.power_cuts {
            return self.end_coordinator(amid.number, End::Killed);
        }
        if aside.has_acted {
            self.log.count(Fault::CoordinatorsInterleaved);
        }
        let lives = self.with_coordinator(amid.number, |coordinator, _| {
            coordinator.abandon(delivery);
        });
        if let (Some(()), Some(part)) = (lives, aside.acknowledged) {
            self.acknowledge(amid.number, &part);
        }
    }

    pub(super) fn progressed(&mut self, number: u64, delivery: Delivery, progress: Progress) {
        let call = delivery.0;
        match progress {
            Progress::Waiting => {}
            Progress::Done(answer, acknowledged) => {
                if let Some(part) = acknowledged {
                    self.acknowledge(number, &part);
                }
                self.reply(call, answer);
            }
            Progress::Postponed(answer, acknowledged) => {
                self.acknowledge(number, &acknowledged);
                self.reply(call, answer);
                self.after(
                    POSTPONED_MS,
                    Happening::FinishesLate {
                        coordinator: number,
                        delivery,
                    },
                );
            }
        }
    }

    pub(super) fn acknowledge(&mut self, number: u64, part: &Acknowledged) {
        if part.receipt == Receipt::Discarded {
            self.log.count(Fault::PartDiscarded);
        }
        let is_latest = self.latest == number || self.was_displaced;
        self.judge
            .acknowledge(part, is_latest, &self.store.borrow());
    }

    pub(super) fn reply(&mut self, call: u64, answer: Answered) {
        let Some(calling) = self.calls.get(&call) else {
            return;
        };
        let worker = calling.worker;
        match self.travel(worker, false) {
            Some(takes) => self.after(takes, Happening::Answered { call, answer }),
            None => self.log.count(Fault::AnswerLost),
        }
    }

    pub(super) fn answered(&mut self, call: u64, answer: Answered) {
        let Some(calling) = self.calls.get(&call) else {
            return;
        };
        let (worker, life, number) = (calling.worker, calling.life, calling.coordinator);
        let about = calling.about.clone();
        self.forget_later(call);
        if self.machines[worker].life != life {
            return;
        }
        let Some(about) = about else {
            return;
        };
        let event = wire::event(about, answer);
        match &event {
            Event::Registered(_) => {
                if let Some(process) = &mut self.machines[worker].worker {
                    process.line = Some(number);
                }
            }
            Event::Taken { range, .. } => {
                if let Some(process) = &mut self.machines[worker].worker {
                    process.note_receipt(range);
                }
            }
            Event::Refused {
                call: Call::Deliver { .. },
                refusal,
            } => match refusal.kind {
                Kind::Damaged => self.log.count(Fault::PartRefusedAsDamaged),
                Kind::Foreign => self.log.count(Fault::PartRefusedAsForeign),
                Kind::Store => self.log.count(Fault::PartRefusedByStore),
                _ => {}
            },
            _ => {}
        }
        self.tell(worker, event);
    }

    /// The worker has its answer. What of the call is still on its way may arrive.
    pub(super) fn forget_later(&mut self, call: u64) {
        if let Some(calling) = self.calls.get_mut(&call) {
            calling.about = None;
            calling.life = u64::MAX;
        }
    }

    pub(super) fn fails(&mut self, call: u64, kind: Kind) {
        let Some(calling) = self.calls.get(&call) else {
            return;
        };
        let (worker, life, about) = (calling.worker, calling.life, calling.about.clone());
        self.forget_later(call);
        if let Some(call) = about
            && self.machines[worker].life == life
        {
            let refusal = Refusal::new(kind, "no answer");
            self.tell(worker, Event::Refused { call, refusal });
        }
    }
}
