//! Which servers are trusted.

use super::*;

#[tokio::test]
async fn an_https_server_is_trusted_through_the_ca_file_only() {
    crate::cos::install_crypto_provider();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, issued.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, answer("200 OK", NOTHING)).await;
            }
        }
    });

    let trusting = Options { ca_file: Some(ca_file), ..Options::default() };
    label(&client_with(&endpoint, None, &trusting), "a").await.unwrap();
    let error = label(&client_with(&endpoint, None, &Options::default()), "a").await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }) && !error.was_sent(), "{error:?}");
}

#[tokio::test]
async fn a_certificate_outside_its_validity_hints_at_a_wrong_clock() {
    crate::cos::install_crypto_provider();
    for (from, to, is_about_time) in [(2999, 3000, true), (1999, 2001, true), (2000, 2999, false)] {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, issued.pem()).unwrap();
        let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![issued.der().clone()], der)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        let trusts = if is_about_time { Some(ca_file) } else { None };
        let options = Options { ca_file: trusts, ..Options::default() };
        let error = label(&client_with(&endpoint, None, &options), "a").await.unwrap_err();
        assert!(
            matches!(error, Error::Certificate { is_about_time: told, .. } if told == is_about_time),
            "{from}: {error:?}"
        );
    }
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let build = |path: PathBuf| {
        let options = Options { ca_file: Some(path), ..Options::default() };
        let endpoint = Endpoint::custom("https://localhost").unwrap();
        Client::new(endpoint, Arc::new(Provider::fixed(credentials(None))), &options)
    };
    assert!(matches!(build(empty), Err(BuildError::NoCertificate { .. })));
    assert!(matches!(build(folder.path().join("none")), Err(BuildError::CaFile { .. })));
}
