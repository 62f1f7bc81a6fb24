//! The full screen: reports come in, keys are pressed, and the screen is drawn anew, until the
//! run has ended or the user leaves.

use std::env;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use reseed_protocol::status::StatusReport;

use super::screen::{Lost, View, draw};
use super::{Client, INTERVAL_MS, next, text, watch};
use crate::args::Access;
use crate::exit::Failure;
use crate::output::print;
use crate::{access, signals};

/// Between two drawings, if no key is pressed.
const TICK: Duration = Duration::from_millis(200);
/// Between two attempts to find a lost coordinator.
const RETRY: Duration = Duration::from_secs(1);
/// How long a coordinator is silent before it counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Workers that a page key moves by.
const PAGE: isize = 10;

/// Shows reports until the run has ended; then the last one stays on the normal screen.
pub(crate) fn show(access: &Access) -> Result<(), Failure> {
    let stop = signals::stop_flag()?;
    let runtime = access::runtime()?;
    // Whoever cannot be reached or refuses us at first is an error; later, it is news.
    let (coordinator, first) = runtime.block_on(async {
        let mut coordinator = access::operator(access).await?;
        let first = next(&mut watch(&mut coordinator, 0).await?).await?;
        let nothing = || Failure::Unreachable("the coordinator sent no report".into());
        Ok::<_, Failure>((coordinator, first.ok_or_else(nothing)?))
    })?;
    let (sender, news) = channel();
    runtime.spawn(follow(coordinator, sender));
    let mut state = State::new(first);
    let shown = {
        let mut terminal = Terminal::open().map_err(failed)?;
        state.run(&mut terminal.0, &news, || stop.load(Ordering::Relaxed))
    };
    runtime.shutdown_background();
    shown.map_err(failed)?;
    if state.report.phase.is_end() {
        return print(&text::text(&state.report));
    }
    Ok(())
}

fn failed(error: io::Error) -> Failure {
    Failure::system("use", "the terminal".as_ref())(error)
}

/// The terminal while it is ours. It is given back in any case: by the hook that comes with it
/// also when the program panics.
struct Terminal(DefaultTerminal);

impl Terminal {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What comes from the coordinator.
enum News {
    Report(Box<StatusReport>),
    /// There are none for the time being, for this reason.
    Lost(String),
}

/// Passes reports on, and looks for the coordinator when they end before the run does.
async fn follow(mut coordinator: Client, news: Sender<News>) {
    loop {
        let why = match pass_on(&mut coordinator, &news).await {
            Ok(()) => "it has ended or is restarted".to_owned(),
            Err(failure) => failure.to_string(),
        };
        // Nobody listens any more when the user has left.
        if news.send(News::Lost(why)).is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn pass_on(coordinator: &mut Client, news: &Sender<News>) -> Result<(), Failure> {
    let mut reports = watch(coordinator, INTERVAL_MS).await?;
    while let Some(report) = next(&mut reports).await? {
        if news.send(News::Report(Box::new(report))).is_err() {
            break;
        }
    }
    Ok(())
}

/// What the screen shows, and what the user has done to it.
struct State {
    report: StatusReport,
    heard: Instant,
    why_lost: Option<String>,
    selected: Option<usize>,
    colours: bool,
}

impl State {
    fn new(report: StatusReport) -> Self {
        Self {
            report,
            heard: Instant::now(),
            why_lost: None,
            selected: None,
            colours: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Draws until the run has ended, the user leaves, or `stop` says so.
    fn run(
        &mut self,
        terminal: &mut DefaultTerminal,
        news: &Receiver<News>,
        stop: impl Fn() -> bool,
    ) -> io::Result<()> {
        while !stop() {
            for news in news.try_iter() {
                self.hear(news);
            }
            if self.report.phase.is_end() {
                return Ok(());
            }
            let lost = self.lost();
            let view = View {
                report: &self.report,
                lost: lost.as_ref(),
                selected: self.selected,
                colours: self.colours,
            };
            terminal.draw(|frame| draw(frame, &view))?;
            // A new size needs nothing but the next drawing.
            if event::poll(TICK)?
                && let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && self.press(key)
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Report(report) => {
                self.report = *report;
                self.heard = Instant::now();
                self.why_lost = None;
                self.select(0);
            }
            News::Lost(why) => self.why_lost = Some(why),
        }
    }

    fn lost(&self) -> Option<Lost> {
        let silent = self.heard.elapsed();
        let silence = || (silent > SILENCE_MAX).then(|| "it does not answer".to_owned());
        Some(Lost {
            why: self.why_lost.clone().or_else(silence)?,
            seconds: silent.as_secs_f64(),
        })
    }

    /// Does what a key means; true if it means to leave.
    fn press(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') => return control,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Down | KeyCode::Char('j') if self.selected.is_some() => self.select(1),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::PageDown => self.select(PAGE),
            KeyCode::PageUp => self.select(-PAGE),
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Home => self.selected = Some(0),
            KeyCode::End => self.selected = Some(usize::MAX),
            _ => {}
        }
        self.select(0);
        false
    }

    /// Moves by so many workers, as far as there are any.
    fn select(&mut self, by: isize) {
        let last = self.report.workers.len().saturating_sub(1);
        self.selected = self
            .selected
            .map(|selected| selected.min(last).saturating_add_signed(by).min(last));
    }
}
