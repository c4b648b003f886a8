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

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::target::Target;

const VERSION: u8 = 1;
const PLACE: usize = 8;
const MARK: usize = 16;
/// What ids of answers begin with.
const PREFIX: &str = "resp_";
/// Longest id of a provider's.
const MAX_ID: usize = 512;

/// Whose a request is: the key that its ids are marked with.
#[derive(Clone, PartialEq, Eq)]
pub struct Tenant([u8; 32]);

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant")
    }
}

/// Where an answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place([u8; PLACE]);

impl Tenant {
    /// The tenant `name` of the gateway whose secret is `secret`.
    pub fn new(secret: &[u8], name: &str) -> Self {
        Tenant(mac(secret, &[b"tollgate tenant", name.as_bytes()]))
    }

    /// Where a target's answers are.
    pub fn place(&self, to: &Target) -> Place {
        let key = to.credential.as_ref().map(crate::Secret::expose).unwrap_or_default();
        let (name, base) = (to.provider.name.as_bytes(), to.base.as_bytes());
        let whole = mac(&self.0, &[b"place", name, base, key.as_bytes()]);
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
        maker(&self.0, &[&[VERSION], &place.0, id])
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
