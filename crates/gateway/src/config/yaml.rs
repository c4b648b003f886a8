//! YAML as PyYAML's safe loader reads it, with the place of every key and value.
//!
//! LiteLLM's files are read by PyYAML, so `yes`, `on` and `010` mean here what they mean there:
//! booleans, booleans and eight. Merge keys, anchors and tags of the core schema work. A tree is
//! built from parser events without recursion, and everything that a file could make large is
//! bounded: bytes, depth, nodes, and what its aliases unfold to.
//!
//! Two deliberate differences: `1e-6` is a number (PyYAML wants a dot before the exponent and reads
//! a text), and times such as `12:30` and dates stay texts (PyYAML makes them numbers and objects).

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::{
    problem::{Report, Spot},
    scalar,
};

/// The largest file that is read.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most nodes in a tree, unfolded aliases included.
const MAX_NODES: usize = 1_000_000;
/// The most bytes of text that aliases may repeat.
const MAX_ALIAS_BYTES: usize = 32 << 20;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub at: Spot,
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number, as JSON spells it: exact, unlike a float.
    Number(String),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A text and whether it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub text: String,
    /// It came from an environment variable: never show it.
    pub hidden: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub at: Spot,
    pub value: Node,
    /// The value has an anchor, for others to repeat it.
    pub anchored: bool,
}

impl Node {
    /// What kind of thing it is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// True for `null`, `false`, zero, and empty texts, lists and maps.
    pub(super) fn is_off(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Bool(on) => !on,
            Value::Number(text) => text.parse::<f64>() == Ok(0.0),
            Value::Text(text) => {
                let text = text.text.trim();
                text.is_empty() || text.eq_ignore_ascii_case("false")
            }
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// The value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                None
            }
        }
    }
}

/// Reads one document. `None` when there is an error, which is then in the report.
pub(super) fn parse(file: u16, text: &str, report: &mut Report) -> Option<Node> {
    let start = Spot { file, line: 1, column: 1, width: 1 };
    if text.len() > MAX_BYTES {
        report.error(start, "", format!("the file is larger than {} MiB", MAX_BYTES >> 20));
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        file,
        report,
        open: Vec::new(),
        done: None,
        nodes: 0,
        repeated: 0,
        anchors: HashMap::new(),
    };
    for event in Parser::new_from_str(text) {
        let result = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(e) => Err(Stop { at: point(file, *e.marker()), message: e.info().to_owned() }),
        };
        if let Err(stop) = result {
            builder.report.error(stop.at, "", stop.message);
            return None;
        }
    }
    if builder.done.is_none() {
        builder.report.error(start, "", "the file is empty: expected at least a `model_list`");
    }
    builder.done
}

/// Why reading ends here.
struct Stop {
    at: Spot,
    message: String,
}

/// A list or map that is not complete.
struct Open {
    at: Spot,
    anchor: usize,
    /// Nodes below, to be counted again for each alias.
    nodes_before: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merges: Vec<Node>, key: Option<(String, Spot, IsMerge)> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsMerge {
    Yes,
    No,
}

/// What an anchor names, and what it weighs.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
}

struct Builder<'a> {
    file: u16,
    report: &'a mut Report,
    open: Vec<Open>,
    done: Option<Node>,
    nodes: usize,
    repeated: usize,
    anchors: HashMap<usize, Anchored>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = spot(self.file, span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.done.is_some() => Err(Stop {
                at,
                message: "expected one document, but another starts here".to_owned(),
            }),
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), at)
            }
            Event::SequenceStart(anchor, tag) => {
                core_tag(tag.as_deref(), at)?;
                self.begin(at, anchor, Kind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                core_tag(tag.as_deref(), at)?;
                self.begin(
                    at,
                    anchor,
                    Kind::Map { entries: Vec::new(), merges: Vec::new(), key: None },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish(),
        }
    }

    fn begin(&mut self, at: Spot, anchor: usize, kind: Kind) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Stop { at, message: format!("nested deeper than {MAX_DEPTH} levels") });
        }
        self.count(1, at)?;
        // A list or map has no width of its own: its first character stands for it.
        let at = Spot { width: 1, ..at };
        self.open.push(Open { at, anchor, nodes_before: self.nodes, kind });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.kind {
            Kind::List(items) => Value::List(items),
            Kind::Map { entries, merges, .. } => Value::Map(self.merged(entries, merges)?),
        };
        let node = Node { at: open.at, value };
        let nodes = self.nodes.saturating_sub(open.nodes_before).saturating_add(1);
        self.anchor(open.anchor, &node, nodes)?;
        self.put(node, open.anchor != 0)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Spot,
    ) -> Result<(), Stop> {
        core_tag(tag, at)?;
        self.count(1, at)?;
        let tag = tag.map(|t| t.suffix.as_str());
        let plain = style == ScalarStyle::Plain;
        // A key is a name, whatever else its letters could mean.
        if let Some(Open { kind: Kind::Map { key: key @ None, .. }, .. }) = self.open.last_mut() {
            let merge = if plain && text == "<<" { IsMerge::Yes } else { IsMerge::No };
            *key = Some((text.to_owned(), at, merge));
            return self.anchor(anchor, &Node { at, value: scalar::text(text) }, 1);
        }
        let value = scalar::value(text, plain, tag).map_err(|message| Stop { at, message })?;
        let node = Node { at: self.place(&value, at), value };
        self.anchor(anchor, &node, 1)?;
        self.put(node, anchor != 0)
    }

    /// A value that is not there has the place of its key.
    fn place(&self, value: &Value, at: Spot) -> Spot {
        match (value, self.open.last()) {
            (Value::Null, Some(Open { kind: Kind::Map { key: Some((_, key, _)), .. }, .. }))
                if at.line != key.line =>
            {
                *key
            }
            _ => at,
        }
    }

    fn alias(&mut self, anchor: usize, at: Spot) -> Result<(), Stop> {
        let Some(known) = self.anchors.get(&anchor) else {
            return Err(Stop { at, message: "the alias stands inside what it names".to_owned() });
        };
        let (nodes, bytes) = (known.nodes, known.bytes);
        self.count(nodes, at)?;
        self.repeat(bytes, at)?;
        let Some(known) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = known.node.clone();
        if let Some(Open { kind: Kind::Map { key: key @ None, .. }, .. }) = self.open.last_mut() {
            let Value::Text(text) = node.value else {
                return Err(Stop {
                    at,
                    message: format!("expected a name as key, found {}", node.kind()),
                });
            };
            *key = Some((text.text, at, IsMerge::No));
            return Ok(());
        }
        self.put(node, false)
    }

    /// Remembers what an anchor names.
    fn anchor(&mut self, anchor: usize, node: &Node, nodes: usize) -> Result<(), Stop> {
        if anchor == 0 {
            return Ok(());
        }
        let bytes = bytes(node);
        self.repeat(bytes, node.at)?;
        self.count(nodes, node.at)?;
        self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, bytes });
        Ok(())
    }

    fn put(&mut self, node: Node, anchored: bool) -> Result<(), Stop> {
        match self.open.last_mut() {
            None => self.done = Some(node),
            Some(Open { kind: Kind::List(items), .. }) => items.push(node),
            Some(Open { kind: Kind::Map { entries, merges, key }, .. }) => match key.take() {
                None => {
                    let message = format!("expected a name as key, found {}", node.kind());
                    return Err(Stop { at: node.at, message });
                }
                Some((_, _, IsMerge::Yes)) => merges.push(node),
                Some((key, at, IsMerge::No)) => {
                    entries.push(Entry { key, at, value: node, anchored });
                }
            },
        }
        Ok(())
    }

    /// A map's own keys before those that it merges in; of a repeated key the last counts.
    fn merged(&mut self, own: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>, Stop> {
        let mut entries = self.without_repeats(own);
        let mut known: HashSet<String> = match merges.is_empty() {
            true => HashSet::new(),
            false => entries.iter().map(|entry| entry.key.clone()).collect(),
        };
        for node in merges {
            let maps = match node.value {
                Value::List(maps) => maps,
                value @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Text(_)
                | Value::Map(_)) => vec![Node { at: node.at, value }],
            };
            for map in maps {
                let Value::Map(more) = map.value else {
                    let message =
                        format!("expected a map to merge with `<<`, found {}", map.kind());
                    return Err(Stop { at: map.at, message });
                };
                for entry in more {
                    if known.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
            }
        }
        Ok(entries)
    }

    fn without_repeats(&mut self, own: Vec<Entry>) -> Vec<Entry> {
        let mut last: HashMap<&str, usize> = HashMap::with_capacity(own.len());
        let mut hidden = vec![false; own.len()];
        for (index, entry) in own.iter().enumerate() {
            if let Some(earlier) = last.insert(&entry.key, index) {
                if let Some(flag) = hidden.get_mut(earlier) {
                    *flag = true;
                }
                let line = own.get(earlier).map_or(0, |e| e.at.line);
                let message = format!("`{}` is set twice: this one hides line {line}", entry.key);
                self.report.warning(entry.at, &entry.key, message, None);
            }
        }
        own.into_iter().zip(hidden).filter(|(_, hidden)| !hidden).map(|(entry, _)| entry).collect()
    }

    fn count(&mut self, nodes: usize, at: Spot) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases unfolded");
            return Err(Stop { at, message });
        }
        Ok(())
    }

    fn repeat(&mut self, bytes: usize, at: Spot) -> Result<(), Stop> {
        self.repeated = self.repeated.saturating_add(bytes);
        if self.repeated > MAX_ALIAS_BYTES {
            let message = format!("aliases unfold to more than {} MiB", MAX_ALIAS_BYTES >> 20);
            return Err(Stop { at, message });
        }
        Ok(())
    }
}

/// Bytes of text in a tree. Recursion is bounded by [`MAX_DEPTH`] per unfolded alias, and aliases
/// cannot nest deeper than the tree they are written in.
fn bytes(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(text) => text.len(),
        Value::Text(text) => text.text.len(),
        Value::List(items) => items.iter().map(bytes).sum(),
        Value::Map(entries) => {
            entries.iter().map(|e| e.key.len().saturating_add(bytes(&e.value))).sum()
        }
    }
}

/// Tags of the core schema are read, others are Python's.
fn core_tag(tag: Option<&Tag>, at: Spot) -> Result<(), Stop> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(Stop { at, message: format!("the tag `{tag}` means nothing here") })
        }
        Some(_) | None => Ok(()),
    }
}

fn point(file: u16, at: Marker) -> Spot {
    Spot { file, line: small(at.line()), column: small(at.col()).saturating_add(1), width: 1 }
}

fn spot(file: u16, span: Span) -> Spot {
    let width = if span.start.line() == span.end.line() {
        small(span.end.col().saturating_sub(span.start.col())).max(1)
    } else {
        1
    };
    Spot { width, ..point(file, span.start) }
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
