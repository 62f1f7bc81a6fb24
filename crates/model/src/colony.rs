//! One colony: Gompertz growth in closed form (section 2).

use crate::math;
use crate::random::Key;

/// Where a colony grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// The primary tumour's bed before resection.
    Primary,
    /// Another organ.
    Distant,
    /// The locoregional bed after resection.
    Scar,
}

/// A colony of the forest. Times are days from the founding of the native primary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colony {
    pub(crate) key: Key,
    /// Position of the colony that shed the founder; the native primary is its own parent.
    pub(crate) parent: u32,
    pub(crate) site: Site,
    /// Sheds cells that can all home; a native colony only a fraction.
    pub(crate) aggressive: bool,
    /// Founded by homing: CXCL1 speeds its growth.
    pub(crate) boosted: bool,
    pub(crate) founded: f64,
    /// Start of growth; infinite while dormant.
    pub(crate) awake: f64,
    /// Exponential waiting time, in units of cumulative waking hazard, left when founded; zero
    /// for a colony that never slept.
    pub(crate) sleep: f64,
    /// ln K − ln W.
    pub(crate) log_deficit: f64,
    /// Growth rate β without boost, per day.
    pub(crate) base_rate: f64,
    /// Growth rate without therapy, β·(1 + η) or β.
    pub(crate) rate: f64,
    /// Clinical detection without therapy; infinite for a dormant colony or the primary site.
    pub(crate) detected: f64,
    /// Waiting time to the first cell that founds something before resection, in units of
    /// cumulative bounding intensity.
    pub(crate) gap: f64,
    /// The same after resection, for the two classes of founders shed then. Of a colony removed
    /// at resection, the first is for what still circulates.
    pub(crate) later_gaps: [f64; 2],
    /// Arms in which the colony exists.
    pub(crate) arms: u64,
    /// Whether it exists in the untreated course that dominates every arm.
    pub(crate) dominating: bool,
}

impl Colony {
    /// ln K − ln N at a time: the distance still to grow. The colony is awake by then.
    pub(crate) fn log_deficit_at(&self, time: f64) -> f64 {
        self.log_deficit * math::exp(-self.rate * (time - self.awake))
    }

    /// Size at a time, cells.
    pub(crate) fn cells(&self, ln_plateau: f64, time: f64) -> f64 {
        if time < self.awake {
            return 0.0;
        }
        math::exp(ln_plateau - self.log_deficit_at(time))
    }

    /// Clock G at which the distance still to grow has shrunk to `log_deficit`.
    pub(crate) fn clock_to(&self, log_deficit: f64) -> f64 {
        if self.log_deficit <= log_deficit {
            return 0.0;
        }
        math::ln(self.log_deficit / log_deficit)
    }

    /// When the distance still to grow has shrunk to `log_deficit`, without therapy.
    pub(crate) fn reaches(&self, log_deficit: f64) -> f64 {
        self.awake + self.clock_to(log_deficit) / self.rate
    }
}
