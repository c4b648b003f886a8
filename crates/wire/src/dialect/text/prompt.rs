//! A conversation as one text, in the form that the model was trained on.
//!
//! * `llama2`: <https://huggingface.co/blog/llama2#how-to-prompt-llama-2>
//! * `llama3`: <https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/>
//! * `mistral_instruct`: <https://docs.mistral.ai/cookbooks/concept-deep-dive-tokenization-chat_templates>
//! * `chatml`: <https://qwen.readthedocs.io/en/latest/getting_started/concepts.html>
//! * `granite`: <https://www.ibm.com/granite/docs/models/granite>
//! * `words`: for models that bring messages into their form themselves and are given one only. The
//!   words are those that Anthropic's first API had.
//!   <https://docs.claude.com/en/api/prompt-validation>
//!
//! The text's first token is the server's to add. What a client says cannot end its own message: a
//! message that has one of the form's marks in it is refused.

use crate::{
    dialect::sieve::Sieve,
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Block, Message, Part, Request, Role, Source},
};

/// Why a conversation is refused.
pub(in crate::dialect) const UNKNOWN_FORM: &str = "it is not known how this model is told who says \
     what: set `base_model`, or ask `/v1/completions`";

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Template {
    Llama2,
    Llama3,
    Mistral,
    Chatml,
    Granite,
    Words,
}

impl Template {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "llama2" => Template::Llama2,
            "llama3" => Template::Llama3,
            "mistral_instruct" => Template::Mistral,
            "chatml" => Template::Chatml,
            "granite" => Template::Granite,
            "words" => Template::Words,
            _ => return None,
        })
    }

    /// What means something to the model beside text.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            Template::Llama2 => &["<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"],
            Template::Llama3 => {
                &["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
            }
            Template::Mistral => &["<s>", "</s>", "[INST]", "[/INST]"],
            Template::Chatml => &["<|im_start|>", "<|im_end|>"],
            Template::Granite => &["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"],
            Template::Words => &["\n\nHuman:", "\n\nAssistant:", "\n\nSystem:"],
        }
    }

    fn render(self, turns: &[Turn]) -> String {
        match self {
            Template::Llama2 | Template::Mistral => self.instructions(turns),
            Template::Llama3 => {
                headed(turns, ["<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"])
            }
            Template::Chatml => headed(turns, ["<|im_start|>", "\n", "<|im_end|>\n"]),
            Template::Granite => {
                headed(turns, ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>\n"])
            }
            Template::Words => words(turns),
        }
    }

    /// `[INST] … [/INST] …</s>`: what the system says belongs to the user's next words.
    fn instructions(self, turns: &[Turn]) -> String {
        let mut out = String::new();
        let mut system: Vec<&str> = Vec::new();
        let mut open = false;
        for turn in turns {
            match turn.role {
                Role::System | Role::Developer => system.push(&turn.text),
                Role::Assistant => {
                    // Nobody has asked.
                    if !open {
                        out.push_str("[INST]  [/INST]");
                    }
                    out.push(' ');
                    out.push_str(&turn.text);
                    open = false;
                    continue;
                }
                Role::User | Role::Tool => {
                    let again = if self == Template::Llama2 { " </s><s>" } else { "</s>" };
                    if !out.is_empty() {
                        out.push_str(if open { "" } else { again });
                    }
                    out.push_str("[INST] ");
                    if !system.is_empty() {
                        let said = std::mem::take(&mut system).join("\n\n");
                        match self {
                            Template::Llama2 => {
                                out.push_str(&format!("<<SYS>>\n{said}\n<</SYS>>\n\n"));
                            }
                            _ => out.push_str(&format!("{said}\n\n")),
                        }
                    }
                    out.push_str(&turn.text);
                    out.push_str(" [/INST]");
                    open = true;
                }
            }
        }
        if !system.is_empty() {
            out.push_str(&format!("[INST] {} [/INST]", system.join("\n\n")));
        }
        out
    }
}

/// Each message with its role before it; the last one is the model's, and open.
fn headed(turns: &[Turn], [before, after, end]: [&str; 3]) -> String {
    let mut out = String::new();
    for (at, turn) in turns.iter().enumerate() {
        let role = match turn.role {
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        out.extend([before, role, after, &turn.text]);
        if turn.role == Role::Assistant && at + 1 == turns.len() {
            return out;
        }
        out.push_str(end);
    }
    out.extend([before, "assistant", after]);
    out
}

/// `Human: …`, `Assistant: …`, a paragraph each; what the system says first stands alone.
fn words(turns: &[Turn]) -> String {
    let mut out = String::new();
    for (at, turn) in turns.iter().enumerate() {
        let who = match turn.role {
            Role::System | Role::Developer if at == 0 => "",
            Role::System | Role::Developer => "System: ",
            Role::User | Role::Tool => "Human: ",
            Role::Assistant => "Assistant: ",
        };
        out.extend([if at == 0 { "" } else { "\n\n" }, who, &turn.text]);
    }
    if turns.last().is_none_or(|turn| turn.role != Role::Assistant) {
        out.push_str("\n\nAssistant:");
    }
    out
}

/// A message that is a text.
pub(in crate::dialect) struct Turn {
    pub(in crate::dialect) role: Role,
    pub(in crate::dialect) text: String,
    /// Its place among the client's messages.
    at: usize,
}

/// The messages as texts. What is none is refused, or named.
pub(in crate::dialect) fn turns(
    ask: &Request,
    sieve: &mut Sieve<'_>,
) -> Result<Vec<Turn>, CannotAsk> {
    let apart = ask.before_the_clients();
    let mut turns = Vec::new();
    for (index, message) in ask.messages.iter().enumerate() {
        let at = index.saturating_sub(apart);
        check(message, at, sieve)?;
        turns.push(Turn { role: message.role, text: text_of(&message.blocks), at });
    }
    Ok(turns)
}

/// Whether a form has this name.
pub(crate) fn is_form(name: &str) -> bool {
    Template::read(name).is_some()
}

/// The conversation in the form of this name; `None` where that is no form.
pub(in crate::dialect) fn formed(
    template: &str,
    turns: &[Turn],
    sieve: &Sieve<'_>,
) -> Result<Option<String>, CannotAsk> {
    let Some(template) = Template::read(template) else { return Ok(None) };
    for turn in turns {
        let mark = template.marks().iter().find(|mark| turn.text.contains(**mark));
        if let Some(mark) = mark {
            let at = format!("messages[{}]", turn.at);
            let why = format!("`{}` means something else to this model", mark.trim());
            return Err(sieve.unsupported(&at, &why).into());
        }
    }
    Ok(Some(template.render(turns)))
}

/// What the model is to go on from. `template` is the name of its form, if the table says one.
pub(super) fn write(
    ask: &Request,
    template: Option<&str>,
    sieve: &mut Sieve<'_>,
) -> Result<String, CannotAsk> {
    let turns = turns(ask, sieve)?;
    // A client that speaks of prompts means what it says.
    if ask.surface == Dialect::Completions {
        return Ok(turns.into_iter().map(|turn| turn.text).collect());
    }
    if let Some(text) = template.map_or(Ok(None), |form| formed(form, &turns, sieve))? {
        return Ok(text);
    }
    if !matches!(turns.as_slice(), [Turn { role: Role::User, .. }]) {
        sieve.refuse("messages[].role", UNKNOWN_FORM)?;
    }
    let texts: Vec<String> = turns.into_iter().map(|turn| turn.text).collect();
    Ok(texts.join("\n\n"))
}

/// Refuses or names what is no text.
fn check(message: &Message, index: usize, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    for (name, _) in &message.extra {
        sieve.hint(&format!("messages[].{name}"));
    }
    for (place, block) in message.blocks.iter().enumerate() {
        let at = format!("messages[{index}].content[{place}]");
        if block.cache.is_some() {
            sieve.hint("cache_control");
        }
        for (name, _) in &block.extra {
            sieve.hint(&format!("messages[].content[].{name}"));
        }
        match &block.part {
            Part::Text(_) | Part::Refusal(_) => {}
            Part::File { source: Source::Text(_), .. } => {}
            Part::Thinking { .. } | Part::RedactedThinking(_) => sieve.hint("thinking"),
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => {
                sieve.refuse(&at, "this model takes text only")?;
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::OtherCall { .. } => {
                sieve.refuse(&at, "this model knows no tools")?;
            }
            Part::Other { dialect, .. } => {
                let why = format!("only {} has this kind of content", dialect.name());
                sieve.refuse(&at, &why)?;
            }
        }
    }
    Ok(())
}

/// What blocks say in words: texts, and documents that are texts, under their names.
pub(in crate::dialect) fn text_of(blocks: &[Block]) -> String {
    let texts: Vec<String> = blocks
        .iter()
        .filter_map(|block| match &block.part {
            Part::Text(text) | Part::Refusal(text) => Some(text.clone()),
            Part::File { source: Source::Text(text), name } => Some(match name {
                Some(name) => format!("{name}\n\n{text}"),
                None => text.clone(),
            }),
            _ => None,
        })
        .collect();
    texts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, turns: &[(Role, &str)]) -> String {
        let turns: Vec<Turn> = turns
            .iter()
            .map(|(role, text)| Turn { role: *role, text: (*text).into(), at: 0 })
            .collect();
        Template::read(template).unwrap().render(&turns)
    }

    #[test]
    fn conversations_have_the_form_of_their_models() {
        let turns = [
            (Role::System, "Be brief."),
            (Role::User, "2+2?"),
            (Role::Assistant, "4"),
            (Role::User, "3+3?"),
        ];
        for (template, expect) in [
            (
                "llama2",
                "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n2+2? [/INST] 4 </s><s>[INST] 3+3? [/INST]",
            ),
            ("mistral_instruct", "[INST] Be brief.\n\n2+2? [/INST] 4</s>[INST] 3+3? [/INST]"),
            (
                "llama3",
                "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\
                 <|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|>\
                 <|start_header_id|>assistant<|end_header_id|>\n\n4<|eot_id|>\
                 <|start_header_id|>user<|end_header_id|>\n\n3+3?<|eot_id|>\
                 <|start_header_id|>assistant<|end_header_id|>\n\n",
            ),
            (
                "chatml",
                "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n\
                 <|im_start|>assistant\n4<|im_end|>\n<|im_start|>user\n3+3?<|im_end|>\n\
                 <|im_start|>assistant\n",
            ),
            (
                "granite",
                "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n\
                 <|start_of_role|>user<|end_of_role|>2+2?<|end_of_text|>\n\
                 <|start_of_role|>assistant<|end_of_role|>4<|end_of_text|>\n\
                 <|start_of_role|>user<|end_of_role|>3+3?<|end_of_text|>\n\
                 <|start_of_role|>assistant<|end_of_role|>",
            ),
            ("words", "Be brief.\n\nHuman: 2+2?\n\nAssistant: 4\n\nHuman: 3+3?\n\nAssistant:"),
        ] {
            assert_eq!(render(template, &turns), expect, "{template}");
        }
    }

    #[test]
    fn an_answer_that_is_begun_goes_on() {
        let turns = [(Role::User, "List"), (Role::Assistant, "1.")];
        assert!(render("chatml", &turns).ends_with("<|im_start|>assistant\n1."));
        assert_eq!(render("llama2", &turns), "[INST] List [/INST] 1.");
        assert_eq!(render("words", &turns), "Human: List\n\nAssistant: 1.");
        assert_eq!(render("mistral_instruct", &[(Role::System, "Hi")]), "[INST] Hi [/INST]");
    }
}
