//! Ids of answers that a provider stores, bound to whose they are and where they are.
//!
//! A provider knows one account: ours. Anybody who has an id of its could go on with the answer of
//! another tenant. So a client is given another id, which has the provider's in it, with the place
//! where it counts and a mark that only we can make, for this tenant. No table is kept.
//!
//! ```text
//! resp_ base64url( 1 · place (8 bytes) · HMAC-SHA256(tenant, 1 · place · id) (16 bytes) · id )
//! ```
//!
//! A place is a provider's address and our account there: any target of ours with both can find
//! the answer. The id of another tenant, or one that somebody made up, is not found.
//!
//! The items of an answer can be named by their ids as well. These stand in every event of a stream,
//! so they stay what they are and have the mark behind them:
//!
//! ```text
//! msg_67cc… - base64url( place (3 bytes) · HMAC-SHA256(tenant, "item" · place · id) (15 bytes) )
//! ```
//!
//! How containers and files are named, [`Thing`] says.

mod thing;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

pub use self::thing::Thing;
use crate::{Secret, target::Target};

const VERSION: u8 = 1;
const PLACE: usize = 8;
const MARK: usize = 16;
/// What ids of answers begin with.
const PREFIX: &str = "resp_";
/// Longest id of a provider's.
const MAX_ID: usize = 512;

/// The first bytes of a place.
const TAG: usize = 3;
/// A tag and a mark of an item, 15 bytes of it.
const ITEM_MARK: usize = 18;
/// The same in base64.
const ITEM_MARK_TEXT: usize = 24;

/// Whose a request is: the key that its ids are marked with, made when there is one to mark. Few
/// requests have any.
#[derive(Clone)]
pub struct Tenant(Arc<Whose>);

struct Whose {
    secret: Box<[u8]>,
    name: Box<str>,
    key: OnceLock<[u8; 32]>,
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Tenant {}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant")
    }
}

/// Where an answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place([u8; PLACE]);

impl Place {
    /// Whether it may be the place that an item was given from.
    pub(super) fn has(&self, tag: [u8; TAG]) -> bool {
        self.0.starts_with(&tag)
    }
}

impl Tenant {
    /// The id of an item that a client is given for the provider's.
    pub fn mark_item(&self, place: Place, id: &str) -> String {
        let [a, b, c, ..] = place.0;
        let mac = self.item_maker([a, b, c], id).finalize().into_bytes();
        let mark: Vec<u8> = [a, b, c].into_iter().chain(mac).take(ITEM_MARK).collect();
        [id, "-", &URL_SAFE_NO_PAD.encode(mark)].concat()
    }

    /// The provider's id of an item, if the place is right; `None` for an id that is not this
    /// tenant's.
    pub fn item_at<'i>(&self, place: Place, marked: &'i str) -> Option<&'i str> {
        self.item(marked).filter(|(tag, _)| place.has(*tag)).map(|(_, id)| id)
    }

    /// The provider's id of an item, and the beginning of its place.
    pub(super) fn item<'i>(&self, marked: &'i str) -> Option<([u8; TAG], &'i str)> {
        let end = marked.len().checked_sub(ITEM_MARK_TEXT)?;
        let (id, mark) = marked.split_at_checked(end)?;
        let id = id.strip_suffix('-').filter(|id| !id.is_empty() && id.len() <= MAX_ID)?;
        let mark = URL_SAFE_NO_PAD.decode(mark).ok()?;
        let (tag, mark) = mark.split_first_chunk::<TAG>()?;
        self.item_maker(*tag, id).verify_truncated_left(mark).ok()?;
        Some((*tag, id))
    }

    fn item_maker(&self, tag: [u8; TAG], id: &str) -> Hmac<Sha256> {
        maker(self.key(), &[b"item", &tag, id.as_bytes()])
    }

    /// The tenant `name` of the gateway whose secret is `secret`.
    pub fn new(secret: &[u8], name: &str) -> Self {
        let (secret, name) = (secret.into(), name.into());
        Tenant(Arc::new(Whose { secret, name, key: OnceLock::new() }))
    }

    fn key(&self) -> &[u8; 32] {
        let Whose { secret, name, key } = &*self.0;
        key.get_or_init(|| mac(secret, &[b"tollgate tenant", name.as_bytes()]))
    }

    /// Where a target's answers are.
    pub fn place(&self, to: &Target) -> Place {
        self.place_at(&to.provider.name, &to.base, to.credential.as_ref())
    }

    /// The same of a provider, its address and our key there.
    pub(super) fn place_at(&self, provider: &str, base: &str, key: Option<&Secret>) -> Place {
        let key = key.map(Secret::expose).unwrap_or_default();
        let parts = [b"place", provider.as_bytes(), base.as_bytes(), key.as_bytes()];
        let whole = mac(self.key(), &parts);
        let mut place = [0; PLACE];
        place.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        Place(place)
    }

    /// The id that a client is given for the provider's.
    pub fn seal(&self, place: Place, id: &str) -> String {
        let mark = self.mark(place, id.as_bytes());
        let mark = mark.get(..MARK).unwrap_or_default();
        let bytes = [&[VERSION], place.0.as_slice(), mark, id.as_bytes()].concat();
        [PREFIX, &URL_SAFE_NO_PAD.encode(bytes)].concat()
    }

    /// The provider's id, and where it counts; `None` for an id that is not this tenant's.
    pub fn open(&self, sealed: &str) -> Option<(Place, String)> {
        let text = sealed.strip_prefix(PREFIX)?;
        if text.len() > 2 * MAX_ID {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (place, rest) = rest.split_first_chunk::<PLACE>()?;
        let (mark, id) = rest.split_at_checked(MARK)?;
        if *version != VERSION {
            return None;
        }
        let place = Place(*place);
        self.maker(place, id).verify_truncated_left(mark).ok()?;
        Some((place, String::from_utf8(id.to_vec()).ok()?))
    }

    fn mark(&self, place: Place, id: &[u8]) -> [u8; 32] {
        self.maker(place, id).finalize().into_bytes().into()
    }

    fn maker(&self, place: Place, id: &[u8]) -> Hmac<Sha256> {
        maker(self.key(), &[&[VERSION], &place.0, id])
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    maker(key, parts).finalize().into_bytes().into()
}

/// Each part with its length before it: no two lists of parts are the same text.
fn maker(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(Sha256::digest(key)).for_each(|(to, from)| *to = from);
    let mut maker = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        maker.update(&(part.len() as u64).to_be_bytes());
        maker.update(part);
    }
    maker
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(b"secret", name)
    }

    #[test]
    fn an_id_comes_back_to_whom_it_was_given() {
        let (a, place) = (tenant("a"), Place([7; PLACE]));
        let id = "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b";
        let sealed = a.seal(place, id);
        assert!(sealed.starts_with(PREFIX) && sealed.len() < 128, "{sealed}");
        assert_eq!(a.open(&sealed), Some((place, id.to_owned())));
        assert_eq!(Tenant::new(b"secret", "a").open(&sealed), Some((place, id.to_owned())));
    }

    #[test]
    fn an_item_is_its_tenants() {
        let (a, place) = (tenant("a"), Place([7; PLACE]));
        for id in ["msg_67ccd2bed1ec8190b14f964abc", "rs_1", "x"] {
            let marked = a.mark_item(place, id);
            assert!(marked.starts_with(id) && marked.len() == id.len() + 25, "{marked}");
            assert_eq!(a.item_at(place, &marked), Some(id));
            assert_eq!(a.item_at(Place([8; PLACE]), &marked), None);
            assert_eq!(tenant("b").item_at(place, &marked), None);
            for at in 0..marked.len() {
                let mut bytes = marked.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(a.item(std::str::from_utf8(&bytes).unwrap()), None, "{at}");
            }
        }
        for id in ["", "-", "msg_1", &"é".repeat(13), &a.mark_item(place, "")] {
            assert_eq!(a.item(id), None, "{id}");
        }
    }

    #[test]
    fn nobody_else_finds_it() {
        let (a, place) = (tenant("a"), Place([7; PLACE]));
        let sealed = a.seal(place, "resp_1");
        assert_eq!(tenant("b").open(&sealed), None);
        assert_eq!(Tenant::new(b"other", "a").open(&sealed), None);
        assert_eq!(a.open("resp_1"), None);
        assert_eq!(a.open(""), None);
        // No byte of it can be another one.
        for at in PREFIX.len()..sealed.len() - 1 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(a.open(std::str::from_utf8(&bytes).unwrap()), None, "{at}");
        }
    }
}
