//! What is wrong with a trial file, where, why, and what to do about it.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use thiserror::Error;

/// Diagnostics beyond this many are counted, not kept.
const DIAGNOSTICS_MAX: usize = 30;

/// Keys longer than this get no "did you mean": comparing them would only cost time.
const SUGGESTION_LENGTH_MAX: usize = 64;

/// Excerpts of a source line around an error, in columns.
const RENDER_COLUMNS: usize = 120;

/// A place in one of the texts a trial is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Which text.
    pub(crate) source: Source,
    /// First byte.
    pub(crate) start: usize,
    /// Byte after the last.
    pub(crate) end: usize,
}

/// The texts a trial is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The trial file.
    File,
    /// The preset it builds on, or one that a preset builds on: so many steps away.
    Base(usize),
}

impl Span {
    /// Of several places that contradict each other, the first in the file itself, which its
    /// author can change; else the first.
    pub(crate) fn to_blame(places: &[Self]) -> Option<Self> {
        let own = places.iter().find(|span| span.source == Source::File);
        own.or(places.first()).copied()
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Name of the text it is in.
    pub source_name: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The offending bytes of the text.
    pub span: Range<usize>,
    /// The problem.
    pub message: String,
    /// The reason, said at the offending text.
    pub reason: String,
    /// What to do about it.
    pub suggestion: Option<String>,
}

/// Everything that is wrong with a trial file. Its display is the report without colours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct TrialError {
    diagnostics: Vec<Diagnostic>,
    suppressed: usize,
    texts: Vec<(String, String)>,
}

impl TrialError {
    /// What is wrong, in the order of the file; never empty.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The report: for each problem file, line, column, the text underlined, reason and
    /// suggestion. `colour` adds terminal escape sequences.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        }
        .term_width(RENDER_COLUMNS);
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            out.push_str(&self.render_one(&renderer, diagnostic));
            out.push_str("\n\n");
        }
        if self.suppressed > 0 {
            let _ = writeln!(out, "and {} more problems", self.suppressed);
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let text = self
            .texts
            .iter()
            .find(|(name, _)| *name == diagnostic.source_name)
            .map_or("", |(_, text)| text.as_str());
        let annotation = AnnotationKind::Primary
            .span(diagnostic.span.clone())
            .label(diagnostic.reason.as_str());
        let snippet = Snippet::source(text)
            .path(diagnostic.source_name.as_str())
            .annotation(annotation);
        let mut elements = vec![Element::from(snippet)];
        if let Some(suggestion) = &diagnostic.suggestion {
            elements.push(Element::from(Level::HELP.message(suggestion.as_str())));
        }
        renderer.render(&[Level::ERROR
            .primary_title(diagnostic.message.as_str())
            .elements(elements)])
    }
}

impl fmt::Display for TrialError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

/// Collects problems while a trial is read.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    suppressed: usize,
}

#[derive(Debug)]
struct Problem {
    span: Span,
    message: String,
    reason: String,
    suggestion: Option<String>,
}

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(
        &mut self,
        span: Span,
        message: impl Into<String>,
        reason: impl Into<String>,
        suggestion: impl Into<Option<String>>,
    ) {
        if self.is_full() {
            self.suppress();
            return;
        }
        let reason = reason.into();
        // A drug that others are like is read once for each of them.
        let is_known = |known: &Problem| known.span == span && known.reason == reason;
        if !self.found.iter().any(is_known) {
            self.found.push(Problem {
                span,
                message: message.into(),
                reason,
                suggestion: suggestion.into(),
            });
        }
    }

    /// Counts a problem without keeping it.
    pub(crate) fn suppress(&mut self) {
        self.suppressed += 1;
    }

    /// Number of problems, those not kept included.
    pub(crate) fn len(&self) -> usize {
        self.found.len() + self.suppressed
    }

    /// Whether there is no problem.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Message and reason of the first.
    pub(crate) fn first(&self) -> Option<(&str, &str)> {
        let first = self.found.first()?;
        Some((&first.message, &first.reason))
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX
    }

    /// The error, if there is a problem. `file` and `bases` have the name and text of each source.
    pub(crate) fn into_error(
        mut self,
        file: (&str, &str),
        bases: &[(&str, &str)],
    ) -> Option<TrialError> {
        if self.found.is_empty() {
            return None;
        }
        let text_of = |source: Source| match source {
            Source::File => 0,
            Source::Base(steps) => 1 + steps,
        };
        let texts: Vec<(&str, &str)> = std::iter::once(file).chain(bases.iter().copied()).collect();
        self.found
            .sort_by_key(|problem| (text_of(problem.span.source), problem.span.start));
        let diagnostics = self
            .found
            .into_iter()
            .map(|problem| {
                let (name, text) = texts[text_of(problem.span.source)];
                diagnostic(problem, name, text)
            })
            .collect();
        let texts = texts
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        Some(TrialError {
            diagnostics,
            suppressed: self.suppressed,
            texts,
        })
    }
}

/// Finds line and column, and puts the span on character boundaries inside the text.
fn diagnostic(problem: Problem, name: &str, text: &str) -> Diagnostic {
    let start = text.floor_char_boundary(problem.span.start.min(text.len()));
    let end = text.ceil_char_boundary(problem.span.end.clamp(start, text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    Diagnostic {
        source_name: name.to_owned(),
        line: text[..start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        span: start..end,
        message: problem.message,
        reason: problem.reason,
        suggestion: problem.suggestion,
    }
}

/// "did you mean `x`?", if a candidate is close to what was written.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if written.len() > SUGGESTION_LENGTH_MAX {
        return None;
    }
    let lower = written.to_lowercase();
    let words = sorted_words(&lower);
    candidates
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let similarity = if sorted_words(&other) == words {
                1.0
            } else {
                strsim::jaro_winkler(&lower, &other)
            };
            (candidate, similarity)
        })
        .filter(|(_, similarity)| *similarity >= 0.8)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| format!("did you mean `{candidate}`?"))
}

/// The words of a key in an order of their own, to recognise `size_growth` as `growth_size`.
fn sorted_words(key: &str) -> Vec<&str> {
    let mut words: Vec<&str> = key.split(['_', '-', '.']).collect();
    words.sort_unstable();
    words
}

/// A number for people: nine digits are enough.
pub(crate) fn readable(value: f64) -> String {
    let rounded: f64 = format!("{value:.8e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-4..1e6).contains(&rounded.abs()) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}

/// What was written, shortened for a message.
pub(crate) fn quoted(written: &str) -> String {
    const SHOWN: usize = 60;
    if written.chars().count() <= SHOWN {
        format!("`{}`", written.escape_debug())
    } else {
        let head: String = written.chars().take(SHOWN).collect();
        format!("`{}…`", head.escape_debug())
    }
}
