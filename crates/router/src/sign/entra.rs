//! Tokens of Microsoft Entra ID.
//!
//! <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference>

use http::{HeaderName, HeaderValue};
use tollgate_wire::{Fault, Secret, login::Entra};
use url::form_urlencoded::Serializer;

use super::{
    Desk,
    cache::Fetched,
    credential,
    endpoint::{Body, ask},
    file,
};

pub(super) async fn fetch(
    desk: Desk<'_>,
    who: &Entra,
    scope: &str,
) -> Result<Fetched<Secret>, Fault> {
    match who {
        Entra::Secret { authority, tenant, client, secret } => {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", client),
                ("client_secret", secret.expose()),
                ("scope", scope),
            ];
            of_tenant(desk, authority, tenant, &form).await
        }
        Entra::Password { authority, tenant, client, user, password } => {
            let form = [
                ("grant_type", "password"),
                ("client_id", client),
                ("username", user),
                ("password", password.expose()),
                ("scope", scope),
            ];
            of_tenant(desk, authority, tenant, &form).await
        }
        Entra::Federated { authority, tenant, client, token_file } => {
            let assertion = file(token_file).await?;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", client),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.expose()),
                ("scope", scope),
            ];
            of_tenant(desk, authority, tenant, &form).await
        }
        Entra::Machine { host, client } => {
            let endpoint = format!("{host}/metadata/identity/oauth2/token");
            let header = (HeaderName::from_static("metadata"), HeaderValue::from_static("true"));
            managed(desk, &endpoint, "2018-02-01", client.as_deref(), scope, header).await
        }
        Entra::App { endpoint, header, client } => {
            let mut value = HeaderValue::try_from(header.expose())
                .map_err(|_| credential("`IDENTITY_HEADER` cannot stand in a header"))?;
            value.set_sensitive(true);
            let header = (HeaderName::from_static("x-identity-header"), value);
            managed(desk, endpoint, "2019-08-01", client.as_deref(), scope, header).await
        }
    }
}

async fn of_tenant(
    desk: Desk<'_>,
    authority: &str,
    tenant: &str,
    form: &[(&str, &str)],
) -> Result<Fetched<Secret>, Fault> {
    let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
    ask(desk, &url, Vec::new(), Body::Form(form)).await?.token()
}

/// Managed identities are asked for a resource, which is a scope without `/.default`.
async fn managed(
    desk: Desk<'_>,
    endpoint: &str,
    version: &str,
    client: Option<&str>,
    scope: &str,
    header: (HeaderName, HeaderValue),
) -> Result<Fetched<Secret>, Fault> {
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    let query = Serializer::new(String::new())
        .extend_pairs([("api-version", version), ("resource", resource)])
        .extend_pairs(client.map(|client| ("client_id", client)))
        .finish();
    let mark = if endpoint.contains('?') { '&' } else { '?' };
    let url = format!("{endpoint}{mark}{query}");
    ask(desk, &url, vec![header], Body::None).await?.token()
}
