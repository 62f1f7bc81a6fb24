//! The service: what a coordinator does with every call. It joins the desk, which knows no
//! files, with the store, which knows no workers.
//!
//! Calls block, none of them for longer than its own part takes, and they may come from any
//! thread. A part becomes known to the ledger only when it is in the store for good, and a
//! worker is told only after that.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reseed_protocol::messages::{
    Answer, Ask, Failed, PartHeader, Pulse, PulseAnswer, Receipt, Registration, Release, Session,
    Wait, Welcome,
};
use reseed_protocol::status::{Phase, StatusReport};
use reseed_protocol::{Kind, Refusal, Retry};
use reseed_results::{Folder, Layout, PartFile, PartInfo, ResultsError, RunIdentity, Store};

use crate::books::Books;
use crate::desk::{Courier, Desk};
use crate::message::{Credential, Digest, Millis, Verdict};

/// A coordinator's answers.
#[derive(Debug)]
pub struct Service<F> {
    desk: Mutex<Desk>,
    books: Mutex<Books<F>>,
    folder: F,
    identity: RunIdentity,
    layout: Layout,
    trial_name: String,
    trial_title: String,
    patients_resumed: u64,
    finished: AtomicBool,
    /// Tells incoming files from those of another coordinator that does not know yet that it lost
    /// the store.
    mark: String,
    incoming: AtomicU64,
    obstacle: Mutex<Obstacle>,
}

/// What stands in the way of commits.
#[derive(Debug, Default)]
struct Obstacle {
    /// It may pass, such as a full disk.
    passing: Option<String>,
    /// It will not: the store is somebody else's now.
    lasting: Option<ResultsError>,
}

/// A part on its way in. It is gone if it is not finished.
#[derive(Debug)]
pub struct Incoming {
    courier: Courier,
    header: Box<PartHeader>,
    name: String,
    received_bytes: u64,
}

/// What to do about a part that a worker announces.
#[derive(Debug)]
pub enum Announced {
    /// Send its bytes.
    Wanted(Incoming),
    /// It is known already.
    Known(Receipt),
}

impl<F: Folder + Clone> Service<F> {
    /// Joins a desk with the books of its run.
    pub fn new(desk: Desk, books: Books<F>, identity: RunIdentity, layout: Layout) -> Self {
        Self {
            folder: books.folder().clone(),
            trial_name: books.trial().name.clone(),
            trial_title: books.trial().title.clone(),
            patients_resumed: desk.progress().patients_committed,
            finished: AtomicBool::new(false),
            mark: books.store().mark(),
            desk: Mutex::new(desk),
            books: Mutex::new(books),
            identity,
            layout,
            incoming: AtomicU64::new(0),
            obstacle: Mutex::default(),
        }
    }

    /// See [`Desk::register`].
    ///
    /// # Errors
    /// As there.
    pub fn register(
        &self,
        from: Registration,
        credential: Option<Credential>,
        now: Millis,
    ) -> Result<Welcome, Refusal> {
        self.desk().register(from, credential, now)
    }

    /// See [`Desk::lease`].
    ///
    /// # Errors
    /// As there.
    pub fn lease(&self, ask: &Ask, now: Millis) -> Result<Answer, Refusal> {
        self.desk().lease(ask, now)
    }

    /// See [`Desk::pulse`].
    ///
    /// # Errors
    /// As there.
    pub fn pulse(&self, pulse: &Pulse, now: Millis) -> Result<PulseAnswer, Refusal> {
        self.desk().pulse(pulse, now)
    }

    /// See [`Desk::release`].
    ///
    /// # Errors
    /// As there.
    pub fn release(&self, release: &Release, now: Millis) -> Result<(), Refusal> {
        self.desk().release(release, now)
    }

    /// See [`Desk::fail`].
    ///
    /// # Errors
    /// As there.
    pub fn fail(&self, failed: Failed, now: Millis) -> Result<(), Refusal> {
        self.desk().fail(failed, now)
    }

    /// See [`Desk::leave`].
    pub fn leave(&self, session: Session, now: Millis) {
        self.desk().leave(session, now);
    }

    /// A worker announces a part; if it is wanted, its bytes follow.
    ///
    /// # Errors
    /// As [`Desk::announce`].
    pub fn announce(&self, header: PartHeader, now: Millis) -> Result<Announced, Refusal> {
        let (courier, verdict) = self.desk().announce(&header, now)?;
        let shared = header.shared_name.as_deref().map(Store::<F>::shared_name);
        if let Verdict::Discard = verdict {
            // Equal digests: nothing that the bytes could add. Nobody is told digests, so
            // whoever knows this one has computed it.
            let receipt = self.desk().delivered(&courier, &header, now)?;
            if let Some(name) = shared {
                // It is only in the way; if it is not there, all the better.
                let _ = self.folder.remove(&name);
            }
            return Ok(Announced::Known(receipt));
        }
        let number = self.incoming.fetch_add(1, Ordering::Relaxed);
        Ok(Announced::Wanted(Incoming {
            name: shared.unwrap_or_else(|| Store::<F>::incoming_name(&self.mark, number)),
            courier,
            header: Box::new(header),
            received_bytes: 0,
        }))
    }

    /// Takes some bytes of a part.
    ///
    /// # Errors
    /// [`Kind::Store`] if the store cannot take them, [`Kind::Damaged`] if there are more than
    /// announced.
    pub fn receive(&self, incoming: &mut Incoming, bytes: &[u8]) -> Result<(), Refusal> {
        incoming.received_bytes += bytes.len() as u64;
        if incoming.received_bytes > incoming.header.file_bytes {
            return Err(self.wrong_length(&incoming.header, incoming.received_bytes));
        }
        self.folder.append(&incoming.name, bytes).map_err(|error| {
            let path = self.folder.path(&incoming.name);
            self.store_refuses(ResultsError::io("write", &path)(error))
        })
    }

    /// All bytes of a part are there: checks it and, if it is wanted, makes it last.
    ///
    /// # Errors
    /// [`Kind::Damaged`] or [`Kind::Foreign`] if it is not what was announced, [`Kind::Store`]
    /// if the store cannot take it, and as [`Desk::delivered`].
    pub fn finish(&self, incoming: &Incoming, now: Millis) -> Result<Receipt, Refusal> {
        let header = &incoming.header;
        let arrived_bytes = self.arrived_bytes(incoming)?;
        if arrived_bytes != header.file_bytes {
            return Err(self.wrong_length(header, arrived_bytes));
        }
        let part = self.check(incoming)?;
        let refuse = |error| self.store_refuses(error);
        // Disks take their time, in which others need not wait: the store is held only to put the
        // part in its place, in between.
        Store::sync_file(&self.folder, &incoming.name).map_err(refuse)?;
        let verdict = {
            let mut books = self.books();
            let verdict = self.desk().judge(&header.range, Digest(header.digest))?;
            if let Verdict::Commit = verdict {
                books
                    .place(&incoming.name, &part)
                    .map_err(|error| match error {
                        // Another one is on its way into the store, of which the ledger will know.
                        ResultsError::Conflict(_) => Refusal::new(
                            Kind::Store,
                            "another part of these patients is just being committed; deliver this \
                             one again",
                        ),
                        other => refuse(other),
                    })?;
            }
            verdict
        };
        if let Verdict::Commit = verdict {
            Store::sync_places(&self.folder).map_err(refuse)?;
            self.obstacle().passing = None;
        }
        let mut books = self.books();
        if let Verdict::Conflict { .. } = verdict {
            // As with commits, the ledger hears of it once it cannot be forgotten any more.
            books
                .keep_evidence(&incoming.name, &part.info)
                .map_err(|error| self.store_refuses(error))?;
        }
        let receipt = self.desk().delivered(&incoming.courier, header, now);
        self.judge_precision(&mut books, now);
        receipt
    }

    /// Length of what is there of a part.
    fn arrived_bytes(&self, incoming: &Incoming) -> Result<u64, Refusal> {
        if incoming.header.shared_name.is_none() {
            return Ok(incoming.received_bytes);
        }
        self.folder.length(&incoming.name).map_err(|error| {
            let path = self.folder.path(&incoming.name);
            self.part_is_refused(ResultsError::io("read", &path)(error))
        })
    }

    /// Ends the run early if its first patients are precise enough.
    fn judge_precision(&self, books: &mut Books<F>, now: Millis) {
        match books.advance() {
            Ok(Some(end)) => self.desk().enough(end, now),
            Ok(None) => {}
            Err(error) => {
                self.store_refuses(error);
            }
        }
    }

    /// Removes what is left of a part that was not committed.
    pub fn abandon(&self, incoming: &Incoming) {
        if incoming.header.shared_name.is_none() {
            // Committed, or never written: then there is nothing to remove.
            let _ = self.folder.remove(&incoming.name);
        }
    }

    /// Where the run stands.
    pub fn report(&self, now: Millis) -> StatusReport {
        let (estimate, history) = {
            let books = self.books();
            (books.estimate().cloned(), books.history().to_vec())
        };
        let problem = self.problem();
        let desk = self.desk();
        let offer = desk.offer();
        let progress = desk.progress();
        let (workers, unlisted) = desk.worker_reports(now);
        let failure = match desk.over() {
            Some(Wait::Failed { problem }) => Some(problem),
            _ => None,
        };
        StatusReport {
            trial: self.trial_name.clone(),
            title: self.trial_title.clone(),
            fingerprint: Digest(offer.run.fingerprint).to_string(),
            seed: offer.run.seed,
            engine_version: offer.versions.engine.clone(),
            model_version: offer.versions.model.clone(),
            phase: match desk.report_phase() {
                Phase::Merging if self.finished.load(Ordering::Relaxed) => Phase::Finished,
                phase => phase,
            },
            problem: failure.or(problem),
            idle: desk.why_idle(),
            patients: progress.patients,
            patients_committed: progress.patients_committed,
            patients_resumed: self.patients_resumed,
            patients_under_way: desk.patients_under_way(),
            patients_per_second: desk.patients_per_second(),
            seconds_left: desk.seconds_left(),
            seconds_running: now.0 as f64 / 1000.0,
            counts: desk.counts(),
            workers,
            workers_unlisted: u32::try_from(unlisted).unwrap_or(u32::MAX),
            slow: desk.slow_leases(now),
            estimate,
            history,
        }
    }

    /// Notes that the result is written.
    pub fn set_finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn tick(&self, now: Millis) {
        self.desk().tick(now);
        let mut books = self.books();
        books.sample();
        self.judge_precision(&mut books, now);
    }

    /// The ledger and its workers.
    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store and its sums.
    pub fn books(&self) -> MutexGuard<'_, Books<F>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands in the way of commits at present.
    pub fn problem(&self) -> Option<String> {
        let obstacle = self.obstacle();
        let lasting = obstacle.lasting.as_ref().map(ToString::to_string);
        lasting.or_else(|| obstacle.passing.clone())
    }

    /// Takes the error after which this coordinator can commit nothing more.
    pub fn take_failure(&self) -> Option<ResultsError> {
        self.obstacle().lasting.take()
    }

    /// Reads an announced part and compares it with what was announced.
    fn check(&self, incoming: &Incoming) -> Result<PartFile, Refusal> {
        let header = &incoming.header;
        let part = Store::check(&self.folder, &incoming.name, &self.identity, &self.layout)
            .map_err(|error| self.part_is_refused(error))?;
        if part.info.range != header.range || part.info.digest.0 != header.digest {
            let PartInfo { range, digest, .. } = &part.info;
            self.desk().note_refused_part();
            return Err(Refusal::new(
                Kind::Damaged,
                format!(
                    "patients {}..{} with digest {} were announced, but the part has {}..{} with \
                     {digest}",
                    header.range.start,
                    header.range.end,
                    Digest(header.digest),
                    range.start,
                    range.end
                ),
            ));
        }
        Ok(part)
    }

    fn part_is_refused(&self, error: ResultsError) -> Refusal {
        let kind = match &error {
            ResultsError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                // Shared file systems may show it a little later.
                return self.send_again(error.to_string());
            }
            ResultsError::Io { source, .. } if source.kind() == ErrorKind::InvalidInput => {
                Kind::Damaged
            }
            ResultsError::Io { .. } => return self.store_refuses(error),
            ResultsError::Foreign { .. }
            | ResultsError::Newer { .. }
            | ResultsError::Older { .. } => Kind::Foreign,
            _ => Kind::Damaged,
        };
        self.desk().note_refused_part();
        Refusal::new(kind, error.to_string())
    }

    /// The stream was cut or goes on too long; the worker's own copy may be good.
    fn wrong_length(&self, header: &PartHeader, arrived_bytes: u64) -> Refusal {
        self.send_again(format!(
            "{arrived_bytes} bytes of a part of {} arrived; send it again",
            header.file_bytes
        ))
    }

    /// Refuses a part that may arrive whole the next time.
    fn send_again(&self, message: String) -> Refusal {
        self.desk().note_refused_part();
        Refusal {
            kind: Kind::Damaged,
            retry: Retry::Here,
            message,
        }
    }

    /// Tells a worker to keep its part, and remembers why.
    fn store_refuses(&self, error: ResultsError) -> Refusal {
        let message = error.to_string();
        let kind = match &error {
            ResultsError::Overlap { .. } => Kind::Foreign,
            _ => Kind::Store,
        };
        let mut obstacle = self.obstacle();
        if let ResultsError::Fenced { .. } = error {
            obstacle.lasting.get_or_insert(error);
        } else {
            obstacle.passing = Some(message.clone());
        }
        Refusal::new(kind, message)
    }

    fn obstacle(&self) -> MutexGuard<'_, Obstacle> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// What was announced.
    pub fn header(&self) -> &PartHeader {
        &self.header
    }
}
