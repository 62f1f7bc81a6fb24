//! Who calls, and what they may do.
//!
//! Whoever asks for more than the coordinator's health must be known: by a client certificate
//! that the handshake has verified, or by the token. Certificates give the role that is written
//! in them, the token gives every role. Without TLS and without a token everybody who reaches the
//! coordinator is an operator: that is for loopback and for networks of which a user said so.
//!
//! Browsers take the token as the password of HTTP Basic. They also send it, like a certificate,
//! in the name of their user when the page of somebody else asks them to. Therefore it makes them
//! viewers only, and calls (which are what changes something) from any page are refused: programs
//! that call have no pages.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use reseed_protocol::channel::is_loopback;
use reseed_protocol::credentials::{Role, Token};
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::sync::Semaphore;
use tonic::Status;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::message::Credential;

/// Longest common name that is kept, characters (the limit of X.520).
const NAME_LEN_MAX: usize = 64;

/// Numbers for monitoring, which probes may see too.
pub(crate) const METRICS: &str = "/metrics";

/// Who is at the other end of a connection. Every request carries it as an extension.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where the connection comes.
    pub address: SocketAddr,
    /// Its verified certificate, if it has shown one.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// What this request may do; none if nobody knows who asks.
    pub role: Option<Role>,
    /// Turns for what its connection delivers.
    pub(crate) deliveries: Arc<Semaphore>,
}

/// A client certificate that an authority of the coordinator has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Common name of the subject, at most 64 characters; empty if it has none.
    pub common_name: String,
    /// What tells its owner from others: the SHA-256 of the certificate, as `openssl x509
    /// -fingerprint -sha256` prints it.
    pub credential: Credential,
    /// The highest role that it gives.
    pub role: Role,
}

impl PeerCertificate {
    /// Reads a certificate that was verified; none if it is not X.509.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let common_name = parsed.subject().iter_common_name().next();
        Some(Self {
            common_name: common_name
                .and_then(|name| name.as_str().ok())
                .map(|name| name.chars().take(NAME_LEN_MAX).collect())
                .unwrap_or_default(),
            credential: credential(certificate)?,
            role: role(&parsed),
        })
    }
}

fn credential(certificate: &[u8]) -> Option<Credential> {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    // A SHA-256 has 32 bytes.
    digest.as_ref().try_into().ok().map(Credential)
}

fn role(certificate: &X509Certificate<'_>) -> Role {
    let names = certificate.subject_alternative_name().ok().flatten();
    names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Role::from_uri(uri),
            _ => None,
        })
        .max()
        .unwrap_or(Role::Viewer)
}

/// Decides about every request before anything else sees it.
#[derive(Debug)]
pub(crate) struct Guard {
    token: Option<Token>,
    clear: Clear,
}

/// What a connection in the clear proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clear {
    /// Connections are encrypted; they prove nothing by being there.
    Never,
    /// Whoever connects is on this machine.
    Loopback,
    /// Whoever connects is in a network that a user trusts.
    Trusted,
    /// Whoever connects may ask how the coordinator is, and nothing else.
    Probes,
}

impl Guard {
    pub(crate) fn new(token: Option<Token>, clear: Clear) -> Self {
        Self { token, clear }
    }

    /// Says no to a request, in the words of its protocol.
    pub(crate) fn refuse<B>(&self, refusal: Refusal, request: &Request<B>) -> Response {
        refusal.respond(request, self.token.is_some())
    }

    /// What the request may do; none for a stranger, who may ask for the coordinator's health.
    pub(crate) fn admit<B>(
        &self,
        certificate: Option<&PeerCertificate>,
        request: &Request<B>,
    ) -> Result<Option<Role>, Refusal> {
        if !only_reads(request) && is_from_a_page(request.headers()) {
            return Err(Refusal::Scripted);
        }
        let known = self.identify(certificate, request);
        let path = request.uri().path();
        if is_about_health(path) || self.clear == Clear::Probes && path == METRICS {
            return Ok(known.ok());
        }
        known.map(Some)
    }

    fn identify<B>(
        &self,
        certificate: Option<&PeerCertificate>,
        request: &Request<B>,
    ) -> Result<Role, Refusal> {
        if let Some(token) = &self.token {
            match presented(request) {
                Some((given, role)) if token.matches(&given) => return Ok(role),
                Some(_) => return Err(Refusal::WrongToken),
                None => {}
            }
        }
        if let Some(certificate) = certificate {
            return Ok(certificate.role);
        }
        match self.clear {
            Clear::Probes => Err(Refusal::OnlyProbes),
            _ if self.token.is_some() => Err(Refusal::Unknown),
            Clear::Never => Err(Refusal::Unknown),
            Clear::Loopback if !is_for_this_machine(request) => Err(Refusal::Misled),
            Clear::Loopback | Clear::Trusted => Ok(Role::Operator),
        }
    }
}

/// The token that a request presents, and the role that it gives if it is right.
fn presented<B>(request: &Request<B>) -> Option<(Vec<u8>, Role)> {
    let value = request.headers().get(AUTHORIZATION)?.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, given) = (&value[..space], &value[space + 1..]);
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return Some((given.to_vec(), Role::Operator));
    }
    if scheme.eq_ignore_ascii_case(b"Basic") && only_reads(request) {
        let decoded = BASE64_STANDARD.decode(given).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        return Some((decoded[colon + 1..].to_vec(), Role::Viewer));
    }
    None
}

/// Whether a request can change nothing; those of gRPC are all of the other kind.
fn only_reads<B>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Whether a browser asks because a page told it to. Browsers say so in every request that is
/// not only for reading, and pages cannot make them leave it out.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site")
}

/// Whether a request asks only whether the coordinator is well; probes have no certificates.
fn is_about_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz") || path.starts_with("/grpc.health.v1.Health/")
}

/// Whether the request's own idea of its host is this machine. A web page whose name leads to
/// 127.0.0.1 makes a browser call programs on this machine in the name of its user; the name
/// betrays it.
fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let named = request.uri().authority().cloned().or_else(|| {
        let header = request.headers().get(HOST)?;
        header.to_str().ok()?.parse().ok()
    });
    named.is_some_and(|authority| {
        is_loopback(
            authority
                .host()
                .trim_start_matches('[')
                .trim_end_matches(']'),
        )
    })
}

/// Why a request is not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error(
        "the coordinator does not know who asks (neither a client certificate nor a token was \
         given), present a certificate with its key, or the coordinator's token"
    )]
    Unknown,
    #[error(
        "the token is wrong (it is not the one that the coordinator was started with), \
         copy the token file again"
    )]
    WrongToken,
    #[error(
        "the request is for another machine (without a token this coordinator serves its own \
         machine only, by the name localhost), connect to localhost or give the coordinator a \
         token"
    )]
    Misled,
    #[error(
        "this port answers health checks and {METRICS} only (whoever reaches it is not asked who \
         they are), use the coordinator's own port"
    )]
    OnlyProbes,
    #[error(
        "the call is from a web page (which could make it in the name of whoever reads the page), \
         use the program reseed"
    )]
    Scripted,
}

impl Refusal {
    /// The refusal in the words of the asker's protocol. `with_token` is whether there is one to
    /// ask for.
    pub(crate) fn respond<B>(self, request: &Request<B>, with_token: bool) -> Response {
        let kind = request.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            return Status::unauthenticated(self.to_string()).into_http::<Body>();
        }
        if matches!(self, Self::Misled | Self::Scripted | Self::OnlyProbes) {
            return plain(StatusCode::FORBIDDEN, &self);
        }
        // With this challenge a browser asks its user for a name and a password.
        let challenge = if with_token && only_reads(request) {
            "Basic realm=\"reseed: any name, and the token as the password\", charset=\"UTF-8\""
        } else {
            "Bearer"
        };
        let mut response = plain(StatusCode::UNAUTHORIZED, &self);
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// Why a known caller may not do this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "this needs the role {} ({}), use the certificate of one", needed.name(), has(*.role)
)]
pub struct Forbidden {
    needed: Role,
    role: Option<Role>,
}

fn has(role: Option<Role>) -> String {
    match role {
        Some(role) => format!("the caller's certificate gives the role {}", role.name()),
        None => "nobody knows who the caller is".into(),
    }
}

impl From<Forbidden> for Status {
    fn from(forbidden: Forbidden) -> Self {
        Self::permission_denied(forbidden.to_string())
    }
}

impl IntoResponse for Forbidden {
    fn into_response(self) -> Response {
        plain(StatusCode::FORBIDDEN, &self)
    }
}

fn plain(status: StatusCode, text: &impl fmt::Display) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// Lets workers and operators pass.
///
/// # Errors
/// For everybody else.
pub fn require_worker(peer: &Peer) -> Result<(), Forbidden> {
    require(peer, Role::Worker)
}

/// Lets operators pass.
///
/// # Errors
/// For everybody else.
pub fn require_operator(peer: &Peer) -> Result<(), Forbidden> {
    require(peer, Role::Operator)
}

fn require(peer: &Peer, needed: Role) -> Result<(), Forbidden> {
    if peer.role >= Some(needed) {
        return Ok(());
    }
    Err(Forbidden {
        needed,
        role: peer.role,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn guard(token: bool, clear: Clear) -> Guard {
        Guard::new(
            token.then(|| Token::new(TOKEN).expect("long enough")),
            clear,
        )
    }

    fn request(uri: &str, authorization: Option<&str>) -> Request<()> {
        let mut builder = Request::get(uri);
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        builder.body(()).expect("a request")
    }

    fn certificate(role: Role) -> PeerCertificate {
        PeerCertificate {
            common_name: "someone".into(),
            credential: Credential([0; 32]),
            role,
        }
    }

    #[test]
    fn encrypted_strangers_see_nothing_but_health() {
        for token in [false, true] {
            let guard = guard(token, Clear::Never);
            for path in ["/healthz", "/readyz", "/grpc.health.v1.Health/Check"] {
                assert_eq!(guard.admit(None, &request(path, None)), Ok(None), "{path}");
            }
            for path in [
                "/",
                "/metrics",
                "/healthz/",
                "/grpc.health.v1.HealthX/Check",
            ] {
                let asked = request(path, None);
                assert_eq!(guard.admit(None, &asked), Err(Refusal::Unknown), "{path}");
            }
        }
    }

    #[test]
    fn certificates_give_their_role_and_the_token_gives_every_role() {
        let guard = guard(true, Clear::Never);
        let asked = request("/", None);
        for role in [Role::Viewer, Role::Worker, Role::Operator] {
            let admitted = guard.admit(Some(&certificate(role)), &asked);
            assert_eq!(admitted, Ok(Some(role)));
        }
        for scheme in ["Bearer", "bearer"] {
            let asked = request("/", Some(&format!("{scheme} {TOKEN}")));
            assert_eq!(guard.admit(None, &asked), Ok(Some(Role::Operator)));
        }
    }

    #[test]
    fn a_wrong_token_is_refused_even_with_a_certificate() {
        let guard = guard(true, Clear::Never);
        let wrong = request("/", Some("Bearer 0123456789abcdef0123456789abcdeX"));
        let admitted = guard.admit(Some(&certificate(Role::Worker)), &wrong);
        assert_eq!(admitted, Err(Refusal::WrongToken));
    }

    #[test]
    fn browsers_give_the_token_as_a_password_and_may_only_look() {
        let guard = guard(true, Clear::Never);
        let basic = |text: &str| {
            let encoded = BASE64_STANDARD.encode(text);
            request("/status.json", Some(&format!("Basic {encoded}")))
        };
        for name in ["", "ada", "ada b"] {
            let asked = basic(&format!("{name}:{TOKEN}"));
            assert_eq!(guard.admit(None, &asked), Ok(Some(Role::Viewer)), "{name}");
        }
        for wrong in [
            format!("{TOKEN}:"),
            format!(":{TOKEN}:"),
            format!(":{TOKEN} "),
            ":".into(),
        ] {
            let admitted = guard.admit(None, &basic(&wrong));
            assert_eq!(admitted, Err(Refusal::WrongToken), "{wrong}");
        }
        for unreadable in [
            format!("Basic {TOKEN}"),
            "Basic ====".into(),
            "Basic".into(),
        ] {
            let asked = request("/", Some(&unreadable));
            assert_eq!(guard.admit(None, &asked), Err(Refusal::Unknown));
        }
        let mut call = basic(&format!(":{TOKEN}"));
        *call.method_mut() = Method::POST;
        assert_eq!(guard.admit(None, &call), Err(Refusal::Unknown));
    }

    #[test]
    fn no_page_makes_a_browser_call_in_the_name_of_its_user() {
        let bearer = format!("Bearer {TOKEN}");
        let operator = certificate(Role::Operator);
        for (token, clear, certificate, authorization) in [
            (false, Clear::Loopback, None, None),
            (false, Clear::Trusted, None, None),
            (false, Clear::Never, Some(&operator), None),
            (true, Clear::Never, None, Some(&*bearer)),
        ] {
            let guard = guard(token, clear);
            for (header, value) in [
                ("origin", "http://evil.example"),
                ("origin", "null"),
                ("origin", "http://localhost:7000"),
                ("sec-fetch-site", "cross-site"),
            ] {
                let mut call = request("http://localhost:7000/drain", authorization);
                *call.method_mut() = Method::POST;
                let admitted = guard.admit(certificate, &call);
                assert_eq!(admitted, Ok(Some(Role::Operator)), "a program may call");
                call.headers_mut()
                    .insert(header, HeaderValue::from_static(value));
                assert_eq!(guard.admit(certificate, &call), Err(Refusal::Scripted));
                *call.method_mut() = Method::GET;
                assert!(guard.admit(certificate, &call).is_ok(), "looking is free");
            }
        }
    }

    #[test]
    fn a_token_is_asked_for_in_the_clear_too() {
        for clear in [Clear::Loopback, Clear::Trusted] {
            let asked = request("http://localhost:7000/", None);
            let open = guard(false, clear).admit(None, &asked);
            assert_eq!(open, Ok(Some(Role::Operator)));
            let closed = guard(true, clear).admit(None, &asked);
            assert_eq!(closed, Err(Refusal::Unknown));
        }
    }

    #[test]
    fn web_pages_cannot_borrow_the_users_loopback() {
        let guard = guard(false, Clear::Loopback);
        for host in ["localhost:7000", "127.0.0.1:7000", "[::1]:7000"] {
            let asked = request(&format!("http://{host}/"), None);
            assert_eq!(
                guard.admit(None, &asked),
                Ok(Some(Role::Operator)),
                "{host}"
            );
        }
        let mut asked = request("/", None);
        assert_eq!(guard.admit(None, &asked), Err(Refusal::Misled));
        for (host, refused) in [("evil.example:7000", true), ("localhost:7000", false)] {
            asked
                .headers_mut()
                .insert(HOST, HeaderValue::from_static(host));
            assert_eq!(guard.admit(None, &asked).is_err(), refused, "{host}");
        }
    }

    #[test]
    fn refusals_speak_the_callers_protocol() {
        let mut asked = request("/", None);
        let http = Refusal::Unknown.respond(&asked, false);
        assert_eq!(http.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(http.headers()[WWW_AUTHENTICATE], "Bearer");
        let http = Refusal::Unknown.respond(&asked, true);
        let challenge = http.headers()[WWW_AUTHENTICATE].to_str().expect("ASCII");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        for foul in [Refusal::Misled, Refusal::Scripted] {
            let response = foul.respond(&asked, true);
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
        }
        *asked.method_mut() = Method::POST;
        let http = Refusal::Unknown.respond(&asked, true);
        assert_eq!(http.headers()[WWW_AUTHENTICATE], "Bearer");
        asked.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/grpc+proto"),
        );
        let grpc = Refusal::WrongToken.respond(&asked, true);
        assert_eq!(grpc.status(), StatusCode::OK);
        assert_eq!(grpc.headers()["grpc-status"], "16");
        let message = grpc.headers()["grpc-message"].to_str().expect("ASCII");
        assert!(message.contains("token"), "{message}");
    }

    #[test]
    fn operators_may_do_what_workers_may_and_more() {
        let peer = |role| Peer {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: None,
            role,
            deliveries: Arc::new(Semaphore::new(1)),
        };
        assert!(require_worker(&peer(Some(Role::Operator))).is_ok());
        assert!(require_worker(&peer(Some(Role::Worker))).is_ok());
        assert!(require_worker(&peer(Some(Role::Viewer))).is_err());
        assert!(require_worker(&peer(None)).is_err());
        assert!(require_operator(&peer(Some(Role::Operator))).is_ok());
        let forbidden = require_operator(&peer(Some(Role::Worker))).expect_err("not enough");
        assert_eq!(
            forbidden.to_string(),
            "this needs the role operator (the caller's certificate gives the role worker), \
             use the certificate of one"
        );
        assert_eq!(
            forbidden.clone().into_response().status(),
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            Status::from(forbidden).code(),
            tonic::Code::PermissionDenied
        );
    }
}
