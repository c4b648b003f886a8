//! A whole answer, for a client of completions.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    dialect::{
        json::{self, List, Object},
        openai::{url_of, write_usage},
    },
    op::chat::{Choice, Part, Reason, Response, Source},
};

/// `prompt` is what each answer begins with.
pub(super) fn write(reply: &Response, prompt: &str) -> Bytes {
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.text("id", &reply.id);
        o.text("object", "text_completion");
        o.integer("created", reply.created.unwrap_or(0));
        o.text("model", &reply.model);
        o.list("choices", |list| {
            for (index, choice) in (0u64..).zip(&reply.choices) {
                list.object(|o| write_choice(o, index, choice, prompt));
            }
        });
        if let Some(usage) = &reply.usage {
            o.object("usage", |o| write_usage(o, usage));
        }
    });
    out.freeze()
}

fn write_choice(o: &mut Object<'_>, index: u64, choice: &Choice, prompt: &str) {
    let mut text = prompt.to_owned();
    for block in &choice.blocks {
        match &block.part {
            Part::Text(said) | Part::Refusal(said) => text.push_str(said),
            Part::Image { source, .. } => text.extend(picture(source)),
            _ => {}
        }
    }
    o.text("text", &text);
    o.integer("index", index);
    let told = choice.extra.iter().find(|(name, _)| **name == *"logprobs");
    match told {
        Some((_, raw)) => {
            let mut offset = prompt.chars().count() as u64;
            logprobs(o, raw, &mut offset);
        }
        None => o.null("logprobs"),
    }
    match &choice.finish {
        Some(finish) => o.text("finish_reason", finish_reason(finish.reason)),
        None => o.null("finish_reason"),
    }
}

/// A picture where there is nothing but text: in Markdown.
pub(super) fn picture(source: &Source) -> Option<String> {
    Some(format!("![image]({})", url_of(source)?))
}

/// There were no tools then.
pub(super) const fn finish_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Stop | Reason::ToolCalls => "stop",
        Reason::Length => "length",
        Reason::ContentFilter => "content_filter",
    }
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<Token<'a>>>,
}

#[derive(Deserialize)]
struct Token<'a> {
    token: String,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(borrow, default)]
    top_logprobs: Vec<Alternative<'a>>,
}

#[derive(Deserialize)]
struct Alternative<'a> {
    token: String,
    #[serde(borrow)]
    logprob: &'a RawValue,
}

/// Chat's list of tokens as four lists. `offset` is where the first token stands in the text, in
/// characters.
pub(super) fn logprobs(o: &mut Object<'_>, raw: &RawValue, offset: &mut u64) {
    let told = serde_json::from_str::<Told<'_>>(raw.get()).ok().and_then(|told| told.content);
    let Some(tokens) = told else { return o.null("logprobs") };
    o.object("logprobs", |o| {
        let each = |o: &mut Object<'_>, name: &str, write: &dyn Fn(&mut List<'_>, &Token<'_>)| {
            o.list(name, |list| tokens.iter().for_each(|token| write(list, token)));
        };
        each(o, "tokens", &|list, token| json::string(list.item(), &token.token));
        each(o, "token_logprobs", &|list, token| list.raw(token.logprob.get()));
        each(o, "top_logprobs", &|list, token| {
            list.object(|o| {
                let mut told: Vec<&str> = Vec::new();
                for other in &token.top_logprobs {
                    if !told.contains(&other.token.as_str()) {
                        told.push(&other.token);
                        o.raw(&other.token, other.logprob.get());
                    }
                }
            });
        });
        o.list("text_offset", |list| {
            for token in &tokens {
                json::integer(list.item(), *offset);
                *offset = offset.saturating_add(token.token.chars().count() as u64);
            }
        });
    });
}
