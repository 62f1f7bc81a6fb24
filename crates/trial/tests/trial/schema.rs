//! The JSON Schema agrees with the reader.

use jsonschema::Validator;
use reseed_trial::{Trial, json_schema, preset_names, preset_text};
use serde_json::Value;

fn validator() -> Validator {
    jsonschema::draft202012::new(&json_schema()).expect("the schema is a schema")
}

fn json(text: &str) -> Value {
    toml::from_str(text).expect("the text is TOML")
}

#[test]
fn presets_and_canonical_forms_fit() {
    let validator = validator();
    for name in preset_names() {
        let trial = Trial::preset(name).expect("the preset exists");
        let texts = [
            preset_text(name).expect("the preset exists").to_owned(),
            trial.canonical_toml(),
            trial.documented_toml(),
            format!("base = \"{name}\""),
        ];
        for text in texts {
            let errors: Vec<String> = validator
                .iter_errors(&json(&text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
    }
}

#[test]
fn short_files_fit_where_the_reader_takes_them() {
    let validator = validator();
    let texts = [
        "shedding.half_life_days = 0.05",
        "compare.months = [6, 12]",
        "follow_up.visits = [{ every_months = 6, until_years = 20 }]",
        "drugs.new = { like = \"siltuximab\", schedule = [{ first_day = 0, every_days = 1, doses = 3, dose_mg = 1 }] }",
        "drugs.new = { kind = \"direct\", from_day = 0, inhibits = { IL6 = 1 } }",
        "arms.tocilizumab.remove = true",
        "arms_only = [\"control\", \"azd5069\"]",
        "drugs.siltuximab.route = { kind = \"bolus\" }",
        "compare.primary = { arm = \"azd5069\", endpoint = \"rfs\", years = 10 }",
        "eligibility.age_years = { max = 70 }",
        "run.seed = 9223372036854775807",
        "run.precision = 0.05",
        "uncertainty = { design = \"morris\", priors.homing.scar_capture = { min = 0.1, max = 1 } }",
        "uncertainty = { design = \"latin-hypercube\", points = 20, priors.homing.interaction = { choices = [\"and\", \"or\"] } }",
        "uncertainty = { design = \"sobol\", priors.population.correlation.il6_il8 = { mean = 0.5, sd = 0.1 } }",
        "uncertainty = { design = \"saltelli\", priors.shedding.lung_filter = { min = 1e-4, max = 1, log = true } }",
    ];
    for text in texts {
        let text = format!("base = \"breast\"\n{text}");
        assert!(Trial::parse("trial.toml", &text).is_ok(), "reader: {text}");
        assert!(validator.is_valid(&json(&text)), "schema: {text}");
    }
}

#[test]
fn what_the_schema_refuses_the_reader_refuses() {
    let validator = validator();
    let texts = [
        "unknown = 1",
        "growth.unknown = 1",
        "homing.il6.unknown = 1",
        "drugs.siltuximab.unknown = 1",
        "drugs.siltuximab.route.unknown = 1",
        "drugs.siltuximab.schedule.unknown = 1",
        "drugs.siltuximab.schedule.cycle.unknown = 1",
        "drugs.siltuximab.peripheral.unknown = 1",
        "drugs.siltuximab.effects.unknown = { imax = 1 }",
        "drugs.siltuximab.effects.IL6.unknown = 1",
        "drugs.siltuximab.central_l.unknown = 1",
        "arms.siltuximab.unknown = 1",
        "compare.primary.unknown = 1",
        "follow_up.visits = [{ every_months = 6, until_years = 20, unknown = 1 }]",
        "eligibility.age_years.unknown = 1",
        "population.correlation.unknown = 0",
        "arms.\"a b\".drugs = []",
        "growth.plateau_cells = 0",
        "growth.plateau_cells = \"3e12\"",
        "dormancy.probability = 1.1",
        "homing.interaction = \"xor\"",
        "run.patients = 0",
        "run.precision = 0",
        "run.precision = 10.1",
        "run.records = 1",
        "base = \"lung\"",
        "drugs.new = { kind = \"direct\", from_day = 0, inhibits = { IL6 = 1 }, central_l = 1 }",
        "drugs.new = { kind = \"dosed\", from_day = 0 }",
        "uncertainty = { design = \"random\", priors.homing.scar_capture = { min = 0.1, max = 1 } }",
        "uncertainty = { design = \"sobol\", priors.homing.scar_capture = { min = 0.1, max = 101 } }",
        "uncertainty = { design = \"sobol\", priors.homing.scar_capture = { median = 1, factor = 1 } }",
        "uncertainty = { design = \"sobol\", priors.homing.scar_capture = { choices = [1] } }",
        "uncertainty = { design = \"sobol\", priors.homing.interaction = { min = 0, max = 1 } }",
        "uncertainty = { design = \"sobol\", priors.follow_up.horizon_years = { min = 5, max = 10 } }",
        "uncertainty = { design = \"sobol\", points = 1, priors.homing.scar_capture = { min = 0.1, max = 1 } }",
    ];
    for text in texts {
        let text = if text.starts_with("base") {
            text.to_owned()
        } else {
            format!("base = \"breast\"\n{text}")
        };
        assert!(Trial::parse("trial.toml", &text).is_err(), "reader: {text}");
        assert!(!validator.is_valid(&json(&text)), "schema: {text}");
    }
}

/// Without a base, the schema and the reader ask for the same keys: leaving out any one key of
/// a complete file is refused by both, or by neither.
#[test]
fn required_keys_are_the_same() {
    let validator = validator();
    let canonical = Trial::preset("breast")
        .expect("the preset exists")
        .canonical_toml();
    let complete = json(&canonical);
    let mut paths = Vec::new();
    leaves(&complete, &mut Vec::new(), &mut paths);
    assert!(paths.len() > 200);
    for path in paths {
        let mut partial = complete.clone();
        remove(&mut partial, &path);
        let text = toml::to_string(&partial).expect("JSON without null is TOML");
        let reader = Trial::parse("trial.toml", &text).is_ok();
        let schema = validator.is_valid(&partial);
        // Which drugs and arms others refer to is beyond the schema: only the reader refuses.
        let is_named = path.len() <= 2 && ["drugs", "arms"].contains(&path[0].as_str());
        assert!(
            reader == schema || (is_named && schema),
            "{path:?}: reader {reader}, schema {schema}"
        );
    }
}

/// Paths of all keys, tables' included.
fn leaves(value: &Value, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    if let Value::Object(table) = value {
        for (key, value) in table {
            path.push(key.clone());
            paths.push(path.clone());
            leaves(value, path, paths);
            path.pop();
        }
    }
}

fn remove(value: &mut Value, path: &[String]) {
    let (last, parents) = path.split_last().expect("a path has a key");
    let mut table = value;
    for key in parents {
        table = &mut table[key];
    }
    table
        .as_object_mut()
        .expect("parents are tables")
        .remove(last);
}

#[test]
fn keys_are_described() {
    fn walk(schema: &Value, path: &str, undescribed: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (key, value) in properties {
                let path = format!("{path}.{key}");
                let is_trivial = ["min", "max", "median", "cv", "kind"].contains(&key.as_str());
                if value["description"].as_str().is_none_or(str::is_empty) && !is_trivial {
                    undescribed.push(path.clone());
                }
                walk(value, &path, undescribed);
            }
        }
    }
    let schema = json_schema();
    let mut undescribed = Vec::new();
    for (key, value) in schema["properties"].as_object().expect("a table") {
        walk(value, key, &mut undescribed);
    }
    assert!(undescribed.is_empty(), "{undescribed:?}");
    assert_eq!(
        schema["properties"]["growth"]["properties"]["plateau_cells"]["description"],
        "plateau K of the Gompertz curve (above 1e6 and at most 1e16 cells)"
    );
    assert_eq!(
        schema["properties"]["run"]["properties"]["colonies_max"]["default"],
        10_000
    );
}
