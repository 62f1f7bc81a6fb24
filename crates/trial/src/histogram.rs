//! Histograms of what is known of the tumour at diagnosis.

/// A histogram with fixed bins. A bin holds the values from its lower edge up to, and without,
/// its upper edge; values outside all edges fall into the first or last bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram {
    /// Name below `/tally/tumour` in files.
    pub name: &'static str,
    /// Unit of the values; `1` for pure numbers.
    pub unit: &'static str,
    /// What is counted.
    pub description: &'static str,
    /// Increasing bin edges, one more than bins.
    pub edges: &'static [f64],
}

impl Histogram {
    /// Number of bins.
    pub const fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// Bin of a value.
    pub fn bin(&self, value: f64) -> usize {
        self.edges
            .partition_point(|edge| *edge <= value)
            .saturating_sub(1)
            .min(self.bins() - 1)
    }
}

/// The histograms of every trial, in the order of [`reseed_stats::Shape::histograms`].
pub(crate) static HISTOGRAMS: [Histogram; 5] = [
    Histogram {
        name: "self_seeded_fraction",
        unit: "1",
        description: "fraction of the primary's cells at diagnosis that descend from self-seeding",
        edges: &[
            0.0, 1e-9, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4,
            0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
        ],
    },
    Histogram {
        name: "self_seeds",
        unit: "1",
        description: "colonies in the primary bed founded by homing before resection",
        edges: &[
            0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0, 100.0, 200.0,
            500.0, 1000.0, 2000.0, 5000.0, 10000.0, 1e6,
        ],
    },
    Histogram {
        name: "nodes",
        unit: "1",
        description: "positive lymph nodes at resection",
        edges: &[
            0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0,
            100.0, 1e6,
        ],
    },
    Histogram {
        name: "ctc_flux",
        unit: "1/day",
        description: "circulating tumour cells shed per day by all colonies at diagnosis",
        edges: &[
            0.0, 1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7,
            1e8, 1e9, 1e10, 1e12,
        ],
    },
    Histogram {
        name: "diameter",
        unit: "mm",
        description: "size at diagnosis: diameter, or Breslow thickness where that is the measure",
        edges: &[
            0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0,
            25.0, 30.0, 35.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 500.0,
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_where_the_edges_say() {
        for histogram in &HISTOGRAMS {
            assert!(
                histogram.edges.is_sorted_by(|a, b| a < b),
                "{}",
                histogram.name
            );
            for (bin, edges) in histogram.edges.windows(2).enumerate() {
                assert_eq!(histogram.bin(edges[0]), bin);
                assert_eq!(histogram.bin(edges[1].next_down()), bin);
            }
            assert_eq!(histogram.bin(-1.0), 0);
            assert_eq!(histogram.bin(f64::NAN), 0);
            assert_eq!(histogram.bin(f64::INFINITY), histogram.bins() - 1);
        }
    }
}
