//! A report on a full screen, drawn from nothing but the [`View`].

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, LineGauge, Row, Table, TableState};
use reseed_protocol::plot;
use reseed_protocol::status::{Estimate, Point, StatusReport};
use reseed_protocol::words::{duration, grouped, percent, rounded};

use super::text;

/// Lines of a plot that are worth their place, and most of them.
const PLOT_LINES_MIN: u16 = 7;
const PLOT_LINES_MAX: u16 = 24;
/// Lines of workers that come before a plot.
const WORKER_LINES_MIN: u16 = 4;
/// Most lines of shards that are slow, with their heading.
const SLOW_LINES_MAX: u16 = 5;
/// Lines from which a screen has room for counts.
const LINES_WITH_COUNTS: u16 = 16;
/// Columns from which it has room for numbers beside the bar.
const COLUMNS_WITH_NUMBERS: u16 = 60;

/// What is on the screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The last report.
    pub(crate) report: &'a StatusReport,
    /// That it is old, and why.
    pub(crate) lost: Option<&'a Lost>,
    /// The worker that the user has moved to.
    pub(crate) selected: Option<usize>,
    /// Whether colours are welcome.
    pub(crate) colours: bool,
}

/// The coordinator is not there.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    /// Since the last report.
    pub(crate) seconds: f64,
    /// What is known about it.
    pub(crate) why: String,
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame, view: &View) {
    let Rect { width, height, .. } = frame.area();
    let head = head(view, width);
    let mut counts = wrapped(&text::counts(view.report), Modifier::DIM.into(), width);
    if height < LINES_WITH_COUNTS {
        counts.clear();
    }
    let [top, gauge, rest, bottom, keys] = Layout::vertical([
        Constraint::Length(lines(&head)),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(lines(&counts)),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Text::from(head), top);
    frame.render_widget(bar(view, width), gauge);
    middle(frame, view, rest);
    frame.render_widget(Text::from(counts), bottom);
    frame.render_widget(
        Line::from("q leave   ↑↓ workers").style(Modifier::DIM),
        keys,
    );
}

/// Plot, workers and slow shards, as far as there is room for them.
fn middle(frame: &mut Frame, view: &View, area: Rect) {
    let slow = u16::try_from(view.report.slow.len()).unwrap_or(u16::MAX);
    let slow = match slow.saturating_add(1).min(SLOW_LINES_MAX) {
        lines if slow > 0 && area.height >= 2 * WORKER_LINES_MIN + lines => lines,
        _ => 0,
    };
    let workers = u16::try_from(view.report.workers.len()).unwrap_or(u16::MAX);
    let workers = workers.saturating_add(1).max(WORKER_LINES_MIN);
    let room = area.height - slow;
    let plot = room
        .saturating_sub(workers)
        .max(room / 2)
        .min(PLOT_LINES_MAX);
    let plot = if plot >= PLOT_LINES_MIN && !view.report.history.is_empty() {
        plot
    } else {
        0
    };
    let [plot, workers, slow] = Layout::vertical([
        Constraint::Length(plot),
        Constraint::Fill(1),
        Constraint::Length(slow),
    ])
    .areas(area);
    chart(frame, view, plot);
    table_of_workers(frame, view, workers);
    table_of_slow_shards(frame, view, slow);
}

/// Trial, phase, and everything that must not be overlooked.
fn head(view: &View, width: u16) -> Vec<Line<'static>> {
    let report = view.report;
    let bold = Style::from(Modifier::BOLD);
    let [red, yellow] = [Color::Red, Color::Yellow].map(|colour| view.coloured(colour).patch(bold));
    let plain = Style::new();
    let state = format!(
        "{}: {} for {}",
        report.trial,
        report.phase,
        duration(report.seconds_running)
    );
    let left = report.time_left();
    let left = left.map_or_else(String::new, |left| format!(", {left} left"));
    let speed = format!(
        "{} patients/s{left}, {} under way",
        rounded(report.patients_per_second),
        grouped(report.patients_under_way)
    );
    let lost = view.lost.map(|lost| {
        let seconds = duration(lost.seconds);
        format!(
            "no coordinator for {seconds} ({}); looking for it",
            lost.why
        )
    });
    let problem = report.problem.as_ref();
    let idle = report.idle_reason();
    let estimate = report.estimate.as_ref();
    let texts = [
        (Some(state), plain),
        (lost, red),
        (problem.map(|problem| format!("problem: {problem}")), red),
        (
            idle.map(|idle| format!("nothing is computed: {idle}")),
            yellow,
        ),
        (Some(speed), plain),
        (
            estimate.map(|estimate| format!("{}:", estimate.label)),
            plain,
        ),
        (estimate.map(Estimate::numbers), bold),
    ];
    let told = texts
        .into_iter()
        .filter_map(|(text, style)| text.map(|text| (text, style)));
    let told = told.flat_map(|(text, style)| wrapped(&text, style, width));
    // Of a long title the beginning is enough.
    let title = Line::from(report.title.clone()).style(bold);
    [title].into_iter().chain(told).collect()
}

/// Breaks a text between words, and words that are too long anywhere.
fn wrapped(text: &str, style: Style, width: u16) -> Vec<Line<'static>> {
    let fits = |text: &str| Span::raw(text).width() <= usize::from(width);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one at least");
        let longer = format!("{line} {word}");
        if line.is_empty() {
            word.clone_into(line);
        } else if fits(&longer) {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
        while let Some(line) = lines.last_mut().filter(|line| width > 0 && !fits(line)) {
            let ends = line.char_indices().map(|(start, _)| start).skip(1);
            let end = ends.take_while(|end| fits(&line[..*end])).last();
            let Some(end) = end else { break };
            let rest = line.split_off(end);
            lines.push(rest);
        }
    }
    let styled = |line| Line::from(line).style(style);
    lines.into_iter().map(styled).collect()
}

fn lines(text: &[Line]) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

fn bar<'a>(view: &View, width: u16) -> LineGauge<'a> {
    let report = view.report;
    let done = report.patients_committed;
    let share = done as f64 / report.patients.max(1) as f64;
    LineGauge::default()
        .ratio(share.clamp(0.0, 1.0))
        .filled_style(view.coloured(Color::Cyan))
        .filled_symbol("█")
        .unfilled_symbol("░")
        .label(if width < COLUMNS_WITH_NUMBERS {
            percent(done, report.patients)
        } else {
            format!(
                "{} of {} patients, {}",
                grouped(done),
                grouped(report.patients),
                percent(done, report.patients)
            )
        })
}

/// The estimate and its interval against patients.
fn chart(frame: &mut Frame, view: &View, area: Rect) {
    let history = &view.report.history;
    let ticks = (
        u32::from(area.width / 16).clamp(2, 6),
        u32::from(area.height / 3).max(3),
    );
    let Some(plot) = plot::Frame::of(history, ticks.0, ticks.1) else {
        return;
    };
    if area.is_empty() {
        return;
    }
    let line = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        let place = |point: &Point| (point.patients as f64, value(point));
        history.iter().map(place).collect()
    };
    let lines = [
        vec![(0.0, 0.0), (plot.patients.high(), 0.0)],
        line(|point| point.lower),
        line(|point| point.upper),
        line(|point| point.difference),
    ];
    let faint = view.coloured(Color::DarkGray);
    let styles = [faint, faint, faint, view.coloured(Color::Cyan)];
    let datasets = lines.iter().zip(styles).map(|(line, style)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(style)
            .data(line)
    });
    let axis = |axis: &reseed_plot::Axis| {
        let labels = axis.ticks().map(|tick| axis.label(tick));
        Axis::default()
            .bounds([axis.low(), axis.high()])
            .labels(labels.collect::<Vec<_>>())
            .style(faint)
    };
    let chart = Chart::new(datasets.collect())
        .x_axis(axis(&plot.patients).title("patients"))
        .y_axis(axis(&plot.difference).title("points"))
        .legend_position(None);
    frame.render_widget(chart, area);
}

fn table_of_workers(frame: &mut Frame, view: &View, area: Rect) {
    let report = view.report;
    if report.workers.is_empty() {
        return;
    }
    let rows = report.workers.iter().map(|worker| {
        let leaving = if worker.draining { " (leaving)" } else { "" };
        Row::new([
            right(worker.worker.to_string()),
            Line::from(format!("{}{leaving}", worker.name)),
            right(worker.machine.threads.to_string()),
            right(worker.leases.to_string()),
            right(grouped(worker.shards_committed)),
            right(rounded(worker.patients_per_second)),
            right(duration(worker.seconds_silent)),
        ])
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.extend(
        report
            .more_workers()
            .map(|more| Row::new([Line::default(), Line::from(more)])),
    );
    // What a narrow screen has no room for goes first at the right.
    let columns = [
        ("", 4, 0),
        ("worker", 0, 0),
        ("threads", 7, 60),
        ("leases", 6, 60),
        ("shards", 9, 40),
        ("patients/s", 10, 0),
        ("silent", 10, 50),
    ];
    let shown = columns.map(|(heading, width, from)| {
        let width = if area.width >= from { width } else { 0 };
        (if area.width >= from { heading } else { "" }, width)
    });
    let widths = shown.map(|(_, width)| width);
    let constraints = widths.iter().enumerate().map(|(index, width)| match index {
        1 => Constraint::Fill(1),
        _ => Constraint::Length(*width),
    });
    let headings = shown
        .iter()
        .enumerate()
        .map(|(index, (heading, _))| match index {
            1 => Line::from(*heading),
            _ => right((*heading).to_owned()),
        });
    let table = Table::new(rows, constraints)
        .header(Row::new(headings).style(Modifier::DIM))
        .row_highlight_style(Modifier::REVERSED);
    let mut state = TableState::new().with_selected(view.selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn table_of_slow_shards(frame: &mut Frame, view: &View, area: Rect) {
    let rows = view.report.slow.iter().map(|lease| {
        Row::new([
            Line::from(lease.patients()),
            Line::from(lease.worker.as_str()),
            right(duration(lease.seconds)),
            right(grouped(lease.patients_done)),
        ])
    });
    let headings = [
        Line::from("longest under way"),
        Line::from("with"),
        right("for".into()),
        right("simulated".into()),
    ];
    let widths = [
        Constraint::Length(28),
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(12),
    ];
    let table = Table::new(rows, widths).header(Row::new(headings).style(Modifier::DIM));
    frame.render_widget(table, area);
}

fn right<'a>(text: String) -> Line<'a> {
    Line::from(text).right_aligned()
}

impl View<'_> {
    fn coloured(&self, colour: Color) -> Style {
        if self.colours {
            Style::from(colour)
        } else {
            Style::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use reseed_protocol::messages::{Machine, Purpose};
    use reseed_protocol::status::{Counts, LeaseReport, Phase, WorkerReport};

    use super::*;

    fn report() -> StatusReport {
        let point = |patients: u64| Point {
            patients,
            difference: -2.3 - 100.0 / patients as f64,
            lower: -2.3 - 120.0 / (patients as f64).sqrt(),
            upper: -2.3 + 120.0 / (patients as f64).sqrt(),
        };
        StatusReport {
            trial: "breast".into(),
            title: "Breast cancer: self-seeding after resection, five gene products blocked".into(),
            fingerprint: "00ff".into(),
            seed: 7,
            engine_version: "0.1.0".into(),
            model_version: "1".into(),
            phase: Phase::Running,
            problem: None,
            idle: None,
            patients: 2_000_000,
            patients_committed: 1_184_832,
            patients_resumed: 0,
            patients_under_way: 20_000,
            patients_per_second: 111_299.4,
            seconds_left: Some(7.1),
            seconds_running: 200.0,
            counts: Counts {
                shards_open: 10,
                shards_leased: 2,
                shards_committed: 17,
                leases_lost: 1,
                ..Counts::default()
            },
            workers: vec![worker(1), worker(2)],
            workers_unlisted: 0,
            slow: vec![LeaseReport {
                range: 1_184_832..1_204_832,
                worker: "node-2".into(),
                purpose: Purpose::Compute,
                seconds: 65.0,
                patients_done: 4_000,
            }],
            estimate: Some(Estimate {
                label: "local recurrence by 5 years, siltuximab against control".into(),
                difference: -2.354,
                lower: -2.375,
                upper: -2.332,
            }),
            history: (1..=64).map(|index| point(index * 18_513)).collect(),
        }
    }

    fn worker(number: u64) -> WorkerReport {
        WorkerReport {
            worker: number,
            name: format!("node-{number}"),
            machine: Machine {
                threads: 16,
                ..Machine::default()
            },
            leases: 3,
            shards_committed: 1_017,
            patients_committed: 1_184_832,
            patients_per_second: 55_299.4,
            seconds_silent: 0.3,
            draining: number == 2,
        }
    }

    fn view(report: &StatusReport) -> View<'_> {
        View {
            report,
            lost: None,
            selected: None,
            colours: true,
        }
    }

    fn drawn(view: &View, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
        terminal.draw(|frame| draw(frame, view)).expect("memory");
        terminal
    }

    fn screen(view: &View, width: u16, height: u16) -> String {
        drawn(view, width, height).backend().to_string()
    }

    #[test]
    fn a_run_under_way() {
        assert_snapshot!(screen(&view(&report()), 90, 36));
    }

    #[test]
    fn a_run_without_workers() {
        let mut report = report();
        report.idle = Some("no worker is connected".into());
        report.workers.clear();
        report.slow.clear();
        report.history.clear();
        report.estimate = None;
        report.patients_committed = 0;
        report.patients_per_second = 0.0;
        report.seconds_left = None;
        assert_snapshot!(screen(&view(&report), 80, 20));
    }

    #[test]
    fn a_problem_and_a_lost_coordinator() {
        let mut report = report();
        report.problem =
            Some("cannot write to breast.store/parts/0-120.h5: no space left on device".into());
        let lost = Lost {
            seconds: 12.0,
            why: "connection refused".into(),
        };
        let view = View {
            lost: Some(&lost),
            ..view(&report)
        };
        assert_snapshot!(screen(&view, 80, 24));
    }

    #[test]
    fn a_finished_run() {
        let mut report = report();
        report.phase = Phase::Finished;
        report.idle = Some("every shard is committed".into());
        report.patients_committed = report.patients;
        report.patients_under_way = 0;
        report.workers.clear();
        report.slow.clear();
        assert_snapshot!(screen(&view(&report), 80, 24));
    }

    #[test]
    fn a_narrow_terminal() {
        assert_snapshot!(screen(&view(&report()), 40, 12));
    }

    #[test]
    fn a_thousand_workers_of_which_one_is_looked_at() {
        let mut report = report();
        report.workers = (1..=200).map(worker).collect();
        report.workers_unlisted = 800;
        let view = View {
            selected: Some(150),
            ..view(&report)
        };
        let screen = screen(&view, 80, 24);
        assert!(screen.contains("node-151"), "{screen}");
        assert_snapshot!(screen);
        let last = View {
            selected: Some(199),
            ..view
        };
        assert!(self::screen(&last, 80, 24).contains("node-200"));
    }

    #[test]
    fn no_size_of_a_terminal_and_no_report_upsets_it() {
        let mut hostile = report();
        hostile.workers[0].name = "\u{202e}<b>漢字".repeat(40);
        hostile.problem = Some("漢".repeat(300));
        hostile.patients = 0;
        hostile.seconds_left = Some(f64::INFINITY);
        hostile.history[3].lower = f64::NAN;
        for width in [1, 2, 3, 10, 39, 40, 41, 79, 300] {
            for height in [1, 2, 3, 5, 11, 17, 24, 60] {
                for report in [&report(), &hostile] {
                    drawn(&view(report), width, height);
                }
            }
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        let mut report = report();
        report.problem = Some("no space left".into());
        let colours = |colours| {
            let view = View {
                colours,
                ..view(&report)
            };
            let terminal = drawn(&view, 80, 30);
            let cells = terminal.backend().buffer().content().iter();
            cells.filter(|cell| cell.fg != Color::Reset).count()
        };
        assert_eq!(colours(false), 0);
        assert!(colours(true) > 0);
    }
}
