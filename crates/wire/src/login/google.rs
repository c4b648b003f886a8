//! Google's credential files.
//!
//! <https://google.aip.dev/auth/4110>, <https://google.aip.dev/auth/4117>

use serde::Deserialize;

use crate::secret::Secret;

const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Who asks Google for a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Google {
    /// A service account with a private key of its own.
    Service(ServiceAccount),
    /// A person who has signed in (`gcloud auth application-default login`).
    User(User),
    /// Workload identity federation: a token of another issuer is exchanged.
    External(External),
    /// The service account of the machine we run on.
    Metadata {
        /// The metadata server: `http://metadata.google.internal`.
        host: String,
    },
}

/// `"type": "service_account"`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    /// `client_email`
    pub email: String,
    /// `private_key`: PKCS#8 in PEM form.
    pub key: Secret,
    /// `private_key_id`
    pub key_id: Option<String>,
    /// `token_uri`
    pub token_url: String,
    /// `project_id`
    pub project: Option<String>,
}

/// `"type": "authorized_user"`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// `client_id`
    pub client: String,
    /// `client_secret`
    pub secret: Secret,
    /// `refresh_token`
    pub refresh_token: Secret,
    /// Google's token endpoint.
    pub token_url: String,
    /// `quota_project_id`
    pub quota_project: Option<String>,
}

/// `"type": "external_account"`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct External {
    /// `audience`
    pub audience: String,
    /// `subject_token_type`
    pub token_type: String,
    /// `token_url`
    pub token_url: String,
    /// `service_account_impersonation_url`
    pub impersonate: Option<String>,
    /// Where the subject's token is.
    pub subject: Subject,
    /// The member of the subject's JSON that holds the token; `None` where it is plain text.
    pub field: Option<String>,
    /// `quota_project_id`
    pub quota_project: Option<String>,
}

/// `credential_source`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A file, read anew for each exchange.
    File(String),
    /// An address, asked for each exchange.
    Url {
        /// Where.
        url: String,
        /// With these headers.
        headers: Vec<(String, Secret)>,
    },
}

/// Why a credential file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoogleError {
    /// Not JSON, or without a `type`.
    #[error("expected Google's credentials as JSON with a `type`")]
    NotJson,
    /// A member that the type needs is missing, or is no text.
    #[error("credentials of the type `{kind}` need {what}")]
    Missing {
        /// The type.
        kind: String,
        /// What is missing.
        what: &'static str,
    },
    /// A type, or a source of tokens, that we cannot use.
    #[error(
        "credentials of the type `{0}` cannot be used: `service_account`, `authorized_user` and \
         `external_account` with a file or a URL can"
    )]
    Kind(String),
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    project_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    quota_project_id: Option<String>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    service_account_impersonation_url: Option<String>,
    credential_source: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

impl Google {
    /// Reads a credential file's text.
    pub fn read(json: &str) -> Result<Self, GoogleError> {
        let file: File = serde_json::from_str(json).map_err(|_| GoogleError::NotJson)?;
        match file.kind.as_str() {
            "service_account" => file.service().map(Google::Service),
            "authorized_user" => file.user().map(Google::User),
            "external_account" => file.external().map(Google::External),
            _ => Err(GoogleError::Kind(file.kind)),
        }
    }

    /// The project that the credentials belong to, where they say so.
    pub fn project(&self) -> Option<&str> {
        match self {
            Google::Service(account) => account.project.as_deref(),
            Google::User(user) => user.quota_project.as_deref(),
            Google::External(external) => external.quota_project.as_deref(),
            Google::Metadata { .. } => None,
        }
    }

    /// The project that is charged for the quota (`x-goog-user-project`), where it must be said.
    pub fn quota_project(&self) -> Option<&str> {
        match self {
            Google::User(user) => user.quota_project.as_deref(),
            Google::External(external) => external.quota_project.as_deref(),
            Google::Service(_) | Google::Metadata { .. } => None,
        }
    }
}

impl File {
    fn need(&self, value: Option<&String>, what: &'static str) -> Result<String, GoogleError> {
        let value = value.filter(|value| !value.is_empty()).cloned();
        value.ok_or_else(|| GoogleError::Missing { kind: self.kind.clone(), what })
    }

    fn service(&self) -> Result<ServiceAccount, GoogleError> {
        Ok(ServiceAccount {
            email: self.need(self.client_email.as_ref(), "`client_email`")?,
            key: Secret::new(self.need(self.private_key.as_ref(), "`private_key`")?),
            key_id: self.private_key_id.clone(),
            token_url: self.token_uri.clone().unwrap_or_else(|| TOKEN_URL.to_owned()),
            project: self.project_id.clone(),
        })
    }

    fn user(&self) -> Result<User, GoogleError> {
        Ok(User {
            client: self.need(self.client_id.as_ref(), "`client_id`")?,
            secret: Secret::new(self.need(self.client_secret.as_ref(), "`client_secret`")?),
            refresh_token: Secret::new(self.need(self.refresh_token.as_ref(), "`refresh_token`")?),
            token_url: self.token_uri.clone().unwrap_or_else(|| TOKEN_URL.to_owned()),
            quota_project: self.quota_project_id.clone(),
        })
    }

    fn external(&self) -> Result<External, GoogleError> {
        let unusable = || GoogleError::Kind("external_account".to_owned());
        let source = self.credential_source.as_ref().ok_or_else(unusable)?;
        let subject = match (&source.file, &source.url) {
            (Some(file), _) => Subject::File(file.clone()),
            (None, Some(url)) => Subject::Url {
                url: url.clone(),
                headers: source
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), Secret::new(value)))
                    .collect(),
            },
            (None, None) => return Err(unusable()),
        };
        let field = match &source.format {
            Some(format) if format.kind == "json" => Some(self.need(
                format.subject_token_field_name.as_ref(),
                "`subject_token_field_name` where the format is `json`",
            )?),
            _ => None,
        };
        // `urn:ietf:params:aws:token-type:aws4_request` is a signed request, not a token.
        let token_type = self.need(self.subject_token_type.as_ref(), "`subject_token_type`")?;
        if token_type.contains(":aws:") {
            return Err(unusable());
        }
        Ok(External {
            audience: self.need(self.audience.as_ref(), "`audience`")?,
            token_type,
            token_url: self.need(self.token_url.as_ref(), "`token_url`")?,
            impersonate: self.service_account_impersonation_url.clone(),
            subject,
            field,
            quota_project: self.quota_project_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_read() {
        let file = r#"{"type":"service_account","project_id":"p","private_key_id":"k",
            "private_key":"-----BEGIN PRIVATE KEY-----","client_email":"a@p.iam.gserviceaccount.com",
            "token_uri":"https://oauth2.googleapis.com/token","universe_domain":"googleapis.com"}"#;
        let Google::Service(account) = Google::read(file).unwrap() else { unreachable!() };
        assert_eq!(account.email, "a@p.iam.gserviceaccount.com");
        assert_eq!(account.key_id.as_deref(), Some("k"));
        assert_eq!(account.key.expose(), "-----BEGIN PRIVATE KEY-----");
        assert_eq!(account.project.as_deref(), Some("p"));
    }

    #[test]
    fn a_user_is_read() {
        let file = r#"{"type":"authorized_user","client_id":"c","client_secret":"s",
            "refresh_token":"r","quota_project_id":"q","account":""}"#;
        let google = Google::read(file).unwrap();
        assert_eq!((google.project(), google.quota_project()), (Some("q"), Some("q")));
        let Google::User(user) = google else { unreachable!() };
        assert_eq!(user.token_url, TOKEN_URL);
        assert_eq!(user.refresh_token.expose(), "r");
    }

    #[test]
    fn an_external_account_is_read() {
        let file = r#"{"type":"external_account","audience":"//iam.googleapis.com/x",
            "subject_token_type":"urn:ietf:params:oauth:token-type:jwt",
            "token_url":"https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/x",
            "credential_source":{"url":"http://169.254.169.254/t","headers":{"Metadata":"True"},
            "format":{"type":"json","subject_token_field_name":"access_token"}}}"#;
        let Google::External(external) = Google::read(file).unwrap() else { unreachable!() };
        assert_eq!(external.field.as_deref(), Some("access_token"));
        let Subject::Url { url, headers } = external.subject else { unreachable!() };
        assert_eq!(url, "http://169.254.169.254/t");
        assert_eq!(headers[0].0, "Metadata");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let check = |file: &str, why: &str| {
            let got = Google::read(file).unwrap_err().to_string();
            assert!(got.contains(why), "{file}: {got}");
        };
        check("not json", "as JSON");
        check("{}", "as JSON");
        check(r#"{"type":"service_account","client_email":"a"}"#, "`private_key`");
        check(r#"{"type":"authorized_user","client_id":"c","client_secret":"s"}"#, "refresh_token");
        check(r#"{"type":"impersonated_service_account"}"#, "cannot be used");
        check(
            r#"{"type":"external_account","audience":"a","token_url":"t",
            "subject_token_type":"urn:ietf:params:aws:token-type:aws4_request",
            "credential_source":{"environment_id":"aws1","url":"u"}}"#,
            "cannot be used",
        );
        check(
            r#"{"type":"external_account","credential_source":{"executable":{"command":"x"}}}"#,
            "cannot be used",
        );
    }
}
