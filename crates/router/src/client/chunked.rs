//! The chunked transfer coding (RFC 9112, section 7.1), read.

use bytes::{Buf, Bytes, BytesMut};

/// Most bytes of chunk extensions and trailers of one answer: nobody reads them.
const MOST_IGNORED: usize = 16 * 1024;

/// Where in the coding a reader is.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    ignored: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start of a chunk.
    #[default]
    Start,
    /// In a chunk's size, of which so many digits were read.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the size, in what is ignored up to the line's end.
    Extension {
        size: u64,
    },
    /// Before the line feed of a size's line.
    SizeEnd {
        size: u64,
    },
    /// In a chunk of which so much is left; never 0.
    Data(u64),
    /// Before the carriage return that ends a chunk's data.
    DataEnd,
    /// Before its line feed.
    DataFeed,
    /// At the start of a line after the last chunk.
    Trailer,
    /// Within one.
    TrailerLine,
    /// Before the line feed of the last line.
    LastFeed,
    End,
    /// At something that is not the coding, and why not.
    Wrong(&'static str),
}

impl Chunked {
    /// Whether the last chunk and the trailers are read.
    pub(super) fn ended(&self) -> bool {
        self.at == At::End
    }

    /// The next piece of data in `read`, of which it takes what it has used; `None` where there is
    /// none yet, or no more. `Err` says what is wrong.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
        self.skip(read);
        match self.at {
            At::Wrong(why) => Err(why),
            At::Data(left) if !read.is_empty() => {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let piece = read.split_to(read.len().min(most)).freeze();
                let left = left - piece.len() as u64;
                self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                // Mostly the chunk's end is there, and the last chunk behind the last but one:
                // whoever looks at `ended` need not ask again.
                self.skip(read);
                Ok(Some(piece))
            }
            _ => Ok(None),
        }
    }

    /// Takes from `read` what is not data.
    fn skip(&mut self, read: &mut BytesMut) {
        let mut used = 0;
        for byte in read.iter() {
            if matches!(self.at, At::Data(_) | At::End | At::Wrong(_)) {
                break;
            }
            self.at = self.step(*byte);
            used += 1;
        }
        read.advance(used);
    }

    fn step(&mut self, byte: u8) -> At {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(u64::from);
        match (self.at, byte) {
            (At::Start, byte) => match digit(byte) {
                Some(size) => At::Size { size, digits: 1 },
                None => At::Wrong("a chunk without a size"),
            },
            (At::Size { size, .. } | At::Extension { size }, b'\r') => At::SizeEnd { size },
            (At::Size { size, .. }, b';' | b' ' | b'\t') => At::Extension { size },
            (At::Size { size, digits }, byte) => match digit(byte) {
                Some(low) if digits < 15 => At::Size { size: size << 4 | low, digits: digits + 1 },
                Some(_) => At::Wrong("a chunk's size beyond all bounds"),
                None => At::Wrong("a chunk's size that is none"),
            },
            (At::Extension { .. }, b'\n') => At::Wrong("a line feed in a chunk's extension"),
            (At::Extension { size }, _) => self.ignore(At::Extension { size }),
            (At::SizeEnd { size: 0 }, b'\n') => At::Trailer,
            (At::SizeEnd { size }, b'\n') => At::Data(size),
            (At::DataEnd, b'\r') => At::DataFeed,
            (At::DataFeed, b'\n') => At::Start,
            (At::Trailer, b'\r') => At::LastFeed,
            (At::TrailerLine, b'\n') => At::Trailer,
            (At::Trailer | At::TrailerLine, _) => self.ignore(At::TrailerLine),
            (At::LastFeed, b'\n') => At::End,
            (At::SizeEnd { .. } | At::DataEnd | At::DataFeed | At::LastFeed, _) => {
                At::Wrong("a chunk that does not end where it says")
            }
            (at @ (At::Data(_) | At::End | At::Wrong(_)), _) => at,
        }
    }

    /// Goes on at `next` after a byte that nobody reads.
    fn ignore(&mut self, next: At) -> At {
        self.ignored += 1;
        if self.ignored > MOST_IGNORED {
            At::Wrong("too many bytes between the chunks")
        } else {
            next
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All data of `coded`, fed in pieces that end at `cuts`; `None` where the end did not come.
    fn decoded(coded: &[u8], cuts: &[usize]) -> Result<Option<Vec<u8>>, &'static str> {
        let (mut chunked, mut read, mut data) = (Chunked::default(), BytesMut::new(), Vec::new());
        let mut fed = 0;
        for cut in cuts.iter().copied().chain([coded.len()]) {
            let cut = cut.clamp(fed, coded.len());
            read.extend_from_slice(coded.get(fed..cut).unwrap_or_default());
            fed = cut;
            while let Some(piece) = chunked.next(&mut read)? {
                assert!(!piece.is_empty(), "a piece without data");
                data.extend_from_slice(&piece);
            }
        }
        Ok(chunked.ended().then_some(data))
    }

    fn data(coded: &str) -> Result<Option<String>, &'static str> {
        let whole = decoded(coded.as_bytes(), &[]);
        for cut in 0..coded.len() {
            assert_eq!(decoded(coded.as_bytes(), &[cut]), whole, "cut at {cut}");
        }
        let each: Vec<usize> = (0..coded.len()).collect();
        assert_eq!(decoded(coded.as_bytes(), &each), whole, "byte by byte");
        Ok(whole?.map(|data| String::from_utf8_lossy(&data).into_owned()))
    }

    #[test]
    fn chunks_are_joined() {
        let said = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(data("0\r\n\r\n"), said(""));
        assert_eq!(data("5\r\nhello\r\n0\r\n\r\n"), said("hello"));
        assert_eq!(data("5;a=\"b\"\r\nhello\r\n00 \r\n\r\n"), said("hello"));
        assert_eq!(
            data("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\nx: y\r\nz: \r\n\r\n"),
            said("01234567890123456789a")
        );
        assert_eq!(data("5\r\nhel"), Ok(None));
        assert_eq!(data("5\r\nhello\r\n0\r\n"), Ok(None));
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        for wrong in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "5\nhello",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5;x\n\r\nhello",
            "1000000000000000\r\n",
            "0\r\n\rx",
        ] {
            assert!(data(wrong).is_err(), "{wrong:?}");
        }
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "x".repeat(MOST_IGNORED + 1));
        assert!(decoded(long.as_bytes(), &[]).is_err());
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(0..400_usize, 0..20),
        ) {
            let mut coded = Vec::new();
            for chunk in &chunks {
                coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                coded.extend_from_slice(chunk);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\n");
            let mut cuts = cuts;
            cuts.sort_unstable();
            prop_assert_eq!(decoded(&coded, &cuts), Ok(Some(chunks.concat())));
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let whole = decoded(&bytes, &[]);
            let each: Vec<usize> = (0..bytes.len()).collect();
            prop_assert_eq!(decoded(&bytes, &each), whole);
        }
    }
}
