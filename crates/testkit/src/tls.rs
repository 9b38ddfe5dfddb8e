//! Certificates made for a test, and a client that says which one it was served.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, Stream,
};

use crate::OrFail;

/// How long a handshake may take.
const CAP: Duration = Duration::from_secs(30);

/// A self-signed certificate and its key.
#[derive(Clone)]
pub struct MadeCertificate {
    /// The certificate, as it is sent.
    pub der: Vec<u8>,
    /// The certificate as PEM.
    pub certificate: String,
    /// The key as PEM.
    pub key: String,
}

/// Takes every certificate, since the test looks at it itself.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl MadeCertificate {
    /// One for this name.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).or_fail();
        Self {
            der: made.cert.der().to_vec(),
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// A server that has it.
    pub(crate) fn server(&self) -> Result<ServerConfig, Error> {
        let odd = |error: rustls::pki_types::pem::Error| Error::General(error.to_string());
        let chain = vec![CertificateDer::from(self.der.clone())];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(odd)?;
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
    }

    /// Both in one, as HAProxy wants it.
    pub fn pem(&self) -> String {
        format!("{}\n{}", self.certificate, self.key)
    }
}

/// The certificate that a client gets that asks for this name; none if it is turned away.
#[track_caller]
pub fn served_certificate(addr: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .or_fail()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    let mut tcp = TcpStream::connect(addr).or_fail();
    tcp.set_read_timeout(Some(CAP)).or_fail();
    let name = ServerName::try_from(name.to_owned()).or_fail();
    let mut client = ClientConnection::new(Arc::new(config), name).or_fail();
    let mut stream = Stream::new(&mut client, &mut tcp);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    Some(client.peer_certificates()?.first()?.to_vec())
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
