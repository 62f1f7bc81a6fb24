//! Resection and what it leaves behind (section 4).

use super::founders::Marks;
use super::{Forest, Stage, Window, Workspace};
use crate::colony::Site;
use crate::math;
use crate::patient::Exclusion;
use crate::person::days_at_rate;
use crate::random::Key;
use crate::trace::{self, TraceEvent};

const RESIDUAL: Key = Key::named("residual foci");
const RESIDUAL_COUNT: Key = Key::named("number of residual foci");
const NODES: Key = Key::named("nodes");
const NODE_COUNT: Key = Key::named("number of nodes");

impl Forest<'_> {
    /// Removes the primary; excludes patients by their nodes.
    pub(super) fn resect(&mut self) -> Option<Exclusion> {
        let scenario = &self.setting.scenario;
        self.measure_removed();
        let uncertain = self.count_nodes();
        if !scenario
            .eligibility
            .nodes
            .contains(f64::from(self.person.covariates.nodes))
        {
            return Some(Exclusion::Nodes);
        }
        let observed = self
            .person
            .other_death_days
            .min(self.person.dropout_days)
            .min(scenario.follow_up.horizon_days);
        self.end = self.resection + observed;
        self.stage = Stage::Watching;
        self.now = self.resection;
        self.update_stop();
        self.record(TraceEvent::Resected {
            time: self.resection,
        });
        if self.stop <= self.resection {
            return None;
        }
        self.wake_sleepers_after_surgery();
        self.leave_residual_foci(&uncertain);
        for position in 0..self.work.primaries.len() {
            let (_, flux) = self.work.removed[position];
            self.shed_burst(self.work.primaries[position] as usize, flux);
        }
        for position in 0..self.work.colonies.len() {
            let colony = &self.work.colonies[position];
            if colony.site == Site::Distant && colony.awake <= self.resection {
                self.shed_after(position, self.resection);
            }
        }
        None
    }

    /// Notes what the colonies at the primary site shed at resection.
    fn measure_removed(&mut self) {
        let gamma = self.setting.gamma();
        let Workspace {
            colonies,
            primaries,
            removed,
            ..
        } = &mut *self.work;
        removed.extend(primaries.iter().map(|&position| {
            let colony = &colonies[position as usize];
            let z = gamma * colony.log_deficit_at(self.resection);
            (z, math::exp(-z))
        }));
    }

    /// Counts lymph-node deposits. Where an arm slows self-seeds before resection, returns the
    /// arms in which each deposit exists.
    fn count_nodes(&mut self) -> Vec<u64> {
        let shedding = &self.setting.scenario.shedding;
        let rate = self.person.covariates.shedding_per_day
            * shedding.node_probability
            * self.setting.plateau_shedding;
        if rate == 0.0 {
            return Vec::new();
        }
        let mut means = std::mem::take(&mut self.work.node_means);
        means.clear();
        means.extend((0..self.work.primaries.len()).map(|at| self.shed_by_primary(at, rate)));
        let mean: f64 = means.iter().sum();
        let nodes = self.poisson(mean, self.person.node_uniform, NODE_COUNT);
        self.person.covariates.nodes = nodes;
        let slowed_before_resection = self.therapies.slow_growth_before(0.0) && means.len() > 1;
        let mut places = Vec::new();
        if slowed_before_resection && nodes > 0 {
            self.stream.open(NODES);
            places.extend((0..nodes).map(|_| self.place_node(&means, mean)));
        }
        self.work.node_means = means;
        places
    }

    /// Mean deposits of a primary-site colony up to resection, by the exponential integral.
    fn shed_by_primary(&self, at: usize, rate: f64) -> f64 {
        let colony = &self.work.colonies[self.work.primaries[at] as usize];
        let gamma = self.setting.gamma();
        let (z, flux) = self.work.removed[at];
        let late = flux * math::exponential_integral_scaled(z);
        let z_founder = gamma * colony.log_deficit;
        let early = math::exp(-z_founder) * math::exponential_integral_scaled(z_founder);
        rate / colony.rate * (late - early).max(0.0)
    }

    /// Gives a deposit a parent and a time, and returns the arms in which it exists. The stream
    /// is at [`NODES`] and stays there.
    fn place_node(&mut self, means: &[f64], mean: f64) -> u64 {
        let mut rest = self.stream.uniform() * mean;
        let at = means
            .iter()
            .position(|part| {
                rest -= part;
                rest < 0.0
            })
            .unwrap_or(0);
        let mark = self.stream.uniform();
        let parent = self.work.colonies[self.work.primaries[at] as usize];
        if !parent.boosted {
            return self.therapies.all;
        }
        let gamma = self.setting.gamma();
        let start = math::exp(-gamma * parent.log_deficit);
        let z_end = gamma * parent.log_deficit_at(self.resection);
        let end = math::exp(-z_end);
        let z = loop {
            let z = -math::ln(start + (end - start) * self.stream.uniform());
            if self.stream.uniform() * z < z_end {
                break z;
            }
        };
        let time = parent.awake + math::ln(gamma * parent.log_deficit / z) / parent.rate;
        if time < self.diagnosis {
            return self.therapies.all;
        }
        // Working out a patient's drugs turns the stream elsewhere; deposits have their own.
        let mut own = self.stream.clone();
        std::mem::swap(self.stream, &mut own);
        let mut arms = parent.arms;
        for (group, share) in self.growth_shares(&parent, time, parent.arms) {
            if mark >= share {
                arms &= !group;
            }
        }
        std::mem::swap(self.stream, &mut own);
        arms
    }

    fn wake_sleepers_after_surgery(&mut self) {
        let waking = self.setting.scenario.dormancy.waking_per_day;
        for at in 0..self.work.sleepers.len() {
            let position = self.work.sleepers[at] as usize;
            let colony = self.work.colonies[position];
            if colony.awake.is_finite() {
                continue;
            }
            let left = colony.sleep - waking * (self.resection - colony.founded);
            let awake = self.waking_time(self.resection, left.max(0.0));
            self.start_growth(position, awake);
            self.shed_after(position, awake);
        }
    }

    /// When a colony dormant at `from` (not before resection) wakes.
    pub(super) fn waking_time(&self, from: f64, sleep: f64) -> f64 {
        let dormancy = &self.setting.scenario.dormancy;
        let window_end = self.resection + dormancy.surgery_window_days;
        if self.setting.surgery && from < window_end {
            let hazard = dormancy.waking_per_day * (1.0 + dormancy.surgery_excess);
            let within = hazard * (window_end - from);
            if sleep < within {
                return from + sleep / hazard;
            }
            return window_end + days_at_rate(dormancy.waking_per_day, sleep - within);
        }
        from + days_at_rate(dormancy.waking_per_day, sleep)
    }

    fn leave_residual_foci(&mut self, uncertain_nodes: &[u64]) {
        let local = &self.setting.scenario.local_treatment;
        let nodes = self.person.covariates.nodes;
        let from_nodes = if self.setting.surgery {
            local.residual_foci_per_node * f64::from(nodes)
        } else {
            0.0
        };
        let mean = local.residual_foci + from_nodes;
        let foci = self.poisson(mean, self.person.residual_uniform, RESIDUAL_COUNT);
        if foci == 0 {
            return;
        }
        self.stream.open(RESIDUAL);
        for focus in 0..foci {
            let source = self.stream.uniform() * mean;
            let (field, kill) = (self.stream.uniform(), self.stream.uniform());
            let marks = Marks::draw(self.setting, self.stream, Window::After, Site::Scar, false);
            let key = RESIDUAL.child(u64::from(focus));
            let mut colony = self.colony(key, 0, Site::Scar, self.resection, &marks);
            colony.aggressive = false;
            colony.boosted = false;
            colony.rate = colony.base_rate;
            colony.detected = colony.reaches(self.setting.scar_deficit);
            colony.dominating = true;
            colony.arms = self.therapies.all;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a quotient between zero and the number of nodes"
            )]
            if source < from_nodes
                && let Some(arms) =
                    uncertain_nodes.get((source / local.residual_foci_per_node) as usize)
            {
                colony.arms = *arms;
            }
            if self.setting.surgery
                && field >= local.out_of_field
                && kill >= local.in_field_survival
            {
                colony.arms &= !self.therapies.irradiated;
            }
            if self.matters_before(&colony, self.stop_of(&colony)) {
                self.count_followed(&colony);
                let saved = self.stream.clone();
                self.work.colonies.push(colony);
                self.admit(trace::Source::Residual, self.therapies.all);
                *self.stream = saved;
            }
        }
    }
}
