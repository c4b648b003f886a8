//! Whatever a client wants embedded and whatever an upstream answers: no panic, and what is sent on
//! either side is JSON. The first byte says who speaks to whom; a zero byte ends the request.
#![no_main]

mod chat;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use tollgate_wire::{
    Dialect, Exchange, Operation, Provider,
    exchange::{Payload, embed::Embed},
    peek,
    provider::Embeds,
};

const PAIRS: [(Dialect, Dialect, &str, Option<Embeds>); 16] = [
    (Dialect::Openai, Dialect::Cohere, "embed-v4.0", None),
    (Dialect::Openai, Dialect::Gemini, "gemini-embedding-001", None),
    (Dialect::Openai, Dialect::Ollama, "nomic-embed-text", None),
    (Dialect::Openai, Dialect::Bedrock, "amazon.titan-embed-text-v2:0", None),
    (Dialect::Openai, Dialect::Bedrock, "cohere.embed-english-v3", None),
    (Dialect::Cohere, Dialect::Openai, "text-embedding-3-small", None),
    (Dialect::Cohere, Dialect::Cohere, "embed-v4.0", None),
    (Dialect::Openai, Dialect::Bedrock, "amazon.nova-2-multimodal-embeddings-v1:0", None),
    (Dialect::Openai, Dialect::Bedrock, "twelvelabs.marengo-embed-3-0-v1:0", None),
    (Dialect::Openai, Dialect::Gemini, "text-embedding-005", Some(Embeds::Predict)),
    (Dialect::Openai, Dialect::Gemini, "multimodalembedding@001", Some(Embeds::Predict)),
    (Dialect::Openai, Dialect::Gemini, "gemini-embedding-2", Some(Embeds::Content)),
    (Dialect::Openai, Dialect::Openai, "ibm/slate", Some(Embeds::Watsonx)),
    (Dialect::Openai, Dialect::Openai, "BAAI/bge-m3", Some(Embeds::Features)),
    (Dialect::Openai, Dialect::Openai, "e5-base-v2", Some(Embeds::Cortex)),
    (Dialect::Openai, Dialect::Openai, "pplx-embed-v1-4b", Some(Embeds::Int8)),
];

fn plain(surface: Dialect) -> Bytes {
    Bytes::from_static(match surface {
        Dialect::Cohere => br#"{"model":"m","texts":["x"],"input_type":"search_query"}"#,
        _ => br#"{"model":"m","input":"x","encoding_format":"base64"}"#,
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((&who, data)) = data.split_first() else { return };
    let (surface, dialect, model, embeds) = PAIRS[usize::from(who) % PAIRS.len()];
    let (request, answer) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (Bytes::copy_from_slice(&data[..at]), &data[at + 1..]),
        None => (plain(surface), data),
    };
    let Ok(peek) = peek::peek(surface, Operation::Embeddings, &request) else { return };
    let payload = Payload { body: request, peek, headers: Vec::new(), received_s: 0 };
    let mut to = chat::target(dialect);
    to.model = model.into();
    to.provider = Provider { embeds, ..Provider::clone(&to.provider) }.into();
    let mut exchange = Embed::new(surface, &to, "alias");
    let Ok(call) = exchange.call(&payload, &to) else { return };
    serde_json::from_slice::<&RawValue>(&call.body.concat()).unwrap();
    if let Ok(reply) = exchange.reply(Bytes::copy_from_slice(answer)) {
        serde_json::from_slice::<&RawValue>(&reply).unwrap();
    }
});
