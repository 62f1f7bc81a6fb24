use std::sync::atomic::{AtomicBool, AtomicU64};
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let text = std::fs::read_to_string(std::env::args().nth(2).unwrap()).unwrap();
    let trial = reseed_trial::Trial::parse("x", &text)
        .map_err(|e| eprintln!("{e}"))
        .unwrap();
    let mut e = reseed_engine::Engine::new(&trial, 1);
    let t = std::time::Instant::now();
    let out = e
        .simulate(0..n, &AtomicBool::new(false), &AtomicU64::new(0))
        .unwrap();
    let el = t.elapsed().as_secs_f64();
    println!(
        "{:.0} patients/s; screened {} enrolled {} excluded {:?}",
        n as f64 / el,
        out.tally.screened(),
        out.tally.enrolled().iter().sum::<u64>(),
        out.tally.excluded()
    );
    use reseed_stats::*;
    let sh = out.tally.shape().clone();
    for arm in 0..sh.arms {
        let mut s = String::new();
        for ep in Endpoint::ALL {
            for y in [2usize, 5, 10] {
                let c: u64 = (0..sh.strata)
                    .map(|st| {
                        out.tally.exits(st, arm, ep, ExitKind::Event)[..y * 12]
                            .iter()
                            .sum::<u64>()
                    })
                    .sum();
                s += &format!(
                    " {:.4}",
                    c as f64 / out.tally.enrolled().iter().sum::<u64>() as f64
                );
            }
            s += " |";
        }
        println!("{:24} {s}", trial.scenario.arms[arm].name);
    }
}
