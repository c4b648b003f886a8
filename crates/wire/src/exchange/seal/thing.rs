//! Containers that a provider runs code in, and files that came out of them, by ids that only whom
//! they were given to can use.
//!
//! A file that the operator uploaded at the provider may be named as it is, by anybody: so a mark
//! behind an id would help nothing, it could be taken off. The provider's id is hidden instead, and
//! the same one is always hidden in the same way:
//!
//! ```text
//! container_sealed_ base64url( 1 · place (8 bytes) · tag (16 bytes) · id, veiled )
//! tag  = HMAC-SHA256(tenant, "container" · 1 · place · id)
//! veil = HMAC-SHA256(tenant, "veil" · tag · 0), HMAC-SHA256(tenant, "veil" · tag · 1), …
//! ```
//!
//! That is a synthetic initialisation vector (RFC 5297) with HMAC in both parts: the tag is a
//! function of the id, and the veil one of the tag. Files are the same with `file`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac as _;

use super::{MARK, MAX_ID, PLACE, Place, Tenant, VERSION, mac, maker};

/// Bytes of a block of the veil.
const BLOCK: usize = 32;

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// Where a provider runs code. Only the provider makes them, for an answer.
    Container,
    /// A file.
    File,
}

impl Thing {
    /// What our ids of it begin with, and no provider's.
    pub const fn prefix(self) -> &'static str {
        match self {
            Thing::Container => "container_sealed_",
            Thing::File => "file_sealed_",
        }
    }

    const fn word(self) -> &'static [u8] {
        match self {
            Thing::Container => b"container",
            Thing::File => b"file",
        }
    }
}

impl Tenant {
    /// The id that a client is given for the provider's.
    pub fn hide(&self, thing: Thing, place: Place, id: &str) -> String {
        let tag = mac(self.key(), &[thing.word(), &[VERSION], &place.0, id.as_bytes()]);
        let tag = tag.get(..MARK).unwrap_or_default();
        let mut veiled = id.as_bytes().to_vec();
        self.veil(tag, &mut veiled);
        let bytes = [&[VERSION], place.0.as_slice(), tag, &veiled].concat();
        [thing.prefix(), &URL_SAFE_NO_PAD.encode(bytes)].concat()
    }

    /// The provider's id, and where it counts; `None` for an id that is not this tenant's.
    pub fn find(&self, thing: Thing, hidden: &str) -> Option<(Place, String)> {
        let text = hidden.strip_prefix(thing.prefix())?;
        if text.len() > 2 * MAX_ID {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (place, rest) = rest.split_first_chunk::<PLACE>()?;
        let (tag, veiled) = rest.split_at_checked(MARK)?;
        if *version != VERSION {
            return None;
        }
        let mut id = veiled.to_vec();
        self.veil(tag, &mut id);
        let made = maker(self.key(), &[thing.word(), &[VERSION], place, &id]);
        made.verify_truncated_left(tag).ok()?;
        Some((Place(*place), String::from_utf8(id).ok()?))
    }

    /// Puts the veil on, or takes it off.
    fn veil(&self, tag: &[u8], text: &mut [u8]) {
        for (block, number) in text.chunks_mut(BLOCK).zip(0_u64..) {
            let veil = mac(self.key(), &[b"veil", tag, &number.to_be_bytes()]);
            block.iter_mut().zip(veil).for_each(|(byte, veil)| *byte ^= veil);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IDS: [&str; 4] = ["cntr_682e0e7318108198aa783fd921ff305e08e78805b9fdbb04", "x", "é", ""];

    fn tenant(name: &str) -> Tenant {
        Tenant::new(b"secret", name)
    }

    #[test]
    fn what_is_hidden_comes_back_to_whom_it_was_given() {
        let (a, place) = (tenant("a"), Place([7; PLACE]));
        for thing in [Thing::Container, Thing::File] {
            for id in IDS {
                let hidden = a.hide(thing, place, id);
                assert!(hidden.starts_with(thing.prefix()), "{hidden}");
                assert_eq!(a.find(thing, &hidden), Some((place, id.to_owned())));
                assert_eq!(hidden, a.hide(thing, place, id), "the same each time");
            }
        }
    }

    #[test]
    fn nobody_else_finds_it_or_sees_it() {
        let (a, place, id) = (tenant("a"), Place([7; PLACE]), IDS[0]);
        let hidden = a.hide(Thing::File, place, id);
        let theirs = tenant("b").hide(Thing::File, place, id);
        assert_ne!(hidden, theirs);
        assert_eq!(a.find(Thing::File, &theirs), None);
        assert_eq!(Tenant::new(b"other", "a").find(Thing::File, &hidden), None);
        // A file is no container, an answer is neither.
        let renamed = hidden.replacen("file", "container", 1);
        assert_eq!(a.find(Thing::Container, &renamed), None);
        assert_eq!(a.find(Thing::File, &a.seal(place, id)), None);
        let text = hidden.strip_prefix(Thing::File.prefix()).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        assert!(!bytes.windows(4).any(|part| id.as_bytes().windows(4).any(|own| own == part)));
        for at in Thing::File.prefix().len()..hidden.len() {
            let mut bytes = hidden.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(a.find(Thing::File, std::str::from_utf8(&bytes).unwrap()), None, "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_id_comes_back_and_nothing_else_does(id in ".{0,80}", other in "[A-Za-z0-9_-]{0,90}") {
            let (a, place) = (tenant("a"), Place([9; PLACE]));
            let hidden = a.hide(Thing::File, place, &id);
            prop_assert_eq!(a.find(Thing::File, &hidden), Some((place, id.clone())));
            prop_assert_eq!(tenant("b").find(Thing::File, &hidden), None);
            prop_assert_eq!(a.find(Thing::File, &[Thing::File.prefix(), &other].concat()), None);
        }
    }
}
