//! `reseed keys`: files with the right permissions, certificates that another library verifies.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reseed_protocol::credentials::{Role, Token, provider, read_authorities, read_chain, read_key};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::bench::Bench;

const DAY: Duration = Duration::from_hours(24);

#[test]
fn secrets_are_for_their_owner_only() {
    let bench = Bench::new();
    let said = bench.ok("keys keys").stderr;
    for name in ["ca", "server", "worker", "operator"] {
        assert_eq!(mode(&bench, &format!("keys/{name}.key")), 0o600);
        assert_eq!(mode(&bench, &format!("keys/{name}.pem")), 0o644);
        assert!(said.contains(&format!("{name}.pem")), "{said}");
        let key = read_key(&bench.path(&format!("keys/{name}.key")));
        assert!(key.is_ok(), "{key:?}");
    }
    assert_eq!(mode(&bench, "keys"), 0o700);
    assert_eq!(mode(&bench, "keys/token"), 0o600);
    assert_eq!(
        fs::read(bench.path("keys/token")).expect("a token").len(),
        65
    );
    Token::read(&bench.path("keys/token")).expect("a good token");
    let left = fs::read_dir(bench.path("keys")).expect("a folder").count();
    assert_eq!(left, 9, "nothing else is left behind");
}

#[test]
fn certificates_are_good_for_what_they_are_for_and_for_nothing_else() {
    let bench = Bench::new();
    bench.ok("keys keys --host node7.example --host 10.1.2.3 --days 30 --worker a --worker b");
    for host in ["node7.example", "10.1.2.3", "localhost", "127.0.0.1", "::1"] {
        assert!(is_server(&bench, "server", host, 29), "{host}");
    }
    assert!(!is_server(&bench, "server", "node8.example", 1));
    assert!(
        !is_server(&bench, "server", "localhost", 31),
        "after its end"
    );
    assert!(!is_client(&bench, "server", 1));
    for (name, role) in [
        ("a", Role::Worker),
        ("b", Role::Worker),
        ("operator", Role::Operator),
    ] {
        assert!(is_client(&bench, name, 29), "{name}");
        assert!(!is_client(&bench, name, 31), "{name} after its end");
        assert!(!is_server(&bench, name, "localhost", 1), "{name}");
        let (common_name, uris) = subject(&bench, name);
        assert_eq!((common_name.as_str(), uris), (name, vec![role.uri()]));
    }
    assert!(!bench.path("keys/worker.pem").exists());
}

#[test]
fn the_same_command_renews_by_the_same_authority() {
    let bench = Bench::new();
    bench.ok("keys keys --host node7.example --worker a --worker b");
    let read = |name: &str| fs::read(bench.path(&format!("keys/{name}"))).expect("a file");
    let names = ["ca.pem", "ca.key", "token", "server.pem", "a.pem", "b.key"];
    let before = names.map(read);
    let printed = bench
        .ok("keys keys --host node8.example --days 10 --json")
        .stdout;
    let after = names.map(read);
    assert_eq!(before[..3], after[..3], "authority and token stay");
    for at in 3..6 {
        assert_ne!(before[at], after[at], "{} is new", names[at]);
    }
    for host in ["node7.example", "node8.example", "localhost"] {
        assert!(is_server(&bench, "server", host, 9), "{host}");
    }
    assert!(is_client(&bench, "a", 9) && !is_client(&bench, "b", 11));
    assert!(!bench.path("keys/worker.pem").exists());

    let files: Value = serde_json::from_str(&printed).expect("JSON");
    let files = files.as_array().expect("a list");
    let new = |name: &str| {
        let file = files.iter().find(|file| file["file"] == name);
        file.expect("it is told")["new"].clone()
    };
    assert_eq!(files.len(), 11);
    for (name, is_new) in [("ca.pem", false), ("token", false), ("a.pem", true)] {
        assert_eq!(new(name), is_new, "{name}");
    }
}

#[test]
fn an_authority_that_cannot_sign_is_left_alone() {
    let bench = Bench::new();
    bench.ok("keys keys");
    let ca = fs::read(bench.path("keys/ca.pem")).expect("a file");
    let server = fs::read(bench.path("keys/server.pem")).expect("a file");

    let key = bench.path("keys/ca.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("own file");
    bench.fails(
        "keys keys",
        2,
        &["ca.key", "open to other users", "chmod 600"],
    );
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("own file");

    fs::rename(&key, bench.path("ca.key")).expect("room");
    bench.fails("keys keys", 2, &["there is ca.pem but no ca.key"]);
    fs::copy(bench.path("keys/server.key"), &key).expect("room");
    bench.fails("keys keys", 2, &["ca.key is not its key"]);
    fs::write(&key, "nothing").expect("room");
    bench.fails("keys keys", 2, &["no private key"]);
    assert_eq!(fs::read(bench.path("keys/ca.pem")).expect("a file"), ca);
    assert_eq!(
        fs::read(bench.path("keys/server.pem")).expect("a file"),
        server
    );

    fs::copy(bench.path("keys/server.pem"), bench.path("keys/ca.pem")).expect("room");
    fs::copy(bench.path("keys/server.key"), &key).expect("room");
    bench.fails("keys keys", 2, &["it may not sign others"]);
}

#[test]
fn names_that_cannot_be_meant_are_refused() {
    let bench = Bench::new();
    for host in ["https://node7", "node7:7000", "a_b@c"] {
        bench.fails(
            &format!("keys keys --host {host}"),
            2,
            &["neither a name nor"],
        );
    }
    bench.fails("keys keys --worker ca", 2, &["name of another file"]);
    bench.fails("keys keys --worker ../a", 2, &["no name for a file"]);
    bench.fails("keys keys --days 0", 2, &["1..=3650"]);
    assert!(!bench.path("keys").exists());
    bench.fails(
        "keys small.toml",
        4,
        &["cannot create the folder small.toml"],
    );
}

fn mode(bench: &Bench, name: &str) -> u32 {
    let metadata = fs::metadata(bench.path(name)).expect("it is there");
    metadata.mode() & 0o777
}

fn pem(bench: &Bench, name: &str) -> PathBuf {
    bench.path(&format!("keys/{name}.pem"))
}

fn authorities(bench: &Bench) -> Arc<RootCertStore> {
    Arc::new(read_authorities(&pem(bench, "ca")).expect("an authority"))
}

fn in_days(days: u32) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + DAY * days)
}

/// Whether a client would take it for this host's, so many days from now.
fn is_server(bench: &Bench, name: &str, host: &str, days: u32) -> bool {
    let chain = read_chain("certificate", &pem(bench, name)).expect("a certificate");
    let host = ServerName::try_from(host).expect("a host");
    WebPkiServerVerifier::builder_with_provider(authorities(bench), provider())
        .build()
        .expect("an authority")
        .verify_server_cert(&chain[0], &[], &host, &[], in_days(days))
        .is_ok()
}

/// Whether a server would take it for a client's, so many days from now.
fn is_client(bench: &Bench, name: &str, days: u32) -> bool {
    let chain = read_chain("certificate", &pem(bench, name)).expect("a certificate");
    WebPkiClientVerifier::builder_with_provider(authorities(bench), provider())
        .build()
        .expect("an authority")
        .verify_client_cert(&chain[0], &[], in_days(days))
        .is_ok()
}

/// Common name and URIs of a certificate.
fn subject(bench: &Bench, name: &str) -> (String, Vec<String>) {
    let chain = read_chain("certificate", &pem(bench, name)).expect("a certificate");
    let (_, certificate) = X509Certificate::from_der(&chain[0]).expect("X.509");
    let common_name = certificate.subject().iter_common_name().next();
    let common_name = common_name.and_then(|name| name.as_str().ok());
    let names = certificate.subject_alternative_name().expect("readable");
    let uris = names.expect("names").value.general_names.iter();
    let uris = uris.filter_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    (common_name.expect("a name").to_owned(), uris.collect())
}
