//! `reseed report`, as a reader's browser, a statistician's tools and the file system meet it.

use std::fs;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::browser::Browser;

/// Twenty strata, which is what a page must have room for.
const STRATA: &str = "base = \"breast\"\nname = \"breast-strata\"\n\n[run]\npatients = 4000\n\n\
     [strata]\nnodes = [0, 3, 9, 15]\nil6_ng_per_ml = [1.0]\nil8_ng_per_ml = [10.0]\n";

/// Headings of the figures that a reader sees.
const SEEN: &str = "[...document.querySelectorAll('figure')]
    .filter((figure) => figure.getBoundingClientRect().height > 100)
    .map((figure) => figure.querySelector('title').textContent).join('; ')";
const READING: &str = "document.querySelector('#local-reading').innerText";
const CURVE: &str =
    "document.querySelector('#curves ~ .figures .series-0 .line').getAttribute('d')";
/// Lines and bands of every kind of curve of the control.
const CURVES: &str = "[...document.querySelectorAll('.curves .drawing .series-0 path')]
    .map((path) => path.getAttribute('d').replace('z', '')).join('')";

/// A bench with the result of the small trial and its report.
fn reported(arguments: &str) -> Bench {
    let bench = Bench::new();
    bench.ok("run small.toml --threads 1");
    bench.ok(&format!("report small.h5 {arguments}"));
    bench
}

/// A browser that shows the report.
fn opened(bench: &Bench) -> Browser {
    let mut browser = Browser::start();
    browser.open(&address(bench));
    browser
}

fn address(bench: &Bench) -> String {
    format!("file://{}", bench.path("small.html").display())
}

fn wide(browser: &mut Browser, width: u32) {
    let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    browser.command("Emulation.setDeviceMetricsOverride", &size);
}

/// Presses the mouse on the middle of an element.
fn click(browser: &mut Browser, selector: &str) {
    let place = format!(
        "(() => {{ const element = document.querySelector({selector:?});
            element.scrollIntoView({{block: 'center', behavior: 'instant'}});
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
    );
    let place = browser.value(&place);
    for kind in ["mousePressed", "mouseReleased"] {
        let event =
            json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
        browser.command("Input.dispatchMouseEvent", &event);
    }
}

#[test]
fn the_same_result_gives_the_same_bytes_and_other_files_stay() {
    let bench = reported("");
    let said = bench.ok("report small.h5 --out again.html").stderr;
    assert!(said.contains("again.html: "), "{said}");
    let page = fs::read_to_string(bench.path("small.html")).expect("a page");
    assert_eq!(
        page,
        fs::read_to_string(bench.path("again.html")).expect("a page")
    );
    for text in [
        "<title>small – report</title>",
        &bench.digest("small.h5"),
        "--patients 6000 --seed 11",
    ] {
        assert!(page.contains(text), "no {text}");
    }
    // No report is put over what is none.
    bench.fails(
        "report small.h5 --out small.toml",
        2,
        &["small.toml is there and is no report", "--force"],
    );
    fs::create_dir(bench.path("mine")).expect("room");
    fs::write(bench.path("mine/forest.csv"), "my own").expect("room");
    bench.fails(
        "report small.h5 --figures mine",
        2,
        &["mine is not empty", "--force"],
    );
    assert_eq!(
        fs::read_dir(bench.path("mine")).expect("a folder").count(),
        1
    );
    bench.ok("report small.h5 --out mine/forest.csv --force");
    let forced = fs::read_to_string(bench.path("mine/forest.csv")).expect("a page");
    assert_eq!(forced, page);
}

#[test]
fn what_cannot_be_reported_is_told() {
    let bench = reported("--title Mine --years 1,20");
    let page = fs::read_to_string(bench.path("small.html")).expect("a page");
    assert!(page.contains("<h1>Mine</h1>") && page.contains("Local recurrence within 20 years"));
    bench.fails(
        "report small.h5 --years 21",
        2,
        &["cannot compare at 21 years", "ends at 20 years"],
    );
    bench.fails("report absent.h5", 4, &["absent.h5"]);
    bench.fails("report small.toml --out x.html", 5, &["small.toml"]);
    bench.fails("report small.h5 --cohort absent.csv", 4, &["absent.csv"]);
    let rows = [
        ("all,local,5,0.1,0.05,0.2,here", None),
        ("all,local,5,0.3,0.05,0.2,here", Some("line 2")),
        ("all,relapse,5,0.1,0.05,0.2,here", Some("unknown variant")),
    ];
    for (row, problem) in rows {
        let text = format!("stratum,event,years,value,lower,upper,source\n{row}\n");
        fs::write(bench.path("cohort.csv"), text).expect("room");
        match problem {
            None => {
                bench.ok("report small.h5 --cohort cohort.csv");
                let page = fs::read_to_string(bench.path("small.html")).expect("a page");
                assert!(page.contains("beside cohort cohort.csv"), "no cohort");
                assert!(
                    page.contains("of 1 values of the model lie inside"),
                    "no value"
                );
            }
            Some(problem) => {
                bench.fails(
                    "report small.h5 --cohort cohort.csv",
                    2,
                    &["cohort.csv", problem],
                );
            }
        }
    }
}

#[test]
fn twelve_arms_in_twenty_strata_fit_a_page() {
    let bench = Bench::new();
    fs::write(bench.path("strata.toml"), STRATA).expect("room");
    bench.ok("run strata.toml --out strata.h5");
    bench.ok("report strata.h5");
    let page = fs::read_to_string(bench.path("strata.html")).expect("a page");
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    // Classes of one covariate, and strata.
    for label in [
        ">il6 &#60;=1 ng/mL<",
        ">nodes 16+, il6 &#62;1 ng/mL, il8 &#62;10 ng/mL<",
    ] {
        assert!(page.contains(label), "no {label}");
    }
    assert!(!page.contains("more classes are not drawn"));
    // Curves that the script draws are packed into letters, which may spell it by chance.
    for number in [" NaN", ",NaN", ">NaN", "=\"NaN", "NaN ", "NaN,", "NaN<"] {
        assert!(
            !page.contains(number),
            "something that is no number is drawn: {number}"
        );
    }
}

#[test]
fn virtual_trials_become_power_against_size() {
    let bench = Bench::new();
    let trial = "base = \"breast\"\nname = \"sizes\"\narms_only = [\"control\", \"all-five\"]\n\n\
         [run]\npatients = 8192\nblock_patients = 4096\n\n\
         [virtual_trials]\npatients_per_arm = [50, 100, 800]\ntrials_per_block = 20\n";
    fs::write(bench.path("sizes.toml"), trial).expect("room");
    bench.ok("run sizes.toml");
    bench.ok("report sizes.h5 --figures figures");
    let page = fs::read_to_string(bench.path("sizes.html")).expect("a page");
    assert!(page.contains("<h3>Power against size</h3>"));
    assert!(!page.contains("no virtual parallel-group trials"));
    let power = fs::read_to_string(bench.path("figures/power.csv")).expect("a table");
    assert_eq!(power.lines().count(), 1 + 2 * 3, "{power}");
    assert!(power.contains("\nall-five,800,"), "{power}");
    // Trials without blocks say how to get them.
    bench.ok("run pair.toml");
    bench.ok("report pair.h5");
    let page = fs::read_to_string(bench.path("pair.html")).expect("a page");
    assert!(page.contains("<code>reseed power pair</code>"));
}

#[test]
fn uncertain_parameters_become_a_tornado_and_ranks() {
    let bench = Bench::new();
    let trial = "base = \"breast-targets\"\nname = \"uncertain\"\n\
         arms_only = [\"control\", \"IL6\", \"IL8\", \"IL6+IL8\"]\n\n\
         [run]\npatients = 16384\nblock_patients = 256\n\n[uncertainty]\npoints = 64\n";
    fs::write(bench.path("uncertain.toml"), trial).expect("room");
    bench.ok("run uncertain.toml");
    bench.ok("report uncertain.h5 --figures figures");
    let page = fs::read_to_string(bench.path("uncertain.html")).expect("a page");
    for text in [
        "What the difference of IL6+IL8 depends on",
        "partial rank correlation",
        "All arms: ranks over 64 points",
    ] {
        assert!(page.contains(text), "no {text}");
    }
    assert!(!page.contains("with one value of every parameter"));
    let tornado = fs::read_to_string(bench.path("figures/tornado-local-IL6+IL8.csv"));
    let tornado = tornado.expect("a table");
    let has = |factor: &str| tornado.lines().any(|line| line.starts_with(factor));
    assert!(has("shedding.home_probability,"), "{tornado}");
    assert!(has("homing.interaction: "), "{tornado}");
    // Blocking both is never worse than blocking one: it is the first of three, or equal.
    let ranks =
        fs::read_to_string(bench.path("figures/ranks-local-all-arms.csv")).expect("a table");
    assert_eq!(ranks.lines().next(), Some("arm,rank 1,rank 2,rank 3"));
    assert!(
        ranks
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("IL6+IL8,")),
        "{ranks}"
    );
    assert_eq!(ranks.lines().count(), 4);
}

#[test]
fn every_figure_is_a_drawing_and_a_table_for_others() {
    let bench = reported("--figures figures");
    let mut browser = Browser::start();
    let mut list = csv::Reader::from_path(bench.path("figures/figures.csv")).expect("a list");
    let mut names = Vec::new();
    for line in list.records() {
        let line = line.expect("a line as long as the head");
        let svg = fs::read_to_string(bench.path(&format!("figures/{}.svg", &line[0])))
            .expect("a drawing");
        let parsed = format!(
            "(() => {{ const svg = new DOMParser().parseFromString({}, 'image/svg+xml');
                return svg.querySelector('parsererror')?.textContent ?? svg.documentElement.nodeName; }})()",
            json!(svg)
        );
        assert_eq!(browser.value(&parsed), "svg", "{}", &line[0]);
        let table = csv::Reader::from_path(bench.path(&format!("figures/{}.csv", &line[0])));
        let rows: Result<Vec<_>, _> = table.expect("a table").records().collect();
        let rows = rows.expect("rows as long as the head");
        assert!(!rows.is_empty(), "{} has no numbers", &line[0]);
        names.push(line[0].to_owned());
    }
    for name in [
        "flow",
        "local",
        "overall-survival",
        "hazard-distant",
        "forest-rfs-ratio-5-years",
        "strata-local-all-five",
        "causes",
    ] {
        assert!(
            names.iter().any(|found| found == name),
            "no {name} in {names:?}"
        );
    }
    // A curve has its beginning and every month of twenty years, for each of twelve arms.
    let curve = fs::read_to_string(bench.path("figures/local.csv")).expect("a table");
    assert_eq!(curve.lines().count(), 1 + 12 * 241);
    // The folder may be filled again.
    bench.ok("report small.h5 --figures figures");
}

#[test]
fn a_reader_chooses_what_is_shown() {
    let bench = reported("");
    let mut browser = opened(&bench);
    wide(&mut browser, 1280);
    let all = text(&mut browser, SEEN);
    for title in [
        "Flow of patients",
        "Local recurrence within 5 years",
        "Death of any cause within 5 years",
        "Recurrence-free survival",
        "Overall survival",
        "Hazard of local recurrence",
        "Distant recurrence within 5 years: siltuximab+bms-986253 against control",
        "First events within 5 years, all patients",
    ] {
        assert!(all.contains(title), "no {title} in {all}");
    }

    click(&mut browser, "#endpoint-local");
    click(&mut browser, "label:has(#time-2)");
    let local = text(&mut browser, SEEN);
    assert!(
        local.contains("Local recurrence within 10 years"),
        "{local}"
    );
    assert!(local.contains("Hazard of local recurrence"), "{local}");
    assert!(!local.contains("Overall survival"), "{local}");
    assert!(!local.contains("Distant recurrence"), "{local}");
    let axis = "[...document.querySelectorAll('#arms ~ .figures .axis')]
        .filter((text) => text.getBoundingClientRect().width).map((text) => text.textContent).join()";
    assert!(text(&mut browser, axis).starts_with("difference"));
    click(&mut browser, "#measure-ratio");
    assert!(text(&mut browser, axis).starts_with("risk ratio"));

    let line = "getComputedStyle(document.querySelector('.curves .series-1')).display";
    assert_eq!(browser.value(line), "none");
    assert!(!text(&mut browser, READING).contains(" siltuximab:"));
    click(&mut browser, "#arm-1");
    assert_eq!(browser.value(line), "inline");
    assert!(text(&mut browser, READING).contains(" siltuximab: "));

    let benefit = "[...document.querySelectorAll('#benefit ~ .figures h3')]
        .filter((heading) => heading.getBoundingClientRect().height).map((heading) => heading.textContent).join()";
    browser.value("document.querySelector('#benefit-8').selected = true");
    let shown = text(&mut browser, benefit);
    assert!(
        shown.ends_with("within 5 years: all-five against control"),
        "{shown}"
    );

    assert_eq!(browser.complaints, [""; 0]);
    let address = address(&bench);
    let mut elsewhere = browser.requests.clone();
    elsewhere.retain(|asked| *asked != address && !asked.starts_with("data:"));
    assert_eq!(elsewhere, [""; 0]);
}

#[test]
fn values_are_read_by_pointer_and_keyboard() {
    let bench = reported("");
    let mut browser = opened(&bench);
    wide(&mut browser, 1280);
    assert!(text(&mut browser, READING).starts_with("At 5.00 years:"));
    let point = browser.value(
        "(() => { const plot = document.querySelector('#curves ~ .figures .drawing');
            plot.scrollIntoView({block: 'center', behavior: 'instant'});
            const box = plot.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; })()",
    );
    let moved = json!({"type": "mouseMoved", "x": point[0], "y": point[1]});
    browser.command("Input.dispatchMouseEvent", &moved);
    // The plot is 486 of 560 wide, and begins at 50.
    browser.until(&format!("{READING}.startsWith('At 9.50 years')"));
    browser.value("document.querySelector('.reader input').focus()");
    for kind in ["keyDown", "keyUp"] {
        let key = json!({
            "type": kind, "key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39,
        });
        browser.command("Input.dispatchKeyEvent", &key);
    }
    browser.until(&format!("{READING}.startsWith('At 9.58 years')"));
    let told = "document.querySelector('.reader input').getAttribute('aria-valuetext')";
    assert_eq!(browser.value(told), "9.58 years");
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn curves_of_other_patients_are_drawn_from_numbers_that_come_with_the_page() {
    let bench = reported("");
    let mut browser = opened(&bench);
    let choose = |index: u32| {
        format!(
            "(() => {{ const group = document.querySelector('#group'); group.value = {index};
                group.dispatchEvent(new Event('change')); }})()"
        )
    };
    let at_risk = "document.querySelector('.risk .series-0 tr:last-child').innerText";
    let (curve, everybody) = (browser.value(CURVE), browser.value(at_risk));
    let curves = browser.value(CURVES);
    browser.value(&choose(1));
    assert_ne!(browser.value(CURVE), curve);
    assert_ne!(browser.value(at_risk), everybody);
    let shown = "document.querySelector('#group-shown').textContent";
    assert_eq!(browser.value(shown), "Patients: nodes 0.");
    // The curves that came with the page, drawn again, are the same but for the last digit.
    browser.value(&choose(0));
    let redrawn = browser.value(CURVES);
    let (came, drawn) = (numbers(&curves), numbers(&redrawn));
    // A line and twice that for the band, in months or quarters of a year.
    assert_eq!(came.len(), 2 * 3 * (4 * 241 + 2 * 81));
    assert_eq!(drawn.len(), came.len());
    let apart = came.iter().zip(&drawn).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 0.15, "{curves}\n{redrawn}");
    assert_eq!(browser.value(at_risk), everybody);
    assert_eq!(browser.complaints, [""; 0]);
}

/// Value of an expression that is a text.
fn text(browser: &mut Browser, expression: &str) -> String {
    let value = browser.value(expression);
    value.as_str().expect("a text").to_owned()
}

/// The numbers in a path.
fn numbers(path: &Value) -> Vec<f64> {
    let path = path.as_str().expect("a path");
    let numbers = path.split(['M', 'L', ' ']).filter(|text| !text.is_empty());
    numbers
        .map(|text| text.parse().expect("a number"))
        .collect()
}

#[test]
fn without_scripts_everything_is_there_and_choices_work() {
    let bench = reported("");
    let mut browser = Browser::start();
    browser.command(
        "Emulation.setScriptExecutionDisabled",
        &json!({"value": true}),
    );
    browser.open(&address(&bench));
    wide(&mut browser, 1280);
    let seen = text(&mut browser, SEEN);
    for title in [
        "Overall survival",
        "Hazard of distant recurrence",
        "Flow of patients",
    ] {
        assert!(seen.contains(title), "no {title} in {seen}");
    }
    let hidden = "[...document.querySelectorAll('.for-script')].every((element) => !element.getBoundingClientRect().height)";
    assert_eq!(browser.value(hidden), true);
    let drawn = format!("{CURVE}.match(/[ML]/g).length");
    assert_eq!(browser.value(&drawn), 241);
    click(&mut browser, "#endpoint-death");
    let seen = text(&mut browser, SEEN);
    assert!(seen.contains("Overall survival"), "{seen}");
    assert!(!seen.contains("Hazard"), "{seen}");
    // Every arm's numbers are there, in tables.
    let rows = "document.querySelectorAll('#curves ~ .figures details tbody tr').length";
    assert_eq!(browser.value(rows), 6 * 12 * 21);
}

#[test]
fn a_page_fits_a_narrow_screen_the_dark_and_paper() {
    let bench = reported("");
    let mut browser = opened(&bench);
    wide(&mut browser, 360);
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.value("innerWidth"), 360);
    assert_eq!(browser.value(overflow), 0);
    browser.value("document.querySelectorAll('details').forEach((details) => details.open = true)");
    assert_eq!(browser.value(overflow), 0);

    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = browser.value(paper);
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.command("Emulation.setEmulatedMedia", &dark);
    assert_ne!(browser.value(paper), light);
    let print = json!({
        "media": "print",
        "features": [{"name": "prefers-color-scheme", "value": "dark"}],
    });
    browser.command("Emulation.setEmulatedMedia", &print);
    assert_eq!(browser.value(paper), "rgb(255, 255, 255)", "paper is white");
    let controls = "document.querySelector('.controls').getBoundingClientRect().height";
    assert_eq!(browser.value(controls), 0);
    let pdf = browser.command("Page.printToPDF", &json!({"preferCSSPageSize": true}));
    assert!(
        pdf["data"]
            .as_str()
            .expect("a document")
            .starts_with("JVBER"),
        "it is no PDF"
    );
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn hostile_text_in_a_trial_is_only_text() {
    let bench = Bench::new();
    let hostile = "<script>hacked=1</script></title><img src=x onerror=hacked=1>";
    let trial = format!(
        "base = \"breast\"\nname = \"small\"\ntitle = \"{hostile}\"\n[run]\npatients = 500\n"
    );
    fs::write(bench.path("small.toml"), trial).expect("room");
    bench.ok("run small.toml");
    let cohort = format!(
        "stratum,event,years,value,lower,upper,source\nall,local,5,0.1,0.1,0.1,{hostile}\n"
    );
    fs::write(bench.path("cohort.csv"), cohort).expect("room");
    bench.ok("report small.h5 --cohort cohort.csv");
    let mut browser = opened(&bench);
    assert_eq!(
        browser.value("document.querySelector('h1').textContent"),
        hostile
    );
    assert_eq!(browser.value("typeof hacked"), "undefined");
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.complaints, [""; 0]);
}
