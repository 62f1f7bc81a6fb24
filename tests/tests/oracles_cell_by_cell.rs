//! Oracle: small patients followed cell by cell, every birth, death and shedding an event.
//!
//! Detection at 150 and 500 cells with π = 1/2 and a plateau of 10⁸⁰ cells keeps the error of the
//! large-size approximation below what these numbers of patients can see, except for the rare
//! origin "scar", which is joined with "distant".

use reseed_tests::engine;
use reseed_tests::reference::generator;
use reseed_tests::reference::gillespie::CellByCell;
use reseed_tests::reference::time_stepped::TimeStepped;
use reseed_tests::scenarios::cellular;
use reseed_tests::statistics::Agreement;
use reseed_tests::summary::Summary;

const DAYS: [f64; 5] = [15.0, 30.0, 45.0, 80.0, 200.0];

#[test]
fn engine_agrees_with_patients_followed_cell_by_cell() {
    let scenario = cellular();
    let cells = CellByCell::new(&scenario);
    let mut rng = generator(21);
    let mut reference: Summary = (0..12_000).map(|_| cells.simulate(&mut rng)).collect();
    let mut found = engine::summary(&scenario, 22, 0..60_000, 0);
    reference.join_metastatic_origins();
    found.join_metastatic_origins();
    let mut agreement = Agreement::default();
    found.compare_tumours(&reference, "cells", &mut agreement);
    found.compare_courses(&reference, "cells", &DAYS, &mut agreement);
    agreement.assert(25);
}

#[test]
fn the_references_agree_with_each_other() {
    // Cells against time steps: both written from the description, by unlike methods.
    let scenario = cellular();
    let cells = CellByCell::new(&scenario);
    let steps = TimeStepped::new(&scenario, &scenario.arms[0], 0.25);
    let mut rng = generator(23);
    let mut left: Summary = (0..4_000).map(|_| cells.simulate(&mut rng)).collect();
    let mut right: Summary = (0..12_000).map(|_| steps.simulate(&mut rng)).collect();
    left.join_metastatic_origins();
    right.join_metastatic_origins();
    let mut agreement = Agreement::default();
    left.compare_tumours(&right, "references", &mut agreement);
    left.compare_courses(&right, "references", &DAYS, &mut agreement);
    agreement.assert(25);
}
