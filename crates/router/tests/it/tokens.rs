//! Tokens: fetched from an issuer that checks what it is asked, kept, shared, renewed, refused.

use std::{io::Write as _, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tollgate_router::Tokens;
use tollgate_testkit::{Issuer, Reply, ScriptedUpstream, Trouble};
use tollgate_wire::{
    FaultKind, Login, Secret,
    login::{Entra, Google},
};

use crate::rig::{Rig, until, whole};

const SECRET: &str = "secret of the tests";

async fn both() -> (ScriptedUpstream, Issuer) {
    (ScriptedUpstream::start().await, Issuer::start().await)
}

fn rig(upstream: &ScriptedUpstream, login: Login) -> Rig {
    Rig::new(&[format!("{}/v1", upstream.url())]).retries(0).login(login)
}

fn google(file: &Value) -> Login {
    let scope = "https://www.googleapis.com/auth/cloud-platform".to_owned();
    Login::Google { who: Box::new(Google::read(&file.to_string()).unwrap()), scope }
}

fn entra(who: Entra) -> Login {
    let scope = "https://cognitiveservices.azure.com/.default".to_owned();
    Login::Entra { who: Box::new(who), scope }
}

/// A file with a subject's token.
fn subject() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "subject of the tests").unwrap();
    file
}

/// Two calls with one token, and what the upstream saw of it.
async fn check(login: impl FnOnce(&Issuer) -> Login, token: &str, asked: usize) {
    let (upstream, issuer) = both().await;
    let mut rig = rig(&upstream, login(&issuer));
    for _ in 0..2 {
        let (_, live) = rig.answered().await;
        assert!(!whole(&live).is_empty());
        assert_eq!(upstream.last().header("authorization"), format!("Bearer {token}"));
    }
    assert_eq!(issuer.asked().len(), asked, "{:?}", issuer.asked());
}

#[tokio::test]
async fn a_google_service_account() {
    check(|issuer| google(&issuer.service_account()), "google-token-1", 1).await;
}

#[tokio::test]
async fn a_google_user() {
    let login = |issuer: &Issuer| {
        google(&json!({
            "type": "authorized_user", "client_id": "client-1", "client_secret": SECRET,
            "refresh_token": "refresh of the tests", "token_uri": format!("{}/token", issuer.url()),
        }))
    };
    check(login, "user-token-1", 1).await;
}

#[tokio::test]
async fn google_with_a_token_of_another_issuer() {
    let file = subject();
    let path = file.path().to_str().unwrap().to_owned();
    check(|issuer| google(&issuer.external_account(&path)), "impersonated-token-2", 2).await;
}

#[tokio::test]
async fn a_google_machine() {
    let login = |issuer: &Issuer| Login::Google {
        who: Box::new(Google::Metadata { host: issuer.url() }),
        scope: "https://www.googleapis.com/auth/cloud-platform".to_owned(),
    };
    check(login, "metadata-token-1", 1).await;
}

fn principal(issuer: &Issuer) -> Login {
    entra(Entra::Secret {
        authority: issuer.url(),
        tenant: "tenant-1".to_owned(),
        client: "client-1".to_owned(),
        secret: Secret::new(SECRET),
    })
}

#[tokio::test]
async fn an_azure_principal() {
    check(principal, "entra-token-1", 1).await;
}

#[tokio::test]
async fn an_azure_user() {
    let login = |issuer: &Issuer| {
        entra(Entra::Password {
            authority: issuer.url(),
            tenant: "tenant-1".to_owned(),
            client: "client-1".to_owned(),
            user: "me".to_owned(),
            password: Secret::new(SECRET),
        })
    };
    check(login, "entra-token-1", 1).await;
}

#[tokio::test]
async fn an_azure_workload() {
    let file = subject();
    let login = |issuer: &Issuer| {
        entra(Entra::Federated {
            authority: issuer.url(),
            tenant: "tenant-1".to_owned(),
            client: "client-1".to_owned(),
            token_file: file.path().to_str().unwrap().to_owned(),
        })
    };
    check(login, "entra-token-1", 1).await;
}

#[tokio::test]
async fn an_azure_machine_and_an_app_service() {
    let machine = |issuer: &Issuer| entra(Entra::Machine { host: issuer.url(), client: None });
    check(machine, "machine-token-1", 1).await;
    let app = |issuer: &Issuer| {
        entra(Entra::App {
            endpoint: format!("{}/msi/token", issuer.url()),
            header: Secret::new(SECRET),
            client: Some("client-1".to_owned()),
        })
    };
    check(app, "app-token-1", 1).await;
}

#[tokio::test]
async fn an_ibm_key_and_a_databricks_principal() {
    let ibm = |issuer: &Issuer| Login::Ibm {
        url: format!("{}/identity/token", issuer.url()),
        key: Secret::new(SECRET),
    };
    check(ibm, "ibm-token-1", 1).await;
    let databricks = |issuer: &Issuer| Login::Client {
        url: format!("{}/oidc/v1/token", issuer.url()),
        id: "client-1".to_owned(),
        secret: Secret::new(SECRET),
        scope: "all-apis".to_owned(),
    };
    check(databricks, "databricks-token-1", 1).await;
}

#[tokio::test]
async fn a_snowflake_key_pair_needs_no_endpoint() {
    let (upstream, issuer) = both().await;
    let login = Login::Snowflake {
        account: "ACCOUNT".to_owned(),
        user: "ME".to_owned(),
        key: Secret::new(issuer.pem()),
    };
    rig(&upstream, login).answered().await;
    let header = upstream.last().header("authorization").to_owned();
    let claims = issuer.claims(header.strip_prefix("Bearer ").unwrap()).expect("it is signed");
    assert_eq!(claims["sub"], "ACCOUNT.ME");
    let iss = claims["iss"].as_str().unwrap();
    // SHA-256 in base64 has 44 characters.
    assert_eq!(iss.strip_prefix("ACCOUNT.ME.SHA256:").unwrap().len(), 44, "{iss}");
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 3_600);
    assert!(issuer.asked().is_empty());
}

#[tokio::test]
async fn a_hundred_requests_ask_for_one_token() {
    let (upstream, issuer) = both().await;
    issuer.trouble(Trouble::Slow(Duration::from_millis(200)));
    let mut rig = rig(&upstream, principal(&issuer));
    rig.table();
    let answers = join_all((0..100).map(|_| rig.ask_at_once())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(issuer.asked().len(), 1);
    assert_eq!(upstream.requests().len(), 100);
}

#[tokio::test]
async fn clients_of_one_process_share_their_tokens() {
    let (upstream, issuer) = both().await;
    let tokens = std::sync::Arc::new(Tokens::default());
    for _ in 0..3 {
        let mut rig = rig(&upstream, principal(&issuer)).tokens(&tokens);
        rig.answered().await;
    }
    assert_eq!(issuer.asked().len(), 1);
}

#[tokio::test]
async fn an_issuer_that_fails_is_a_fault_of_the_target_and_never_a_401() {
    for (trouble, status, code, kind) in [
        (Trouble::Status(500), 502, "upstream_error", FaultKind::Server),
        (Trouble::Status(503), 502, "upstream_error", FaultKind::Unavailable),
        (Trouble::Status(429), 429, "upstream_rate_limited", FaultKind::RateLimit),
        (Trouble::Status(401), 502, "upstream_auth_failed", FaultKind::Credential),
        (Trouble::Status(400), 502, "upstream_auth_failed", FaultKind::Credential),
        (Trouble::Status(302), 502, "upstream_redirect", FaultKind::Redirect),
        (Trouble::Garbage, 502, "upstream_bad_response", FaultKind::BadResponse),
        (Trouble::NoToken, 502, "upstream_bad_response", FaultKind::BadResponse),
        (Trouble::Expired, 502, "upstream_bad_response", FaultKind::BadResponse),
    ] {
        let (upstream, issuer) = both().await;
        let mut rig = rig(&upstream, principal(&issuer));
        issuer.trouble(trouble);
        let (got, said, failed) = rig.refused().await;
        assert_eq!((got, said.as_str()), (status, code), "{trouble:?}: {failed:?}");
        let (_, fault) = failed.last.unwrap();
        assert_eq!(fault.kind, kind, "{trouble:?}");
        assert!(fault.message.starts_with("the token endpoint 127.0.0.1: "), "{fault:?}");
        assert!(!format!("{fault:?}").contains(SECRET));
        assert!(upstream.requests().is_empty(), "nothing was sent without a token");
    }
}

#[tokio::test]
async fn an_issuer_that_fails_once_is_asked_again() {
    let (upstream, issuer) = both().await;
    issuer.trouble(Trouble::Status(503));
    let mut rig = rig(&upstream, principal(&issuer)).retries(2);
    let (_, live) = rig.answered().await;
    assert_eq!(live.retries, 1);
    assert_eq!(issuer.asked().len(), 2);
}

#[tokio::test]
async fn another_target_is_asked_where_an_issuer_is_gone() {
    let (upstream, issuer) = both().await;
    let login = principal(&issuer);
    drop(issuer);
    let base = format!("{}/v1", upstream.url());
    let mut rig = Rig::new(&[base.clone(), base]).login(login).key_for("b");
    let (who, _) = rig.answered().await;
    assert_eq!(who, "b");
}

#[tokio::test]
async fn a_slow_issuer_counts_as_a_slow_answer() {
    let (upstream, issuer) = both().await;
    issuer.trouble(Trouble::Slow(Duration::from_secs(20)));
    let mut rig = rig(&upstream, principal(&issuer)).timeouts(|limits| limits.first_byte_ms = 300);
    let (status, code, _) = rig.refused().await;
    assert_eq!((status, code.as_str()), (504, "upstream_timeout"));
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_issuers() {
    let (upstream, issuer) = both().await;
    issuer.ahead(3 * 3_600);
    let mut rig = rig(&upstream, google(&issuer.service_account()));
    rig.answered().await;
    assert_eq!(issuer.asked().len(), 2);
    assert_eq!(upstream.last().header("authorization"), "Bearer google-token-1");
}

#[tokio::test]
async fn a_key_that_is_not_the_accounts_is_refused() {
    let (upstream, issuer) = both().await;
    let other = Issuer::start().await;
    let mut file = issuer.service_account();
    file["private_key"] = other.pem().into();
    let (status, code, failed) = rig(&upstream, google(&file)).refused().await;
    assert_eq!((status, code.as_str()), (502, "upstream_auth_failed"));
    let (_, fault) = failed.last.unwrap();
    assert!(fault.message.contains("Invalid JWT Signature."), "{fault:?}");
}

#[tokio::test]
async fn a_missing_token_file_is_named() {
    let (upstream, issuer) = both().await;
    let login = google(&issuer.external_account("/no/such/file"));
    let (_, _, failed) = rig(&upstream, login).refused().await;
    let (_, fault) = failed.last.unwrap();
    assert!(fault.message.contains("`/no/such/file`"), "{fault:?}");
}

/// A token that the provider repeats in its error is not shown.
#[tokio::test]
async fn a_token_is_never_shown() {
    let (upstream, issuer) = both().await;
    upstream.require_key("another");
    let (_, _, failed) = rig(&upstream, principal(&issuer)).refused().await;
    until("the upstream was asked", || !upstream.requests().is_empty()).await;
    assert!(!format!("{failed:?}").contains("entra-token-1"), "{failed:?}");
    let (_, fault) = failed.last.unwrap();
    assert!(fault.message.contains("[key]"), "{fault:?}");
}

#[tokio::test]
async fn a_stream_is_signed_in_to_as_well() {
    let (upstream, issuer) = both().await;
    upstream.script(Reply::text("hello"));
    let mut rig = rig(&upstream, principal(&issuer)).streaming();
    let (_, live) = rig.answered().await;
    assert_eq!(upstream.last().header("authorization"), "Bearer entra-token-1");
    drop(live);
}
