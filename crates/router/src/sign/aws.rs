//! Requests to Amazon Web Services: signed with keys that stand in the configuration, or that are
//! fetched and kept.

mod keys;
mod profile;
mod sigv4;

use std::sync::Arc;

use http::{Method, header::AUTHORIZATION};
use tollgate_wire::{Call, Fault, Login, Secret, Target, login::Aws};

pub(super) use self::sigv4::Keys;
use self::sigv4::{Scope, Unsigned};
use super::Desk;
use crate::client::host_of;

/// Adds the headers of the signature to `call`. Host and base path are in [`Target::base`]; the
/// path in [`Call::path`] is whole. Gives what must not be shown of them.
pub(super) async fn sign(
    desk: Desk<'_>,
    (login, aws): (&Arc<Login>, &Aws),
    target: &Target,
    method: &Method,
    call: &mut Call,
) -> Result<Option<Secret>, Fault> {
    let keys = match keys::fixed(aws) {
        Some(keys) => keys,
        None => desk.client.tokens().keys.get(login, || keys::fetch(desk, aws)).await?,
    };
    call.headers.retain(|(name, _)| {
        *name != AUTHORIZATION && *name != sigv4::DATE && *name != sigv4::TOKEN
    });
    let host = host_of(&target.base)?;
    let request = Unsigned {
        method: method.as_str(),
        path: &call.path,
        host: host.to_str().unwrap_or_default(),
        headers: &call.headers,
        body: &call.body,
    };
    let scope = Scope { region: &aws.region, service: &aws.service, now_s: desk.now_s };
    let signed = sigv4::sign(&keys, scope, request)?;
    call.headers.extend(signed);
    Ok(keys.token)
}
