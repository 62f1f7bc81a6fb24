//! A table of shares in colours: which rank each arm has, how often.

use super::canvas::{Anchor, Canvas, rectangle, width};
use super::{Figure, Table, exact, fixed};

const WIDTH: f64 = 560.0;
const ROW: f64 = 22.0;
const TOP: f64 = 22.0;
const BELOW: f64 = 24.0;
const LABEL_MAX: f64 = 180.0;
/// Cells narrower than this have no number in them.
const NUMBER_WIDTH: f64 = 24.0;
/// Steps of the colour.
const SHADES: f64 = 10.0;

/// How often each of many has each rank.
#[derive(Debug, Clone)]
pub struct HeatMap {
    /// Identifies it.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What it shows, in words.
    pub description: String,
    /// Label of each row, and its share of every rank from the best, as fractions.
    pub rows: Vec<(String, Vec<f64>)>,
}

impl HeatMap {
    /// Draws it.
    pub fn figure(self) -> Figure {
        let ranks = self.rows.iter().map(|(_, shares)| shares.len()).max();
        let ranks = ranks.unwrap_or(0);
        Figure {
            canvas: self.draw(ranks),
            file: None,
            table: self.table(ranks, |share| fixed(100.0 * share, 1)),
            data: self.table(ranks, exact),
            name: self.name,
            title: self.title,
            description: self.description,
        }
    }

    fn table(&self, ranks: usize, cell: fn(f64) -> String) -> Table {
        let heads = (1..=ranks).map(|rank| format!("rank {rank}"));
        let row = |(label, shares): &(String, Vec<f64>)| {
            let cells = shares.iter().map(|share| cell(*share));
            std::iter::once(label.clone()).chain(cells).collect()
        };
        Table {
            columns: std::iter::once("arm".to_owned()).chain(heads).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    fn draw(&self, ranks: usize) -> Canvas {
        let labels = self.rows.iter().map(|(label, _)| width(label));
        let left = labels.fold(0.0, f64::max).min(LABEL_MAX) + 12.0;
        let step = (WIDTH - left) / ranks.max(1) as f64;
        let bottom = TOP + ROW * self.rows.len() as f64;
        let mut canvas = Canvas::new(WIDTH, bottom + BELOW);
        let middle = |rank: usize| left + step * (rank as f64 + 0.5);
        for rank in 0..ranks {
            canvas.text(
                "tick",
                middle(rank),
                TOP / 2.0,
                Anchor::Middle,
                &(rank + 1).to_string(),
            );
        }
        let label = "rank, 1 is the best; percent of the parameter points";
        canvas.text(
            "axis",
            f64::midpoint(left, WIDTH),
            bottom + 13.0,
            Anchor::Middle,
            label,
        );
        for ((label, shares), row) in self.rows.iter().zip(0u32..) {
            let top = TOP + ROW * f64::from(row);
            canvas.label("name", 0.0, top + ROW / 2.0, left - 12.0, label);
            for (rank, share) in shares.iter().enumerate() {
                let shade = (share * SHADES).ceil().clamp(0.0, SHADES);
                let percent = fixed(100.0 * share, 1);
                let cell = rectangle(
                    left + step * rank as f64 + 1.0,
                    top + 1.0,
                    step - 2.0,
                    ROW - 2.0,
                );
                let tooltip = format!("{label}, rank {}: {percent} %", rank + 1);
                canvas.mark(&format!("cell h{shade}"), &cell, &tooltip);
                if step >= NUMBER_WIDTH && *share >= 0.005 {
                    let class = if shade > SHADES / 2.0 {
                        "on-dark"
                    } else {
                        "on-light"
                    };
                    let whole = fixed(100.0 * share, 0);
                    canvas.text(class, middle(rank), top + ROW / 2.0, Anchor::Middle, &whole);
                }
            }
        }
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rank_has_a_cell_shaded_by_its_share() {
        let figure = HeatMap {
            name: "ranks".into(),
            title: "Ranks".into(),
            description: String::new(),
            rows: vec![
                ("a".into(), vec![0.95, 0.05]),
                ("b".into(), vec![0.05, 0.95]),
            ],
        }
        .figure();
        let drawing = figure.embedded();
        assert_eq!(drawing.matches("class=\"cell h10\"").count(), 2);
        assert_eq!(drawing.matches("class=\"cell h1\"").count(), 2);
        assert!(
            drawing.contains("<title>b, rank 1: 5.0 %</title>"),
            "{drawing}"
        );
        assert_eq!(
            figure.csv(),
            "arm,rank 1,rank 2\na,0.95,0.05\nb,0.05,0.95\n"
        );
    }
}
