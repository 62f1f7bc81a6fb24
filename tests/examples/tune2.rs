use reseed_tests::{reference::*,scenarios::*,summary::Summary,statistics::*};
fn main(){
 let s=cellular();
  let n=20000;
  let t=std::time::Instant::now();
  let ts=time_stepped::TimeStepped::new(&s,&s.arms[0],0.25);
  let mut r=generator(1);
  let a:Summary=(0..n).map(|_|ts.simulate(&mut r)).collect();
  println!("{:?}",t.elapsed());
  let t=std::time::Instant::now();
  let gi=gillespie::CellByCell::new(&s);
  let b:Summary=(0..n).map(|_|gi.simulate(&mut r)).collect();
  println!("{:?}",t.elapsed());
  let mut ag=Agreement::default();
  a.compare_tumours(&b,"c",&mut ag);
  a.compare_courses(&b,"c",&[20.,40.,60.,100.,200.],&mut ag);
  ag.assert(1);
}
