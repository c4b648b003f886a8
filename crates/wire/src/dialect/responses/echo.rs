//! What an answer tells of its request, as OpenAI's do: the settings it was made with. And what
//! writing it takes: which of its calls are no functions'.

use bytes::{Bytes, BytesMut};

use super::{call, elsewhere, namespace, reply, tool, tool::Kind};
use crate::{
    dialect::{
        Write,
        json::{self, Object},
    },
    op::chat::{Extra, MaxTokens, Request, Response},
};

/// Settings that are said only where the client did.
const REPEATED: &[&str] =
    &["max_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

/// What of a request its answer needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Members of the answer, as `"name":value,…`.
    echo: Bytes,
    kinds: Vec<(Box<str>, Kind)>,
    /// Functions of namespaces: both names as one, and each by itself.
    spaces: Vec<(Box<str>, Box<str>, Box<str>)>,
}

impl Told {
    pub(super) fn of(ask: &Request) -> Told {
        let mut out = BytesMut::new();
        json::object(&mut out, |o| settings(o, ask));
        let settings = json::compact(std::str::from_utf8(&out).unwrap_or_default());
        let members = settings.get(1..settings.len().saturating_sub(1)).unwrap_or_default();
        let spaces = namespace::members_of(&tool::offered(ask)).into_iter();
        let spaces = spaces.map(|it| (it.function.name.into(), it.space.into(), it.name.into()));
        Told {
            echo: members.to_owned().into(),
            kinds: elsewhere::kinds(ask),
            spaces: spaces.collect(),
        }
    }

    /// What the tool of this name is, if it is no function.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds.iter().find(|(own, _)| **own == *name).map(|(_, kind)| *kind)
    }

    /// A function's name as the client knows it, and the rest of its calls' items: the namespace
    /// that it is of.
    pub(super) fn named<'n>(&'n self, name: &'n str) -> (&'n str, Extra) {
        let found = self.spaces.iter().find(|(whole, ..)| **whole == *name);
        let Some((_, space, own)) = found else { return (name, Extra::new()) };
        let raw = serde_json::value::to_raw_value(space).ok();
        (own, raw.map(|raw| (namespace::NAMESPACE.into(), raw)).into_iter().collect())
    }

    /// Writes the settings into an answer that does not have them from its provider.
    pub(super) fn write(&self, o: &mut Object<'_>) {
        if !self.echo.is_empty() {
            o.members(&self.echo);
        }
    }
}

impl Write for Told {
    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply, self)
    }
}

fn settings(o: &mut Object<'_>, ask: &Request) {
    o.flag("background", false);
    o.null("instructions");
    number(o, "max_output_tokens", ask.max_tokens.map(MaxTokens::get).map(Into::into).as_ref());
    o.null("previous_response_id");
    o.flag("parallel_tool_calls", ask.parallel_tools.unwrap_or(true));
    o.object("reasoning", |o| {
        match &ask.reasoning.effort {
            Some(effort) => o.text("effort", effort),
            None => o.null("effort"),
        }
        let beside = ask.extra.iter().find(|(name, _)| **name == *"reasoning");
        match beside.and_then(|(_, raw)| call::members_of(raw)) {
            Some(beside) => o.extra(&beside),
            None => o.null("summary"),
        }
    });
    match &ask.service_tier {
        Some(tier) => o.text("service_tier", tier),
        None => o.text("service_tier", "default"),
    }
    o.flag("store", false);
    number(o, "temperature", ask.sampling.temperature.as_ref());
    o.object("text", |o| call::text(o, ask));
    match &ask.tool_choice {
        Some(choice) => {
            let kinds = elsewhere::kinds(ask);
            let kind = |name: &str| kinds.iter().find(|(own, _)| **own == *name).map(|(_, k)| *k);
            tool::write_choice(o.key("tool_choice"), choice, kind);
        }
        None => o.text("tool_choice", "auto"),
    }
    o.list("tools", |list| ask.tools.iter().for_each(|one| tool::write_own(list, one)));
    number(o, "top_p", ask.sampling.top_p.as_ref());
    o.text("truncation", "disabled");
    match &ask.user {
        Some(user) => o.text("user", user),
        None => o.null("user"),
    }
    o.object("metadata", |o| o.extra(&ask.metadata));
    for (name, raw) in ask.extra.iter().filter(|(name, _)| REPEATED.contains(&&**name)) {
        o.raw(name, raw.get());
    }
}

fn number(o: &mut Object<'_>, name: &str, value: Option<&serde_json::Number>) {
    match value {
        Some(value) => o.raw(name, &value.to_string()),
        None => o.null(name),
    }
}
