//! Tests of the source that a reviewer may run; a document cannot run them. A test of the house
//! keeps the list equal to what there is.

/// A test of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceTest {
    /// Its package.
    pub package: &'static str,
    /// Its file, without the extension.
    pub name: &'static str,
    /// What is compared with what.
    pub what: &'static str,
    /// Whether it needs R and Python, which `deploy/with-tools` brings.
    pub needs_tools: bool,
}

impl SourceTest {
    const fn oracle(name: &'static str, what: &'static str) -> Self {
        Self {
            package: "reseed-tests",
            name,
            what,
            needs_tools: false,
        }
    }

    /// The command that runs it, in a copy of the source.
    pub fn command(&self) -> String {
        let tools = if self.needs_tools {
            "deploy/with-tools --tests "
        } else {
            ""
        };
        let Self { package, name, .. } = self;
        format!("{tools}cargo test --release -p {package} --test {name}")
    }
}

/// The independent oracles (docs/oracles.md), then golden digests and references.
pub const SOURCE_TESTS: [SourceTest; 10] = [
    SourceTest::oracle(
        "oracles_birth_death",
        "founders against the exact birth–death process: extinction, law of size, days to diagnosis",
    ),
    SourceTest::oracle(
        "oracles_cell_by_cell",
        "courses against a simulation of every birth, death, shedding and waking of a cell",
    ),
    SourceTest::oracle(
        "oracles_first_generation",
        "incidences against quadrature of the first generation, and a closed form of its limit",
    ),
    SourceTest::oracle(
        "oracles_after_resection",
        "first recurrences against the integral equation of the branching process",
    ),
    SourceTest::oracle(
        "oracles_time_stepped",
        "the whole model, arm by arm, against a simulation in steps of a day",
    ),
    SourceTest::oracle(
        "oracles_pharmacokinetics",
        "concentrations and growth under a drug against an adaptive Runge–Kutta solver",
    ),
    SourceTest::oracle(
        "oracles_coupling",
        "an arm alone against the same arm among others, bit by bit",
    ),
    SourceTest {
        package: "reseed-model",
        name: "golden",
        what: "patients against golden digests: the same bits on every machine",
        needs_tools: false,
    },
    SourceTest {
        package: "reseed-stats",
        name: "reference",
        what: "estimators against golden values of R and Python",
        needs_tools: true,
    },
    SourceTest {
        package: "reseed-stats",
        name: "coverage",
        what: "intervals against their nominal coverage, by simulation",
        needs_tools: false,
    },
];
