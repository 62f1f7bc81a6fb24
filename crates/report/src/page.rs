//! A report as one HTML file that needs no other: figures, style and script are in it, and it may
//! load nothing. All of it is there without scripts; the script reads values and chooses groups
//! of patients. What a reader chooses otherwise is shown and hidden by the style alone.

use askama::Template;

use crate::figures::canvas::STYLE as FIGURE_STYLE;
use crate::report::{Measure, Report};
use crate::text::{endpoint_in_words, grouped};
use reseed_stats::Endpoint;

pub(crate) const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");

impl Report {
    /// The page.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    pub fn to_html(&self) -> String {
        let page = Page {
            report: self,
            styles: [FIGURE_STYLE, STYLE],
            script: SCRIPT,
            endpoints: Endpoint::ALL,
            measures: Measure::ALL,
        };
        page.render().expect("memory has room")
    }

    /// Groups of one kind after the other: the kind, and positions and labels.
    fn groups_by_kind(&self) -> Vec<(&str, Vec<(usize, &str)>)> {
        let mut kinds: Vec<(&str, Vec<(usize, &str)>)> = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let entry = (index, group.label.as_str());
            match kinds.last_mut() {
                Some((kind, entries)) if *kind == group.kind => entries.push(entry),
                _ => kinds.push((&group.kind, vec![entry])),
            }
        }
        kinds
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    styles: [&'static str; 2],
    script: &'static str,
    endpoints: [Endpoint; 4],
    measures: [Measure; 2],
}

/// How things look and are told, for the template.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass everything by reference"
)]
mod say {
    use super::{Endpoint, Report, endpoint_in_words};
    use crate::figures::style;

    pub(super) fn grouped(number: &u64) -> String {
        super::grouped(*number)
    }

    /// Classes of an arm's line.
    pub(super) fn look(report: &Report, arm: &usize) -> String {
        style(*arm, report.control)
    }

    pub(super) fn title(endpoint: &Endpoint) -> &'static str {
        endpoint_in_words(endpoint.name())
    }
}
