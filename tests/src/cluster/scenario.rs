//! What a seed stands for: a cluster, its weather, and the blows it takes.

use super::chance::{Chance, Purpose};

/// Faults strike within this time, ms; after it the run must end.
const TROUBLE_MS: (u64, u64) = (15_000, 60_000);

/// What is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theme {
    /// Everything breaks, and the result is right.
    Ordinary,
    /// The same with a run that ends when it is precise enough.
    Precise,
    /// A shard fails wherever it is computed: the run ends with that error.
    FailingShard,
    /// A machine computes wrong numbers, and everything is audited: the run stops and names it.
    FaultyMachine,
}

/// A blow, at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    KillCoordinator,
    KillCoordinatorInFileOperation,
    CutPower,
    StopCoordinator,
    FreezeCoordinator { ms: u64 },
    JumpCoordinatorClock { ms: u64 },
    SecondCoordinator,
    SecondCoordinatorInFileOperation { operations: u64 },
    FillStore { ms: u64 },
    DecayPart,
    FailStoreSyncs { count: u32 },
    KillWorker { worker: usize },
    KillWorkerInFileOperation { worker: usize, operations: u64 },
    CutPowerOfWorker { worker: usize },
    StopWorker { worker: usize },
    FreezeWorker { worker: usize, ms: u64 },
    JumpWorkerClock { worker: usize, ms: u64 },
    FillSpool { worker: usize, ms: u64 },
    CutLine { worker: usize, ms: u64, ways: Ways },
    DrainWorker { worker: usize },
    DrainAll,
    Cancel,
}

/// Which way a partition blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    ToCoordinator,
    ToWorker,
    Both,
}

impl Ways {
    pub(super) fn blocks_requests(self) -> bool {
        self != Self::ToWorker
    }

    pub(super) fn blocks_answers(self) -> bool {
        self != Self::ToCoordinator
    }
}

/// How the network treats messages, per mille.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) late: u64,
    pub(super) late_ms_max: u64,
    pub(super) duplicated: u64,
    pub(super) cut: u64,
    pub(super) changed: u64,
}

impl Weather {
    pub(super) const FAIR: Self = Self {
        lost: 0,
        late: 0,
        late_ms_max: 0,
        duplicated: 0,
        cut: 0,
        changed: 0,
    };
}

/// Where a worker keeps parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder that goes with it.
    Temporary,
    /// A folder of the user's choosing, where a successor finds them.
    Kept,
    /// The coordinator's own file system.
    Shared,
}

/// A worker.
#[derive(Debug, Clone)]
pub(super) struct Character {
    pub(super) name: String,
    pub(super) threads: usize,
    pub(super) ahead: usize,
    pub(super) place: Place,
    /// Usual time for a whole shard on one thread.
    pub(super) ms_per_shard: u64,
    pub(super) patience_ms: u64,
    pub(super) grace_ms: u64,
    /// How long its machine is lent.
    pub(super) lent_ms: Option<u64>,
    pub(super) is_faulty: bool,
    pub(super) has_another_version: bool,
}

/// A cluster and its fate.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) theme: Theme,
    pub(super) lease_ms: u64,
    pub(super) audits_per_mille: u64,
    pub(super) is_shared: bool,
    pub(super) workers: Vec<Character>,
    pub(super) weather: Weather,
    pub(super) blows: Vec<(u64, Blow)>,
    /// From here on nothing breaks any more.
    pub(super) quiet_at: u64,
    /// Patient that cannot be computed.
    pub(super) failing_patient: Option<u64>,
}

impl Scenario {
    pub(super) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed, Purpose::Scenario);
        let theme = match chance.below(20) {
            0 => Theme::FailingShard,
            1 => Theme::FaultyMachine,
            2 | 3 => Theme::Precise,
            _ => Theme::Ordinary,
        };
        let is_shared = chance.one_in(2);
        let workers = chance.within(2..=5);
        let mut workers: Vec<Character> = (0..workers)
            .map(|number| character(number, is_shared, &mut chance))
            .collect();
        let quiet_at = chance.within(TROUBLE_MS.0..=TROUBLE_MS.1);
        let mut scenario = Self {
            theme,
            lease_ms: chance.pick(&[2_000, 3_000, 10_000]),
            audits_per_mille: chance.pick(&[0, 10, 300, 1000]),
            is_shared,
            weather: weather(&mut chance),
            blows: blows(workers.len(), quiet_at, seed),
            quiet_at,
            failing_patient: None,
            workers: Vec::new(),
        };
        match theme {
            Theme::Ordinary | Theme::Precise => {}
            Theme::FailingShard => scenario.failing_patient = Some(chance.within(20..=339)),
            Theme::FaultyMachine => {
                // An audit needs two workers that are there, and a coordinator that remembers what
                // is not audited yet.
                scenario.audits_per_mille = 1000;
                scenario.blows.clear();
                scenario.weather = Weather {
                    lost: 0,
                    cut: 0,
                    changed: 0,
                    late_ms_max: 500,
                    ..scenario.weather
                };
                for worker in &mut workers {
                    worker.has_another_version = false;
                    worker.lent_ms = None;
                }
                workers[0].is_faulty = true;
            }
        }
        scenario.workers = workers;
        scenario
    }
}

fn character(number: u64, is_shared: bool, chance: &mut Chance) -> Character {
    let place = match chance.below(3) {
        0 if is_shared => Place::Shared,
        1 => Place::Kept,
        _ => Place::Temporary,
    };
    Character {
        name: format!("host-{number}"),
        threads: if chance.one_in(3) { 2 } else { 1 },
        ahead: usize::from(!chance.one_in(4)),
        place,
        ms_per_shard: chance.within(800..=4_000),
        patience_ms: chance.pick(&[10_000, 60_000, 600_000]),
        grace_ms: chance.pick(&[0, 2_000, 10_000]),
        lent_ms: chance.one_in(8).then(|| chance.within(20_000..=60_000)),
        is_faulty: false,
        // The first two always work.
        has_another_version: number >= 2 && chance.one_in(8),
    }
}

fn weather(chance: &mut Chance) -> Weather {
    match chance.below(4) {
        0 => Weather::FAIR,
        1 => Weather {
            lost: 5,
            late: 30,
            late_ms_max: 2_000,
            duplicated: 10,
            cut: 10,
            changed: 10,
        },
        2 => Weather {
            lost: 40,
            late: 100,
            late_ms_max: 8_000,
            duplicated: 50,
            cut: 50,
            changed: 30,
        },
        _ => Weather {
            lost: 0,
            late: 200,
            late_ms_max: 15_000,
            duplicated: 150,
            cut: 20,
            changed: 0,
        },
    }
}

fn blows(workers: usize, quiet_at: u64, seed: u64) -> Vec<(u64, Blow)> {
    let mut chance = Chance::new(seed, Purpose::Faults);
    let count = chance.pick(&[0, 2, 4, 8, 16, 24]);
    let mut blows: Vec<(u64, Blow)> = (0..count)
        .map(|_| {
            let at = chance.within(500..=quiet_at - 1);
            (at, blow(workers as u64, &mut chance))
        })
        .collect();
    blows.sort_by_key(|(at, _)| *at);
    blows
}

fn blow(workers: u64, chance: &mut Chance) -> Blow {
    let worker = usize::try_from(chance.below(workers)).expect("few workers");
    match chance.below(39) {
        0 | 1 => Blow::KillCoordinator,
        2..=4 => Blow::KillCoordinatorInFileOperation,
        5..=7 => Blow::CutPower,
        8 => Blow::StopCoordinator,
        9 | 10 => Blow::FreezeCoordinator {
            ms: chance.within(200..=15_000),
        },
        11 => Blow::JumpCoordinatorClock {
            ms: chance.within(1_000..=600_000),
        },
        12 | 13 => Blow::SecondCoordinator,
        14..=16 => Blow::SecondCoordinatorInFileOperation {
            operations: chance.below(12),
        },
        17 | 18 => Blow::FillStore {
            ms: chance.within(500..=8_000),
        },
        19 | 20 => Blow::FailStoreSyncs {
            count: u32::try_from(chance.within(1..=4)).expect("few"),
        },
        21 | 22 => Blow::KillWorker { worker },
        23 => Blow::KillWorkerInFileOperation {
            worker,
            operations: chance.below(8),
        },
        24 => Blow::CutPowerOfWorker { worker },
        25 => Blow::StopWorker { worker },
        26 | 27 => Blow::FreezeWorker {
            worker,
            ms: chance.within(200..=15_000),
        },
        28 => Blow::JumpWorkerClock {
            worker,
            ms: chance.within(1_000..=600_000),
        },
        29 => Blow::DecayPart,
        30..=32 => Blow::CutLine {
            worker,
            ms: chance.within(200..=15_000),
            ways: chance.pick(&[Ways::ToCoordinator, Ways::ToWorker, Ways::Both]),
        },
        33 => Blow::DrainWorker { worker },
        34 => Blow::DrainAll,
        35..=37 => Blow::FillSpool {
            worker,
            ms: chance.within(5_000..=15_000),
        },
        _ => Blow::Cancel,
    }
}
