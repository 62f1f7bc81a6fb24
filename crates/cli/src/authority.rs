//! A small certificate authority (CA) for one cluster, kept in a folder.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use reseed_protocol::credentials::{CredentialError, Role, read_chain, read_key};
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::exit::Failure;
use crate::whole::{Readers, write, write_new};

/// File of the authority's certificate.
pub(crate) const CA_CERTIFICATE: &str = "ca.pem";

/// File of the authority's key.
pub(crate) const CA_KEY: &str = "ca.key";

/// How long an authority is good, days.
const CA_DAYS: i64 = 3652;

/// How far a clock may be behind ours and still take a new certificate, hours.
const CLOCKS_DIFFER_HOURS: i64 = 1;

/// Signs the certificates of one cluster.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    ends: OffsetDateTime,
    is_new: bool,
}

impl Authority {
    /// The authority of this folder; a new one if there is none.
    pub(crate) fn of(folder: &Path) -> Result<Self, Failure> {
        let present = |name| {
            let path = folder.join(name);
            path.try_exists().map_err(Failure::system("look at", &path))
        };
        match (present(CA_CERTIFICATE)?, present(CA_KEY)?) {
            (false, false) => Self::make(folder),
            (true, true) => Self::open(folder),
            (has_certificate, _) => {
                let (here, absent) = if has_certificate {
                    (CA_CERTIFICATE, CA_KEY)
                } else {
                    (CA_KEY, CA_CERTIFICATE)
                };
                Err(Failure::Usage(format!(
                    "cannot sign with the CA in {} (there is {here} but no {absent}), put {absent} \
                     beside it, or choose another folder for a new CA",
                    folder.display()
                )))
            }
        }
    }

    fn make(folder: &Path) -> Result<Self, Failure> {
        let key = new_key()?;
        let mut params = CertificateParams::default();
        // Each has a name of its own: a certificate of another one is then told apart by name.
        let name = format!("reseed CA {}", &random_hex()?[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ends = set_validity(&mut params, CA_DAYS);
        let certificate = params.self_signed(&key)?;
        write_new(&folder.join(CA_KEY), &key.serialize_pem(), Readers::Owner)?;
        write_new(
            &folder.join(CA_CERTIFICATE),
            &certificate.pem(),
            Readers::All,
        )?;
        Ok(Self {
            folder: folder.to_path_buf(),
            issuer: Issuer::new(params, key),
            ends,
            is_new: true,
        })
    }

    fn open(folder: &Path) -> Result<Self, Failure> {
        let what = "CA certificate";
        let path = folder.join(CA_CERTIFICATE);
        let key_path = folder.join(CA_KEY);
        let unusable = |path: &Path, problem: &str| {
            Failure::Credential(CredentialError::Contents {
                what,
                path: path.to_path_buf(),
                problem: problem.into(),
                suggestion: "choose another folder for a new CA",
            })
        };
        let chain = read_chain(what, &path)?;
        let key = KeyPair::try_from(&read_key(&key_path)?)
            .map_err(|error| unusable(&key_path, &error.to_string()))?;
        let (_, certificate) = X509Certificate::from_der(&chain[0])
            .map_err(|_| unusable(&path, "it is not an X.509 certificate"))?;
        if !certificate.is_ca() {
            return Err(unusable(&path, "it may not sign others"));
        }
        if certificate.public_key().subject_public_key.data != key.public_key_raw() {
            return Err(unusable(&path, "ca.key is not its key"));
        }
        let ends = certificate.validity().not_after.to_datetime();
        let issuer = Issuer::from_ca_cert_der(&chain[0], key)
            .map_err(|error| unusable(&path, &error.to_string()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            issuer,
            ends,
            is_new: false,
        })
    }

    /// Whether it was made just now.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Until when it is good.
    pub(crate) fn ends(&self) -> OffsetDateTime {
        self.ends
    }

    /// Checks that it is still good for so many days.
    pub(crate) fn check_days(&self, days: u16) -> Result<(), Failure> {
        let left = (self.ends - OffsetDateTime::now_utc()).whole_days();
        if i64::from(days) <= left {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "cannot sign for {days} days (the CA in {} ends in {left}), ask for fewer --days, or \
             choose another folder for a new CA",
            self.folder.display()
        )))
    }

    /// Signs a server's certificate for these names and addresses and writes it with its key.
    pub(crate) fn server(
        &self,
        name: &str,
        hosts: &[String],
        days: u16,
    ) -> Result<OffsetDateTime, Failure> {
        let mut params = CertificateParams::new(hosts)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(name, params, days)
    }

    /// Signs a client's certificate with this role and writes it with its key.
    pub(crate) fn client(
        &self,
        name: &str,
        role: Role,
        days: u16,
    ) -> Result<OffsetDateTime, Failure> {
        let mut params = CertificateParams::default();
        let uri = role.uri().try_into()?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(name, params, days)
    }

    fn sign(
        &self,
        name: &str,
        mut params: CertificateParams,
        days: u16,
    ) -> Result<OffsetDateTime, Failure> {
        let key = new_key()?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let ends = set_validity(&mut params, i64::from(days));
        let certificate: Certificate = params.signed_by(&key, &self.issuer)?;
        let path = |ending| self.folder.join(format!("{name}.{ending}"));
        write(&path("key"), &key.serialize_pem(), Readers::Owner)?;
        write(&path("pem"), &certificate.pem(), Readers::All)?;
        Ok(ends)
    }
}

/// What a certificate in a folder is for.
#[derive(Debug, Default)]
pub(crate) struct Purpose {
    pub(crate) hosts: Vec<String>,
    pub(crate) role: Option<Role>,
}

impl Purpose {
    /// Reads it from a certificate's alternative names.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let chain = read_chain("certificate", path)?;
        let mut purpose = Self::default();
        let Ok((_, certificate)) = X509Certificate::from_der(&chain[0]) else {
            return Ok(purpose);
        };
        let names = certificate.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(host) => purpose.hosts.push((*host).to_owned()),
                GeneralName::IPAddress(bytes) => purpose.hosts.extend(address(bytes)),
                GeneralName::URI(uri) => purpose.role = purpose.role.max(Role::from_uri(uri)),
                _ => {}
            }
        }
        Ok(purpose)
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        IpAddr::from(four)
    } else {
        IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
    };
    Some(address.to_string())
}

/// Sets from when to when it is good; returns the end.
fn set_validity(params: &mut CertificateParams, days: i64) -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::hours(CLOCKS_DIFFER_HOURS);
    params.not_after = now + Duration::days(days);
    params.not_after
}

/// A new key, ECDSA on P-256.
fn new_key() -> Result<KeyPair, Failure> {
    Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?)
}

/// 32 random bytes of the system as hex.
pub(crate) fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Internal(format!("the system has no random bytes ({error})")))?;
    Ok(blake3::Hash::from_bytes(bytes).to_hex().to_string())
}

/// Makes a folder that only its owner can look into, unless it is there.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)
        .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
        .map_err(Failure::system("create the folder", folder))
}
