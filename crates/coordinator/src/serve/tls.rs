//! The server's certificate, and how a new one takes its place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reseed_protocol::credentials::{
    CredentialError, Identity, provider, read_authorities, read_chain, read_key,
};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files of a server that encrypts.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate and key.
    pub identity: Identity,
    /// Certificates of the authorities that may vouch for clients, PEM.
    pub client_ca: Option<PathBuf>,
}

/// A server's configuration that follows its files. It is followed until the receiver is dropped.
pub(crate) type Followed = watch::Receiver<Arc<ServerConfig>>;

/// Reads the files, and reads them again when they have changed; call it within a runtime.
///
/// New files are taken when they have stayed the same from one look to the next, so that files
/// that are just being replaced are not mixed. Files of no use are reported and change nothing.
pub(crate) fn follow(files: TlsFiles) -> Result<Followed, CredentialError> {
    let seen = stamps(&files);
    let (sender, receiver) = watch::channel(Arc::new(load(&files)?));
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            Err(panicked) = take_changes(files, seen, &sender) => {
                tracing::error!("certificates are not looked at any more: {panicked}");
            }
        }
    });
    Ok(receiver)
}

async fn take_changes(
    files: TlsFiles,
    mut taken: Stamps,
    sender: &watch::Sender<Arc<ServerConfig>>,
) -> Result<(), JoinError> {
    let files = Arc::new(files);
    let mut last = taken;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let looked_at = Arc::clone(&files);
        let found = spawn_blocking(move || stamps(&looked_at)).await?;
        let settled = found == last;
        last = found;
        if !settled || last == taken {
            continue;
        }
        taken = last;
        let read = Arc::clone(&files);
        match spawn_blocking(move || load(&read)).await? {
            Ok(config) => {
                sender.send_replace(Arc::new(config));
                tracing::info!(
                    certificate = %files.identity.certificate.display(),
                    "new certificates are used from now on"
                );
            }
            Err(error) => tracing::error!("the certificates stay the old ones: {error}"),
        }
    }
}

fn load(files: &TlsFiles) -> Result<ServerConfig, CredentialError> {
    let mismatch = |source| CredentialError::Mismatch {
        identity: files.identity.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks TLS 1.3");
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let authorities = Arc::new(read_authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider())
                .allow_unauthenticated()
                .build()
                .expect("there is an authority and nothing is revoked");
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = read_chain("server certificate", &files.identity.certificate)?;
    let mut config = builder
        .with_single_cert(chain, read_key(&files.identity.key)?)
        .map_err(mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session would skip the look at the client's certificate, which may have expired.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// What tells a file from its successor: inode, length, and when it was changed.
type Stamp = Option<(u64, u64, i64, i64)>;
type Stamps = [Stamp; 3];

fn stamps(files: &TlsFiles) -> Stamps {
    [
        Some(&files.identity.certificate),
        Some(&files.identity.key),
        files.client_ca.as_ref(),
    ]
    .map(|path| path.and_then(|path| stamp(path)))
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ))
}
