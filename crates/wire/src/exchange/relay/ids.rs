//! Containers that a provider runs code in, and files by their ids, wherever they are named in a
//! request, an answer or an event. The provider would find any of our account's, whoever it was
//! given to, so clients know them by ids of ours; see [`Thing`].
//!
//! * Anthropic: `container` of requests and answers, `container_upload` blocks, sources of documents
//!   and pictures, and the files that code has written.
//!   <https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool>
//! * OpenAI: `container` of a code interpreter, `container_id` of its calls, of a shell's environment
//!   and of citations, files that are given to a model.
//!   <https://developers.openai.com/api/docs/guides/tools-code-interpreter>
//!
//! The names are what counts and not the paths: a place that is not known is bound as well. What the
//! provider only passes through (arguments of tools, schemas, metadata) is left alone.

use std::{ops::Range, sync::LazyLock};

use memchr::memmem::Finder;

use crate::{
    exchange::seal::Thing,
    json::{Flaw, Scan},
    matrix::Dialect,
};

/// An id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Where it stands, quotes included.
    pub(super) span: Range<usize>,
    /// What it is of.
    pub(super) thing: Thing,
}

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// In a request.
    Client,
    /// In an answer, or in an event of one.
    Provider,
}

/// Whether there may be an id in `text`. Names can be spelled with escapes: of letters, they begin
/// like the third.
pub(super) fn may_be_in(text: &[u8]) -> bool {
    static WORDS: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| ["container", "file_id", r"\u00"].map(Finder::new));
    WORDS.iter().any(|word| word.find(text).is_some())
}

/// The ids in `text`, which is JSON, in order.
pub(super) fn read(dialect: Dialect, by: By, text: &[u8]) -> Result<Vec<Named>, Flaw> {
    let mut reader = Reader { scan: Scan::new(text), text, dialect, by, found: Vec::new() };
    reader.value()?;
    Ok(reader.found)
}

struct Reader<'t> {
    scan: Scan<'t>,
    text: &'t [u8],
    dialect: Dialect,
    by: By,
    found: Vec<Named>,
}

impl Reader<'_> {
    /// The scan counts the levels, and ends where there are too many.
    fn value(&mut self) -> Result<(), Flaw> {
        match self.scan.look() {
            Some(b'{') => self.object(""),
            Some(b'[') => self.list(Self::value),
            _ => self.scan.skip(),
        }
    }

    fn list(&mut self, item: fn(&mut Self) -> Result<(), Flaw>) -> Result<(), Flaw> {
        self.scan.open_array()?;
        let mut first = true;
        while self.scan.next_item(&mut first)? {
            item(self)?;
        }
        Ok(())
    }

    /// An object, whose own id is a container's if it is called `own`.
    fn object(&mut self, own: &str) -> Result<(), Flaw> {
        let before = self.found.len();
        let mut cites = false;
        self.scan.open_object()?;
        let mut first = true;
        while let Some(key) = self.scan.next_key(&mut first)? {
            let name = key.resolve().unwrap_or_default();
            match (&*name, self.scan.look()) {
                ("container" | "container_id", Some(b'"')) => self.id(Thing::Container)?,
                (name, Some(b'"')) if name == own && !own.is_empty() => {
                    self.id(Thing::Container)?
                }
                ("container", Some(b'{')) => self.object("id")?,
                ("file_id", Some(b'"')) => self.id(Thing::File)?,
                ("file_ids", Some(b'[')) => self.list(Self::file)?,
                ("type", Some(b'"')) => {
                    let span = self.scan.string()?.span();
                    cites |= self.text.get(span) == Some(br#""file_citation""#);
                }
                (name, _) if self.passes_through(name) => self.scan.skip()?,
                (_, _) => self.value()?,
            }
        }
        // A file of a vector store, which is the operator's.
        if cites && self.by == By::Provider {
            let own: Vec<Named> = self.found.drain(before..).collect();
            self.found.extend(own.into_iter().filter(|named| named.thing != Thing::File));
        }
        Ok(())
    }

    fn file(&mut self) -> Result<(), Flaw> {
        match self.scan.look() {
            Some(b'"') => self.id(Thing::File),
            _ => self.value(),
        }
    }

    fn id(&mut self, thing: Thing) -> Result<(), Flaw> {
        let span = self.scan.string()?.span();
        self.found.push(Named { span, thing });
        Ok(())
    }

    /// Whether the provider does not look into a member of this name.
    fn passes_through(&self, name: &str) -> bool {
        match (self.dialect, name) {
            (_, "metadata" | "schema" | "input_schema") => true,
            (Dialect::Anthropic, "input" | "input_examples") => true,
            (Dialect::Responses, "parameters" | "env") => true,
            // Of a search in a vector store.
            (Dialect::Responses, "results") => self.by == By::Provider,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(dialect: Dialect, by: By, text: &str) -> Vec<String> {
        let named = read(dialect, by, text.as_bytes()).unwrap();
        let letter = |thing| if thing == Thing::File { 'f' } else { 'c' };
        named.iter().map(|it| format!("{} {}", letter(it.thing), &text[it.span.clone()])).collect()
    }

    fn check(dialect: Dialect, by: By, text: &str, expected: &[&str]) {
        assert_eq!(found(dialect, by, text), expected, "{text}");
        assert!(expected.is_empty() || may_be_in(text.as_bytes()), "{text}");
    }

    #[test]
    fn what_anthropic_names() {
        let check =
            |by, text: &str, expected: &[&str]| check(Dialect::Anthropic, by, text, expected);
        check(By::Client, r#"{"container":"a"}"#, &[r#"c "a""#]);
        let skills = r#"{"container":{"skills":[{"skill_id":"pptx"}],"id":"a"},"id":"b"}"#;
        check(By::Client, skills, &[r#"c "a""#]);
        check(By::Client, r#"{"container":null}"#, &[]);
        check(
            By::Client,
            r#"{"messages":[{"content":[{"type":"container_upload","file_id":"a"},
                {"type":"document","source":{"type":"file","file_id":"b"}}]}]}"#,
            &[r#"f "a""#, r#"f "b""#],
        );
        check(
            By::Provider,
            r#"{"type":"message_start","message":{"container":{"id":"a","expires_at":"x"}}}"#,
            &[r#"c "a""#],
        );
        check(
            By::Provider,
            r#"{"content_block":{"type":"bash_code_execution_tool_result","content":{"stdout":"file_id",
                "content":[{"type":"bash_code_execution_output","file_id":"a"}]}}}"#,
            &[r#"f "a""#],
        );
        // What a tool is called with is its own business.
        check(By::Client, r#"{"input":{"container_id":"a"},"metadata":{"file_id":"b"}}"#, &[]);
        check(By::Client, r#"{"tools":[{"input_schema":{"default":{"file_id":"b"}}}]}"#, &[]);
    }

    #[test]
    fn what_openai_names() {
        let check =
            |by, text: &str, expected: &[&str]| check(Dialect::Responses, by, text, expected);
        check(
            By::Client,
            r#"{"tools":[{"type":"code_interpreter","container":"a"},
                {"type":"code_interpreter","container":{"type":"auto","file_ids":["b",1,"c"]}},
                {"type":"shell","environment":{"type":"container_reference","container_id":"d"}}]}"#,
            &[r#"c "a""#, r#"f "b""#, r#"f "c""#, r#"c "d""#],
        );
        check(
            By::Client,
            r#"{"input":[{"type":"code_interpreter_call","id":"ci_1","container_id":"a"},
                {"role":"user","content":[{"type":"input_file","file_id":"b"}]}]}"#,
            &[r#"c "a""#, r#"f "b""#],
        );
        let cited =
            r#"{"annotation":{"type":"container_file_citation","container_id":"a","file_id":"b"}}"#;
        check(By::Provider, cited, &[r#"c "a""#, r#"f "b""#]);
        // Files of a vector store are the operator's; a container is not, wherever it is named.
        let store = r#"{"file_id":"a","type":"file_citation","container_id":"b","results":[{"file_id":"c"}]}"#;
        check(By::Provider, store, &[r#"c "b""#]);
        check(By::Client, store, &[r#"f "a""#, r#"c "b""#, r#"f "c""#]);
        check(By::Client, r#"{"tools":[{"parameters":{"container_id":"a"}}]}"#, &[]);
    }

    #[test]
    fn escapes_and_repetitions_hide_nothing() {
        for text in [
            r#"{"\u0063ontainer":"a"}"#,
            r#"{"container\u005fid":"a"}"#,
            r#"{"container":{"\u0069d":"a"}}"#,
            r#"{"container":"b","container":"a"}"#,
            r#"[[{"x":{"container_id":"a"}}]]"#,
        ] {
            let found = found(Dialect::Anthropic, By::Client, text);
            assert_eq!(found.last().unwrap(), r#"c "a""#, "{text}");
            assert!(may_be_in(text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_there(depth in 0_usize..60, id in "[a-z]{1,9}", list: bool) {
            let (open, close) = if list { ("[", "]") } else { ("{\"x\":", "}") };
            let text = format!("{}{{\"file_id\":\"{id}\"}}{}", open.repeat(depth), close.repeat(depth));
            prop_assert_eq!(found(Dialect::Responses, By::Client, &text), [format!("f \"{id}\"")]);
        }

        #[test]
        fn any_text_is_read_or_refused(text in r#"[{}\[\]",:a-z_0-9\\ ]{0,60}"#) {
            for named in read(Dialect::Responses, By::Provider, text.as_bytes()).unwrap_or_default() {
                let id = text.get(named.span).unwrap();
                prop_assert!(id.starts_with('"') && id.ends_with('"') && id.len() > 1);
            }
        }
    }
}
