//! Designs: at which quantiles of the priors the points of an experiment lie.
//!
//! A point is a function of the design, the seed and the point's number alone, so blocks may be
//! computed anywhere and in any order, and a run may always be extended.

use reseed_stats::sensitivity::Step;

/// Most factors: Saltelli's design takes two dimensions of the sequence for each, of 256.
pub(crate) const FACTORS_MAX: usize = 64;

/// Points of one scrambled sequence; further ones are of another, independent scrambling.
const SEQUENCE_POINTS: u64 = 1 << 16;

/// Levels of Morris's grid. A step goes half of the way round.
const LEVELS: u64 = 8;

/// How points are spread over the priors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// A Sobol sequence with Owen's scrambling: even in all dimensions together. For averages
    /// and ranks over the priors.
    Sobol,
    /// Every factor's range in so many strata of equal probability, each used once (McKay,
    /// Technometrics 1979;21:239). Every further so many points are another hypercube.
    LatinHypercube {
        /// Strata, and points of a hypercube.
        points: u64,
    },
    /// Trajectories that change one factor at a time (Morris, Technometrics 1991;33:161). For
    /// screening many factors with few points.
    Morris,
    /// Rows of k + 2 points on a Sobol sequence (Saltelli, Comput Phys Commun 2010;181:259). For
    /// Sobol indices.
    Saltelli,
}

impl Design {
    /// The words for designs in a trial file, in the order of the variants.
    pub const NAMES: [&str; 4] = ["sobol", "latin-hypercube", "morris", "saltelli"];

    /// The word for it in a trial file.
    pub fn name(self) -> &'static str {
        Self::NAMES[match self {
            Self::Sobol => 0,
            Self::LatinHypercube { .. } => 1,
            Self::Morris => 2,
            Self::Saltelli => 3,
        }]
    }

    /// Points in a row that belong together: of a trajectory, or of a row of Saltelli's design.
    pub fn cluster(self, factors: usize) -> usize {
        match self {
            Self::Sobol | Self::LatinHypercube { .. } => 1,
            Self::Morris => factors + 1,
            Self::Saltelli => factors + 2,
        }
    }

    /// Quantiles, between 0 and 1, of the factors at a point.
    pub(crate) fn quantiles(self, factors: usize, seed: u64, point: u64) -> Vec<f64> {
        let cluster = self.cluster(factors) as u64;
        let (row, place) = (point / cluster, point % cluster);
        match self {
            Self::Sobol => sobol(seed, point, 0..factors),
            Self::LatinHypercube { points } => hypercube(seed, points, factors, point),
            Self::Morris => {
                let (mut levels, order) = trajectory(seed, factors, row);
                for factor in order.into_iter().zip(0..place).map(|(factor, _)| factor) {
                    levels[factor] = (levels[factor] + LEVELS / 2) % LEVELS;
                }
                let quantile = |level| (level as f64 + 0.5) / LEVELS as f64;
                levels.into_iter().map(quantile).collect()
            }
            Self::Saltelli => {
                let both = sobol(seed, row, 0..2 * factors);
                let (a, b) = both.split_at(factors);
                let is_of_b =
                    |factor: usize| place == factor as u64 + 1 || place == factors as u64 + 1;
                let of = |factor: usize| {
                    if is_of_b(factor) {
                        b[factor]
                    } else {
                        a[factor]
                    }
                };
                (0..factors).map(of).collect()
            }
        }
    }
}

/// What the steps of a trajectory of Morris's design change, in order.
pub(crate) fn steps(seed: u64, factors: usize, trajectory_number: u64) -> Vec<Step> {
    let (levels, order) = trajectory(seed, factors, trajectory_number);
    let step = |factor: usize| Step {
        factor,
        change: if levels[factor] < LEVELS / 2 {
            0.5
        } else {
            -0.5
        },
    };
    order.into_iter().map(step).collect()
}

/// Dimensions of a point of the scrambled sequence: of each quantile's 2⁻²³ wide cell the middle.
fn sobol(seed: u64, point: u64, dimensions: std::ops::Range<usize>) -> Vec<f64> {
    let (sequence, index) = (point / SEQUENCE_POINTS, point % SEQUENCE_POINTS);
    let scrambling = Words::new(seed, "sobol", sequence).next();
    #[expect(clippy::cast_possible_truncation, reason = "all of 32 bits are random")]
    let scrambling = scrambling as u32;
    let index = u32::try_from(index).expect("below the length of a sequence");
    let dimensions = dimensions.map(|dimension| {
        let dimension = u32::try_from(dimension).expect("below 256");
        f64::from(sobol_burley::sample(index, dimension, scrambling)) + 0.5 / f64::from(1 << 23)
    });
    dimensions.collect()
}

fn hypercube(seed: u64, points: u64, factors: usize, point: u64) -> Vec<f64> {
    let (number, place) = (point / points, point % points);
    let mut orders = Words::new(seed, "hypercube", number);
    let mut within = Words::new(seed, "within stratum", point);
    (0..factors)
        .map(|_| {
            let keys = std::array::from_fn(|_| orders.next());
            let stratum = permuted(place, points, keys);
            (stratum as f64 + within.uniform()) / points as f64
        })
        .collect()
}

/// The levels at which a trajectory starts, and the order in which factors change.
fn trajectory(seed: u64, factors: usize, number: u64) -> (Vec<u64>, Vec<usize>) {
    let mut words = Words::new(seed, "trajectory", number);
    let levels = (0..factors).map(|_| words.below(LEVELS)).collect();
    let mut order: Vec<usize> = (0..factors).collect();
    for last in (1..factors).rev() {
        let other = usize::try_from(words.below(last as u64 + 1)).expect("a place in the list");
        order.swap(last, other);
    }
    (levels, order)
}

/// Rounds of the network. Four leave orders of few places visibly uneven.
const FEISTEL_ROUNDS: usize = 8;

/// Where an index goes in a random order of so many, by a Feistel network whose results beyond
/// the last are sent through again: one place of the order without making the others.
fn permuted(index: u64, size: u64, keys: [u64; FEISTEL_ROUNDS]) -> u64 {
    let bits = u64::BITS - (size - 1).leading_zeros();
    let half = bits.div_ceil(2).max(1);
    let mask = (1 << half) - 1;
    let mut place = index;
    loop {
        let (mut left, mut right) = (place >> half, place & mask);
        for key in keys {
            (left, right) = (
                right,
                left ^ (Words::new(key, "order", right).next() & mask),
            );
        }
        place = left << half | right;
        if place < size {
            return place;
        }
    }
}

/// Random words keyed by a seed, a purpose and a number.
pub(crate) struct Words(blake3::OutputReader);

impl Words {
    pub(crate) fn new(seed: u64, purpose: &str, number: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"reseed design v1\0");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        hasher.update(purpose.as_bytes());
        Self(hasher.finalize_xof())
    }

    pub(crate) fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Above 0 and below 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).expect("below the bound")
    }
}
