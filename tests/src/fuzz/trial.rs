//! Any text as a trial file.

use reseed_trial::{Trial, TrialError};

/// Name of the text in errors.
const NAME: &str = "trial.toml";

/// Reads the bytes as a trial file, in both ways in which one is read.
///
/// # Panics
/// If an error does not render or points outside of the text, or if an accepted trial does not
/// come back from its canonical forms.
pub fn trial(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Trial::parse(NAME, text) {
        Ok(trial) => comes_back(&trial),
        Err(error) => explains(&error, text),
    }
    // An identity's text is changed before it is read, so that places are not those of `text`.
    if let Err(error) = Trial::parse_identity(NAME, text, 1000, 7) {
        renders(&error);
    }
}

/// The trial equals what its canonical, documented and identity files say.
fn comes_back(trial: &Trial) {
    for file in [trial.canonical_toml(), trial.documented_toml()] {
        let again = Trial::parse(NAME, &file).unwrap_or_else(|error| panic!("{error}\n{file}"));
        assert_eq!(again, *trial, "{file}");
    }
    let identity = trial.identity_toml();
    let again = Trial::parse_identity(NAME, &identity, trial.patients, trial.seed)
        .unwrap_or_else(|error| panic!("{error}\n{identity}"));
    assert_eq!(again, *trial, "{identity}");
    assert_eq!(again.fingerprint(), trial.fingerprint());
}

/// The error renders, and its places are places of the text.
fn explains(error: &TrialError, text: &str) {
    renders(error);
    for problem in error.diagnostics() {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem:?}");
        if problem.source_name == NAME && text.len() <= 1 << 20 {
            assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
        }
    }
}

fn renders(error: &TrialError) {
    assert!(!error.diagnostics().is_empty());
    for with_colours in [false, true] {
        assert!(!error.render(with_colours).is_empty());
    }
}
