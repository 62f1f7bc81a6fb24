//! Golden digests: the same scenario and seed give the same bits, on every machine and in every
//! version of the same model. A change of digest is a change of model version.

mod common;

use reseed_model::{Patient, PatientIndex, Simulator};

/// FNV-1a over the bits of everything a patient yields.
fn digest(hash: u64, patient: &Patient) -> u64 {
    let mut words = vec![
        patient.covariates.age_years.to_bits(),
        patient.covariates.size_mm.to_bits(),
        patient.covariates.growth_per_day.to_bits(),
        u64::from(patient.covariates.nodes),
        u64::from(patient.covariates.ctc_sample),
        patient.tumour.self_seeded_fraction.to_bits(),
        u64::from(patient.tumour.self_seeds),
        patient.tumour.ctc_flux_per_day.to_bits(),
        patient.exclusion.map_or(0, |reason| reason as u64 + 1),
        patient.other_death_days.to_bits(),
        patient.cancer_lag_days.to_bits(),
    ];
    for course in &patient.courses {
        words.extend([
            course.local_days.to_bits(),
            course.local_origin.map_or(0, |origin| origin as u64 + 1),
            course.distant_days.to_bits(),
        ]);
    }
    words.into_iter().fold(hash, |hash, word| {
        (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn digest_of(seed: u64, indices: impl Iterator<Item = u64>) -> u64 {
    let mut simulator = Simulator::new(&common::breast(), seed);
    indices.fold(0xcbf2_9ce4_8422_2325, |hash, index| {
        digest(hash, simulator.simulate(PatientIndex(index)))
    })
}

#[test]
fn five_thousand_patients_are_golden() {
    assert_eq!(
        format!("{:016x}", digest_of(20_091_224, 0..5_000)),
        "af4f00853d13c64d"
    );
}

#[test]
fn a_patient_does_not_depend_on_those_before() {
    let scenario = common::breast();
    let mut simulator = Simulator::new(&scenario, 7);
    let forward: Vec<Patient> = (0..500)
        .map(|index| simulator.simulate(PatientIndex(index)).clone())
        .collect();
    for expected in forward.iter().rev() {
        assert_eq!(simulator.simulate(expected.index), expected);
    }
}

#[test]
fn neighbouring_patients_and_seeds_differ() {
    assert_ne!(digest_of(1, 0..1), digest_of(1, 1..2));
    assert_ne!(digest_of(1, 0..1), digest_of(2, 0..1));
    let mut simulator = Simulator::new(&common::breast(), 1);
    let mut sizes: Vec<u64> = (0..10_000)
        .map(|index| {
            let patient = simulator.simulate(PatientIndex(index));
            patient.covariates.growth_per_day.to_bits()
        })
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes.len(), 10_000, "no two patients grow alike");
}

#[test]
fn an_arm_is_the_same_alone_and_among_others() {
    let scenario = common::breast();
    let mut together = Simulator::new(&scenario, 3);
    let mut alone: Vec<Simulator> = (0..scenario.arms.len())
        .map(|arm| {
            let mut scenario = scenario.clone();
            scenario.arms = vec![scenario.arms[arm].clone()];
            Simulator::new(&scenario, 3)
        })
        .collect();
    for index in 0..4_000 {
        let patient = together.simulate(PatientIndex(index)).clone();
        for (arm, simulator) in alone.iter_mut().enumerate() {
            let single = simulator.simulate(PatientIndex(index));
            assert_eq!(single.exclusion, patient.exclusion, "patient {index}");
            assert_eq!(single.covariates, patient.covariates, "patient {index}");
            if patient.exclusion.is_none() {
                assert_eq!(
                    single.courses[0], patient.courses[arm],
                    "patient {index} in arm {arm}"
                );
            }
        }
    }
}

#[test]
fn more_arms_than_a_pass_holds_change_nothing() {
    let scenario = common::breast();
    let mut many = scenario.clone();
    for _ in 0..7 {
        many.arms.extend(scenario.arms.clone());
    }
    assert!(many.arms.len() > 64);
    let (mut few, mut many) = (Simulator::new(&scenario, 5), Simulator::new(&many, 5));
    for index in 0..1_000 {
        let expected = few.simulate(PatientIndex(index)).clone();
        let patient = many.simulate(PatientIndex(index));
        assert_eq!(patient.exclusion, expected.exclusion);
        for (arm, course) in patient.courses.iter().enumerate() {
            assert_eq!(*course, expected.courses[arm % expected.courses.len()]);
        }
    }
}

#[test]
fn a_small_limit_does_not_let_arms_depend_on_each_other() {
    // Forests that outgrow the limit after the dominating course are followed arm by arm.
    let mut scenario = common::breast();
    scenario.colonies_max = 40;
    scenario.shedding.home_probability *= 10.0;
    scenario.homing.mmp1_ceiling = 1.0;
    let mut together = Simulator::new(&scenario, 11);
    let mut alone = scenario.clone();
    alone.arms = vec![scenario.arms[11].clone()];
    let mut alone = Simulator::new(&alone, 11);
    let (mut saturated, mut frozen) = (0, 0);
    for index in 0..20_000 {
        let patient = together.simulate(PatientIndex(index)).clone();
        let single = alone.simulate(PatientIndex(index));
        assert_eq!(single.exclusion, patient.exclusion, "patient {index}");
        if patient.exclusion.is_some() {
            saturated += 1;
            continue;
        }
        assert_eq!(single.courses[0], patient.courses[11], "patient {index}");
        frozen += usize::from(single.courses[0].frozen_days.is_finite());
    }
    assert!(saturated > 100, "the limit was meant to bind: {saturated}");
    assert!(frozen > 0, "some arm was meant to be frozen");
}

#[test]
fn therapy_only_ever_helps() {
    // Coupling oracle of section 9: an arm's first recurrence of any kind is never earlier than
    // the control's, unless radiotherapy raises attraction. Nor is its first distant one, unless
    // it inhibits CXCL1: a scar colony that grows more slowly is found and treated later, and
    // what it sheds in between may found a distant colony that the control is spared.
    let scenario = common::breast();
    let mut simulator = Simulator::new(&scenario, 13);
    let (mut helped, mut harmed) = (0, 0);
    for index in 0..20_000 {
        let patient = simulator.simulate(PatientIndex(index));
        if patient.exclusion.is_some() {
            continue;
        }
        let control = patient.courses[0];
        for (arm, course) in patient.courses.iter().enumerate() {
            if scenario.arms[arm].radiotherapy {
                continue;
            }
            let earlier = course.distant_days < control.distant_days;
            if earlier {
                assert!(common::inhibits_cxcl1(&scenario, arm), "patient {index}");
                assert!(course.local_days < course.distant_days, "patient {index}");
            }
            harmed += usize::from(earlier);
            assert!(
                course.distant_days.min(course.local_days)
                    >= control.distant_days.min(control.local_days),
                "patient {index} in arm {arm}"
            );
            helped += usize::from(course != &control);
        }
    }
    assert!(helped > 1_000, "therapies were meant to act: {helped}");
    assert!(harmed < helped / 50, "{harmed} against {helped}");
}
