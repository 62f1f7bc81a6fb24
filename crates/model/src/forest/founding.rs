//! In which arms a colony exists, and what its detection means there (sections 4 to 7).

use super::{Candidate, Forest, Stage, WAKE, Window, entry};
use crate::colony::{Colony, Site};
use crate::math;
use crate::patient::Origin;
use crate::person::days_at_rate;
use crate::scenario::{Gene, Homing};
use crate::therapy::{LeastAttraction, Ligands, bits, infiltration};
use crate::trace::{Source, TraceEvent};

impl Forest<'_> {
    /// Decides in which arms a candidate exists, and admits it to the forest.
    pub(super) fn settle(&mut self, candidate: &Candidate) {
        let mut colony = candidate.colony;
        let parent = self.work.colonies[colony.parent as usize];
        let shed_in = self.shedding_arms(&parent, candidate);
        let (arms, dominating) = self.captured(&parent, candidate, shed_in);
        colony.arms = arms;
        colony.dominating = dominating;
        if arms == 0 && !dominating {
            self.record(TraceEvent::NotFounded {
                time: colony.founded,
                parent: colony.parent as usize,
                site: colony.site,
            });
            return;
        }
        if candidate.window != Window::Before {
            self.count_followed(&colony);
        }
        let source = match candidate.window {
            Window::Burst => Source::Burst,
            Window::Before | Window::After | Window::Tail => Source::Shed,
        };
        self.work.colonies.push(colony);
        self.admit(source, shed_in.0);
    }

    /// Counts a colony founded after resection towards the limit: what the dominating course
    /// holds decides whether the patient is saturated, whatever the arms are.
    pub(super) fn count_followed(&mut self, colony: &Colony) {
        let stop = self.dominating_end.min(self.end);
        if colony.dominating && self.matters_before(colony, stop) {
            self.followed += 1;
        } else {
            self.followed_beyond += 1;
        }
    }

    /// Arms, and whether the dominating course, in which the parent is there to shed the
    /// candidate's founder.
    fn shedding_arms(&mut self, parent: &Colony, candidate: &Candidate) -> (u64, bool) {
        let time = candidate.colony.founded;
        let mut arms = parent.arms;
        let mut dominating = parent.dominating;
        if time >= self.first_end {
            dominating &= time < self.dominating_end;
            for arm in bits(arms) {
                if time >= self.distant[arm] {
                    arms &= !(1 << arm);
                }
            }
        }
        if candidate.window == Window::Tail {
            dominating = false;
            let deficit = self.detection_of(parent.site).0;
            let mut slowed = 0;
            for group in 0..self.therapies.cxcl1_groups.len() {
                let members = self.therapies.cxcl1_groups[group].arms & arms;
                if members != 0 && time < self.detection_in(parent, group, deficit) {
                    slowed |= members;
                }
            }
            arms &= slowed;
        }
        (arms, dominating)
    }

    /// Arms, and whether the dominating course, in which a founder's mark lets it settle.
    fn captured(
        &mut self,
        parent: &Colony,
        candidate: &Candidate,
        (mut arms, mut dominating): (u64, bool),
    ) -> (u64, bool) {
        let (time, mark) = (candidate.colony.founded, candidate.mark);
        let site = candidate.colony.site;
        let untreated = match site {
            Site::Scar => self.scar_share(time),
            Site::Primary | Site::Distant => candidate.untreated,
        };
        dominating &= mark < untreated.bound;
        if mark >= untreated.bound {
            return (0, false);
        }
        let slow_arms = self.slowing_arms(parent, arms);
        let growth = if slow_arms == 0 {
            Vec::new()
        } else if candidate.window == Window::Tail {
            self.tail_shares(parent, time, slow_arms)
        } else {
            self.growth_shares(parent, self.grown_until(parent, time), slow_arms)
        };
        let mut bed = None;
        for arm in bits(arms) {
            let mut share = if site == Site::Distant {
                1.0
            } else {
                untreated.in_arm(self.therapies.irradiated >> arm & 1 == 1)
            };
            for (members, slowed) in &growth {
                if members >> arm & 1 == 1 {
                    share *= slowed;
                }
            }
            let settles = mark < share
                && (site == Site::Distant || self.lets_home(arm, time, mark / share, &mut bed));
            if !settles {
                arms &= !(1 << arm);
            }
        }
        (arms, dominating)
    }

    /// Whether drugs leave more than this of an arm's attraction and infiltration. The bed is
    /// worked out once for all arms, when first needed.
    fn lets_home(&mut self, arm: usize, time: f64, mark: f64, bed: &mut Option<Bed>) -> bool {
        let day = self.day(time);
        if !self.therapies.may_act(arm, day) {
            return true;
        }
        let homing = &self.setting.scenario.homing;
        let bed = bed.get_or_insert_with(|| {
            let milieu = &self.person.milieu;
            Bed::new(
                homing,
                if time < self.resection {
                    milieu.tumour(homing)
                } else {
                    milieu.bed(homing, day)
                },
            )
        });
        if mark < self.therapies.least_homing(arm, &bed.least) {
            return true;
        }
        self.courses.turn_to_day(day);
        let scenario = &self.setting.scenario;
        let left = self
            .courses
            .remaining(scenario, self.stream, self.therapies, arm);
        let (il6, il8) = (left[Gene::Il6.index()], left[Gene::Il8.index()]);
        let attraction = bed.ligands.attraction(homing, il6, il8) / bed.full;
        mark < attraction * infiltration(homing, &left)
    }

    /// The last time at which a parent grew: a removed colony stopped at resection.
    fn grown_until(&self, parent: &Colony, time: f64) -> f64 {
        if parent.site == Site::Primary {
            time.min(self.resection)
        } else {
            time
        }
    }

    /// Of these arms, those in which therapy may slow a colony's growth.
    fn slowing_arms(&self, colony: &Colony, arms: u64) -> u64 {
        if !colony.boosted {
            return 0;
        }
        self.therapies
            .cxcl1_groups
            .iter()
            .fold(0, |slowed, group| slowed | (group.arms & arms))
    }

    /// Share of the bound that founders coming home to the scar reach without drugs.
    fn scar_share(&self, time: f64) -> HomeShare {
        let homing = &self.setting.scenario.homing;
        let attraction = self
            .person
            .milieu
            .bed(homing, self.day(time))
            .attraction(homing, 1.0, 1.0);
        let relative = attraction / self.attraction_after;
        HomeShare {
            bound: relative,
            plain: relative * (self.setting.capture_plain / self.setting.capture_bound),
            irradiated: relative * (self.setting.capture_irradiated / self.setting.capture_bound),
        }
    }

    /// Groups of arms with (N_arm/N_untreated)^γ of a boosted colony at a time.
    pub(super) fn growth_shares(
        &mut self,
        colony: &Colony,
        time: f64,
        arms: u64,
    ) -> Vec<(u64, f64)> {
        let gamma = self.setting.gamma();
        let untreated = colony.log_deficit_at(time);
        self.slowed_deficits(colony, time, arms)
            .into_iter()
            .map(|(members, deficit)| (members, math::exp(gamma * (untreated - deficit))))
            .collect()
    }

    /// The same relative to the size at detection.
    fn tail_shares(&mut self, colony: &Colony, time: f64, arms: u64) -> Vec<(u64, f64)> {
        let gamma = self.setting.gamma();
        let detection = self.detection_of(colony.site).0;
        self.slowed_deficits(colony, time, arms)
            .into_iter()
            .map(|(members, deficit)| (members, math::exp(gamma * (detection - deficit))))
            .collect()
    }

    /// ln K − ln N of a boosted colony at a time in groups of arms that inhibit CXCL1.
    fn slowed_deficits(&mut self, colony: &Colony, time: f64, arms: u64) -> Vec<(u64, f64)> {
        let mut deficits = Vec::new();
        for group in 0..self.therapies.cxcl1_groups.len() {
            let members = self.therapies.cxcl1_groups[group].arms & arms;
            if members != 0 && self.may_be_slowed(colony, group) {
                let inhibited =
                    self.inhibited_days(group, time) - self.inhibited_days(group, colony.awake);
                let clock = colony.rate * (time - colony.awake)
                    - self.boost_rate(colony) * inhibited.max(0.0);
                deficits.push((members, colony.log_deficit * math::exp(-clock)));
            }
        }
        deficits
    }

    /// β·η of a colony.
    fn boost_rate(&self, colony: &Colony) -> f64 {
        if colony.boosted {
            colony.base_rate * self.setting.scenario.growth.cxcl1_boost
        } else {
            0.0
        }
    }

    /// Whether CXCL1 is still inhibited in a group of arms when a colony wakes. That most wake
    /// later spares most patients the integral.
    fn may_be_slowed(&mut self, colony: &Colony, group: usize) -> bool {
        let scenario = &self.setting.scenario;
        let until_day = self
            .courses
            .cxcl1_until_day(scenario, self.stream, self.therapies, group);
        self.day(colony.awake) < until_day
    }

    /// ∫ E_CXCL1 from long ago to a time in a group of arms, days.
    fn inhibited_days(&mut self, group: usize, until: f64) -> f64 {
        let day = self.day(until);
        let scenario = &self.setting.scenario;
        self.courses
            .cxcl1_integral(scenario, self.stream, self.therapies, group, day)
    }

    /// Detection of a boosted colony in a group of arms: the clock, slowed by the inhibited
    /// days, reaches the distance to go.
    fn detection_in(&mut self, colony: &Colony, group: usize, deficit: f64) -> f64 {
        let goal = colony.clock_to(deficit);
        let boost = self.boost_rate(colony);
        let (mut low, mut high) = (colony.detected, colony.awake + goal / colony.base_rate);
        let mut time = low;
        let before = self.inhibited_days(group, colony.awake);
        for _ in 0..100 {
            let inhibited = (self.inhibited_days(group, time) - before).max(0.0);
            let missing = goal - (colony.rate * (time - colony.awake) - boost * inhibited);
            if missing > 0.0 {
                low = time;
            } else {
                high = time;
            }
            if missing.abs() < DETECTION_TOLERANCE_DAYS * colony.base_rate || high - low < 1e-9 {
                break;
            }
            // The clock runs at least at β, so this step never overshoots from below; without
            // inhibition it is exact.
            let next = time + missing / colony.rate;
            time = if next > low && next < high {
                next
            } else {
                0.5 * (low + high)
            };
        }
        time
    }

    /// Tells of the colony that was last added to the forest.
    #[cold]
    fn record_founding(&mut self, source: Source, shed_in: u64) {
        let position = self.work.colonies.len() - 1;
        let colony = self.work.colonies[position];
        self.record(TraceEvent::Founded {
            time: colony.founded,
            colony: position,
            parent: colony.parent as usize,
            site: colony.site,
            source,
            aggressive: colony.aggressive,
            awake: colony.awake,
            detected: colony.detected,
            parent_arms: self.work.colonies[colony.parent as usize].arms,
            shed_in,
            arms: colony.arms,
        });
    }

    /// Lets the colony grow that was last added to the forest. It is not passed as a value:
    /// copies of what was just written cost more than all else here.
    #[inline]
    pub(super) fn admit(&mut self, source: Source, shed_in: u64) {
        if self.trace.is_some() {
            self.record_founding(source, shed_in);
        }
        let position = self.work.colonies.len() - 1;
        let colony = &self.work.colonies[position];
        let before = self.stage != Stage::Watching;
        match colony.site {
            Site::Primary => {
                self.work.primaries.push(entry(position));
                let least_deficit = if self.stage == Stage::Growing {
                    self.bound_diagnosis(position)
                } else {
                    0.0
                };
                self.shed_before(position, least_deficit);
            }
            Site::Distant if before && colony.sleep > 0.0 => self.put_to_sleep(position),
            Site::Distant => {
                let awake = colony.awake;
                self.note_distant(position);
                if before {
                    self.shed_before(position, self.setting.distant_deficit);
                } else {
                    self.shed_after(position, awake);
                }
            }
            Site::Scar => {
                let colony = *colony;
                let last_detection = self.note_local(&colony, source);
                self.shed_after(position, colony.awake);
                if last_detection > colony.detected {
                    self.shed_tail(position, last_detection);
                }
            }
        }
    }

    fn put_to_sleep(&mut self, position: usize) {
        let colony = self.work.colonies[position];
        self.work.sleepers.push(entry(position));
        let awake = colony.founded
            + days_at_rate(self.setting.scenario.dormancy.waking_per_day, colony.sleep);
        if awake.is_finite() {
            self.queue(awake, entry(position) | WAKE);
        }
    }

    /// Wakes a sleeper before resection; later ones are woken by surgery's hazard.
    pub(super) fn wake(&mut self, position: usize) {
        if self.stage != Stage::Watching {
            self.start_growth(position, self.now);
            self.shed_before(position, self.setting.distant_deficit);
        }
    }

    pub(super) fn start_growth(&mut self, position: usize, awake: f64) {
        let deficit = self.setting.distant_deficit;
        let colony = &mut self.work.colonies[position];
        colony.awake = awake;
        if awake.is_finite() {
            colony.detected = colony.reaches(deficit);
        }
        let colony = *colony;
        self.record(TraceEvent::Woke {
            time: awake,
            colony: position,
            detected: colony.detected,
        });
        self.note_distant(position);
    }

    /// Takes a distant colony's detection into account.
    fn note_distant(&mut self, position: usize) {
        let colony = &self.work.colonies[position];
        let time = colony.detected;
        if time >= self.stop {
            return;
        }
        if colony.dominating {
            self.dominating_end = self.dominating_end.min(time);
        }
        if self.stage != Stage::Growing {
            for arm in bits(colony.arms) {
                self.distant[arm] = self.distant[arm].min(time);
            }
        }
        self.update_stop();
    }

    /// Takes a scar colony's detection into account; returns its last detection in any arm.
    fn note_local(&mut self, colony: &Colony, source: Source) -> f64 {
        if colony.detected >= self.stop {
            return colony.detected;
        }
        let origin = match (source, self.work.colonies[colony.parent as usize].site) {
            (Source::Residual, _) => Origin::Residual,
            (_, Site::Primary) => Origin::Primary,
            (_, Site::Distant) => Origin::Distant,
            (_, Site::Scar) => Origin::Scar,
        };
        let mut last = colony.detected;
        let mut slowed = 0;
        if self.boost_rate(colony) > 0.0 {
            for group in 0..self.therapies.cxcl1_groups.len() {
                let members = self.therapies.cxcl1_groups[group].arms & colony.arms;
                if members != 0 && self.may_be_slowed(colony, group) {
                    let time = self.detection_in(colony, group, self.setting.scar_deficit);
                    slowed |= members;
                    last = last.max(time);
                    self.note_local_in(members, time, origin);
                }
            }
        }
        self.note_local_in(colony.arms & !slowed, colony.detected, origin);
        last
    }

    fn note_local_in(&mut self, arms: u64, time: f64, origin: Origin) {
        for arm in bits(arms) {
            if time < self.local[arm] {
                self.local[arm] = time;
                self.origin[arm] = origin;
            }
        }
    }
}

/// Detection times are found to this accuracy; the model asks for 0.01 day.
const DETECTION_TOLERANCE_DAYS: f64 = 1e-6;

/// Shares of the bound on homing.
#[derive(Debug, Clone, Copy)]
pub(super) struct HomeShare {
    /// In the dominating course.
    pub(super) bound: f64,
    /// In an arm without radiotherapy.
    plain: f64,
    /// In an arm with radiotherapy.
    irradiated: f64,
}

/// What draws cells home at a time.
#[derive(Debug, Clone, Copy)]
struct Bed {
    ligands: Ligands,
    /// Attraction without drugs.
    full: f64,
    least: LeastAttraction,
}

impl Bed {
    fn new(homing: &Homing, ligands: Ligands) -> Self {
        let full = ligands.attraction(homing, 1.0, 1.0);
        Self {
            ligands,
            full,
            least: LeastAttraction::new(ligands, homing, full),
        }
    }
}

impl HomeShare {
    fn in_arm(&self, irradiated: bool) -> f64 {
        if irradiated {
            self.irradiated
        } else {
            self.plain
        }
    }

    pub(super) fn equal(share: f64) -> Self {
        Self {
            bound: share,
            plain: share,
            irradiated: share,
        }
    }
}
