//! Snowflake's key pairs: no endpoint is asked, the token is made here.
//!
//! <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating#using-key-pair-authentication>

use std::time::Duration;

use serde_json::json;
use tollgate_wire::{Fault, Secret};

use super::{cache::Fetched, jwt};

/// Snowflake takes no longer ones.
const LIFE_S: u64 = 3_600;
/// The token counts from a little before now: clocks differ.
const EARLIER_S: u64 = 30;

pub(super) fn made(
    now_s: u64,
    account: &str,
    user: &str,
    key: &Secret,
) -> Result<Fetched<Secret>, Fault> {
    let key = jwt::key(key)?;
    let name = format!("{account}.{user}");
    let from_s = now_s.saturating_sub(EARLIER_S);
    let claims = json!({
        "iss": format!("{name}.SHA256:{}", jwt::fingerprint(&key)?),
        "sub": name,
        "iat": from_s,
        "exp": from_s + LIFE_S,
    });
    let value = jwt::signed(&key, None, &claims)?;
    Ok(Fetched { value, life: Duration::from_secs(LIFE_S - EARLIER_S) })
}
