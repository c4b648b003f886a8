//! What the demo provider says: chosen by the prompt, the same for the same prompt, and honest
//! that nobody thought of it. Pure.

/// Said after every answer, so that nobody takes it for a model's.
const SIGNATURE: &str = "(scripted: the demo provider answered, no model was asked)";

/// What is said to a greeting.
const GREETINGS: &[&str] = &[
    "Hello! I am the scripted provider that comes with Tollgate. Your words went through the whole \
     gateway to reach me: your key was checked, the request was routed, and every token of this \
     answer is being counted.",
    "Good to see you. Nothing here left your machine: the gateway, the database and I are one \
     process. Ask for a poem, offer me a tool to call, or point your own client at this address.",
];

/// What is said where a poem is wanted. `{}` is the topic.
const POEMS: &[&str] = &[
    "A question leaves, a signal through the wire,\n\
     past gates that count each word as it goes by;\n\
     of {} I sing, though I have never known desire,\n\
     nor warmth of hand, nor colour of the sky.\n\n\
     Yet line by line the answer finds its way,\n\
     and someone reads, and nods, and starts the day.",
    "They taught the silence how to count to ten,\n\
     then how to guess the word that follows next;\n\
     on {} it wrote, and wrote, and wrote again,\n\
     until a meaning gathered in the text.\n\n\
     It does not dream. It waits. And when you ask,\n\
     it lifts the lamp and sets about its task.",
    "{}, they say, and every word has weight:\n\
     it came by night through cable, glass and stone,\n\
     it paid its coin and passed the tollman's gate,\n\
     and stands before you now, and not alone.",
];

/// What is said where code is wanted.
const CODES: &[&str] = &[
    "Here is a small function to begin with:\n\n\
     ```rust\n\
     /// The longest word of a text.\n\
     fn longest(text: &str) -> Option<&str> {\n    \
         text.split_whitespace().max_by_key(|word| word.chars().count())\n\
     }\n\
     ```\n\n\
     It borrows from its input, allocates nothing, and says `None` where there is no word.",
    "Try this:\n\n\
     ```python\n\
     from openai import OpenAI\n\n\
     client = OpenAI(base_url=\"http://127.0.0.1:4000/v1\", api_key=\"sk-...\")\n\
     for event in client.chat.completions.create(\n    \
         model=\"demo/chat\", stream=True,\n    \
         messages=[{\"role\": \"user\", \"content\": \"Hello\"}]):\n    \
         print(event.choices[0].delta.content or \"\", end=\"\")\n\
     ```\n\n\
     Any OpenAI client works the same way.",
];

/// What is said to anything else. `{}` is the topic.
const ANSWERS: &[&str] = &[
    "A good way to think about {}: name what you want, write down what you already know, and ask \
     what is missing in between. Start with the smallest piece that can be tried, try it, and let \
     the result choose the next step.",
    "Three things about {}. First, the obvious answer is usually a fair place to start. Second, \
     measure before you change anything, or you will not know what helped. Third, write down why \
     you decided as you did; you will want it later.",
    "On {} a model would have a lot to say. I have a script, and it says this: the shortest path \
     is to ask somebody who has done it, the surest one is to do it badly once, and the pleasant \
     one is to do both.",
];

/// Where a topic begins in a prompt.
const TOPIC_MARKS: &[&str] = &[" about ", " on ", " of ", " for ", " is ", " are "];

/// The answer to a prompt, without its signature's honesty ever being left out.
pub(super) fn answer(prompt: &str) -> String {
    let lower = prompt.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let texts = if has(&["poem", "haiku", "verse", "sonnet", "rhyme", "song"]) {
        POEMS
    } else if has(&["code", "function", "rust", "python", "program"]) {
        CODES
    } else if lower
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| matches!(word, "hi" | "hello" | "hey" | "hallo" | "bonjour" | "moin"))
    {
        GREETINGS
    } else {
        ANSWERS
    };
    let text = pick(texts, prompt).replace("{}", &topic(prompt));
    format!("{}\n\n{SIGNATURE}", capitalised(&text))
}

/// What is said once a tool has answered.
pub(super) fn answer_to_tool(result: &str) -> String {
    let shown: String = result.chars().take(600).collect();
    format!("The tool answered: {shown}\n\nThat settles it.\n\n{SIGNATURE}")
}

/// What the reasoner thinks before it speaks.
pub(super) fn reasoning(prompt: &str) -> String {
    format!(
        "The user wants something about {}. I have a handful of scripted answers, and the words \
         of the prompt decide which one comes. Let me see… that one fits.",
        topic(prompt)
    )
}

/// A rough count: four characters a token, at least one for a text that is not empty.
pub(super) fn tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX)
}

/// A text in the pieces in which it is streamed: words with the space before them.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut after_word = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() && after_word {
            words.push(text.get(start..at).unwrap_or_default());
            start = at;
        }
        after_word = !c.is_whitespace();
    }
    words.push(text.get(start..).unwrap_or_default());
    words.retain(|word| !word.is_empty());
    words
}

/// FNV-1a: the same seed for the same text on every machine.
pub(super) fn seed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn pick(texts: &'static [&'static str], prompt: &str) -> &'static str {
    let count = u64::try_from(texts.len()).unwrap_or(1).max(1);
    let place = usize::try_from(seed(prompt) % count).unwrap_or_default();
    texts.get(place).copied().unwrap_or_default()
}

fn topic(prompt: &str) -> String {
    let line = prompt.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let from = TOPIC_MARKS
        .iter()
        .find_map(|mark| line.find(mark).map(|at| at + mark.len()))
        .unwrap_or_default();
    let words: Vec<&str> =
        line.get(from..).unwrap_or_default().split_whitespace().take(6).collect();
    let topic = words.join(" ");
    let topic = topic.trim_matches(|c: char| !c.is_alphanumeric());
    if topic.is_empty() { "this".to_owned() } else { topic.chars().take(60).collect() }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_prompt_has_the_same_honest_answer() {
        let prompt = "Write a short poem about AI";
        let text = answer(prompt);
        assert_eq!(text, answer(prompt));
        assert!(text.contains("AI"), "{text}");
        assert!(text.ends_with(SIGNATURE), "{text}");
        assert!(!text.contains("{}"), "{text}");
    }

    #[test]
    fn every_text_is_said_within_two_seconds() {
        for text in [GREETINGS, POEMS, CODES, ANSWERS].concat() {
            assert!(words(text).len() + words(SIGNATURE).len() <= 72, "{text}");
        }
    }

    #[test]
    fn words_are_the_text_again() {
        for text in ["", "one", "one two", " a\n\n  b c\n", "Grüße, 世界 !"] {
            assert_eq!(words(text).concat(), text);
        }
        assert_eq!(words("one two\n\nthree"), ["one", " two", "\n\nthree"]);
    }

    #[test]
    fn odd_prompts_are_answered_too() {
        for prompt in ["", " ", "?", "about", "\u{0}", " about ", "🙂"] {
            assert!(answer(prompt).contains(SIGNATURE));
        }
    }
}
