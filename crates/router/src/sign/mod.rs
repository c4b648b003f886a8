//! What is done to a call just before it is sent, for targets with a [`Login`]: a signature, or a
//! token that is fetched, kept and renewed.
//!
//! [`sign`] is the only entry. What fails here is a fault of that target: the next one may do
//! better. Never a client's 401.

mod aws;
pub(crate) mod cache;

use tokio::time::Instant;
use tollgate_wire::{Call, Fault, FaultKind, Login, Target};

use crate::Client;

/// Tokens that are kept, for all clients of a process.
#[derive(Debug, Default)]
pub struct Tokens {}

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

/// Makes `call` one that the provider of `target` takes: adds headers, nothing else.
pub(crate) async fn sign(
    desk: Desk<'_>,
    login: &Login,
    target: &Target,
    call: &mut Call,
) -> Result<(), Fault> {
    match login {
        Login::Aws(aws) => aws::sign(desk, aws, target, call).await,
        Login::Google { .. }
        | Login::Entra { .. }
        | Login::Client { .. }
        | Login::Ibm { .. }
        | Login::Snowflake { .. } => {
            Err(Fault::new(FaultKind::Credential, "this way of signing in is not there yet"))
        }
    }
}
