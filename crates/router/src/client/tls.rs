//! TLS settings: rustls with aws-lc-rs and Mozilla's roots.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The TLS settings that all clients of a process share: roots, protocol versions, resumable
/// sessions.
#[derive(Debug, Clone)]
pub struct Tls(pub(super) Arc<ClientConfig>);

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A root certificate or the provider is not usable.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
    /// A file of root certificates cannot be read.
    #[error("expected certificates in PEM form: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
}

impl Tls {
    /// Mozilla's roots and `extra` ones; TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn new(extra: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra {
            roots.add(root)?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Tls(Arc::new(config)))
    }

    /// The same with the certificates of a PEM file's text, such as `SSL_CERT_FILE` names.
    pub fn with_pem(pem: &[u8]) -> Result<Self, TlsError> {
        Self::new(CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?)
    }
}
