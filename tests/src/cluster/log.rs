//! What happened, line by line.

use std::cell::{Cell, RefCell};
use std::fmt::{Arguments, Write as _};

use reseed_results::Digest;

use super::faults::{Counts, Fault};

/// The story of a run: its digest, its lines if somebody wants to read them, and how often each
/// fault struck.
#[derive(Debug)]
pub(super) struct Log {
    now: Cell<u64>,
    hasher: RefCell<blake3::Hasher>,
    line: RefCell<String>,
    lines: Option<RefCell<Vec<String>>>,
    counts: RefCell<Counts>,
    violation: RefCell<Option<String>>,
}

impl Log {
    pub(super) fn new(keeps_lines: bool) -> Self {
        Self {
            now: Cell::new(0),
            hasher: RefCell::default(),
            line: RefCell::default(),
            lines: keeps_lines.then(RefCell::default),
            counts: RefCell::default(),
            violation: RefCell::default(),
        }
    }

    /// Sets the time of the lines to come, ms.
    pub(super) fn set_now(&self, now: u64) {
        self.now.set(now);
    }

    pub(super) fn say(&self, what: Arguments<'_>) {
        let mut line = self.line.borrow_mut();
        line.clear();
        writeln!(line, "{:>8} {what}", self.now.get()).expect("a string takes everything");
        self.hasher.borrow_mut().update(line.as_bytes());
        if let Some(lines) = &self.lines {
            lines.borrow_mut().push(line.trim_end().to_owned());
        }
    }

    /// Notes that a fault struck.
    pub(super) fn count(&self, fault: Fault) {
        self.counts.borrow_mut().add(fault, 1);
    }

    /// Notes that something happened that must not. The first such thing is the one that is told.
    pub(super) fn accuse(&self, what: Arguments<'_>) {
        self.say(format_args!("VIOLATION: {what}"));
        self.violation
            .borrow_mut()
            .get_or_insert_with(|| what.to_string());
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.violation.borrow().clone()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(self.hasher.borrow().finalize().into())
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines
            .as_ref()
            .map_or_else(Vec::new, |lines| lines.borrow().clone())
    }
}
