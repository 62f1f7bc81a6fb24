//! The document as Markdown: all but the figures.

use std::fmt::Write as _;

use super::{Credibility, CredibilityCheck, CredibilitySection, CredibilityTable};

/// What the beginning of every such document has.
const MARK: &str = "<!-- reseed credibility -->";

impl Credibility {
    /// The document as Markdown, without figures.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("{MARK}\n# {}\n", plain(&self.heading()));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{}\n\n{}\n", Self::CAUTION, Self::STRUCTURE);
        text.push_str("| section | verdict |\n|---|---|\n");
        for (section, number) in self.sections.iter().zip(1..) {
            let verdict = section.verdict.words();
            let _ = writeln!(text, "| {number}. {} | {verdict} |", section.title);
        }
        for (section, number) in self.sections.iter().zip(1..) {
            section.add_to(&mut text, number);
        }
        text
    }
}

impl CredibilitySection {
    fn add_to(&self, text: &mut String, number: u32) {
        let Self { title, asked, .. } = self;
        let verdict = self.verdict.words();
        let _ = writeln!(text, "\n## {number}. {title}: {verdict}\n\n{asked}");
        for check in &self.checks {
            check.add_to(text);
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        for table in &self.tables {
            table.add_to(text);
        }
    }
}

impl CredibilityCheck {
    fn add_to(&self, text: &mut String) {
        let Self {
            asked,
            rule,
            command,
            ..
        } = self;
        let (verdict, found) = (self.verdict.words(), plain(&self.found));
        let _ = writeln!(text, "\n**{asked}** {verdict}\n");
        let _ = writeln!(
            text,
            "- Found: {found}\n- Rule: {rule}\n- Command: `{command}`"
        );
    }
}

impl CredibilityTable {
    fn add_to(&self, text: &mut String) {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
            format!("| {} |", cells.join(" | "))
        };
        let _ = writeln!(text, "\n{}:\n\n{}", self.title, line(&self.columns));
        let _ = writeln!(text, "|{}", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row));
        }
    }
}

/// A cell that does not end before it should.
fn escaped(cell: &str) -> String {
    plain(cell).replace('|', "\\|")
}

/// Text of one line that holds no HTML.
fn plain(text: &str) -> String {
    text.replace('<', "&lt;").replace('\n', " ")
}
