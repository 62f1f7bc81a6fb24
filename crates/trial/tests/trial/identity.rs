//! The trial without the size, precision and seed of a run.

use reseed_trial::{Trial, preset_names};

#[test]
fn a_trial_survives_its_identity() {
    for name in preset_names() {
        let mut trial = Trial::preset(name).expect("a preset");
        let text = trial.identity_toml();
        (trial.patients, trial.seed) = (trial.whole_blocks(77), 5);
        trial.precision = Some(0.05);
        assert_eq!(trial.identity_toml(), text, "what makes a run is left out");
        trial.precision = None;
        assert_eq!(Trial::parse_identity("text", &text, 77, 5), Ok(trial));
    }
}
