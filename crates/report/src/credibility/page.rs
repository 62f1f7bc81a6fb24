//! The document as one HTML file that needs no other, in the style of the report.

use askama::Template;

use super::{Credibility, Verdict};
use crate::figures::canvas::STYLE as FIGURE_STYLE;
use crate::page::STYLE;

const OWN_STYLE: &str = include_str!("../../templates/credibility.css");

impl Credibility {
    pub(super) const CAUTION: &str = "Research software about a hypothesis: many of the model's \
         numbers are assumptions. It says what would follow from them, and nothing about the \
         treatment of any patient.";
    pub(super) const STRUCTURE: &str = "The sections are those of ASME V&V 40. Every check says what \
         it asks, what was found, by which rule that is judged, and the command that shows the same. \
         A section's verdict is the least favourable of its checks.";

    /// The page.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    pub fn to_html(&self) -> String {
        let page = Page {
            document: self,
            styles: [FIGURE_STYLE, STYLE, OWN_STYLE],
        };
        page.render().expect("memory has room")
    }

    pub(super) fn heading(&self) -> String {
        let name = if self.title.is_empty() {
            &self.trial
        } else {
            &self.title
        };
        format!("Credibility: {name}")
    }
}

impl Verdict {
    /// Name of its look.
    const fn look(self) -> &'static str {
        match self {
            Self::Stated | Self::Met => "good",
            Self::NotStated | Self::NotShown => "open",
            Self::NotMet => "bad",
        }
    }
}

#[derive(Template)]
#[template(path = "credibility.html")]
struct Page<'a> {
    document: &'a Credibility,
    styles: [&'static str; 3],
}
