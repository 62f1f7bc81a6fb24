//! Sums over ranks that change while they are asked for.

/// Weights by rank; each change and each question takes time in the order of the logarithm of the
/// number of ranks (Fenwick, Softw Pract Exp 1994;24:327).
#[derive(Debug, Clone)]
pub(crate) struct RankSums {
    tree: Vec<f64>,
    own: Vec<f64>,
    total: f64,
}

/// How a total divides around a rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Around {
    pub(crate) below: f64,
    pub(crate) equal: f64,
    pub(crate) above: f64,
}

impl RankSums {
    pub(crate) fn new(ranks: usize) -> Self {
        Self {
            tree: vec![0.0; ranks + 1],
            own: vec![0.0; ranks],
            total: 0.0,
        }
    }

    pub(crate) fn add(&mut self, rank: usize, weight: f64) {
        self.own[rank] += weight;
        self.total += weight;
        let mut node = rank + 1;
        while node < self.tree.len() {
            self.tree[node] += weight;
            node += node & node.wrapping_neg();
        }
    }

    pub(crate) fn around(&self, rank: usize) -> Around {
        let mut below = 0.0;
        let mut node = rank;
        while node > 0 {
            below += self.tree[node];
            node &= node - 1;
        }
        let equal = self.own[rank];
        Around {
            below,
            equal,
            above: self.total - below - equal,
        }
    }
}
