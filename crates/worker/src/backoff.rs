//! Waiting longer and longer, and not all at the same time.

/// First wait, ms.
const FIRST_MS: u64 = 200;
/// Longest wait, ms.
const LONGEST_MS: u64 = 15_000;

/// Waits that double, each spread by chance.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next_ms: u64,
    /// State of a small generator (`SplitMix64`; Steele, Lea and Flood 2014): nothing that is
    /// computed depends on it.
    state: u64,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            next_ms: FIRST_MS,
            state: seed,
        }
    }

    /// Starts from the shortest wait again.
    pub(crate) fn reset(&mut self) {
        self.next_ms = FIRST_MS;
    }

    /// How long to wait now, ms.
    pub(crate) fn step(&mut self) -> u64 {
        let wait = self.next_ms;
        self.next_ms = (wait * 2).min(LONGEST_MS);
        self.jitter(wait)
    }

    /// A time between half and all of the given one, ms; at least 1.
    pub(crate) fn jitter(&mut self, wait_ms: u64) -> u64 {
        let half = wait_ms / 2;
        (half + self.random() % (wait_ms - half + 1)).max(1)
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ_between_workers() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..20).map(|_| backoff.step()).collect::<Vec<_>>()
        };
        let (one, other) = (waits(1), waits(2));
        assert_ne!(one, other);
        assert_eq!(one, waits(1));
        assert!(one[0] >= 100 && one[0] <= 200);
        assert!(one.iter().all(|ms| (100..=LONGEST_MS).contains(ms)));
        assert!(one[19] >= LONGEST_MS / 2);
    }
}
