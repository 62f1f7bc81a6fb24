//! Which parameters make the model agree with cohorts.
//!
//! The unknown parameters are standard normal scores z: a parameter's prior quantile is Φ(z). A run
//! of the engine tries many points, each in a block of patients ([`reseed_stats::cells`]); a
//! surface ([`emulator`]) is fitted to what every block gave, and stands for the engine from then on. The
//! posterior is sampled from the surfaces and says where the next run's points should lie. Waves of
//! this kind are history matching with an emulator (Craig and others, 1997; Vernon, Goldstein and
//! Bower, Bayesian Anal 2010;5:619), and end when a wave no longer moves the posterior.
//!
//! Nothing here reads files or clocks or starts a simulation.

pub mod emulator;
mod linear;
pub mod optimum;
pub mod posterior;
mod random;
pub mod sampler;
pub mod targets;
