//! Sixteen bytes of a string at once.

use wide::u8x16;

/// Bytes of a block.
pub(super) const LEN: usize = 16;

/// What there is in a block: a bit for each byte, the lowest for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes that mean something in a string: quotes, backslashes and control characters.
    pub(super) special: u32,
    /// Bytes beyond ASCII.
    pub(super) non_ascii: u32,
}

/// Looks at a block.
#[inline]
pub(super) fn look(block: &[u8; LEN]) -> Seen {
    let bytes = u8x16::new(*block);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    let control = bytes.simd_eq(bytes.min(u8x16::splat(0x1f)));
    let special = is(b'"') | is(b'\\') | control;
    Seen { special: special.to_bitmask(), non_ascii: bytes.to_bitmask() }
}

/// Looks at less than a block, the last of a text. The first byte beyond it is special.
#[inline]
pub(super) fn look_at_less(tail: &[u8]) -> Seen {
    // A NUL is a control character.
    let mut block = [0; LEN];
    block.iter_mut().zip(tail).for_each(|(slot, byte)| *slot = *byte);
    look(&block)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sees_what_is_there(
            block in prop::array::uniform16(prop_oneof![
                8 => 0x20..=0x7e_u8, 1 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'),
            ]),
            cut in 0..LEN,
        ) {
            let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            let bits = |is: &dyn Fn(&u8) -> bool| {
                block.iter().enumerate().map(|(at, byte)| u32::from(is(byte)) << at).sum::<u32>()
            };
            let seen = look(&block);
            prop_assert_eq!(seen.special, bits(&special));
            prop_assert_eq!(seen.non_ascii, bits(&|byte| !byte.is_ascii()));
            let tail = &block[..cut];
            let seen = look_at_less(tail);
            let plain = tail.iter().position(special).unwrap_or(cut);
            prop_assert_eq!(seen.special.trailing_zeros() as usize, plain);
            prop_assert_eq!(seen.non_ascii != 0, !tail.is_ascii());
        }
    }
}
