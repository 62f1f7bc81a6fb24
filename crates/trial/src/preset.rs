//! The embedded trials.

use crate::trial::Trial;

/// A disease followed by the therapies that all presets share.
macro_rules! preset {
    ($name:literal) => {
        (
            $name,
            concat!(
                include_str!(concat!("../presets/", $name, ".toml")),
                include_str!("../presets/therapies.toml")
            ),
        )
    };
}

/// A disease's targets: a head followed by the arms and priors that all share.
macro_rules! targets {
    ($name:literal) => {
        (
            $name,
            concat!(
                include_str!(concat!("../presets/", $name, ".toml")),
                include_str!("../presets/targets.toml")
            ),
        )
    };
}

/// Name and text of every preset, in the order in which they are listed.
const PRESETS: [(&str, &str); 6] = [
    preset!("breast"),
    preset!("colorectal"),
    preset!("melanoma"),
    targets!("breast-targets"),
    targets!("colorectal-targets"),
    targets!("melanoma-targets"),
];

/// Names of the presets.
pub fn preset_names() -> impl Iterator<Item = &'static str> + Clone {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The commented file of a preset.
pub fn preset_text(name: &str) -> Option<&'static str> {
    PRESETS
        .iter()
        .find(|(preset, _)| *preset == name)
        .map(|(_, text)| *text)
}

impl Trial {
    /// The trial of a preset; `None` if there is no preset of this name.
    ///
    /// # Panics
    /// If an embedded preset is not valid, which tests rule out.
    pub fn preset(name: &str) -> Option<Self> {
        let text = preset_text(name)?;
        Some(
            Self::parse(&format!("preset {name}"), text)
                .unwrap_or_else(|error| panic!("embedded preset is not valid:\n{error}")),
        )
    }
}
