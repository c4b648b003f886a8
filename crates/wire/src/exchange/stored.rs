//! An answer that a provider of responses keeps: fetched, deleted, or the items that it was asked
//! with. <https://platform.openai.com/docs/api-reference/responses/get>

use bytes::Bytes;

use super::{
    Call, Unsupported, head,
    relay::{Facts, Stamp},
    seal::{Place, Tenant},
};
use crate::{Dialect, Operation, target::Target};

/// The call for the answer that the provider calls `id`. `tail` is what follows it in the path;
/// `query` what the client asks, without its question mark.
pub fn call(to: &Target, id: &str, tail: &str, query: &str) -> Result<Call, Unsupported> {
    let path = head::path(Operation::Chat, Dialect::Responses, to, false)?;
    let headers = head::headers(Dialect::Responses, false, &[], to);
    // The provider's own query says the version of the API.
    let (path, own) = path.split_once('?').unwrap_or((&path, ""));
    let queries: Vec<&str> = [own, query].into_iter().filter(|query| !query.is_empty()).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let path = [path, "/", id, tail, mark, &queries.join("&")].concat();
    Ok(Call { path, headers, body: Vec::new() })
}

/// A query with the provider's ids of items (`after`) in place of the tenant's; `None` if one is not
/// the tenant's.
pub fn query(tenant: &Tenant, place: Place, query: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ ("after" | "before"), id)) => {
            Some(format!("{name}={}", tenant.item_at(place, id)?))
        }
        Some(_) | None => Some(pair.to_owned()),
    });
    Some(pairs.collect::<Option<Vec<String>>>()?.join("&"))
}

/// What the provider says, with the ids by which the client knows its answers.
pub fn answer(tenant: &Tenant, place: Place, body: Bytes) -> Bytes {
    let Ok(facts) = Facts::read(Dialect::Responses, &body) else { return body };
    Stamp::of(tenant, place).stamped(&facts, &body).unwrap_or(body)
}

/// Whether an id of a provider's can stand in a path as it is.
pub fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::seal::Thing;

    #[test]
    fn ids_are_the_clients() {
        let tenant = Tenant::new(b"secret", "a");
        let sealed = tenant.seal(Place::default(), "resp_1");
        let kept = r#"{"id":"resp_1","previous_response_id":"resp_1","output":[]}"#;
        let answer = answer(&tenant, Place::default(), Bytes::from_static(kept.as_bytes()));
        assert_eq!(answer, kept.replace("resp_1", &sealed));
        let list =
            r#"{"object":"list","data":[{"id":"msg_1"}],"last_id":"msg_1","has_more":false}"#;
        let items = super::answer(&tenant, Place::default(), Bytes::from_static(list.as_bytes()));
        let mark = |id: &str| tenant.mark_item(Place::default(), id);
        let item = mark("msg_1");
        assert_eq!(items, list.replace("msg_1", &item));
        // A container that it ran code in, and a file that it was asked with.
        let ran =
            r#"{"data":[{"id":"ci_1","container_id":"cntr_1"},{"content":[{"file_id":"f"}]}]}"#;
        let ran = super::answer(&tenant, Place::default(), Bytes::from_static(ran.as_bytes()));
        let hidden = |thing, id| tenant.hide(thing, Place::default(), id);
        let (container, file) = (hidden(Thing::Container, "cntr_1"), hidden(Thing::File, "f"));
        let call = format!(r#"{{"id":"{}","container_id":"{container}"}}"#, mark("ci_1"));
        assert_eq!(ran, format!(r#"{{"data":[{call},{{"content":[{{"file_id":"{file}"}}]}}]}}"#));
        let asked = |query: &str| super::query(&tenant, Place::default(), query);
        assert_eq!(asked(&format!("limit=2&after={item}")).unwrap(), "limit=2&after=msg_1");
        assert_eq!(asked("limit=2&order=asc").unwrap(), "limit=2&order=asc");
        assert_eq!((asked("").unwrap(), asked("after=msg_1")), (String::new(), None));
    }

    #[test]
    fn an_id_is_no_path() {
        assert!(is_plain("resp_67ccd2bed1ec8190b14f964abc"));
        for id in ["", "../models", "a/b", "a?b", "a%2fb", "a b"] {
            assert!(!is_plain(id), "{id}");
        }
    }
}
