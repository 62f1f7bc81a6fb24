//! Drawing SVG. Plotting crates were looked at and left: plotters places everything on whole pixels
//! and writes colours into every element, so that nothing can be restyled for the dark, for print
//! or by a reader's choice; others (poloto, kuva, plotive) lack bands or classes likewise. What
//! is left to do is small, and the scales are [`reseed_plot::Axis`].

use std::fmt::{Display, Write};

use reseed_plot::Axis;

/// Colours and lines of all figures, in light and dark.
pub(crate) const STYLE: &str = include_str!("../../templates/figure.css");

/// About how wide letters are, small and capital, in units of a drawing.
const LETTER_WIDTH: f64 = 6.6;
const CAPITAL_WIDTH: f64 = 8.2;

/// A drawing in its own units, which whoever shows it scales.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

/// Where text hangs at its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn attribute(self) -> &'static str {
        match self {
            Self::Start => "",
            Self::Middle => " text-anchor=\"middle\"",
            Self::End => " text-anchor=\"end\"",
        }
    }
}

impl Canvas {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// Text with the middle of its height at y.
    pub(crate) fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        let (x, y) = (Number(x), Number(y));
        let (anchor, text) = (anchor.attribute(), Escaped(text));
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{text}</text>"
        ));
    }

    /// Text that is cut where it would be wider than this; all of it is then its tooltip.
    pub(crate) fn label(&mut self, class: &str, x: f64, y: f64, width: f64, text: &str) {
        let cut = cut(text, width);
        if cut == text {
            return self.text(class, x, y, Anchor::Start, text);
        }
        let (x, y, cut, whole) = (Number(x), Number(y), Escaped(&cut), Escaped(text));
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{cut}<title>{whole}</title></text>"
        ));
    }

    pub(crate) fn path(&mut self, class: &str, path: &str) {
        self.push(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
    }

    /// A path with a tooltip.
    pub(crate) fn mark(&mut self, class: &str, path: &str, tooltip: &str) {
        let tooltip = Escaped(tooltip);
        self.push(format_args!(
            "<path class=\"{class}\" d=\"{path}\"><title>{tooltip}</title></path>"
        ));
    }

    pub(crate) fn open_group(&mut self, class: &str) {
        self.push(format_args!("<g class=\"{class}\">"));
    }

    pub(crate) fn close_group(&mut self) {
        self.push(format_args!("</g>"));
    }

    /// Lines and numbers along the bottom, and what they count.
    pub(crate) fn x_axis(&mut self, frame: &Frame, axis: &Axis, label: &str) {
        for tick in axis.ticks() {
            let x = frame.x(axis, tick);
            self.path(
                "grid",
                &format!(
                    "M{} {}V{}",
                    Number(x),
                    Number(frame.top),
                    Number(frame.bottom)
                ),
            );
            let text = axis.label(tick);
            self.text("tick", x, frame.bottom + 13.0, Anchor::Middle, &text);
        }
        let middle = f64::midpoint(frame.left, frame.right);
        self.text("axis", middle, frame.bottom + 31.0, Anchor::Middle, label);
    }

    /// Lines and numbers along the left.
    pub(crate) fn y_axis(&mut self, frame: &Frame, axis: &Axis) {
        for tick in axis.ticks() {
            let y = frame.y(axis, tick);
            self.path(
                "grid",
                &format!(
                    "M{} {}H{}",
                    Number(frame.left),
                    Number(y),
                    Number(frame.right)
                ),
            );
            self.text("tick", frame.left - 7.0, y, Anchor::End, &axis.label(tick));
        }
    }

    /// What is drawn so far, without the element around it.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// The drawing as part of a page, with a title and a description for those who do not see it.
    pub(crate) fn embedded(&self, id: &str, title: &str, description: &str) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        let (title, description) = (Escaped(title), Escaped(description));
        format!(
            "<svg class=\"drawing\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\n<title id=\"{id}-title\">{title}</title>\
             \n<desc id=\"{id}-desc\">{description}</desc>\n{body}</svg>\n"
        )
    }

    /// The drawing as a file.
    pub(crate) fn file(&self, title: &str, description: &str) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        let (title, description) = (Escaped(title), Escaped(description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"drawing\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n<style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n"
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// The part of a drawing in which data lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    pub(crate) fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + (self.right - self.left) * axis.share(value).clamp(0.0, 1.0)
    }

    pub(crate) fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * axis.share(value).clamp(0.0, 1.0)
    }
}

/// A small circle around a point.
pub(crate) fn circle(x: f64, y: f64) -> String {
    format!(
        "M{} {}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        Number(x - 4.0),
        Number(y)
    )
}

/// A path through points.
pub(crate) fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.into_iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        // Writing to memory does not fail.
        let _ = write!(path, "{letter}{} {}", Number(x), Number(y));
    }
    path
}

/// A path around a rectangle.
pub(crate) fn rectangle(x: f64, y: f64, width: f64, height: f64) -> String {
    let (x, y, width, height) = (Number(x), Number(y), Number(width), Number(height));
    format!("M{x} {y}h{width}v{height}h-{width}z")
}

/// About how wide a text is, in units of a drawing.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(letter_width).sum()
}

fn letter_width(letter: char) -> f64 {
    if letter.is_uppercase() || letter == '+' {
        CAPITAL_WIDTH
    } else {
        LETTER_WIDTH
    }
}

/// A text that is no wider than this.
fn cut(text: &str, most: f64) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let kept = text.chars().scan(letter_width('…'), |used, letter| {
        *used += letter_width(letter);
        (*used <= most).then_some(letter)
    });
    kept.chain(['…']).collect()
}

/// A coordinate: to a tenth.
pub(crate) struct Number(pub(crate) f64);

impl Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Adding zero makes a negative zero a positive one.
        write!(f, "{}", (self.0 * 10.0).round() / 10.0 + 0.0)
    }
}

/// Text between tags or in quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_long_text_is_cut() {
        let mut canvas = Canvas::new(100.0, 50.0);
        canvas.label("name", 1.0, 2.04, 60.0, "<script>&\"alert\"</script>");
        let file = canvas.file("a < b", "");
        assert!(!file.contains("<script>"), "{file}");
        assert!(file.contains("<title>a &lt; b</title>"), "{file}");
        assert!(
            file.contains("x=\"1\" y=\"2\">&lt;script&gt;…<title>"),
            "{file}"
        );
        assert_eq!(cut("short", 60.0), "short");
    }

    #[test]
    fn places_follow_the_scale_and_stay_within_the_frame() {
        let frame = Frame {
            left: 10.0,
            right: 110.0,
            top: 0.0,
            bottom: 50.0,
        };
        let axis = Axis::over(0.0, 20.0, 5);
        let places = [
            (0.0, 10.0),
            (5.0, 35.0),
            (20.0, 110.0),
            (30.0, 110.0),
            (-1.0, 10.0),
        ];
        for (value, x) in places {
            assert!((frame.x(&axis, value) - x).abs() < 1e-9, "{value}");
        }
        assert!((frame.y(&axis, 5.0) - 37.5).abs() < 1e-9);
        assert_eq!(path([(0.0, -0.04), (1.25, 2.0)]), "M0 0L1.3 2");
    }
}
