#[path = "../tests/common/mod.rs"]
mod common;
use reseed_model::*;
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let arms: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut sc = common::breast();
    sc.arms.truncate(arms);
    let mut e = Simulator::new(&sc, 1);
    let t = std::time::Instant::now();
    let mut ex = [0u64; 9];
    let mut loc = vec![[0u64; 3]; arms];
    let mut dis = vec![[0u64; 3]; arms];
    let mut mx = 0.0;
    let mut mi = 0;
    for i in 0..n {
        let t1 = std::time::Instant::now();
        let p = e.simulate(PatientIndex(i));
        let el = t1.elapsed().as_secs_f64();
        if el > mx {
            mx = el;
            mi = i;
        }
        match p.exclusion {
            Some(r) => ex[r as usize] += 1,
            None => {
                ex[8] += 1;
                for (a, c) in p.courses.iter().enumerate() {
                    for (k, y) in [2., 5., 10.].iter().enumerate() {
                        let end = y * 365.25f64;
                        if c.local_days <= end.min(p.other_death_days) {
                            loc[a][k] += 1;
                        }
                        if c.distant_days <= end.min(p.other_death_days) {
                            dis[a][k] += 1;
                        }
                    }
                }
            }
        }
    }
    let el = t.elapsed().as_secs_f64();
    println!(
        "{:.0} patients/s {:.2} us; {ex:?}; slowest {mi} {mx:.4}s",
        n as f64 / el,
        el / n as f64 * 1e6
    );
    for a in 0..arms {
        let f = |x: u64| x as f64 / ex[8] as f64;
        println!(
            "{:20} local {:.4} {:.4} {:.4} distant {:.4} {:.4} {:.4}",
            sc.arms[a].name,
            f(loc[a][0]),
            f(loc[a][1]),
            f(loc[a][2]),
            f(dis[a][0]),
            f(dis[a][1]),
            f(dis[a][2])
        );
    }
}
