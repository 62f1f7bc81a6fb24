use reseed_tests::{reference::*,scenarios::*,summary::Summary,statistics::*};
fn main(){
 let s=eventful();
 for (i,a) in s.arms.iter().enumerate(){
  let t=std::time::Instant::now();
  let step:f64=std::env::args().nth(1).map_or(0.5,|x|x.parse().unwrap());
  let ts=time_stepped::TimeStepped::new(&s,a,step);
  let mut r=generator(i as u64);
  let n=5000;
  let su:Summary=(0..n).map(|_|ts.simulate(&mut r)).collect();
  let inc=|v:&Vec<f64>,d:f64|v.iter().filter(|x|**x<=d).count() as f64/v.len() as f64;
  println!("{} enr {} ex {:?} T {:.0} share {:.3} seeds {:.2} no seeds {} lnF {:.2} nodes {:.2} neg {} ctc {} L {:.3} {:.3} {:.3} D {:.3} {:.3} {:.3} org {:?}  {:?}",a.name,su.enrolled(),su.excluded,
   su.diagnosis_days.iter().copied().collect::<Mean>().value(),su.seeded_share.iter().copied().collect::<Mean>().value(),su.seeds.value(),su.without_seeds,su.ln_flux.value(),su.nodes.value(),su.node_negative,su.ctc_positive,
   inc(&su.local_days,150.),inc(&su.local_days,300.),inc(&su.local_days,900.),inc(&su.distant_days,100.),inc(&su.distant_days,300.),inc(&su.distant_days,900.),su.origins,t.elapsed());
 }
}
