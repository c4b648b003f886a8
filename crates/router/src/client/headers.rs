//! An answer's headers, as they came: few are ever looked at, and a map of all would cost more
//! than looking.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of an upstream's answer, in their order.
#[derive(Debug, Clone)]
pub struct Headers(Form);

#[derive(Debug, Clone)]
enum Form {
    /// A head and where its lines are, names in lower case.
    Raw(Bytes, Vec<Line>),
    Map(HeaderMap),
}

/// Where a header's name and value stand in the head, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    name: (u32, u32),
    value: (u32, u32),
}

impl Line {
    /// Of a header in a head that begins at the address `base`.
    pub(super) fn of(header: &httparse::Header<'_>, base: usize) -> Self {
        let place = |bytes: &[u8]| {
            let start = (bytes.as_ptr() as usize).saturating_sub(base);
            let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            (short(start), short(start + bytes.len()))
        };
        Line { name: place(header.name.as_bytes()), value: place(header.value) }
    }
}

/// A header's value, where it came.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(Place<'a>);

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Head(&'a Bytes, (u32, u32)),
    Map(&'a HeaderValue),
}

impl Value<'_> {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self.0 {
            Place::Head(head, at) => head.get(range(at)).unwrap_or_default(),
            Place::Map(value) => value.as_bytes(),
        }
    }

    /// A value that shares the head's memory; `None` where HTTP does not allow it.
    pub fn shared(&self) -> Option<HeaderValue> {
        match self.0 {
            Place::Head(head, _) => {
                HeaderValue::from_maybe_shared(head.slice_ref(self.bytes())).ok()
            }
            Place::Map(value) => Some(value.clone()),
        }
    }
}

fn range((start, end): (u32, u32)) -> std::ops::Range<usize> {
    start as usize..end as usize
}

impl Headers {
    /// The headers at `lines` of `head`.
    pub(super) fn raw(mut head: BytesMut, lines: Vec<Line>) -> Self {
        for line in &lines {
            head.get_mut(range(line.name)).unwrap_or_default().make_ascii_lowercase();
        }
        Headers(Form::Raw(head.freeze(), lines))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Raw(_, lines) => lines.len(),
            Form::Map(map) => map.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first value of a header.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        match &self.0 {
            Form::Raw(head, lines) => {
                let at = |place| head.get(range(place)).unwrap_or_default();
                let wanted = name.as_str().as_bytes();
                let line = lines.iter().find(|line| at(line.name) == wanted)?;
                Some(at(line.value))
            }
            Form::Map(map) => map.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// The same, where it is a text.
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Calls `each` with the name, in lower case, and the value of every header.
    #[inline]
    pub fn for_each(&self, mut each: impl FnMut(&[u8], Value<'_>)) {
        match &self.0 {
            Form::Raw(head, lines) => {
                for line in lines {
                    let name = head.get(range(line.name)).unwrap_or_default();
                    each(name, Value(Place::Head(head, line.value)));
                }
            }
            Form::Map(map) => {
                for (name, value) in map {
                    each(name.as_str().as_bytes(), Value(Place::Map(value)));
                }
            }
        }
    }

    /// All of them as a map; a name or value that HTTP does not allow is left out.
    pub fn to_map(&self) -> HeaderMap {
        if let Form::Map(map) = &self.0 {
            return map.clone();
        }
        let mut map = HeaderMap::with_capacity(self.len());
        self.for_each(|name, value| {
            let name = HeaderName::from_bytes(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.bytes())) {
                map.append(name, value);
            }
        });
        map
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Headers(Form::Map(map))
    }
}
