//! The values in a trial file, by their keys.

/// Tables that describe the patient model, in the order of a trial file.
const MODEL: [&str; 8] = [
    "population",
    "growth",
    "shedding",
    "dormancy",
    "homing",
    "local_treatment",
    "detection",
    "death",
];

/// Where a trial file says what is uncertain.
const PRIORS: &str = "uncertainty.priors";

/// Every value with its whole key, such as `homing.il6.weight`; by table as in a trial file.
pub(super) struct Settings {
    values: toml::Table,
}

/// What a run has of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held {
    /// One value.
    Value(f64),
    /// Draws of a posterior.
    Draws(Vec<f64>),
    /// A prior that is no draws.
    Prior,
}

impl Settings {
    pub(super) fn parse(trial_toml: &str) -> Result<Self, toml::de::Error> {
        let values = trial_toml.parse()?;
        Ok(Self { values })
    }

    /// What the run has of a parameter.
    pub(super) fn held(&self, key: &str) -> Option<Held> {
        match self.at(&format!("{PRIORS}.{key}")) {
            Some(prior) => match prior.get("draws").and_then(toml::Value::as_array) {
                Some(draws) => Some(Held::Draws(draws.iter().filter_map(number).collect())),
                None => Some(Held::Prior),
            },
            None => self.at(key).and_then(number).map(Held::Value),
        }
    }

    /// Keys and values of a table and of those in it.
    pub(super) fn of(&self, table: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Some(value) = self.values.get(table) {
            collect(table, value, &mut found);
        }
        found
    }

    /// Keys and values of the patient model.
    pub(super) fn of_model(&self) -> Vec<(String, String)> {
        MODEL.iter().flat_map(|table| self.of(table)).collect()
    }

    /// Names of the drugs of an arm.
    pub(super) fn drugs(&self, arm: &str) -> Vec<&str> {
        let of_arm = self.values.get("arms").and_then(|arms| arms.get(arm));
        let drugs = of_arm.and_then(|own| own.get("drugs")?.as_array());
        let drugs = drugs.into_iter().flatten();
        drugs.filter_map(toml::Value::as_str).collect()
    }

    fn at(&self, key: &str) -> Option<&toml::Value> {
        let mut steps = key.split('.');
        let first = self.values.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    }
}

fn number(value: &toml::Value) -> Option<f64> {
    let whole = |value: &toml::Value| value.as_integer().map(|whole| whole as f64);
    value.as_float().or_else(|| whole(value))
}

fn collect(key: &str, value: &toml::Value, found: &mut Vec<(String, String)>) {
    let Some(table) = value.as_table() else {
        found.push((key.to_owned(), in_words(value)));
        return;
    };
    for (name, inner) in table {
        collect(&format!("{key}.{name}"), inner, found);
    }
}

fn in_words(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: &str = "[growth]\nplateau_cells = 3.0\nfounders = 2\n[homing.il6]\nweight = 0.5\n\
         [arms.\"a+b\"]\ndrugs = [\"a\", \"b\"]\n[uncertainty.priors.growth]\n\
         plateau_cells = { draws = [1.0, 2] }\nother = { min = 0.0, max = 1.0 }\n";

    #[test]
    fn what_a_run_has_of_a_parameter_is_found() {
        let settings = Settings::parse(TRIAL).expect("TOML");
        let held = |key: &str| settings.held(key);
        assert_eq!(held("homing.il6.weight"), Some(Held::Value(0.5)));
        assert_eq!(held("growth.founders"), Some(Held::Value(2.0)));
        assert_eq!(
            held("growth.plateau_cells"),
            Some(Held::Draws(vec![1.0, 2.0]))
        );
        assert_eq!(held("growth.other"), Some(Held::Prior));
        assert_eq!(held("growth.absent"), None);
    }

    #[test]
    fn tables_are_listed_with_whole_keys() {
        let settings = Settings::parse(TRIAL).expect("TOML");
        let keys: Vec<String> = (settings.of_model().into_iter())
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let mut sorted = keys.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "growth.founders = 2",
                "growth.plateau_cells = 3.0",
                "homing.il6.weight = 0.5"
            ]
        );
        assert_eq!(settings.drugs("a+b"), ["a", "b"]);
        assert_eq!(settings.drugs("c"), Vec::<&str>::new());
    }
}
