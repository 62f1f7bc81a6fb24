//! Progress on stderr: a bar on a terminal, a line now and then elsewhere.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output::{grouped, tell};

/// Redraws a second, at most.
const REDRAW_HZ: u8 = 4;
/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts patients for people.
pub(crate) struct Meter {
    bar: ProgressBar,
    mode: Mode,
    last_line: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Silent,
    Bar,
    Lines,
}

impl Meter {
    /// Starts counting to `total`; `already` were done before.
    pub(crate) fn new(show: bool, total: u64, already: u64) -> Self {
        let mode = match (show, io::stderr().is_terminal()) {
            (false, _) => Mode::Silent,
            (true, true) => Mode::Bar,
            (true, false) => Mode::Lines,
        };
        let target = match mode {
            Mode::Bar => ProgressDrawTarget::stderr_with_hz(REDRAW_HZ),
            Mode::Silent | Mode::Lines => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style());
        // Restarting the estimate here keeps a resumed run from a fabulous rate.
        bar.set_position(already);
        bar.reset_eta();
        Self {
            bar,
            mode,
            last_line: Instant::now(),
        }
    }

    /// Shows how many are done. `note` makes the text for a second line; it is asked only
    /// when something is shown.
    pub(crate) fn update(&mut self, done: u64, note: impl FnOnce() -> Option<String>) {
        self.bar.set_position(done);
        match self.mode {
            Mode::Bar => self.bar.set_message(note().unwrap_or_default()),
            Mode::Lines if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.line(note());
            }
            Mode::Silent | Mode::Lines => {}
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, note: Option<String>) {
        let note = note.map(|note| format!("; {note}")).unwrap_or_default();
        tell(&format!(
            "{} of {} patients, {}, {} left{note}",
            grouped(self.bar.position()),
            grouped(self.bar.length().unwrap_or_default()),
            Rate(self.bar.per_sec()),
            HumanDuration(self.bar.eta()),
        ));
    }
}

/// Patients per second.
pub(crate) struct Rate(pub(crate) f64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and rates are not negative"
        )]
        let whole = self.0.round() as u64;
        write!(f, "{} patients/s", grouped(whole))
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{bar:28} {percent:>3} %  {human_pos} of {human_len}  {rate}  {eta} left\n{wide_msg}",
    )
    .expect("the template is a constant")
    .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A display that cannot be written to shows nothing.
        let _ = write!(out, "{}", Rate(state.per_sec()));
    })
}
