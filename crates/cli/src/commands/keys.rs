//! `reseed keys`: what coordinator, workers and operators of a cluster know each other by.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reseed_protocol::credentials::{Role, Token};
use rustls::pki_types::ServerName;
use serde::Serialize;
use time::OffsetDateTime;

use crate::args::Keys;
use crate::authority::{Authority, CA_CERTIFICATE, CA_KEY, Purpose, make_folder, random_hex};
use crate::exit::Failure;
use crate::machine;
use crate::output::{Chatter, print_json};
use crate::whole::{Readers, write_new};

const SERVER: &str = "server";
const OPERATOR: &str = "operator";
const WORKER: &str = "worker";
const TOKEN: &str = "token";

/// Names and addresses of a server on the machine where one is.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

pub(crate) fn keys(args: &Keys, chatter: Chatter) -> Result<(), Failure> {
    check_names(args)?;
    make_folder(&args.folder)?;
    let authority = Authority::of(&args.folder)?;
    authority.check_days(args.days)?;
    let hosts = hosts(args)?;
    let workers = workers(args)?;

    let mut files = vec![
        file(
            CA_CERTIFICATE,
            "by which all know each other: for everybody",
            authority.is_new(),
            Some(authority.ends()),
        ),
        file(
            CA_KEY,
            "signs new certificates: keep it off the cluster",
            authority.is_new(),
            None,
        ),
    ];
    let mut add = |name: &str, whose: &str, ends: OffsetDateTime| {
        let certificate = format!("certificate of {whose}");
        files.push(file(&format!("{name}.pem"), &certificate, true, Some(ends)));
        files.push(file(&format!("{name}.key"), "its key", true, None));
    };
    let ends = authority.server(SERVER, &hosts, args.days)?;
    add(
        SERVER,
        &format!("the coordinator ({})", hosts.join(", ")),
        ends,
    );
    for name in &workers {
        let ends = authority.client(name, Role::Worker, args.days)?;
        add(name, "workers: takes leases and delivers parts", ends);
    }
    let ends = authority.client(OPERATOR, Role::Operator, args.days)?;
    add(OPERATOR, "operators: drains and cancels too", ends);
    files.push(file(
        TOKEN,
        "instead of a client's certificate; its holder may do everything",
        make_token(&args.folder.join(TOKEN))?,
        None,
    ));

    if args.json {
        return print_json(&files);
    }
    chatter.say(&format!("In {}:", args.folder.display()));
    for file in &files {
        chatter.say(&file.line());
    }
    Ok(())
}

/// A file, for people and for `--json`.
#[derive(Debug, Serialize)]
struct Made {
    file: String,
    purpose: String,
    /// Whether it is new; otherwise it was there and was left alone.
    new: bool,
    /// Last day on which a certificate is good, `YYYY-MM-DD`.
    until: Option<String>,
}

fn file(name: &str, purpose: &str, new: bool, ends: Option<OffsetDateTime>) -> Made {
    let until = ends.map(|ends| {
        let (year, month, day) = ends.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    });
    Made {
        file: name.into(),
        purpose: purpose.into(),
        new,
        until,
    }
}

impl Made {
    fn line(&self) -> String {
        let until = self.until.as_ref();
        let until = until.map_or(String::new(), |day| format!(", until {day}"));
        let kept = if self.new { "" } else { " (kept)" };
        format!("  {:<14} {}{until}{kept}", self.file, self.purpose)
    }
}

fn check_names(args: &Keys) -> Result<(), Failure> {
    for host in &args.host {
        if ServerName::try_from(host.as_str()).is_err() {
            return Err(Failure::Usage(format!(
                "--host {host:?} is neither a name nor an address, write it as workers will, \
                 without https:// and port"
            )));
        }
    }
    for name in &args.worker {
        let of_good_characters = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !of_good_characters {
            return Err(Failure::Usage(format!(
                "--worker {name:?} is no name for a file, use letters, digits, - and _"
            )));
        }
        if ["ca", SERVER, OPERATOR].contains(&name.as_str()) {
            return Err(Failure::Usage(format!(
                "--worker {name} is the name of another file, choose another name"
            )));
        }
    }
    Ok(())
}

/// The coordinator's names and addresses: as told, as before, and this machine's.
fn hosts(args: &Keys) -> Result<Vec<String>, Failure> {
    let path = args.folder.join(format!("{SERVER}.pem"));
    let before = if path.is_file() {
        Purpose::read(&path)?.hosts
    } else {
        Vec::new()
    };
    let this_machine = Some(machine::host());
    let this_machine = this_machine.filter(|name| ServerName::try_from(name.as_str()).is_ok());
    let mut seen = BTreeSet::new();
    let mut hosts: Vec<String> = args.host.iter().cloned().chain(before).collect();
    hosts.extend(this_machine);
    hosts.extend(HERE.map(str::to_owned));
    hosts.retain(|host| seen.insert(host.clone()));
    Ok(hosts)
}

/// Names of the workers' certificates: as told, otherwise those that there are.
fn workers(args: &Keys) -> Result<Vec<String>, Failure> {
    let mut names = args.worker.clone();
    if names.is_empty() {
        names = workers_in(&args.folder)?;
    }
    if names.is_empty() {
        names.push(WORKER.into());
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn workers_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = || Failure::system("read the folder", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.extension().is_some_and(|ending| ending == "pem")
            && Purpose::read(&path)?.role == Some(Role::Worker)
        {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into()));
        }
    }
    Ok(names)
}

/// Makes a token unless there is a good one; tells whether it is new.
fn make_token(path: &Path) -> Result<bool, Failure> {
    if path
        .try_exists()
        .map_err(Failure::system("look at", path))?
    {
        Token::read(path)?;
        return Ok(false);
    }
    write_new(path, &format!("{}\n", random_hex()?), Readers::Owner)?;
    Ok(true)
}
