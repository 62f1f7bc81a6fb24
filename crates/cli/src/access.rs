//! Credentials, from the command line's words to what the libraries take.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reseed_coordinator::serve::{self, TlsFiles, Transport};
use reseed_protocol::channel::{AuthorizedChannel, Connect, Whereabouts};
use reseed_protocol::credentials::{Identity, Token};
use reseed_protocol::wire::coordinator_client::CoordinatorClient;
use reseed_protocol::{MESSAGE_BYTES_MAX, Refusal};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::args::{Access, ServerSecurity};
use crate::authority::CA_CERTIFICATE;
use crate::exit::Failure;

/// Who a process is among the files that `reseed keys` makes.
pub(crate) const WORKER: &str = "worker";
pub(crate) const OPERATOR: &str = "operator";
const SERVER: &str = "server";

/// How long an operator waits for an answer, and for the next report of many.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// File of a store in which its coordinator writes its address.
const ADDRESS: &str = "address";
/// Folder of a store with the keys that `reseed launch` makes.
const KEYS: &str = "keys";
/// File of a store with the result, unless another one is asked for.
const RESULT: &str = "result.h5";

/// The coordinator that the command line names. `role` is whose certificate to take from a
/// folder of keys.
pub(crate) fn coordinator(access: &Access, role: &str) -> Result<Whereabouts, Failure> {
    let own = explicit(access.certificate.as_ref(), access.key.as_ref());
    let keys = access.keys.clone().or_else(|| store_keys(access));
    let identity = own.or_else(|| keys.as_ref().map(|folder| pair(folder, role)));
    let connect = Connect {
        url: access.connect.clone().unwrap_or_default(),
        ca: authority(access.ca.as_ref(), keys.as_ref()),
        identity,
        token: access.token.clone(),
        insecure: access.insecure,
    };
    Ok(match &access.store {
        Some(store) => Whereabouts::Written {
            file: address_file(store),
            connect,
        },
        None => Whereabouts::Known(connect.check()?),
    })
}

/// The keys of a launched run are in its store.
fn store_keys(access: &Access) -> Option<PathBuf> {
    let keys = keys_folder(access.store.as_ref()?);
    keys.is_dir().then_some(keys)
}

/// Where a coordinator writes its address.
pub(crate) fn address_file(store: &Path) -> PathBuf {
    store.join(ADDRESS)
}

/// Where a launched run has its keys.
pub(crate) fn keys_folder(store: &Path) -> PathBuf {
    store.join(KEYS)
}

/// Where a coordinator puts the result, unless another place is asked for.
pub(crate) fn result_file(store: &Path) -> PathBuf {
    store.join(RESULT)
}

/// How the command line wants a coordinator to be protected.
pub(crate) fn server(security: &ServerSecurity) -> Result<serve::ServerSecurity, Failure> {
    let own = explicit(security.certificate.as_ref(), security.key.as_ref());
    let identity = own.or_else(|| security.keys.as_ref().map(|folder| pair(folder, SERVER)));
    let transport = match identity {
        Some(identity) => Transport::Tls(TlsFiles {
            identity,
            client_ca: authority(security.ca.as_ref(), security.keys.as_ref()),
        }),
        None => Transport::Plain {
            insecure: security.insecure,
        },
    };
    let token = security.token.as_deref().map(Token::read).transpose()?;
    Ok(serve::ServerSecurity { transport, token })
}

fn explicit(certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<Identity> {
    Some(Identity {
        certificate: certificate?.clone(),
        key: key?.clone(),
    })
}

fn pair(folder: &Path, name: &str) -> Identity {
    Identity {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    }
}

fn authority(own: Option<&PathBuf>, keys: Option<&PathBuf>) -> Option<PathBuf> {
    own.cloned()
        .or_else(|| keys.map(|folder| folder.join(CA_CERTIFICATE)))
}

/// The address of a `HOST:PORT`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, Failure> {
    let found = text.to_socket_addrs().and_then(|mut addresses| {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        addresses.next().ok_or_else(none)
    });
    found.map_err(|error| {
        Failure::Usage(format!(
            "cannot listen on {text} ({error}); give HOST:PORT, such as 127.0.0.1:7461"
        ))
    })
}

/// Threads for everything that waits for a network.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("network")
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(format!("cannot start threads: {error}")))
}

/// A coordinator, as an operator calls it.
pub(crate) async fn operator(
    access: &Access,
) -> Result<CoordinatorClient<AuthorizedChannel>, Failure> {
    let channel = coordinator(access, OPERATOR)?.connect().await?;
    Ok(CoordinatorClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX))
}

/// The answer to an operator's call, if it comes in time.
pub(crate) async fn answered<T>(
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, Failure> {
    match timeout(ANSWER_MAX, call).await {
        Ok(answer) => answer.map_err(refused),
        Err(_) => Err(Failure::Unreachable(format!(
            "the coordinator does not answer (nothing came within {} s), try again later",
            ANSWER_MAX.as_secs()
        ))),
    }
}

/// A call that a coordinator refused.
fn refused(status: tonic::Status) -> Failure {
    Failure::Unreachable(Refusal::from(status).to_string())
}

/// Makes a folder and its parents.
pub(crate) fn make_folder(folder: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::canonicalize(folder))
        .map_err(Failure::system("create", folder))
}
