//! Whole exchanges: bytes to bytes.

use bytes::{Bytes, BytesMut};
use tollgate_wire::{
    Dialect, Exchange, FaultKind, Operation, Provider, Target, Usage,
    exchange::{self, Payload, bridge::Bridge, count::Counting, embed::Embed, seal::Tenant},
    peek,
    provider::Embeds,
};

use crate::{
    assert_json, cut, frame,
    to::{SURFACES, UPSTREAMS, one_of, payload, plain, to, within_frames},
};

type Passed = (BytesMut, Result<(), FaultKind>, Usage, Option<String>, bool, bool);

/// A stream that comes in these pieces.
fn pass<'a>(mut exchange: Box<dyn Exchange>, pieces: impl Iterator<Item = &'a [u8]>) -> Passed {
    let mut out = BytesMut::new();
    let mut end = Ok(());
    for piece in pieces {
        end = exchange.push(&Bytes::copy_from_slice(piece), &mut out);
        if end.is_err() {
            break;
        }
    }
    if end.is_ok() {
        end = exchange.end(&mut out);
    }
    let end = end.map_err(|fault| fault.kind);
    let finish = exchange.finish_reason().map(str::to_owned);
    (out, end, exchange.usage(), finish, exchange.begun(), exchange.done())
}

/// An answer to a client of the same dialect: any cut of a stream gives the same bytes, the same
/// usage and the same end, and not many more bytes than came; the same comes of it within
/// Amazon's event stream; and a whole answer is JSON. The first byte says in which dialect and
/// under which name of the model, the second how to cut.
pub(crate) fn relay(data: &[u8]) {
    let [which, how, data @ ..] = data else { return };
    let dialect = one_of(&SURFACES, *which);
    // Google's query says whether it is to be a list.
    let shown = one_of(&["real", "alias", "listed"], which / SURFACES.len() as u8);
    let called = |to: &Target, stream: bool| {
        let mut payload = plain(dialect, stream);
        payload.peek.listed = shown == "listed";
        // The ids of answers that are kept are ours.
        payload.peek.tenant = (shown == "alias").then(|| Tenant::new(b"secret", "a"));
        let mut relay = exchange::exchange(Operation::Chat, dialect, to, shown);
        relay.call(&payload, to).expect("it is a plain request");
        relay
    };
    let plainly = to(dialect);
    let whole = pass(called(plainly, true), std::iter::once(data));
    // The ids of containers and files are sealed: each of a list of short ones is 48 bytes for four.
    assert!(whole.0.len() <= data.len() * 16 + 64);
    if dialect == Dialect::Gemini && shown == "listed" && whole.1.is_ok() {
        assert_json(&whole.0);
    }
    assert_eq!(whole, pass(called(plainly, true), cut(*how, data)));
    let framed = frame::sagemaker(data);
    assert_eq!(whole, pass(called(within_frames(dialect), true), cut(*how, &framed)));
    if let Ok(reply) = called(plainly, false).reply(Bytes::copy_from_slice(data)) {
        assert_json(&reply);
    }
}

/// An answer to a client of any dialect, through the hub: any cut gives the same, and each event
/// is JSON. The first byte says who speaks to whom, the second how to cut.
pub(crate) fn bridge(data: &[u8]) {
    let [which, how, data @ ..] = data else { return };
    let surface = one_of(&SURFACES, *which);
    let upstream = one_of(&UPSTREAMS, which / SURFACES.len() as u8);
    let framed;
    let stream = if upstream == Dialect::Bedrock {
        framed = frame::bedrock(data);
        framed.as_slice()
    } else {
        data
    };
    let called = |stream: bool| -> Box<dyn Exchange> {
        let mut bridge = Bridge::new(Operation::Chat, surface, upstream, "alias");
        let to = &Target { drop_params: true, ..to(upstream).clone() };
        bridge.call(&plain(surface, stream), to).expect("it is a plain request");
        Box::new(bridge)
    };
    let whole = pass(called(true), std::iter::once(stream));
    let text = std::str::from_utf8(&whole.0).expect("what we write is text");
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    for event in events.filter(|event| *event != "[DONE]") {
        assert_json(event.as_bytes());
    }
    assert_eq!(whole, pass(called(true), cut(*how, stream)));
    if let Ok(reply) = called(false).reply(Bytes::copy_from_slice(data)) {
        assert_json(&reply);
    }
}

/// A request, a zero byte and an answer.
fn halves(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], Some(&data[at + 1..])),
        None => (data, None),
    }
}

/// Who asks, who is asked, what the fixtures call it, the model, and how the place spells it.
pub(crate) const EMBEDS: [(Dialect, Dialect, &str, &str, Option<Embeds>); 17] = [
    (Dialect::Openai, Dialect::Cohere, "cohere", "embed-v4.0", None),
    (Dialect::Openai, Dialect::Gemini, "gemini", "gemini-embedding-001", None),
    (Dialect::Openai, Dialect::Ollama, "ollama", "nomic-embed-text", None),
    (Dialect::Openai, Dialect::Bedrock, "titan", "amazon.titan-embed-text-v2:0", None),
    (Dialect::Openai, Dialect::Bedrock, "cohere_bedrock", "cohere.embed-english-v3", None),
    (Dialect::Cohere, Dialect::Openai, "openai", "text-embedding-3-small", None),
    (Dialect::Cohere, Dialect::Cohere, "cohere", "embed-v4.0", None),
    (Dialect::Openai, Dialect::Bedrock, "nova", "amazon.nova-2-multimodal-embeddings-v1:0", None),
    (Dialect::Openai, Dialect::Bedrock, "marengo", "twelvelabs.marengo-embed-3-0-v1:0", None),
    (Dialect::Openai, Dialect::Gemini, "vertex", "text-embedding-005", Some(Embeds::Predict)),
    (
        Dialect::Openai,
        Dialect::Gemini,
        "vertex_pictures",
        "multimodalembedding@001",
        Some(Embeds::Predict),
    ),
    (
        Dialect::Openai,
        Dialect::Gemini,
        "vertex_content",
        "gemini-embedding-2",
        Some(Embeds::Content),
    ),
    (Dialect::Openai, Dialect::Openai, "watsonx", "ibm/slate", Some(Embeds::Watsonx)),
    (Dialect::Openai, Dialect::Openai, "huggingface", "BAAI/bge-m3", Some(Embeds::Features)),
    (Dialect::Openai, Dialect::Openai, "snowflake", "e5-base-v2", Some(Embeds::Cortex)),
    (Dialect::Openai, Dialect::Openai, "perplexity", "pplx-embed-v1-4b", Some(Embeds::Int8)),
    (Dialect::Openai, Dialect::Oci, "oci", "cohere.embed-v4.0", None),
];

/// What a client wants embedded, and what an upstream answers: what is sent on either side is JSON.
/// The first byte says who speaks to whom; a zero byte ends the request, and without one it is all
/// an answer.
pub(crate) fn embeddings(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    let (surface, dialect, _, model, embeds) = one_of(&EMBEDS, which);
    let plain: &[u8] = match surface {
        Dialect::Cohere => br#"{"model":"m","texts":["x"],"input_type":"search_query"}"#,
        _ => br#"{"model":"m","input":"x","encoding_format":"base64"}"#,
    };
    let (request, answer) = match halves(data) {
        (request, Some(answer)) => (request, answer),
        (answer, None) => (plain, answer),
    };
    let body = Bytes::copy_from_slice(request);
    let Ok(peek) = peek::peek(surface, Operation::Embeddings, &body) else { return };
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let to = to(dialect);
    let provider = Provider { embeds, ..Provider::clone(&to.provider) }.into();
    let to = Target { model: model.into(), provider, ..to.clone() };
    let mut exchange = Embed::new(surface, &to, "alias");
    let Ok(call) = exchange.call(&payload, &to) else { return };
    let others = exchange.others();
    let calls = std::iter::once(&call).chain(&others);
    calls.for_each(|call| assert_json(&call.body.concat()));
    let answers = vec![Bytes::copy_from_slice(answer); others.len() + 1];
    if let Ok(reply) = exchange.join(&answers) {
        assert_json(&reply);
    }
}

/// What a client wants counted, and what an upstream answers. The first byte says who speaks to
/// whom; a zero byte ends the request.
pub(crate) fn count(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    let surface = one_of(&SURFACES, which);
    let upstream = one_of(&[Dialect::Anthropic, Dialect::Gemini], which / SURFACES.len() as u8);
    let (request, answer) = halves(data);
    let payload = payload(request);
    let counted = exchange::count::locally(surface, &payload);
    if let Ok(count) = &counted {
        assert_json(count);
    }
    let mut counting = Counting::new(surface, upstream);
    if let Ok(call) = counting.call(&payload, to(upstream)) {
        assert!(counted.is_ok());
        assert_json(&call.body.concat());
    }
    if let Some(answer) = answer
        && let Ok(reply) = counting.reply(Bytes::copy_from_slice(answer))
    {
        assert_json(&reply);
    }
}
