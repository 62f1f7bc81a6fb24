//! Every class of error: where it points, what it says, why, and what it suggests.

use reseed_trial::Trial;

/// Asserts the problems of a trial file, one line each: `line:column`, the offending text,
/// problem, reason and suggestion.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let error = Trial::parse("trial.toml", text).expect_err("the trial is wrong");
    let found: Vec<String> = error
        .diagnostics()
        .iter()
        .map(|problem| {
            let place = if problem.source_name == "trial.toml" {
                let offending: String = text[problem.span.clone()].chars().take(40).collect();
                format!("{}:{} `{offending}`", problem.line, problem.column)
            } else {
                problem.source_name.clone()
            };
            let suggestion = problem.suggestion.as_deref().unwrap_or("-");
            format!(
                "{place} {} | {} | {suggestion}",
                problem.message, problem.reason
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn syntax_errors_show_the_place() {
    check(
        r#"name = "x
base = 3"#,
        &[r#"1:10 `` the file is not valid TOML | invalid basic string, expected `"` | -"#],
    );
}

#[test]
fn duplicate_keys() {
    check(
        r#"base = "breast"
[run]
seed = 1
seed = 2"#,
        &[
            "4:1 `seed` duplicate key | this key was already given in the same table | keep one of the two",
        ],
    );
}

#[test]
fn duplicate_tables() {
    check(
        r#"base = "breast"
[run]
seed = 1
[run]
patients = 2"#,
        &[
            "4:2 `run` duplicate key | this key was already given in the same table | keep one of the two",
        ],
    );
}

#[test]
fn unknown_base() {
    check(
        r#"base = "brest""#,
        &[
            r#"1:8 `"brest"` unknown preset `brest` | must be one of: breast, colorectal, melanoma, breast-targets, colorectal-targets, melanoma-targets | did you mean `breast`?"#,
        ],
    );
}

#[test]
fn base_of_the_wrong_type() {
    check(
        "base = 1",
        &["1:8 `1` `base` must be the name of a preset | this is a whole number | -"],
    );
}

#[test]
fn unknown_top_level_key() {
    check(
        r#"base = "breast"
grow = 1"#,
        &[
            "2:1 `grow` unknown key `grow` in the trial file | nothing has this name here | did you mean `growth`?",
        ],
    );
}

#[test]
fn unknown_key_with_a_suggestion() {
    check(
        r#"base = "breast"
[growth]
plateau_cell = 1e12"#,
        &[
            "3:1 `plateau_cell` unknown key `plateau_cell` in [growth] | nothing has this name here | did you mean `plateau_cells`?",
        ],
    );
}

#[test]
fn unknown_key_without_a_suggestion() {
    check(
        r#"base = "breast"
[detection]
zzz = 1"#,
        &[
            "3:1 `zzz` unknown key `zzz` in [detection] | nothing has this name here | known here: scar_cells, distant_cells",
        ],
    );
}

#[test]
fn unknown_table_in_a_table() {
    check(
        r#"base = "breast"
[homing.il7]
weight = 1"#,
        &[
            "2:9 `il7` unknown key `il7` in [homing] | nothing has this name here | did you mean `il8`?",
        ],
    );
}

#[test]
fn number_below_its_range() {
    check(
        r#"base = "breast"
[growth]
plateau_cells = -1"#,
        &[
            "3:17 `-1` `plateau_cells` is out of range | must be above 1e6 and at most 1e16 cells | -",
        ],
    );
}

#[test]
fn number_above_its_range() {
    check(
        r#"base = "breast"
[dormancy]
probability = 1.5"#,
        &["3:15 `1.5` `probability` is out of range | must be from 0 to 1 | -"],
    );
}

#[test]
fn number_at_an_excluded_limit() {
    check(
        r#"base = "breast"
[population]
size_median_mm = 0"#,
        &["3:18 `0` `size_median_mm` is out of range | must be above 0 and at most 500 mm | -"],
    );
}

#[test]
fn number_in_quotes() {
    check(
        r#"base = "breast"
[growth]
colony_sigma = "0.25""#,
        &[
            r#"3:16 `"0.25"` `colony_sigma` must be a number | this is a string | remove the quotes"#,
        ],
    );
}

#[test]
fn number_that_is_a_flag() {
    check(
        r#"base = "breast"
[growth]
colony_sigma = true"#,
        &["3:16 `true` `colony_sigma` must be a number | this is true or false | -"],
    );
}

#[test]
fn number_that_is_a_date() {
    check(
        r#"base = "breast"
[growth]
colony_sigma = 1979-05-27"#,
        &["3:16 `1979-05-27` `colony_sigma` must be a number | this is a date or time | -"],
    );
}

#[test]
fn not_a_number() {
    check(
        r#"base = "breast"
[growth]
colony_sigma = nan"#,
        &["3:16 `nan` `colony_sigma` must be a finite number | this is not a number | -"],
    );
}

#[test]
fn infinite_number() {
    check(
        r#"base = "breast"
[growth]
plateau_cells = inf"#,
        &[
            "3:17 `inf` `plateau_cells` must be a finite number | this is infinite, or too large for any number | -",
        ],
    );
}

#[test]
fn number_too_large_for_any_type() {
    check(
        r#"base = "breast"
[growth]
plateau_cells = 1e999"#,
        &[
            "3:17 `1e999` `plateau_cells` must be a finite number | this is infinite, or too large for any number | -",
        ],
    );
}

#[test]
fn whole_number_too_large_for_any_type() {
    check(
        r#"base = "breast"
[run]
seed = 18446744073709551616"#,
        &[
            "3:8 `18446744073709551616` `seed` is out of range | must be a whole number from 0 to 18446744073709551615 | -",
        ],
    );
}

#[test]
fn negative_count() {
    check(
        r#"base = "breast"
[run]
patients = -1"#,
        &[
            "3:12 `-1` `patients` is out of range | must be a whole number from 1 to 100000000000 | -",
        ],
    );
}

#[test]
fn fractional_count() {
    check(
        r#"base = "breast"
[run]
patients = 1.5"#,
        &[
            "3:12 `1.5` `patients` is out of range | must be a whole number from 1 to 100000000000 | -",
        ],
    );
}

#[test]
fn no_patients() {
    check(
        r#"base = "breast"
[run]
patients = 0"#,
        &[
            "3:12 `0` `patients` is out of range | must be a whole number from 1 to 100000000000 | -",
        ],
    );
}

#[test]
fn precision_of_nothing() {
    check(
        r#"base = "breast"
[run]
precision = 0"#,
        &[
            "3:13 `0` `precision` is out of range | must be above 0 and at most 10 percentage points | -",
        ],
    );
}

#[test]
fn more_cells_than_a_block_may_keep() {
    check(
        r#"base = "breast"
strata.nodes = [0, 3]
strata.size_mm = [10, 20, 30, 50]
[uncertainty]
design = "sobol"
half_years = 80
[uncertainty.priors]
homing.scar_capture = { min = 0.1, max = 1 }"#,
        &[
            "6:14 `80` too many counts to keep for each block | 12 arms, 15 strata, 80 half-years and 5 kinds of events make 72000 counts, at most 65536 are possible | leave out arms (arms_only), strata or half-years",
        ],
    );
}

#[test]
fn precision_of_blocks() {
    check(
        r#"base = "breast"
[run]
block_patients = 1000
precision = 0.05"#,
        &[
            "4:13 `0.05` a run with blocks cannot end at a precision | a block has a number of patients of its own | leave out precision or block_patients",
        ],
    );
}

#[test]
fn blocks_of_hardly_anybody() {
    check(
        r#"base = "breast"
[run]
block_patients = 99"#,
        &[
            "3:18 `99` `block_patients` is out of range | must be a whole number from 100 to 100000000 | -",
        ],
    );
}

#[test]
fn precision_of_the_wrong_type() {
    check(
        r#"base = "breast"
[run]
precision = "0.05""#,
        &[r#"3:13 `"0.05"` `precision` must be a number | this is a string | remove the quotes"#],
    );
}

#[test]
fn precision_without_a_comparison() {
    check(
        r#"base = "breast"
arms_only = ["control"]
[run]
precision = 0.05"#,
        &[
            "4:13 `0.05` there is no comparison to be precise about | the trial has no arm but the control | add an arm, or remove precision",
        ],
    );
}

#[test]
fn precision_of_the_control_against_itself() {
    check(
        r#"base = "breast"
run.precision = 0.05
compare.primary.arm = "control""#,
        &[
            r#"3:23 `"control"` the primary comparison is of the control with itself | this arm is the control | name another arm"#,
        ],
    );
}

#[test]
fn count_in_quotes() {
    check(
        r#"base = "breast"
[run]
patients = "many""#,
        &[r#"3:12 `"many"` `patients` must be a whole number | this is a string | -"#],
    );
}

#[test]
fn flag_in_quotes() {
    check(
        r#"base = "breast"
[run]
records = "true""#,
        &[
            r#"3:11 `"true"` `records` must be true or false | this is a string | remove the quotes"#,
        ],
    );
}

#[test]
fn choice_with_a_suggestion() {
    check(
        r#"base = "breast"
[homing]
interaction = "additiv""#,
        &[
            r#"3:15 `"additiv"` `interaction` cannot be `additiv` | must be one of: additive, and, or | did you mean `additive`?"#,
        ],
    );
}

#[test]
fn choice_of_the_wrong_type() {
    check(
        r#"base = "breast"
[homing]
interaction = 1"#,
        &["3:15 `1` `interaction` must be a string | this is a whole number | -"],
    );
}

#[test]
fn table_that_is_a_number() {
    check(
        r#"base = "breast"
growth = 1"#,
        &["2:10 `1` `growth` must be a table | this is a whole number | -"],
    );
}

#[test]
fn same_value_in_two_units() {
    check(
        r#"base = "breast"
[follow_up]
horizon_years = 10
horizon_days = 3652.5"#,
        &[
            "3:1 `horizon_years` `horizon_days` and `horizon_years` say the same thing twice | the value is already given in another unit | keep one of the two",
        ],
    );
}

#[test]
fn range_after_conversion() {
    check(
        r#"base = "breast"
[follow_up]
horizon_years = 1000"#,
        &[
            "3:17 `1000` `horizon_years` is out of range | 1000 years is 365250 days, must be from 30 to 36525 days | -",
        ],
    );
}

#[test]
fn name_with_spaces() {
    check(
        r#"base = "breast"
name = "my trial""#,
        &[
            r#"2:8 `"my trial"` name `my trial` is not a name | must be 1 to 64 of A-Z, a-z, 0-9 and `_+.-` | for example `my_trial`"#,
        ],
    );
}

#[test]
fn empty_title() {
    check(
        r#"base = "breast"
title = """#,
        &[r#"2:9 `""` `title` is not usable | must be one line of 1 to 200 characters | -"#],
    );
}

#[test]
fn title_of_two_lines() {
    check(
        r#"base = "breast"
title = "a\nb""#,
        &[r#"2:9 `"a\nb"` `title` is not usable | must be one line of 1 to 200 characters | -"#],
    );
}

#[test]
fn limits_of_size_reversed() {
    check(
        r#"base = "breast"
[population]
size_min_mm = 200"#,
        &["3:15 `200` size_max_mm is not above size_min_mm | must be above 200 mm | -"],
    );
}

#[test]
fn largest_tumour_above_the_plateau() {
    check(
        r#"base = "breast"
[population]
size_max_mm = 200"#,
        &[
            "3:15 `200` the largest tumour is not below the plateau | 200 mm are 4.1887902e12 cells, growth.plateau_cells is 3.1e12 | lower size_max_mm, or raise plateau_cells",
        ],
    );
}

#[test]
fn breslow_without_aspect() {
    check(
        r#"base = "breast"
[population]
size_measure = "breslow""#,
        &[
            r#"3:16 `"breslow"` breslow_aspect is missing | Breslow thickness needs the disc's diameter over thickness | for example breslow_aspect = 5.0"#,
        ],
    );
}

#[test]
fn aspect_of_a_sphere() {
    check(
        r#"base = "breast"
[population]
breslow_aspect = 5"#,
        &[
            r#"3:18 `5` breslow_aspect has no meaning here | size is a diameter | remove it, or set size_measure = "breslow""#,
        ],
    );
}

#[test]
fn correlation_not_positive_definite() {
    check(
        r#"base = "breast"
[population.correlation]
growth_size = 0.9
growth_shedding = 0.9
size_shedding = -0.9"#,
        &[
            "4:19 `0.9` the correlation matrix is not positive definite | no traits can be correlated like this: shedding contradicts the correlations before it | bring nearer to 0: growth_shedding, size_shedding",
        ],
    );
}

#[test]
fn correlation_in_the_other_order() {
    check(
        r#"base = "breast"
[population.correlation]
size_growth = 0.1"#,
        &[
            "3:1 `size_growth` unknown key `size_growth` in [population.correlation] | nothing has this name here | did you mean `growth_size`?",
        ],
    );
}

#[test]
fn weights_do_not_add_up() {
    check(
        r#"base = "breast"
[homing]
base_weight = 0.25"#,
        &[
            "3:15 `0.25` the weights of attraction do not add up to 1 | base_weight, il6.weight and il8.weight add up to 1.1 | with the other two as they are, base_weight would be 0.15",
        ],
    );
}

#[test]
fn detection_above_the_plateau() {
    check(
        r#"base = "breast"
[detection]
scar_cells = 1e13"#,
        &[
            "3:14 `1e13` `scar_cells` is never reached | must be below growth.plateau_cells, 3.1e12 | -",
        ],
    );
}

#[test]
fn detection_below_a_founder() {
    check(
        r#"base = "breast"
[detection]
distant_cells = 5"#,
        &[
            "3:17 `5` `distant_cells` is no bigger than what a founder starts as | must be at least 10/growth.establishment, 35.7142857 | -",
        ],
    );
}

#[test]
fn eligibility_reversed() {
    check(
        r#"base = "breast"
[eligibility]
age_years = { min = 70, max = 50 }"#,
        &[
            "3:13 `{ min = 70, max = 50 }` `age_years` admits nobody | min 70 is above max 50 | exchange the two",
        ],
    );
}

#[test]
fn eligibility_of_the_wrong_type() {
    check(
        r#"base = "breast"
[eligibility]
age_years = 70"#,
        &[
            "3:13 `70` `age_years` must be a table such as { min = 1, max = 2 } | this is a whole number | -",
        ],
    );
}

#[test]
fn eligibility_unknown_side() {
    check(
        r#"base = "breast"
[eligibility]
age_years = { minimum = 70 }"#,
        &[
            "3:15 `minimum` unknown key `minimum` in age_years | nothing has this name here | did you mean `min`?",
        ],
    );
}

#[test]
fn cuts_not_increasing() {
    check(
        r#"base = "breast"
[strata]
size_mm = [50, 20]"#,
        &[
            "3:16 `20` `size_mm` must increase | not above the value before it | sort the list and remove repetitions",
        ],
    );
}

#[test]
fn cuts_repeated() {
    check(
        r#"base = "breast"
[strata]
size_mm = [20, 20]"#,
        &[
            "3:16 `20` `size_mm` must increase | not above the value before it | sort the list and remove repetitions",
        ],
    );
}

#[test]
fn cuts_of_the_wrong_type() {
    check(
        r#"base = "breast"
[strata]
size_mm = 20"#,
        &["3:11 `20` `size_mm` must be a list of numbers | this is a whole number | -"],
    );
}

#[test]
fn cuts_of_nodes_not_whole() {
    check(
        r#"base = "breast"
[strata]
nodes = [0.5]"#,
        &["3:9 `[0.5]` nodes come in whole numbers | cut points must be whole | -"],
    );
}

#[test]
fn too_many_strata() {
    let cuts: Vec<u32> = (1..64).collect();
    check(
        &format!(
            "base = \"breast\"\n[strata]\nsize_mm = {cuts:?}\nage_years = {cuts:?}\nnodes = [0]"
        ),
        &[
            "2:1 `[strata]` too many strata | 8192 combinations, at most 4096 are allowed | use fewer cut points",
        ],
    );
}

#[test]
fn visits_end_early() {
    check(
        r#"base = "breast"
[follow_up]
visits = [{ every_months = 6, until_years = 5 }]"#,
        &[
            "3:10 `[{ every_months = 6, until_years = 5 }]` visits end before follow-up does | the last is on day 1826.25, the horizon is day 7305 | add visits up to the horizon or beyond, or shorten the horizon",
        ],
    );
}

#[test]
fn visits_in_two_ways() {
    check(
        r#"base = "breast"
[follow_up]
visits_days = [8000]
visits = [{ every_months = 6, until_years = 20 }]"#,
        &[
            "3:1 `visits_days` `visits` and `visits_days` say the same thing twice | visits are already given by intervals | keep one of the two",
        ],
    );
}

#[test]
fn visits_without_an_interval() {
    check(
        r#"base = "breast"
[follow_up]
visits = [{ until_years = 20 }]"#,
        &[
            "3:11 `{ until_years = 20 }` the visits must say it in one way | needs exactly one of `every_months` and `every_days` | -",
        ],
    );
}

#[test]
fn visits_that_go_back() {
    check(
        r#"base = "breast"
[follow_up]
visits = [{ every_months = 6, until_years = 20 }, { every_months = 6, until_years = 10 }]"#,
        &[
            "3:51 `{ every_months = 6, until_years = 10 }` these visits end before they begin | until 3652.5 days, but the visits before last until 7305 days | -",
        ],
    );
}

#[test]
fn too_many_visits() {
    check(
        r#"base = "breast"
[follow_up]
visits = [{ every_days = 0.001, until_years = 20 }]"#,
        &[
            "3:11 `{ every_days = 0.001, until_years = 20 }` too many visits | at most 1200 are allowed | -",
        ],
    );
}

#[test]
fn visits_not_sorted() {
    check(
        r#"base = "breast"
[follow_up]
visits_days = [100, 50, 8000]"#,
        &[
            "3:21 `50` `visits_days` must increase | not above the value before it | sort the list and remove repetitions",
        ],
    );
}

#[test]
fn comparison_between_months() {
    check(
        r#"base = "breast"
[compare]
days = [100]"#,
        &[
            "3:8 `[100]` arms cannot be compared at this time | day 100 is not the end of a month | the nearest is day 91.3125, 3 months",
        ],
    );
}

#[test]
fn comparison_after_the_horizon() {
    check(
        r#"base = "breast"
[compare]
years = [25]"#,
        &[
            "3:9 `[25]` arms cannot be compared at this time | day 9131.25 is after the horizon | the nearest is day 7305, 240 months",
        ],
    );
}

#[test]
fn no_comparison() {
    check(
        r#"base = "breast"
[compare]
years = []"#,
        &[
            "3:9 `[]` there is no time of comparison | needs at least one | for example years = [2, 5, 10]",
        ],
    );
}

#[test]
fn primary_arm_unknown() {
    check(
        r#"base = "breast"
[compare]
primary.arm = "siltuximap""#,
        &[
            r#"3:15 `"siltuximap"` unknown arm `siltuximap` | no arm of this trial has this name | did you mean `siltuximab`?"#,
        ],
    );
}

#[test]
fn primary_endpoint_unknown() {
    check(
        r#"base = "breast"
[compare]
primary.endpoint = "locall""#,
        &[
            r#"3:20 `"locall"` `endpoint` cannot be `locall` | must be one of: local, distant, rfs, death | did you mean `local`?"#,
        ],
    );
}

#[test]
fn primary_is_the_control() {
    check(
        r#"base = "breast"
[compare]
primary.arm = "control""#,
        &[
            r#"3:15 `"control"` the primary comparison is of the control with itself | this arm is the control | name another arm"#,
        ],
    );
}

#[test]
fn control_unknown() {
    check(
        r#"base = "breast"
control = "kontrol""#,
        &[
            r#"2:11 `"kontrol"` the trial has no control | no arm of this trial is called `kontrol` | did you mean `control`?"#,
        ],
    );
}

#[test]
fn control_removed() {
    check(
        r#"base = "breast"
arms_only = ["siltuximab"]"#,
        &[
            r#"2:13 `["siltuximab"]` the trial has no control | no arm of this trial is called `control` | keep that arm, or set control = "siltuximab""#,
        ],
    );
}

#[test]
fn arms_only_unknown() {
    check(
        r#"base = "breast"
arms_only = ["control", "siltuximap"]"#,
        &[
            r#"2:25 `"siltuximap"` unknown arm `siltuximap` | no arm has this name | did you mean `siltuximab`?"#,
        ],
    );
}

#[test]
fn arms_only_repeated() {
    check(
        r#"base = "breast"
arms_only = ["control", "control"]"#,
        &[r#"2:25 `"control"` `control` is named twice | already in this list | remove it"#],
    );
}

#[test]
fn arm_name_with_spaces() {
    check(
        r#"base = "breast"
[arms."my arm"]
drugs = []"#,
        &[
            r#"2:7 `"my arm"` arm `my arm` is not a name | must be 1 to 64 of A-Z, a-z, 0-9 and `_+.-` | for example `my_arm`"#,
        ],
    );
}

#[test]
fn arm_with_an_unknown_drug() {
    check(
        r#"base = "breast"
[arms.new]
drugs = ["siltuximap"]"#,
        &[
            r#"3:10 `"siltuximap"` unknown drug `siltuximap` in [arms.new] | no drug has this name | did you mean `siltuximab`?"#,
        ],
    );
}

#[test]
fn arm_with_a_drug_twice() {
    check(
        r#"base = "breast"
[arms.new]
drugs = ["siltuximab", "siltuximab"]"#,
        &[r#"3:24 `"siltuximab"` `siltuximab` is named twice | already in this list | remove it"#],
    );
}

#[test]
fn arm_with_a_molecule_twice() {
    check(
        r#"base = "breast"
[arms.new]
drugs = ["siltuximab", "siltuximab-perioperative"]"#,
        &[
            r#"3:24 `"siltuximab-perioperative"` [arms.new] gives the molecule `siltuximab` twice | `siltuximab` is the same molecule | make one drug whose schedule is a list of both runs of doses"#,
        ],
    );
}

#[test]
fn arm_that_is_a_number() {
    check(
        r#"base = "breast"
[arms]
new = 1"#,
        &["3:7 `1` `new` must be a table | this is a whole number | -"],
    );
}

#[test]
fn arm_with_an_unknown_key() {
    check(
        r#"base = "breast"
[arms.new]
drug = []"#,
        &[
            "3:1 `drug` unknown key `drug` in [arms.new] | nothing has this name here | did you mean `drugs`?",
        ],
    );
}

#[test]
fn radiotherapy_twice() {
    check(
        r#"base = "breast"
[local_treatment]
kind = "radiotherapy"
[arms.new]
radiotherapy = true"#,
        &[
            r#"3:8 `"radiotherapy"` arm `radiotherapy` adds radiotherapy to radiotherapy | local_treatment.kind = "radiotherapy" already irradiates every arm | remove it, or the arm: [arms.radiotherapy] remove = true"#,
            r#"5:16 `true` arm `new` adds radiotherapy to radiotherapy | local_treatment.kind = "radiotherapy" already irradiates every arm | remove it, or the arm: [arms.new] remove = true"#,
        ],
    );
}

#[test]
fn drug_before_diagnosis() {
    check(
        r#"base = "breast"
[drugs.siltuximab.schedule]
first_day = -31"#,
        &[
            "3:13 `-31` treatment before diagnosis | resection follows diagnosis by 30 days, so day -31 is too early | start on day -30 or later, or lengthen local_treatment.delay_days",
        ],
    );
}

#[test]
fn direct_drug_before_diagnosis() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "direct"
from_day = -40
inhibits = { IL6 = 0.5 }"#,
        &[
            "4:12 `-40` treatment before diagnosis | resection follows diagnosis by 30 days, so day -40 is too early | start on day -30 or later, or lengthen local_treatment.delay_days",
        ],
    );
}

#[test]
fn direct_drug_that_ends_first() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "direct"
from_day = 40
until_day = 30
inhibits = { IL6 = 0.5 }"#,
        &["5:13 `30` the drug ends before it begins | must be after from_day, 40 | -"],
    );
}

#[test]
fn direct_drug_without_inhibition() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "direct"
from_day = 0
inhibits = { }"#,
        &[
            "5:12 `{ }` the drug does nothing | no gene product is inhibited | give one of IL6, IL8, MMP1, FSCN1, CXCL1, such as IL6 = 0.8",
        ],
    );
}

#[test]
fn direct_drug_with_an_unknown_gene() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "direct"
from_day = 0
inhibits = { IL-6 = 0.5 }"#,
        &[
            "5:14 `IL-6` unknown key `IL-6` in [drugs.new.inhibits] | nothing has this name here | did you mean `IL6`?",
        ],
    );
}

#[test]
fn direct_drug_with_doses() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "direct"
from_day = 0
inhibits = { IL6 = 0.5 }
clearance_l_per_day = 1"#,
        &[
            r#"6:1 `clearance_l_per_day` `clearance_l_per_day` does not belong in [drugs.new] | only a dosed drug has it | remove it, or set kind = "dosed""#,
        ],
    );
}

#[test]
fn drug_of_an_unknown_kind() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "doses""#,
        &[
            r#"3:8 `"doses"` `kind` cannot be `doses` | must be one of: direct, dosed | did you mean `dosed`?"#,
        ],
    );
}

#[test]
fn drug_without_a_kind() {
    check(
        r#"base = "breast"
[drugs.new]
from_day = 0"#,
        &[
            r#"2:1 `[drugs.new]` key `kind` is missing in [drugs.new] | needs `kind`: direct: a constant inhibition; dosed: through a concentration | give it, or inherit it from another drug with `like = "NAME"`"#,
        ],
    );
}

#[test]
fn drug_like_an_unknown_one() {
    check(
        r#"base = "breast"
[drugs.new]
like = "siltuximap""#,
        &[
            r#"3:8 `"siltuximap"` unknown drug `siltuximap` | no drug has this name | did you mean `siltuximab`?"#,
        ],
    );
}

#[test]
fn drug_like_one_that_is_like_another() {
    check(
        r#"base = "breast"
[drugs.new]
like = "siltuximab-perioperative""#,
        &[
            r#"3:8 `"siltuximab-perioperative"` `siltuximab-perioperative` is itself like another drug | inheritance goes one step only | name the drug that holds the values"#,
        ],
    );
}

#[test]
fn dosed_drug_that_lacks_everything() {
    check(
        r#"base = "breast"
[drugs.new]
kind = "dosed""#,
        &[
            r#"2:1 `[drugs.new]` key `schedule` is missing in [drugs.new] | needs `schedule`: when and how much: one regular run of doses, or a list of them | give it, or inherit it from another drug with `like = "NAME"`"#,
            r#"2:1 `[drugs.new]` key `route` is missing in [drugs.new] | needs `route`: how a dose enters | give it, or inherit it from another drug with `like = "NAME"`"#,
            r#"2:1 `[drugs.new]` key `clearance_l_per_day` is missing in [drugs.new] | needs `clearance_l_per_day`: clearance; over bioavailability where that is how it was published | give it, or inherit it from another drug with `like = "NAME"`"#,
            r#"2:1 `[drugs.new]` key `central_l` is missing in [drugs.new] | needs `central_l`: central volume | give it, or inherit it from another drug with `like = "NAME"`"#,
            r#"2:1 `[drugs.new]` key `tissue_fraction` is missing in [drugs.new] | needs `tissue_fraction`: share of the plasma concentration that acts in the tissue | give it, or inherit it from another drug with `like = "NAME"`"#,
            r#"2:1 `[drugs.new]` key `effects` is missing in [drugs.new] | needs `effects`: effect by gene product | give it, or inherit it from another drug with `like = "NAME"`"#,
        ],
    );
}

#[test]
fn schedule_with_two_ends() {
    check(
        r#"base = "breast"
[drugs.siltuximab.schedule]
until_day = 10
doses = 3"#,
        &[
            "2:1 `[drugs.siltuximab.schedule]` the schedule must end in one way | needs exactly one of `until_day` and `doses` | -",
        ],
    );
}

#[test]
fn schedule_with_two_doses() {
    check(
        r#"base = "breast"
[drugs.siltuximab.schedule]
dose_mg = 10
dose_mg_per_kg = 3"#,
        &[
            "2:1 `[drugs.siltuximab.schedule]` the schedule must give the dose in one way | needs exactly one of `dose_mg` and `dose_mg_per_kg` | -",
        ],
    );
}

#[test]
fn schedule_without_a_dose() {
    check(
        r#"base = "breast"
[drugs.siltuximab.schedule]
until_day = -1"#,
        &[
            "2:1 `[drugs.siltuximab.schedule]` the schedule has no dose | until_day -1 is not after first_day 0 | -",
        ],
    );
}

#[test]
fn schedule_too_long() {
    check(
        r#"base = "breast"
[drugs.siltuximab.schedule]
doses = 100000"#,
        &[
            "2:1 `[drugs.siltuximab.schedule]` the schedule is too long | the last dose is later than day 36525 | -",
        ],
    );
}

#[test]
fn schedule_with_too_many_doses() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
schedule = { first_day = 0, every_days = 0.02, until_years = 100, dose_mg = 1 }"#,
        &[
            "3:12 `{ first_day = 0, every_days = 0.02, unti` an infusion is longer than the interval between doses | 0.0416666667 days every 0.02 days | shorten `route.hours` or lengthen `every_days`",
            "3:12 `{ first_day = 0, every_days = 0.02, unti` the schedule has too many doses | at most 100000 regular doses are allowed | -",
        ],
    );
}

#[test]
fn schedule_with_too_many_cycles() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
schedule = { first_day = 0, every_days = 1, until_years = 100, dose_mg = 1, cycle = { on_days = 1, of_days = 2 } }"#,
        &[
            "3:12 `{ first_day = 0, every_days = 1, until_y` the schedule is too long | 1025 runs of doses, at most 1024 are allowed | lengthen the cycle or shorten the treatment",
        ],
    );
}

#[test]
fn cycle_shorter_than_its_doses() {
    check(
        r#"base = "breast"
[drugs.reparixin.schedule]
cycle.on_days = 30"#,
        &[
            "2:1 `[drugs.reparixin.schedule]` the cycle is shorter than its days with doses | on_days 30 is above of_days 28 | -",
        ],
    );
}

#[test]
fn cycle_without_an_end() {
    check(
        r#"base = "breast"
[drugs.reparixin.schedule]
doses = 30"#,
        &[
            "2:1 `[drugs.reparixin.schedule]` a cycle needs an end | give `until_day` in place of `doses` | -",
        ],
    );
}

#[test]
fn empty_schedule() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
schedule = []"#,
        &["3:12 `[]` the schedule cannot be used | 0 runs of doses, must be 1 to 1024 | -"],
    );
}

#[test]
fn infusion_longer_than_the_interval() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
route = { kind = "infusion", days = 22 }"#,
        &[
            r#"3:9 `{ kind = "infusion", days = 22 }` an infusion is longer than the interval between doses | 22 days every 21 days | shorten `route.hours` or lengthen `every_days`"#,
        ],
    );
}

#[test]
fn route_unknown() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
route = { kind = "infused" }"#,
        &[
            r#"3:18 `"infused"` `kind` cannot be `infused` | must be one of: bolus, infusion, absorption | did you mean `infusion`?"#,
        ],
    );
}

#[test]
fn route_without_a_kind() {
    check(
        r#"base = "breast"
[drugs.new]
like = "siltuximab"
route = "bolus""#,
        &[
            r#"4:9 `"bolus"` `route` must be a table such as { kind = "infusion", hours = 1 } | this is a string | -"#,
        ],
    );
}

#[test]
fn route_with_a_foreign_key() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
route = { kind = "bolus", hours = 1 }"#,
        &[
            "3:27 `hours` unknown key `hours` in the route of [drugs.siltuximab] | nothing has this name here | known here: kind",
        ],
    );
}

#[test]
fn effect_on_an_unknown_gene() {
    check(
        r#"base = "breast"
[drugs.siltuximab.effects.IL7]
imax = 1"#,
        &[
            "2:27 `IL7` unknown key `IL7` in the drug's effects | nothing has this name here | did you mean `IL8`?",
        ],
    );
}

#[test]
fn effect_out_of_range() {
    check(
        r#"base = "breast"
[drugs.siltuximab.effects.IL6]
imax = 1.1"#,
        &["3:8 `1.1` `imax` is out of range | must be from 0 to 1 | -"],
    );
}

#[test]
fn effect_incomplete() {
    check(
        r#"base = "breast"
[drugs.siltuximab.effects.IL8]
imax = 1"#,
        &[
            r#"2:1 `[drugs.siltuximab.effects.IL8]` key `ic50_mg_per_l` is missing in the effect on IL8 | needs `ic50_mg_per_l`: concentration in the tissue of half the largest inhibition; 1 mg/L is 1 µg/mL | give it, or inherit it from another drug with `like = "NAME"`"#,
        ],
    );
}

#[test]
fn kinetics_without_a_median() {
    check(
        r#"base = "breast"
[drugs.new]
like = "siltuximab"
central_l = { cv = 0.2 }
[drugs.azd5069]
central_l = { cv = 0.2 }"#,
        &[
            "6:13 `{ cv = 0.2 }` `central_l` needs a median | no `median` here | write a number, or { median = 1.0, cv = 0.3 }",
        ],
    );
}

#[test]
fn kinetics_out_of_range() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
clearance_l_per_day = { median = 0, cv = 9 }"#,
        &[
            "3:34 `0` `median` is out of range | must be above 0 and at most 1e6 L/day | -",
            "3:42 `9` `cv` is out of range | must be from 0 to 3 | -",
        ],
    );
}

#[test]
fn list_of_runs_under_a_single_key() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
schedule = [{ first_day = 0, every_days = 21, doses = 3, dose_mg_per_kg = 11 }]"#,
        &[
            "3:12 `[{ first_day = 0, every_days = 21, doses` a drug like `siltuximab` changes single keys of its schedule | this schedule is a list, so it is not clear which run they change | use one run here, or give the other drug a whole schedule, or remove it and its arms",
        ],
    );
}

#[test]
fn like_a_faulty_drug() {
    check(
        r#"base = "breast"
[drugs.siltuximab]
central_l = -1"#,
        &["3:13 `-1` `central_l` is out of range | must be above 0 and at most 1e6 L | -"],
    );
}

#[test]
fn drug_that_is_removed_but_used() {
    check(
        r#"base = "breast"
[drugs.azd5069]
remove = true"#,
        &[
            "2:1 `[drugs.azd5069]` [arms.azd5069] needs the drug `azd5069` | this drug is removed or has no usable name | keep it, or remove the arm too: [arms.azd5069] remove = true",
        ],
    );
}

#[test]
fn shorter_follow_up() {
    check(
        r#"base = "breast"
[follow_up]
horizon_years = 5"#,
        &[
            "3:17 `5` arms cannot be compared at this time | day 3652.5 is after the horizon | the nearest is day 1826.25, 60 months",
        ],
    );
}

#[test]
fn no_arms() {
    check(
        r#"base = "breast"
arms_only = []"#,
        &["2:13 `[]` the trial has no arms | all arms are removed | keep at least the control"],
    );
}

#[test]
fn several_problems_at_once() {
    check(
        r#"base = "breast"
[growth]
plateau_cells = -1
sigma = 3
[run]
seed = "one"
[arms.new]
drugs = ["nothing"]"#,
        &[
            "3:17 `-1` `plateau_cells` is out of range | must be above 1e6 and at most 1e16 cells | -",
            "4:1 `sigma` unknown key `sigma` in [growth] | nothing has this name here | known here: plateau_cells, establishment, colony_sigma, distant_ratio, cxcl1_boost",
            r#"6:8 `"one"` `seed` must be a whole number | this is a string | -"#,
            r#"8:10 `"nothing"` unknown drug `nothing` in [arms.new] | no drug has this name | -"#,
        ],
    );
}

#[test]
fn problem_in_the_base_after_a_change() {
    check(
        r#"base = "breast"
[local_treatment]
delay_days = 7"#,
        &[
            "3:14 `7` treatment before diagnosis | resection follows diagnosis by 7 days, so day -14 is too early | start on day -7 or later, or lengthen local_treatment.delay_days",
        ],
    );
}

#[test]
fn reports_look_like_a_compiler_s() {
    let text = "base = \"breast\"\n[growth]\nplateau_cell = 1e12 # mine\n";
    let error = Trial::parse("my/trial.toml", text).expect_err("the trial is wrong");
    let expected = "\
error: unknown key `plateau_cell` in [growth]
 --> my/trial.toml:3:1
  |
3 | plateau_cell = 1e12 # mine
  | ^^^^^^^^^^^^ nothing has this name here
  |
  = help: did you mean `plateau_cells`?";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.render(false), expected);
    let coloured = error.render(true);
    assert!(coloured.contains("\u{1b}["));
    assert!(coloured.contains("plateau_cells"));
}

#[test]
fn columns_count_characters_and_lines_end_as_they_like() {
    let text = "base = \"breast\"\r\ntitle = \"Mélanome\"\r\n\"größe\" = 1\r\n";
    let error = Trial::parse("trial.toml", text).expect_err("the trial is wrong");
    let problem = &error.diagnostics()[0];
    assert_eq!((problem.line, problem.column), (3, 1));
    assert_eq!(&text[problem.span.clone()], "\"größe\"");
    let text = "base = \"breast\"\ntitle = \"é\"; x";
    let error = Trial::parse("trial.toml", text).expect_err("the trial is wrong");
    assert_eq!(error.diagnostics()[0].column, 12);
}

#[test]
fn a_file_without_a_base_must_say_everything() {
    let error = Trial::parse("trial.toml", "").expect_err("the trial is wrong");
    let missing: Vec<&str> = error
        .diagnostics()
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(
        missing,
        [
            "key `name` is missing in the trial file",
            "key `title` is missing in the trial file",
            "table `run` is missing in the trial file",
            "table `population` is missing in the trial file",
            "table `growth` is missing in the trial file",
            "table `shedding` is missing in the trial file",
            "table `dormancy` is missing in the trial file",
            "table `homing` is missing in the trial file",
            "table `local_treatment` is missing in the trial file",
            "table `detection` is missing in the trial file",
            "table `death` is missing in the trial file",
            "table `follow_up` is missing in the trial file",
            "table `compare` is missing in the trial file",
            "key `arms` is missing in the trial file",
        ]
    );
}

#[test]
fn a_missing_key_is_named_with_its_meaning() {
    let text = "[detection]\nscar_cells = 5e8\n";
    let error = Trial::parse("trial.toml", text).expect_err("the trial is wrong");
    let problem = error
        .diagnostics()
        .iter()
        .find(|problem| problem.message.contains("distant_cells"))
        .expect("the key is missing");
    assert_eq!(problem.line, 1);
    assert!(
        problem
            .reason
            .contains("size at which a distant colony is detected")
    );
    assert!(
        problem
            .suggestion
            .as_ref()
            .is_some_and(|text| text.contains("base = \"breast\""))
    );
}

#[test]
fn virtual_trials_that_last_too_long() {
    check(
        r#"base = "breast"
[virtual_trials]
accrual_months = 24
follow_up_years = 19"#,
        &[
            "4:19 `19` virtual trials last longer than patients are followed | accrual and follow-up take 252 months, the horizon is 240 months | shorten them, or raise follow_up.horizon_years",
        ],
    );
}

#[test]
fn virtual_trials_that_cannot_be_randomised() {
    check(
        r#"base = "breast"
[virtual_trials]
allocation = 1.23"#,
        &[
            "3:14 `1.23` this allocation cannot be kept in blocks of randomisation | must be a ratio of whole numbers up to 10 | for example 1, 2, 0.5 or 1.5",
        ],
    );
    check(
        r#"base = "breast"
[virtual_trials]
patients_per_arm = [50, 51]
allocation = 0.5"#,
        &[
            "3:20 `[50, 51]` patients_per_arm is no whole number of blocks of randomisation | 51 is not a multiple of 2; a block has 2 of the control and 1 of the treatment | -",
        ],
    );
}

#[test]
fn virtual_trials_of_more_than_a_block() {
    check(
        r#"base = "breast"
run.block_patients = 300
[virtual_trials]
patients_per_arm = [50, 200]"#,
        &[
            "4:20 `[50, 200]` the largest trial has more patients than a block | 400 patients of both groups, a block has 300 | raise run.block_patients",
        ],
    );
}

#[test]
fn virtual_trials_that_fill_the_memory() {
    check(
        r#"base = "breast"
run.block_patients = 100_000_000
virtual_trials.alpha = 0.01"#,
        &[
            "2:22 `100_000_000` virtual trials of such blocks do not fit into memory | 100000000 patients in 12 arms are 1200000000 times, at most 67108864 are allowed | lower run.block_patients",
        ],
    );
}

#[test]
fn virtual_trials_of_no_size() {
    check(
        r#"base = "breast"
[virtual_trials]
patients_per_arm = []"#,
        &[
            "3:20 `[]` there is no size of trial | needs at least one number of patients | for example patients_per_arm = [100, 200]",
        ],
    );
}

#[test]
fn events_that_virtual_trials_cannot_have() {
    check(
        r#"base = "breast"
[virtual_trials]
patients_per_arm = [50, 100]
events = [20.5]"#,
        &[
            "4:10 `[20.5]` events must be planned for every size of trial, or for none | 1 numbers for 2 sizes | -",
            "4:10 `[20.5]` events come in whole numbers | must be whole | -",
        ],
    );
    check(
        r#"base = "breast"
[virtual_trials]
patients_per_arm = [50, 100]
events = [60, 201]"#,
        &[
            "4:10 `[60, 201]` more events are planned than there are patients | 201 events of 200 patients | -",
        ],
    );
}

#[test]
fn uncertainty_without_design() {
    check(
        r#"base = "breast"
[uncertainty]
priors.homing.scar_capture = { min = 0.1, max = 1 }"#,
        &[
            "2:1 `[uncertainty]` key `design` is missing in [uncertainty] | needs `design`: how points are spread over the priors | say how to explore the priors, for example design = \"sobol\"",
        ],
    );
}

#[test]
fn uncertainty_of_nothing() {
    check(
        r#"base = "breast"
uncertainty = { design = "sobol", priors = {} }"#,
        &[
            "2:44 `{}` nothing is uncertain | there is no prior | give one, for example homing.scar_capture = { min = 0.05, max = 1 }",
        ],
    );
}

#[test]
fn unknown_design() {
    check(
        r#"base = "breast"
[uncertainty]
design = "sobl"
priors.homing.scar_capture = { min = 0.1, max = 1 }"#,
        &[
            r#"3:10 `"sobl"` `design` cannot be `sobl` | must be one of: sobol, latin-hypercube, morris, saltelli | did you mean `sobol`?"#,
        ],
    );
}

#[test]
fn latin_hypercube_without_points() {
    check(
        r#"base = "breast"
[uncertainty]
design = "latin-hypercube"
priors.homing.scar_capture = { min = 0.1, max = 1 }"#,
        &[
            r#"3:10 `"latin-hypercube"` a Latin hypercube needs its number of points | each factor's range is cut into so many strata | for example points = 500"#,
        ],
    );
}

#[test]
fn priors_of_unknown_keys() {
    check(
        r#"base = "breast"
[uncertainty]
design = "sobol"
[uncertainty.priors]
homing.scar_captur = { min = 0.1, max = 1 }
follow_up.horizon_years = { min = 5, max = 10 }"#,
        &[
            "5:8 `scar_captur` unknown key `scar_captur` in [uncertainty.priors.homing] | nothing has this name here | did you mean `scar_capture`?",
            "6:1 `follow_up` unknown key `follow_up` in [uncertainty.priors] | nothing has this name here | known here: population, growth, shedding, dormancy, homing, local_treatment, detection, death",
        ],
    );
}

#[test]
fn priors_in_another_unit() {
    check(
        r#"base = "breast"
[uncertainty]
design = "sobol"
[uncertainty.priors]
dormancy.waking_mean_days = { min = 6000, max = 9000 }
dormancy.probability = { min = 0, max = 0.5 }"#,
        &[
            "5:10 `waking_mean_days` `waking_mean_days` cannot have a prior | priors are in the unit of `waking_per_day` | give the prior of `waking_per_day`",
        ],
    );
}

#[test]
fn priors_that_are_none() {
    check(
        r#"base = "breast"
[uncertainty]
design = "sobol"
[uncertainty.priors]
homing.scar_capture = 1
homing.mmp1_ceiling = {}
homing.fscn1_ceiling = { min = 0.5, max = 0.5 }
homing.base_weight = { min = 0.1 }
homing.wound_fast_days = { median = 4, sd = 1 }
homing.wound_slow_days = { median = 45, factor = 1 }
homing.il6.weight = { median = 0, factor = 2 }
homing.il8.weight = { min = 0, max = 1, log = true }
shedding.lung_filter = { min = 0, max = 2 }
shedding.aggressive_fraction = { min = 0, max = 1, log = "yes" }"#,
        &[
            "5:23 `1` `scar_capture` must be a table such as { median, factor }, { mean, sd }, { min, max }, { choices } or { draws } | this is a whole number | -",
            "6:23 `{}` `mmp1_ceiling` is not a prior | nothing here says what is believed | write { median, factor }, { mean, sd }, { min, max }, { choices } or { draws }",
            "7:24 `{ min = 0.5, max = 0.5 }` the range of a prior is empty | min 0.5 is not below max 0.5 | what is certain needs no prior",
            "8:22 `{ min = 0.1 }` key `max` is missing in [uncertainty.priors.homing.base_weight] | a prior of this form needs both of its keys | write { median, factor }, { mean, sd }, { min, max }, { choices } or { draws }",
            "9:26 `{ median = 4, sd = 1 }` key `factor` is missing in [uncertainty.priors.homing.wound_fast_days] | a prior of this form needs both of its keys | write { median, factor }, { mean, sd }, { min, max }, { choices } or { draws }",
            "9:40 `sd` unknown key `sd` in [uncertainty.priors.homing.wound_fast_days] | nothing has this name here | known here: median, factor",
            "10:50 `1` `factor` is out of range | must be above 1 and at most 1e6 | -",
            "11:32 `0` `median` must be above 0 in [uncertainty.priors.homing.il6.weight] | this prior is about the logarithm | use { min, max } or { mean, sd }",
            "12:29 `0` `min` must be above 0 in [uncertainty.priors.homing.il8.weight] | this prior is about the logarithm | use { min, max } or { mean, sd }",
            "13:41 `2` `max` is out of range | must be from 0 to 1 | -",
            "14:58 `\"yes\"` `log` must be true or false | this is a string | -",
        ],
    );
}

#[test]
fn choices_that_are_none() {
    check(
        r#"base = "breast"
[uncertainty]
design = "sobol"
[uncertainty.priors]
homing.interaction = { choices = ["and"] }
homing.scar_capture = { choices = [1, 1.0] }
local_treatment.kind = { choices = ["surgery", "none"] }
shedding.lung_filter = { choices = 1 }
population.size_measure = { min = 0, max = 1 }"#,
        &[
            "5:34 `[\"and\"]` choices must be different, and at least two | 1 alternatives, from 2 to 16 are allowed | -",
            "6:39 `1.0` choices must be different, and at least two | this one is there already | -",
            "7:48 `\"none\"` `kind` cannot be `none` | must be one of: surgery, radiotherapy | -",
            "8:36 `1` `choices` must be a list | this is a whole number | -",
            "9:27 `{ min = 0, max = 1 }` key `choices` is missing in [uncertainty.priors.population.size_measure] | a prior of this form needs both of its keys | write { median, factor }, { mean, sd }, { min, max }, { choices } or { draws }",
            "9:29 `min` unknown key `min` in [uncertainty.priors.population.size_measure] | nothing has this name here | known here: choices",
            "9:38 `max` unknown key `max` in [uncertainty.priors.population.size_measure] | nothing has this name here | known here: choices",
        ],
    );
}

#[test]
fn points_that_are_no_trials() {
    check(
        r#"base = "breast"
[uncertainty]
design = "sobol"
points = 10
[uncertainty.priors]
detection.scar_cells = { choices = [1, 1e9] }"#,
        &[
            "5:1 `[uncertainty.priors]` point 1 of the design is not a valid trial | `scar_cells` is no bigger than what a founder starts as: must be at least 10/growth.establishment, 35.7142857 (detection.scar_cells = 1) | narrow the priors",
        ],
    );
}
