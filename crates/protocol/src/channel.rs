//! The caller's end: a checked connection to a coordinator.
//!
//! A connection is encrypted (`https://`) or stays on this machine (`http://` to a loopback
//! address). `insecure` allows `http://` to other machines, but never with a token: a token read
//! by somebody else gives everything away, and a private network is no reason to risk it.
//!
//! Certificates are read anew for every connection, also when a [`Channel`] connects again by
//! itself, so renewed ones are picked up without a restart. The token is read by
//! [`Target::connect`].

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tower::{ServiceExt, service_fn};

use crate::credentials::{
    CredentialError, Identity, Token, provider, read_authorities, read_chain, read_key,
};
use crate::trace_context;

/// Longest time to reach a coordinator, with the TLS handshake, and longest time until it gives
/// its first answer.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a connection is quiet before it is asked whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long the answer may take.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(5);

/// Largest header list of an answer, bytes.
const HEADERS_LEN_MAX: u32 = 16 << 10;

/// Longest content of a file with an address, bytes.
const ADDRESS_LEN_MAX: u64 = 1 << 10;

/// Calls with the caller's token, if there is one, over a connection that mends itself.
pub type AuthorizedChannel = InterceptedService<Channel, Bearer>;

/// How to connect, as a user says it.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    /// `https://HOST:PORT` or `http://HOST:PORT`.
    pub url: String,
    /// Certificates of the authorities that may vouch for the coordinator; needed for https.
    pub ca: Option<PathBuf>,
    /// The caller's own certificate.
    pub identity: Option<Identity>,
    /// File of the token.
    pub token: Option<PathBuf>,
    /// Whether `http://` beyond loopback is allowed.
    pub insecure: bool,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address cannot be used.
    #[error("cannot connect to {url} ({problem}), {suggestion}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        problem: &'static str,
        /// What to do about it.
        suggestion: &'static str,
    },
    /// No coordinator has written where it is.
    #[error(
        "cannot find the coordinator (no address in {}: {source}), check that it runs and uses \
         this store",
        file.display()
    )]
    Nowhere {
        /// File of the address.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate, key or token cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Nobody answers there.
    #[error("cannot reach {url} ({source}), check that the coordinator runs and listens there")]
    Unreachable {
        /// Of the coordinator.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// The answer takes too long.
    #[error(
        "cannot reach {url} (no answer within {} s), \
         check that the coordinator runs and that no firewall is between",
        CONNECT_MAX.as_secs()
    )]
    Silent {
        /// Of the coordinator.
        url: String,
    },
    /// Its certificate does not prove that it is the coordinator.
    #[error("do not trust {url} ({source}), {suggestion}")]
    Untrusted {
        /// Of the coordinator.
        url: String,
        /// Why.
        source: rustls::Error,
        /// What to do about it.
        suggestion: &'static str,
    },
    /// It does not take the caller's certificate.
    #[error("{url} refuses this certificate ({reason}), {suggestion}")]
    Refused {
        /// Of the coordinator.
        url: String,
        /// Why.
        reason: &'static str,
        /// What to do about it.
        suggestion: &'static str,
    },
    /// Something answers, but not as a coordinator does.
    #[error(
        "{url} does not answer like a coordinator ({problem}), \
         check the port and whether it is http or https"
    )]
    Foreign {
        /// Of the coordinator.
        url: String,
        /// What is unlike.
        problem: String,
    },
}

impl ConnectError {
    /// Whether the caller's own words or files are at fault.
    pub fn is_of_the_caller(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Credential(_))
    }

    /// Whether the same attempt may succeed later without anybody changing anything here.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Nowhere { .. }
        )
    }
}

impl Connect {
    /// Checks what can be checked without connecting.
    ///
    /// # Errors
    /// If the address cannot be used, or not with these credentials.
    pub fn check(self) -> Result<Target, ConnectError> {
        let (host, port, encrypted) =
            self.parts()
                .map_err(|(problem, suggestion)| ConnectError::Url {
                    url: self.url.clone(),
                    problem,
                    suggestion,
                })?;
        Ok(Target {
            host,
            port,
            encrypted,
            connect: self,
        })
    }

    /// Host, port and whether the connection is encrypted; or a problem and a suggestion.
    fn parts(&self) -> Result<(String, u16, bool), (&'static str, &'static str)> {
        const FORM: &str = "write https://HOST:PORT";
        let uri: Uri = self.url.parse().map_err(|_| ("it is not a URL", FORM))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(("it starts with neither https:// nor http://", FORM)),
        };
        let authority = uri.authority().ok_or(("it has no host", FORM))?;
        let port = authority.port_u16().ok_or(("it has no port", FORM))?;
        if authority.as_str().contains('@') {
            return Err(("it has a user's name in it", FORM));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(("it has a path, but all of a port is one coordinator", FORM));
        }
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
            .to_owned();
        if encrypted {
            if self.ca.is_none() {
                return Err((
                    "https needs the certificate of the CA that vouches for the coordinator",
                    "give the ca.pem that `reseed keys` made",
                ));
            }
            ServerName::try_from(host.as_str())
                .map_err(|_| ("its host is neither a name nor an address", FORM))?;
        } else {
            self.check_clear(&host)?;
        }
        Ok((host, port, encrypted))
    }

    fn check_clear(&self, host: &str) -> Result<(), (&'static str, &'static str)> {
        if self.ca.is_some() || self.identity.is_some() {
            return Err((
                "certificates prove nothing over http",
                "write https://, or leave them out",
            ));
        }
        if is_loopback(host) {
            return Ok(());
        }
        if self.token.is_some() {
            return Err((
                "everybody on the way could read the token",
                "use https; the token would be sent in the clear even with --insecure",
            ));
        }
        if !self.insecure {
            return Err((
                "http to another machine can be read and changed on the way",
                "use https with the files of `reseed keys`, or say --insecure in a network you trust",
            ));
        }
        Ok(())
    }
}

/// A host and a port as in a URL: IPv6 addresses are in brackets.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Whether a host is this machine. A name other than `localhost` may be anywhere.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Where a coordinator is.
#[derive(Debug, Clone)]
pub enum Whereabouts {
    /// At this address.
    Known(Target),
    /// At the address in a file, which is another one whenever the coordinator has been started
    /// on another machine.
    Written {
        /// The file.
        file: PathBuf,
        /// How to connect to whatever address is there.
        connect: Connect,
    },
}

impl Whereabouts {
    /// Connects to the coordinator, wherever it is now.
    ///
    /// # Errors
    /// As [`Target::connect`], and if there is no address.
    pub async fn connect(&self) -> Result<AuthorizedChannel, ConnectError> {
        match self {
            Self::Known(target) => target.connect().await,
            Self::Written { file, connect } => {
                let path = file.clone();
                let read = blocking(move || read_address(&path)).await;
                let url = read.map_err(|source| ConnectError::Nowhere {
                    file: file.clone(),
                    source,
                })?;
                let connect = Connect {
                    url,
                    ..connect.clone()
                };
                connect.check()?.connect().await
            }
        }
    }

    /// Whether the same attempt may succeed later. A coordinator that is killed in the middle of an
    /// answer looks like none, and an address in a file may be somebody else's by now.
    pub fn may_pass(&self, error: &ConnectError) -> bool {
        error.may_pass()
            || matches!(error, ConnectError::Foreign { .. })
            || matches!(
                (self, error),
                (Self::Written { .. }, ConnectError::Untrusted { .. })
            )
    }

    /// What to call it.
    pub fn name(&self) -> String {
        match self {
            Self::Known(target) => target.connect.url.clone(),
            Self::Written { file, .. } => format!("the coordinator in {}", file.display()),
        }
    }
}

fn read_address(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?
        .take(ADDRESS_LEN_MAX)
        .read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// A coordinator that may be connected to as was asked.
#[derive(Debug, Clone)]
pub struct Target {
    host: String,
    port: u16,
    encrypted: bool,
    connect: Connect,
}

impl Target {
    /// Connects, and waits for a first answer: only that shows that the coordinator took the
    /// caller's certificate. Whether it lets the caller do anything is for the first call to say.
    ///
    /// # Errors
    /// If files cannot be used, or the coordinator is not reached or not trusted.
    pub async fn connect(&self) -> Result<AuthorizedChannel, ConnectError> {
        let bearer = self.bearer().await?;
        let channel = self.channel(self.open().await?).await?;
        self.greet(channel.clone()).await?;
        Ok(InterceptedService::new(channel, bearer))
    }

    async fn bearer(&self) -> Result<Bearer, ConnectError> {
        let Some(path) = self.connect.token.clone() else {
            return Ok(Bearer(None));
        };
        let token = blocking(move || Token::read(&path)).await?;
        let mut value: MetadataValue<Ascii> = token
            .header()
            .parse()
            .expect("a token is visible ASCII, which every header can carry");
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }

    /// A channel that starts with this stream and opens others when that one ends.
    async fn channel(&self, stream: Stream) -> Result<Channel, ConnectError> {
        let mut first = Some(stream);
        let target = self.clone();
        let connector = service_fn(move |_: Uri| {
            let first = first.take();
            let target = target.clone();
            async move {
                match first {
                    Some(stream) => Ok(TokioIo::new(stream)),
                    None => target.open().await.map(TokioIo::new),
                }
            }
        });
        let foreign = |error: tonic::transport::Error| self.explain(&error);
        // The streams are encrypted already; tonic shall not do so again, but say so to the server.
        let authority = self.authority();
        let origin = format!("{}://{authority}", self.scheme());
        Endpoint::from_shared(format!("http://{authority}"))
            .map_err(foreign)?
            .origin(origin.parse().expect("made of the parts of a URL"))
            .user_agent(concat!("reseed/", env!("CARGO_PKG_VERSION")))
            .map_err(foreign)?
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_MAX)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(HEADERS_LEN_MAX)
            .connect_with_connector(connector)
            .await
            .map_err(foreign)
    }

    /// Asks for the coordinator's health: any answer will do.
    async fn greet(&self, channel: Channel) -> Result<(), ConnectError> {
        let question = http::Request::get("/healthz")
            .body(tonic::body::Body::empty())
            .expect("a path and no headers");
        match tokio::time::timeout(CONNECT_MAX, channel.oneshot(question)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    async fn open(&self) -> Result<Stream, ConnectError> {
        match tokio::time::timeout(CONNECT_MAX, self.open_patiently()).await {
            Ok(opened) => opened,
            Err(_) => Err(self.silent()),
        }
    }

    async fn open_patiently(&self) -> Result<Stream, ConnectError> {
        let unreachable = |source| ConnectError::Unreachable {
            url: self.connect.url.clone(),
            source,
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if !self.encrypted {
            self.check_address(stream.peer_addr().map_err(unreachable)?.ip())?;
            return Ok(Box::new(stream));
        }
        let target = self.clone();
        let config = blocking(move || target.client_config()).await?;
        let name = ServerName::try_from(self.host.clone()).expect("checked before");
        match TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
        {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// `localhost` is loopback by its name only; look where it led.
    fn check_address(&self, address: IpAddr) -> Result<(), ConnectError> {
        let clear_is_fine = self.connect.insecure && self.connect.token.is_none();
        if clear_is_fine || address.to_canonical().is_loopback() {
            return Ok(());
        }
        Err(ConnectError::Url {
            url: self.connect.url.clone(),
            problem: "its host is not this machine",
            suggestion: "write http://127.0.0.1:PORT, or use https",
        })
    }

    fn client_config(&self) -> Result<ClientConfig, CredentialError> {
        let ca = self.connect.ca.as_deref().expect("checked before");
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider speaks TLS 1.3")
            .with_root_certificates(read_authorities(ca)?);
        let mut config = match &self.connect.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(
                    read_chain("certificate", &identity.certificate)?,
                    read_key(&identity.key)?,
                )
                .map_err(|source| CredentialError::Mismatch {
                    identity: identity.clone(),
                    source,
                })?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn scheme(&self) -> &'static str {
        if self.encrypted { "https" } else { "http" }
    }

    fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    fn silent(&self) -> ConnectError {
        ConnectError::Silent {
            url: self.connect.url.clone(),
        }
    }

    /// What a failed handshake or a failed first question means.
    fn explain(&self, error: &(dyn Error + 'static)) -> ConnectError {
        let url = self.connect.url.clone();
        let cause = innermost(error);
        if let Some((_, reason, suggestion)) = refusal(cause) {
            return ConnectError::Refused {
                url,
                reason,
                suggestion,
            };
        }
        match cause.downcast_ref() {
            Some(source @ rustls::Error::InvalidCertificate(problem)) => ConnectError::Untrusted {
                url,
                source: source.clone(),
                suggestion: distrust(problem),
            },
            _ => ConnectError::Foreign {
                url,
                problem: cause.to_string(),
            },
        }
    }
}

/// Adds the token, and the trace it belongs to, to every call.
#[derive(Debug, Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        trace_context::carry(request.metadata_mut());
        Ok(request)
    }
}

/// A connection, encrypted or not.
type Stream = Box<dyn ReadWrite>;

trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for S {}

/// Reads files where it keeps nobody waiting.
async fn blocking<T, E>(read: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// How a coordinator refuses a certificate: the alert, why, and what to do about it.
type Refused = (AlertDescription, &'static str, &'static str);

const REFUSALS: [Refused; 9] = {
    use AlertDescription as Alert;
    const RENEW: &str = "renew it with `reseed keys`";
    const OTHER_CA: &str = "another CA signed it";
    const SAME_CA: &str = "use one signed by the CA that the coordinator was given";
    const NO_CLIENT: &str = "it is not a client's certificate";
    const CLIENT: &str = "use a worker's or operator's, as `reseed keys` makes them";
    [
        (Alert::CertificateExpired, "it has expired", RENEW),
        (Alert::CertificateRevoked, "it was revoked", RENEW),
        (Alert::UnknownCA, OTHER_CA, SAME_CA),
        (Alert::DecryptError, OTHER_CA, SAME_CA),
        (Alert::CertificateRequired, "there is none", CLIENT),
        (Alert::BadCertificate, NO_CLIENT, CLIENT),
        (Alert::UnsupportedCertificate, NO_CLIENT, CLIENT),
        (Alert::CertificateUnknown, NO_CLIENT, CLIENT),
        (Alert::AccessDenied, NO_CLIENT, CLIENT),
    ]
};

/// Whether an error is such a refusal. The HTTP/2 library keeps no more of it than its text.
fn refusal(error: &dyn Error) -> Option<Refused> {
    let text = error.to_string();
    REFUSALS
        .into_iter()
        .find(|(alert, ..)| text == rustls::Error::AlertReceived(*alert).to_string())
}

fn distrust(problem: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    match problem {
        Expired | ExpiredContext { .. } => "renew the coordinator's certificate with `reseed keys`",
        NotValidYet | NotValidYetContext { .. } => "set this machine's clock",
        NotValidForName | NotValidForNameContext { .. } => {
            "connect by a name in its certificate, or add this one with `reseed keys --host`"
        }
        _ => {
            "check the address, and that the CA is the one that signed the coordinator's certificate"
        }
    }
}

/// The first cause of an error. An [`io::Error`] hides the error it is made of from
/// [`Error::source`].
fn innermost<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let inner = match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    };
    inner.map_or(error, innermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(url: &str) -> Connect {
        Connect {
            url: url.into(),
            ..Connect::default()
        }
    }

    #[track_caller]
    fn refused(connect: Connect, word: &str) {
        let error = connect.check().expect_err("a refusal").to_string();
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn clear_connections_stay_on_this_machine() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            let url = format!("http://{host}:7000");
            assert!(connect(&url).check().is_ok(), "{url}");
            let token = Some("token".into());
            assert!(
                Connect {
                    token,
                    ..connect(&url)
                }
                .check()
                .is_ok(),
                "{url}"
            );
        }
        for host in ["node7", "10.0.0.1", "localhost.example.org", "[fe80::1]"] {
            let url = format!("http://{host}:7000");
            refused(connect(&url), "--insecure");
            let insecure = Connect {
                insecure: true,
                ..connect(&url)
            };
            assert!(insecure.clone().check().is_ok(), "{url}");
            let token = Some("token".into());
            refused(
                Connect { token, ..insecure },
                "in the clear even with --insecure",
            );
        }
    }

    #[test]
    fn addresses_that_cannot_be_meant_are_refused() {
        refused(connect("node7:7000"), "neither https:// nor http://");
        refused(connect("ftp://node7:7000"), "neither https:// nor http://");
        refused(connect("https://node7"), "no port");
        refused(connect("https://me@node7:7000"), "user's name");
        refused(connect("https://node7:7000/x"), "a path");
        refused(connect("https://node7:7000"), "ca.pem");
        refused(connect("https:// node7:7000"), "not a URL");
        let ca = Some("ca.pem".into());
        refused(
            Connect {
                ca,
                ..connect("http://localhost:7000")
            },
            "prove nothing",
        );
    }

    #[tokio::test]
    async fn an_absent_coordinator_may_come_back() {
        let target = connect("http://127.0.0.1:1").check().expect("loopback");
        let error = target.connect().await.expect_err("nobody listens");
        assert!(
            error.may_pass() && error.to_string().contains("cannot reach"),
            "{error}"
        );
    }
}
