//! Credentials that need work for every call: a signature, or a token that is fetched, kept and
//! renewed. Pure data, made when the configuration is resolved; the router does the work.
//!
//! A key that simply stands in a header is [`crate::Target::credential`], not a login.

mod google;

pub use google::{External, Google, GoogleError, ServiceAccount, Subject, User};

use crate::secret::Secret;

/// What a target is known by, where a fixed header does not do. Two equal logins share their
/// token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// Signature version 4 of Amazon Web Services.
    Aws(Box<Aws>),
    /// A Google access token, as a bearer.
    Google {
        /// Who asks.
        who: Box<Google>,
        /// Scopes, separated by spaces.
        scope: String,
    },
    /// A token of Microsoft Entra ID, as a bearer.
    Entra {
        /// Who asks.
        who: Box<Entra>,
        /// Such as `https://cognitiveservices.azure.com/.default`.
        scope: String,
    },
    /// OAuth 2.0 client credentials at any token endpoint (RFC 6749, 4.4), as a bearer.
    Client {
        /// The token endpoint.
        url: String,
        /// Client id; travels with the secret as HTTP basic authentication.
        id: String,
        /// Client secret.
        secret: Secret,
        /// Scopes, separated by spaces.
        scope: String,
    },
    /// An IBM Cloud API key, exchanged for a bearer token.
    Ibm {
        /// The token endpoint: `https://iam.cloud.ibm.com/identity/token`.
        url: String,
        /// The API key.
        key: Secret,
    },
    /// A Snowflake key pair: a JWT that we sign ourselves is the bearer token.
    Snowflake {
        /// Account identifier as the token wants it: upper case, without region and cloud.
        account: String,
        /// User name, upper case.
        user: String,
        /// The private key: PKCS#8 in PEM form.
        key: Secret,
    },
    /// The request signatures of Oracle Cloud Infrastructure.
    Oci {
        /// `tenancy/user/fingerprint`, as signatures name the key.
        key_id: String,
        /// The private key: RSA, in PEM form.
        key: Secret,
    },
}

/// What a call to Amazon Web Services is signed with. A static key pair counts first, then a
/// web identity, a profile, the container and the machine that we run on; a role is assumed on top
/// of what is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Aws {
    /// Such as `us-east-1`.
    pub region: String,
    /// The service's name in signatures, such as `bedrock` or `sagemaker`.
    pub service: String,
    /// `aws_access_key_id`
    pub access_key: Option<String>,
    /// `aws_secret_access_key`
    pub secret_key: Option<Secret>,
    /// `aws_session_token`
    pub session_token: Option<Secret>,
    /// `aws_profile_name`: a profile of the shared credentials file.
    pub profile: Option<String>,
    /// The shared credentials file, where it is not `~/.aws/credentials`.
    pub credentials_file: Option<String>,
    /// `aws_role_name`: the ARN of a role to assume.
    pub role: Option<String>,
    /// `aws_session_name`
    pub session_name: Option<String>,
    /// `aws_external_id`
    pub external_id: Option<String>,
    /// A file with a web identity token, read anew for each exchange.
    pub web_identity_token_file: Option<String>,
    /// `aws_sts_endpoint`, where it is not the region's own.
    pub sts_endpoint: Option<String>,
    /// Where the container that we run in has its keys: `AWS_CONTAINER_CREDENTIALS_FULL_URI`, or
    /// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` at `http://169.254.170.2`.
    pub container_url: Option<String>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`
    pub container_token: Option<Secret>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, read anew each time.
    pub container_token_file: Option<String>,
    /// The machine's metadata service, such as `http://169.254.169.254`; `None` if it is not to be
    /// asked.
    pub metadata_host: Option<String>,
}

/// Who asks Microsoft Entra ID for a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entra {
    /// A service principal with a secret.
    Secret {
        /// `https://login.microsoftonline.com`, or a sovereign cloud's.
        authority: String,
        /// Tenant id.
        tenant: String,
        /// Client id.
        client: String,
        /// Client secret.
        secret: Secret,
    },
    /// A user with a password (`azure_username`, `azure_password`).
    Password {
        /// As above.
        authority: String,
        /// Tenant id.
        tenant: String,
        /// Client id.
        client: String,
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// Workload identity: a token of another issuer in a file, read anew for each exchange.
    Federated {
        /// As above.
        authority: String,
        /// Tenant id.
        tenant: String,
        /// Client id.
        client: String,
        /// `AZURE_FEDERATED_TOKEN_FILE`
        token_file: String,
    },
    /// The managed identity of the virtual machine we run on.
    Machine {
        /// The instance metadata service: `http://169.254.169.254`.
        host: String,
        /// Client id of a user-assigned identity.
        client: Option<String>,
    },
    /// The managed identity of the app service we run on.
    App {
        /// `IDENTITY_ENDPOINT`
        endpoint: String,
        /// `IDENTITY_HEADER`
        header: Secret,
        /// Client id of a user-assigned identity.
        client: Option<String>,
    },
}
