//! What is done to a call just before it is sent, for targets with a [`Login`]: a signature, or a
//! token that is fetched, kept and renewed.
//!
//! [`sign`] is the only entry. What fails here is a fault of that target: the next one may do
//! better. Never a client's 401.

mod aws;
pub(crate) mod cache;
mod endpoint;
mod entra;
mod google;
mod jwt;
mod oauth;
mod oci;
mod snowflake;

use std::sync::Arc;

use http::{HeaderValue, Method, header::AUTHORIZATION};
use tokio::{io::AsyncReadExt, time::Instant};
use tollgate_wire::{
    Call, Fault, FaultKind, Login, Secret, Target,
    login::{Entra, Google},
};

use self::cache::{Cache, Fetched};
use crate::{BoxFuture, Client};

/// The longest token that is read from a file or an answer.
const MAX_TOKEN: u64 = 64 * 1024;

/// Tokens that are kept, for all clients of a process.
#[derive(Debug, Default)]
pub struct Tokens {
    bearers: Cache<Arc<Login>, Secret>,
    keys: Cache<Arc<Login>, aws::Keys>,
    signers: Cache<Arc<Login>, oci::Key>,
}

/// What signing has at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk<'a> {
    /// For token endpoints.
    pub(crate) client: &'a Client,
    /// The time, in seconds since 1970.
    pub(crate) now_s: u64,
    /// The same moment, on the clock that never jumps.
    pub(crate) now: Instant,
}

/// Makes `call` one that the provider of `target` takes: adds headers, nothing else. Gives what
/// must not be shown of them.
///
/// Boxed, and here: else all ways to sign are compiled into every crate that sends a request.
#[inline(never)]
pub(crate) fn sign<'a>(
    desk: Desk<'a>,
    login: &'a Arc<Login>,
    target: &'a Target,
    method: &'a Method,
    call: &'a mut Call,
) -> BoxFuture<'a, Result<Option<Secret>, Fault>> {
    Box::pin(signed(desk, login, target, method, call))
}

async fn signed(
    desk: Desk<'_>,
    login: &Arc<Login>,
    target: &Target,
    method: &Method,
    call: &mut Call,
) -> Result<Option<Secret>, Fault> {
    if let Login::Aws(aws) = &**login {
        return aws::sign(desk, (login, aws), target, method, call).await;
    }
    if let Login::Oci { key_id, key } = &**login {
        oci::sign(desk, login, (key_id, key), target, call).await?;
        return Ok(None);
    }
    let token = desk.client.tokens().bearers.get(login, || fetch(desk, login)).await?;
    call.headers.retain(|(name, _)| *name != AUTHORIZATION);
    call.headers.push((AUTHORIZATION, bearer(&token)?));
    Ok(Some(token))
}

/// The provider refuses what `login` has brought: it is fetched anew for the next call.
pub(crate) fn refused(client: &Client, login: &Arc<Login>) {
    match &**login {
        Login::Aws(_) => client.tokens().keys.refuse(login),
        // The key is the configuration's.
        Login::Oci { .. } => {}
        _ => client.tokens().bearers.refuse(login),
    }
}

/// What is wrong with a login, as far as that can be seen without using it.
pub fn check(login: &Login) -> Result<(), String> {
    let key = match login {
        Login::Google { who, .. } => match &**who {
            Google::Service(account) => &account.key,
            Google::User(_) | Google::External(_) | Google::Metadata { .. } => return Ok(()),
        },
        Login::Snowflake { key, .. } | Login::Oci { key, .. } => key,
        Login::Aws(_) | Login::Entra { .. } | Login::Client { .. } | Login::Ibm { .. } => {
            return Ok(());
        }
    };
    jwt::key(key).map(|_| ()).map_err(|fault| fault.message)
}

async fn fetch(desk: Desk<'_>, login: &Login) -> Result<Fetched<Secret>, Fault> {
    let fetched = match login {
        Login::Google { who, scope } => google::fetch(desk, who, scope).await,
        Login::Entra { who, scope } => entra::fetch(desk, who, scope).await,
        Login::Client { url, id, secret, scope } => {
            oauth::client(desk, url, (id, secret), scope).await
        }
        Login::Ibm { url, key } => oauth::ibm(desk, url, key).await,
        Login::Snowflake { account, user, key } => snowflake::made(desk.now_s, account, user, key),
        Login::Aws(_) | Login::Oci { .. } => Err(credential("requests to this service are signed")),
    };
    let kind = kind(login);
    match &fetched {
        Ok(fetched) => {
            tracing::debug!(kind, "a new {kind} token is good for {:?}", fetched.life);
        }
        Err(fault) => {
            tracing::warn!(kind, fault.message, "no {kind} token: {}", fault.message);
        }
    }
    fetched
}

fn kind(login: &Login) -> &'static str {
    match login {
        Login::Aws(_) => "AWS",
        Login::Google { .. } => "Google",
        Login::Entra { who, .. } => match **who {
            Entra::Machine { .. } | Entra::App { .. } => "managed identity",
            Entra::Secret { .. } | Entra::Password { .. } | Entra::Federated { .. } => "Entra",
        },
        Login::Client { .. } => "OAuth",
        Login::Ibm { .. } => "IBM Cloud",
        Login::Snowflake { .. } => "Snowflake",
        Login::Oci { .. } => "OCI",
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| Fault::new(FaultKind::BadResponse, "the token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Our credential does not do.
fn credential(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Credential, message)
}

/// A token in a file, without the space around it.
async fn file(path: &str) -> Result<Secret, Fault> {
    let wrong = |why: &dyn std::fmt::Display| credential(format!("the token file `{path}`: {why}"));
    let file = tokio::fs::File::open(path).await.map_err(|error| wrong(&error))?;
    let mut text = String::new();
    file.take(MAX_TOKEN).read_to_string(&mut text).await.map_err(|error| wrong(&error))?;
    match text.trim() {
        "" => Err(wrong(&"it is empty")),
        token => Ok(Secret::new(token)),
    }
}
