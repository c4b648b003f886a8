//! What a place knows us by: from an entry's settings, the environment and files to a key in a
//! header, or to a login. What the entry says counts before the environment.

mod oci;

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{Known, Lookup, Problem};
use crate::{
    Auth, Login, Provider, Secret,
    login::{Aws, Entra, Google},
};

/// Ways of signing in beside a plain key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignIn {
    /// Signature version 4; a plain key is a bearer.
    Aws,
    /// Microsoft Entra ID.
    Entra,
    /// Google's application default credentials.
    Google,
    /// IBM Cloud: the key is exchanged for a token.
    Ibm,
    /// OAuth for machines at the workspace itself.
    Databricks,
    /// A key pair, a JWT or a programmatic access token.
    Snowflake,
    /// Oracle's API signing keys; a plain key is a bearer.
    Oci,
}

/// Stands in a token endpoint's URL for the origin of the API.
pub(super) const ORIGIN: &str = "{origin}";

const ENTRA_AUTHORITY: &str = "https://login.microsoftonline.com";
const AWS_CONTAINER: &str = "http://169.254.170.2";
const AWS_METADATA: &str = "http://169.254.169.254";
const AZURE_METADATA: &str = "http://169.254.169.254";
const GOOGLE_METADATA: &str = "http://metadata.google.internal";
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const AWS_REGION: &str = "us-west-2";
const IBM_TOKEN_URL: &str = "https://iam.cloud.ibm.com/identity/token";

/// Finds out. An error where nothing is given and the provider needs something.
pub(super) fn known(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    match provider.login {
        None => plain(provider, lookup),
        Some(SignIn::Aws) => aws(provider, lookup),
        Some(SignIn::Entra) => entra(provider, lookup),
        Some(SignIn::Google) => google(provider, lookup),
        Some(SignIn::Ibm) => ibm(provider, lookup),
        Some(SignIn::Databricks) => databricks(provider, lookup),
        Some(SignIn::Snowflake) => snowflake(provider, lookup),
        Some(SignIn::Oci) => oci::known(provider, lookup),
    }
}

fn key_of_env(provider: &Provider, lookup: Lookup<'_>) -> Option<String> {
    let names: Vec<&str> = provider.key_env.iter().map(String::as_str).collect();
    lookup.first_env(&names)
}

fn key(text: &str) -> Known {
    Known { credential: Some(Secret::new(text.trim())), ..Known::default() }
}

fn bearer(text: &str) -> Known {
    Known { auth: Some(Auth::Bearer), ..key(text) }
}

fn login(login: Login) -> Known {
    Known { login: Some(Arc::new(login)), ..Known::default() }
}

fn nothing(provider: &Provider, help: &str) -> Problem {
    Problem {
        param: "api_key".to_owned(),
        message: format!("`{}` needs credentials", provider.name),
        help: help.to_owned(),
    }
}

fn plain(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    if let Some(text) = lookup.first_param(&["api_key"]).or_else(|| key_of_env(provider, lookup)) {
        return Ok(key(&text));
    }
    if provider.key_env.is_empty() || lookup.first_param(&["api_base", "base_url"]).is_some() {
        return Ok(Known::default());
    }
    let names = provider.key_env.join("` or `");
    Err(Problem {
        param: "api_key".to_owned(),
        message: format!("`{}` needs a key", provider.name),
        help: format!("set `api_key`, or the environment variable `{names}`"),
    })
}

/// LiteLLM's `get_azure_ad_token`, and the identities of Azure's own machines.
fn entra(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let param = |name| lookup.first_param(&[name]);
    let env = |name| lookup.first_env(&[name]);
    if let Some(text) = param("api_key") {
        return Ok(key(&text));
    }
    if let Some(token) = param("azure_ad_token") {
        return Ok(bearer(&token));
    }
    let scope = lookup.any(&["azure_scope"], &["AZURE_SCOPE"]);
    let scope = scope.or_else(|| provider.scope.clone()).unwrap_or_default();
    let authority = env("AZURE_AUTHORITY_HOST").unwrap_or_else(|| ENTRA_AUTHORITY.to_owned());
    let authority = authority.trim_end_matches('/').to_owned();
    let authority =
        if authority.contains("://") { authority } else { format!("https://{authority}") };
    let tenant = lookup.any(&["tenant_id"], &["AZURE_TENANT_ID"]);
    let client = lookup.any(&["client_id"], &["AZURE_CLIENT_ID"]);
    let principal = |secret: Option<String>| {
        let (tenant, client, secret) = (tenant.clone()?, client.clone()?, Secret::new(secret?));
        let who = Entra::Secret { authority: authority.clone(), tenant, client, secret };
        Some(login(Login::Entra { who: Box::new(who), scope: scope.clone() }))
    };
    if let Some(known) = principal(param("client_secret")) {
        return Ok(known);
    }
    if let Some(text) = key_of_env(provider, lookup) {
        return Ok(key(&text));
    }
    if let Some(token) = env("AZURE_AD_TOKEN") {
        return Ok(bearer(&token));
    }
    if let Some(known) = principal(env("AZURE_CLIENT_SECRET")) {
        return Ok(known);
    }
    let user = lookup.any(&["azure_username"], &["AZURE_USERNAME"]);
    let password = lookup.any(&["azure_password"], &["AZURE_PASSWORD"]);
    let managed = || {
        let name = env("AZURE_CREDENTIAL");
        let on = param("enable_azure_ad_token_refresh").is_some_and(|on| on == "true");
        on || name.is_some_and(|name| name == "ManagedIdentityCredential")
    };
    let who = match (tenant, client, user, password) {
        (Some(tenant), Some(client), Some(user), Some(password)) => {
            Entra::Password { authority, tenant, client, user, password: Secret::new(password) }
        }
        (tenant, client, ..) => {
            if let (Some(tenant), Some(client), Some(token_file)) =
                (tenant, client.clone(), env("AZURE_FEDERATED_TOKEN_FILE"))
            {
                Entra::Federated { authority, tenant, client, token_file }
            } else if let (Some(endpoint), Some(header)) =
                (env("IDENTITY_ENDPOINT"), env("IDENTITY_HEADER"))
            {
                Entra::App { endpoint, header: Secret::new(header), client }
            } else if managed() {
                let host = env("AZURE_POD_IDENTITY_AUTHORITY_HOST");
                let host = host.unwrap_or_else(|| AZURE_METADATA.to_owned());
                Entra::Machine { host: host.trim_end_matches('/').to_owned(), client }
            } else {
                let names = provider.key_env.join("` or `");
                return Err(nothing(
                    provider,
                    &format!(
                        "set `api_key` (or `{names}`), `azure_ad_token`, `tenant_id` with `client_id` \
                     and `client_secret`, or `AZURE_CREDENTIAL=ManagedIdentityCredential` on a \
                     machine with an identity",
                    ),
                ));
            }
        }
    };
    Ok(login(Login::Entra { who: Box::new(who), scope }))
}

/// Application default credentials: <https://google.aip.dev/auth/4110>
fn google(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let names = ["vertex_credentials", "vertex_ai_credentials"];
    if let Some(token) = lookup.first_param(&["api_key"]) {
        return Ok(bearer(&token));
    }
    let given = lookup.any(&names, &["VERTEXAI_CREDENTIALS", "VERTEX_CREDENTIALS"]);
    let given = given.or_else(|| lookup.first_env(&["GOOGLE_APPLICATION_CREDENTIALS"]));
    let wrong = |message: String| Problem {
        param: "vertex_credentials".to_owned(),
        message,
        help: "set `vertex_credentials` to the JSON of a service account, or to its path"
            .to_owned(),
    };
    let who = match given {
        Some(json) if json.trim_start().starts_with('{') => Some(json),
        Some(path) => Some((lookup.read)(&path).map_err(|why| wrong(format!("`{path}`: {why}")))?),
        None => {
            let folder = lookup.first_env(&["CLOUDSDK_CONFIG"]).or_else(|| {
                let home = lookup.first_env(&["HOME"])?;
                Some(format!("{home}/.config/gcloud"))
            });
            let file =
                folder.map(|folder| format!("{folder}/application_default_credentials.json"));
            file.and_then(|file| (lookup.read)(&file).ok())
        }
    };
    let mut known = Known { of_machine: who.is_none(), ..Known::default() };
    let who = match who {
        Some(json) => Google::read(&json).map_err(|why| wrong(why.to_string()))?,
        None => {
            let host = lookup.first_env(&["GCE_METADATA_HOST"]);
            let host = host.map(|host| format!("http://{host}"));
            Google::Metadata { host: host.unwrap_or_else(|| GOOGLE_METADATA.to_owned()) }
        }
    };
    if let Some(project) = who.project() {
        known.offers.insert("project", project.to_owned());
    }
    let quota = lookup.first_env(&["GOOGLE_CLOUD_QUOTA_PROJECT"]);
    if let Some(project) = quota.as_deref().or(who.quota_project())
        && let Ok(value) = HeaderValue::try_from(project)
    {
        known.headers.push((HeaderName::from_static("x-goog-user-project"), value));
    }
    let scope = provider.scope.clone().unwrap_or_else(|| GOOGLE_SCOPE.to_owned());
    known.login = Some(Arc::new(Login::Google { who: Box::new(who), scope }));
    Ok(known)
}

fn ibm(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let exchange = |text: String| {
        let url = lookup.first_env(&["WATSONX_IAM_URL"]);
        let url = url.unwrap_or_else(|| IBM_TOKEN_URL.to_owned());
        login(Login::Ibm { url, key: Secret::new(text.trim()) })
    };
    let zen = |text: String| {
        let mut value = HeaderValue::try_from(format!("ZenApiKey {}", text.trim())).ok()?;
        value.set_sensitive(true);
        let headers = vec![(http::header::AUTHORIZATION, value)];
        Some(Known { headers, ..Known::default() })
    };
    let param = |name| lookup.first_param(&[name]);
    let env = |name| lookup.first_env(&[name]);
    param("api_key")
        .map(exchange)
        .or_else(|| param("token").map(|token| bearer(&token)))
        .or_else(|| param("zen_api_key").and_then(zen))
        .or_else(|| key_of_env(provider, lookup).map(exchange))
        .or_else(|| env("WATSONX_TOKEN").map(|token| bearer(&token)))
        .or_else(|| env("WATSONX_ZENAPIKEY").and_then(zen))
        .ok_or_else(|| {
            let names = provider.key_env.join("` or `");
            nothing(provider, &format!(
                "set `api_key` (or `{names}`), `token` (or `WATSONX_TOKEN`), or `zen_api_key` (or \
                 `WATSONX_ZENAPIKEY`)",
            ))
        })
}

/// <https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m>
fn databricks(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    if let Some(text) = lookup.first_param(&["api_key"]) {
        return Ok(key(&text));
    }
    let pair = |id: Option<String>, secret: Option<String>| {
        Some(login(Login::Client {
            url: format!("{ORIGIN}/oidc/v1/token"),
            id: id?,
            secret: Secret::new(secret?),
            scope: provider.scope.clone().unwrap_or_else(|| "all-apis".to_owned()),
        }))
    };
    let param = |name| lookup.first_param(&[name]);
    let env = |name| lookup.first_env(&[name]);
    pair(param("client_id"), param("client_secret"))
        .or_else(|| key_of_env(provider, lookup).map(|text| key(&text)))
        .or_else(|| pair(env("DATABRICKS_CLIENT_ID"), env("DATABRICKS_CLIENT_SECRET")))
        .ok_or_else(|| {
            let names = provider.key_env.join("` or `");
            nothing(
                provider,
                &format!(
                    "set `api_key` (or `{names}`), or `client_id` and `client_secret` of a service \
                 principal (or `DATABRICKS_CLIENT_ID` and `DATABRICKS_CLIENT_SECRET`)",
                ),
            )
        })
}

/// <https://docs.snowflake.com/en/developer-guide/snowflake-rest-api/authentication>
fn snowflake(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let with_type = |known: Known, kind: &'static str| {
        let name = HeaderName::from_static("x-snowflake-authorization-token-type");
        Known { headers: vec![(name, HeaderValue::from_static(kind))], ..known }
    };
    let text = lookup.first_param(&["api_key"]).or_else(|| key_of_env(provider, lookup));
    if let Some(text) = text {
        return Ok(match text.strip_prefix("pat/") {
            Some(token) => with_type(key(token), "PROGRAMMATIC_ACCESS_TOKEN"),
            None => with_type(key(&text), "KEYPAIR_JWT"),
        });
    }
    if let Some(token) = lookup.first_env(&["SNOWFLAKE_PAT"]) {
        return Ok(with_type(key(&token), "PROGRAMMATIC_ACCESS_TOKEN"));
    }
    let pem = lookup.first_env(&["SNOWFLAKE_PRIVATE_KEY"]);
    let file = lookup.first_env(&["SNOWFLAKE_PRIVATE_KEY_FILE"]);
    let pem = match (pem, file) {
        (Some(pem), _) => Some(pem),
        (None, Some(path)) => Some((lookup.read)(&path).map_err(|why| Problem {
            param: "api_key".to_owned(),
            message: format!("`{path}`: {why}"),
            help: "`SNOWFLAKE_PRIVATE_KEY_FILE` names a private key in PEM form".to_owned(),
        })?),
        (None, None) => None,
    };
    let user = lookup.first_env(&["SNOWFLAKE_USER"]);
    let account = lookup.any(&["account_id"], &["SNOWFLAKE_ACCOUNT_ID", "SNOWFLAKE_ACCOUNT"]);
    let (Some(pem), Some(user), Some(account)) = (pem, user, account) else {
        let names = provider.key_env.join("` or `");
        return Err(nothing(
            provider,
            &format!(
                "set `api_key` (or `{names}`) to a JWT or to `pat/<token>`, or `SNOWFLAKE_USER`, \
             `SNOWFLAKE_ACCOUNT_ID` and `SNOWFLAKE_PRIVATE_KEY`",
            ),
        ));
    };
    // The region and cloud of an account locator do not belong to its name.
    let account = account.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let made = Login::Snowflake { account, user: user.to_ascii_uppercase(), key: Secret::new(pem) };
    Ok(with_type(login(made), "KEYPAIR_JWT"))
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
fn aws(provider: &Provider, lookup: Lookup<'_>) -> Result<Known, Problem> {
    let both = |param: &str, env: &[&str]| lookup.any(&[param], env);
    let env = |name| lookup.first_env(&[name]);
    let region = lookup
        .first_param(&["aws_region_name", "region_name"])
        .or_else(|| lookup.first_env(&["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"]))
        .unwrap_or_else(|| AWS_REGION.to_owned());
    let offers = BTreeMap::from([("region", region.clone())]);
    let own = ["aws_access_key_id", "aws_profile_name", "aws_role_name", "aws_web_identity_token"];
    let text = lookup.first_param(&["api_key"]).or_else(|| {
        // Keys of the entry's own count before the environment's bearer.
        lookup.first_param(&own).is_none().then(|| key_of_env(provider, lookup))?
    });
    if let Some(text) = text {
        return Ok(Known { offers, ..bearer(&text) });
    }
    let (access_key, secret_key, session_token) = match lookup.first_param(&own[..1]) {
        Some(access) => (
            Some(access),
            lookup.first_param(&["aws_secret_access_key"]),
            lookup.first_param(&["aws_session_token"]),
        ),
        None if lookup.first_param(&["aws_profile_name"]).is_some() => (None, None, None),
        None => (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN")),
    };
    if access_key.is_some() && secret_key.is_none() {
        return Err(Problem {
            param: "aws_secret_access_key".to_owned(),
            message: "`aws_access_key_id` is half of a key".to_owned(),
            help: "set `aws_secret_access_key`, too (or `AWS_SECRET_ACCESS_KEY`)".to_owned(),
        });
    }
    let home = env("HOME");
    let login =
        Aws {
            region,
            service: provider.scope.clone().unwrap_or_default(),
            access_key,
            secret_key: secret_key.map(Secret::new),
            session_token: session_token.map(Secret::new),
            profile: both("aws_profile_name", &["AWS_PROFILE_NAME", "AWS_PROFILE"]),
            credentials_file: env("AWS_SHARED_CREDENTIALS_FILE")
                .or_else(|| Some(format!("{}/.aws/credentials", home?))),
            role: both("aws_role_name", &["AWS_ROLE_NAME", "AWS_ROLE_ARN"]),
            session_name: both("aws_session_name", &["AWS_SESSION_NAME", "AWS_ROLE_SESSION_NAME"]),
            external_id: both("aws_external_id", &["AWS_EXTERNAL_ID"]),
            web_identity_token_file: both(
                "aws_web_identity_token",
                &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN"],
            ),
            sts_endpoint: both("aws_sts_endpoint", &["AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS"]),
            container_url: env("AWS_CONTAINER_CREDENTIALS_FULL_URI").or_else(|| {
                let path = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")?;
                Some(format!("{AWS_CONTAINER}{path}"))
            }),
            container_token: env("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new),
            container_token_file: env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
            metadata_host: match env("AWS_EC2_METADATA_DISABLED").as_deref() {
                Some("true") => None,
                _ => Some(env("AWS_EC2_METADATA_SERVICE_ENDPOINT").map_or_else(
                    || AWS_METADATA.to_owned(),
                    |url| url.trim_end_matches('/').into(),
                )),
            },
        };
    let of_machine = login.access_key.is_none()
        && login.profile.is_none()
        && login.role.is_none()
        && login.container_url.is_none();
    let login = Some(Arc::new(Login::Aws(Box::new(login))));
    Ok(Known { login, offers, of_machine, ..Known::default() })
}
