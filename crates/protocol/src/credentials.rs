//! Certificates, keys and tokens, read from files.
//!
//! Keys and tokens are secrets, so their files are looked at as ssh does: a file of the user who
//! runs the program is refused if everybody can read it. A file of another user is left alone,
//! because whoever mounted it decides about it. A file that its group can read is taken with a
//! warning: Kubernetes mounts secrets so for a pod with an `fsGroup`. A pod that runs as root
//! needs `defaultMode: 0400` at the volume of the secret.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// Largest file of certificates, bytes: the bundle of an operating system has a fourth of it.
const FILE_MAX: u64 = 1 << 20;

/// Shortest token, bytes of text.
pub const TOKEN_LEN_MIN: usize = 32;

/// Longest token, bytes of text.
pub const TOKEN_LEN_MAX: usize = 1024;

/// What the holder of a certificate may do. Every role includes the ones before it.
///
/// The role is a URI among the certificate's alternative names, `reseed:role:worker` or
/// `reseed:role:operator`; a certificate without one is a viewer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees status and metrics.
    Viewer,
    /// Takes leases and delivers parts.
    Worker,
    /// Drains workers and cancels runs.
    Operator,
}

impl Role {
    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }

    /// The URI that gives a certificate this role.
    pub fn uri(self) -> String {
        format!("reseed:role:{}", self.name())
    }

    /// The role that a URI gives; none if it speaks of something else.
    pub fn from_uri(uri: &str) -> Option<Self> {
        [Self::Viewer, Self::Worker, Self::Operator]
            .into_iter()
            .find(|role| role.uri() == uri)
    }
}

/// Files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Chain of certificates, PEM; the first is the holder's own.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Why a file of credentials is of no use.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The system does not give it.
    #[error("cannot read the {what} {} ({source}), check path and permissions", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More users than its owner can read or change a secret.
    #[error(
        "the {what} {} is open to other users (its mode is {mode:04o}), say `chmod 600` \
         (in Kubernetes: `defaultMode: 0400`) and replace the secret if others may have seen it",
        path.display()
    )]
    Exposed {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Permissions of the file.
        mode: u32,
    },
    /// Certificate and key do not fit each other.
    #[error(
        "cannot use the certificate {} with the key {} ({source}), \
         give the two files of one identity",
        identity.certificate.display(), identity.key.display()
    )]
    Mismatch {
        /// The files.
        identity: Identity,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// It holds something else than it should.
    #[error("the {what} {} is of no use ({problem}), {suggestion}", path.display())]
    Contents {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        suggestion: &'static str,
    },
}

/// The algorithms of all connections.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads a chain of PEM certificates; the first is the holder's own.
///
/// # Errors
/// If the file cannot be read or has no whole certificate.
pub fn read_chain(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let text = read(what, path, Secrecy::Public)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(unusable(
            what,
            path,
            "it has no certificate".into(),
            "give a PEM file with BEGIN CERTIFICATE",
        )),
        Ok(chain) => Ok(chain),
        Err(error) => Err(unusable(what, path, explain(&error), "copy it again")),
    }
}

/// Reads the certificates of the authorities (CA) that are trusted.
///
/// # Errors
/// If the file cannot be read or one of its certificates cannot be an authority's.
pub fn read_authorities(path: &Path) -> Result<RootCertStore, CredentialError> {
    let what = "CA certificate";
    let mut authorities = RootCertStore::empty();
    for certificate in read_chain(what, path)? {
        authorities.add(certificate).map_err(|error| {
            unusable(
                what,
                path,
                error.to_string(),
                "give the ca.pem that `reseed keys` made",
            )
        })?;
    }
    Ok(authorities)
}

/// Reads a private key in PEM.
///
/// # Errors
/// If the file cannot be read, is open to other users or has no key.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CredentialError> {
    let what = "private key";
    let text = read(what, path, Secrecy::Secret)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable(
            what,
            path,
            "it has no private key that is not encrypted".into(),
            "give a PEM file with BEGIN PRIVATE KEY",
        ),
        other => unusable(what, path, explain(&other), "copy it again"),
    })
}

/// A bearer token: whoever knows it may do everything. Its text is never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Reads a token from a file: one line of text, white space around it left out.
    ///
    /// # Errors
    /// If the file cannot be read, is open to other users or has no good token.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let what = "token";
        let bytes = read(what, path, Secrecy::Secret)?;
        String::from_utf8(bytes)
            .map_err(|_| "it is not text".to_owned())
            .and_then(|text| Self::new(text.trim()))
            .map_err(|problem| {
                unusable(
                    what,
                    path,
                    problem,
                    "give one line of at least 32 random characters, as `reseed keys` makes it",
                )
            })
    }

    /// Checks a token's text; the error says what is wrong with it.
    ///
    /// # Errors
    /// If it is too short, too long, or not visible ASCII.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() < TOKEN_LEN_MIN || text.len() > TOKEN_LEN_MAX {
            return Err(format!(
                "it has {} characters, {TOKEN_LEN_MIN} to {TOKEN_LEN_MAX} are needed",
                text.len()
            ));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has spaces or characters beyond ASCII".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the given text is this token. The time it takes says nothing about where they
    /// differ: digests are compared, in constant time.
    pub fn matches(&self, given: &[u8]) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(given)
    }

    /// The value of the `authorization` header that presents the token.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    Public,
    Secret,
}

fn read(what: &'static str, path: &Path, secrecy: Secrecy) -> Result<Vec<u8>, CredentialError> {
    let failed = |source| CredentialError::Read {
        what,
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    if secrecy == Secrecy::Secret {
        check_permissions(what, path, &file.metadata().map_err(failed)?)?;
    }
    let mut bytes = Vec::new();
    (&mut file)
        .take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(unusable(
            what,
            path,
            format!("it is larger than {FILE_MAX} bytes"),
            "check the path",
        ));
    }
    Ok(bytes)
}

fn check_permissions(
    what: &'static str,
    path: &Path,
    metadata: &std::fs::Metadata,
) -> Result<(), CredentialError> {
    let mode = metadata.mode() & 0o777;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    let others_can_change = mode & 0o002 != 0;
    if others_can_change || (own && mode & 0o007 != 0) {
        return Err(CredentialError::Exposed {
            what,
            path: path.to_path_buf(),
            mode,
        });
    }
    if own && mode & 0o070 != 0 {
        tracing::warn!(
            path = %path.display(),
            "the {what} is open to its group (its mode is {mode:04o}); `chmod 600` closes it"
        );
    }
    Ok(())
}

fn unusable(
    what: &'static str,
    path: &Path,
    problem: String,
    suggestion: &'static str,
) -> CredentialError {
    CredentialError::Contents {
        what,
        path: path.to_path_buf(),
        problem,
        suggestion,
    }
}

/// What is wrong with a PEM file. Its bytes stay out of the text: it may be a key.
fn explain(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it ends within a section".into(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is damaged".into(),
        pem::Error::Base64Decode(_) => "it is not base64".into(),
        _ => "it is not PEM".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn file(contents: &str, mode: u32) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("room");
        let path = folder.path().join("file");
        fs::write(&path, contents).expect("room");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("own file");
        (folder, path)
    }

    #[track_caller]
    fn says<T>(result: Result<T, CredentialError>, words: &[&str]) {
        let Err(error) = result else {
            panic!("it was taken");
        };
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn secrets_that_everybody_can_read_are_refused() {
        let token = "0123456789abcdef0123456789abcdef\n";
        for mode in [0o400, 0o600, 0o440, 0o640] {
            let (_folder, path) = file(token, mode);
            assert!(Token::read(&path).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o602, 0o666] {
            let (_folder, path) = file(token, mode);
            let text = format!("its mode is {mode:04o}");
            says(Token::read(&path), &["token", &text, "chmod 600"]);
            says(read_key(&path), &["private key", &text, "chmod 600"]);
        }
    }

    #[test]
    fn a_file_of_no_use_is_named_with_its_problem() {
        let (_folder, path) = file("nothing\n", 0o600);
        says(read_chain("certificate", &path), &["no certificate"]);
        says(
            read_authorities(&path),
            &["CA certificate", "no certificate"],
        );
        says(read_key(&path), &["no private key", "BEGIN PRIVATE KEY"]);
        says(Token::read(&path), &["it has 7 characters", "reseed keys"]);
        says(
            read_chain("certificate", &path.with_file_name("absent")),
            &["cannot read the certificate", "absent", "No such file"],
        );
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        let (_folder, path) = file(cut, 0o600);
        says(read_chain("certificate", &path), &["ends within a section"]);
        let no_base64 = "-----BEGIN PRIVATE KEY-----\n%%%%\n-----END PRIVATE KEY-----\n";
        let (_folder, path) = file(no_base64, 0o600);
        says(read_key(&path), &["not base64"]);
        let (_folder, path) = file(&"a".repeat(1 + (1 << 20)), 0o600);
        says(Token::read(&path), &["larger than"]);
    }

    #[test]
    fn tokens_match_themselves_only_and_are_never_shown() {
        let text = "0123456789abcdef0123456789abcdef";
        let token = Token::new(text).expect("a good token");
        assert!(token.matches(text.as_bytes()));
        assert!(!token.matches(b"0123456789abcdef0123456789abcdeF"));
        assert!(!token.matches(b""));
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert!(Token::new(&"x".repeat(31)).is_err());
        assert!(Token::new(&"x".repeat(1025)).is_err());
        assert!(Token::new(&format!("{text} {text}")).is_err());
    }

    #[test]
    fn roles_are_told_by_their_uri() {
        assert_eq!(Role::from_uri("reseed:role:worker"), Some(Role::Worker));
        assert_eq!(Role::from_uri("reseed:role:queen"), None);
        assert!(Role::Operator > Role::Worker && Role::Worker > Role::Viewer);
    }
}
