//! Containers and files, of messages and of responses.

use super::{
    streams::passes,
    support::{target, text},
    *,
};
use crate::{
    exchange::seal::{Tenant, Thing},
    peek::peek,
};

fn tenant(name: &str) -> Tenant {
    Tenant::new(b"secret", name)
}

fn hidden(dialect: Dialect, owner: &str, thing: Thing, id: &str) -> String {
    let owner = tenant(owner);
    owner.hide(thing, owner.place(&target(dialect, "m")), id)
}

fn asked(
    dialect: Dialect,
    shown: &str,
    owner: Option<&str>,
    body: &str,
) -> Result<(Relay, Call), CannotAsk> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let mut peek = peek(dialect, Operation::Chat, &body).unwrap();
    peek.tenant = owner.map(tenant);
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let mut relay = Relay::new(Operation::Chat, dialect, shown);
    let call = relay.call(&payload, &target(dialect, "m"))?;
    Ok((relay, call))
}

const PLAIN: [(Dialect, &str); 2] = [
    (Dialect::Anthropic, r#"{"model":"m","max_tokens":9,"messages":[],"stream":true}"#),
    (Dialect::Responses, r#"{"model":"m","input":"x","stream":true}"#),
];

/// The places of a request that name something, and what.
const NAMED: [(Dialect, Thing, &str); 13] = [
    (Dialect::Anthropic, Thing::Container, r#""container":"ID""#),
    (Dialect::Anthropic, Thing::Container, r#""container": { "id" : "ID", "skills": [] }"#),
    (Dialect::Anthropic, Thing::Container, r#""\u0063ontainer":"ID""#),
    (
        Dialect::Anthropic,
        Thing::File,
        r#""messages":[{"role":"user","content":[{"type":"container_upload","file_id":"ID"}]}]"#,
    ),
    (
        Dialect::Anthropic,
        Thing::File,
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"ID"}}]}]"#,
    ),
    (
        Dialect::Anthropic,
        Thing::File,
        r#""messages":[{"role":"assistant","content":[{"type":"code_execution_tool_result","tool_use_id":"t",
            "content":{"content":[{"type":"code_execution_output","file_id":"ID"}]}}]}]"#,
    ),
    (
        Dialect::Responses,
        Thing::Container,
        r#""tools":[{"type":"code_interpreter","container":"ID"}]"#,
    ),
    (
        Dialect::Responses,
        Thing::File,
        r#""tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["ID"]}}]"#,
    ),
    (
        Dialect::Responses,
        Thing::Container,
        r#""tools":[{"type":"shell","environment":{"type":"container_reference","container_id":"ID"}}]"#,
    ),
    (
        Dialect::Responses,
        Thing::Container,
        r#""input":[{"type":"code_interpreter_call","id":"ci_1","container_id":"ID","code":"1"}]"#,
    ),
    (
        Dialect::Responses,
        Thing::File,
        r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"ID"}]}]"#,
    ),
    (
        Dialect::Responses,
        Thing::File,
        r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"ID"}]}]"#,
    ),
    (
        Dialect::Responses,
        Thing::Container,
        r#""input":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x",
            "annotations":[{"type":"container_file_citation","container_id":"ID","filename":"a"}]}]}]"#,
    ),
];

#[test]
fn what_a_tenant_names_is_its_own() {
    for (dialect, thing, member) in NAMED {
        let rest = match dialect {
            Dialect::Responses if !member.contains("input\"") => r#""input":"x""#,
            Dialect::Anthropic if !member.contains("messages") => r#""max_tokens":9,"messages":[]"#,
            _ => r#""max_tokens":9"#,
        };
        let body = |id: &str| format!(r#"{{"model":"m",{},{rest}}}"#, member.replace("ID", id));
        let sent = |id: &str, owner: Option<&str>| {
            asked(dialect, "m", owner, &body(id)).map(|(_, call)| text(&call.body))
        };
        let own = hidden(dialect, "a", thing, "id_1");
        assert_eq!(sent(&own, Some("a")).unwrap(), body("id_1"), "{member}");
        // Somebody else's, a forged one, one of another kind: not found.
        let forged = format!("{}AAAA", thing.prefix());
        for id in [&hidden(dialect, "b", thing, "id_1"), &forged] {
            let why = sent(id, Some("a")).unwrap_err();
            let CannotAsk::NotFound(why) = why else { unreachable!("{why}") };
            assert!(why.message.contains(id) && why.param.is_some(), "{why}");
        }
        // The provider's own id: a file may be the operator's, a container is somebody's.
        match thing {
            Thing::File => assert_eq!(sent("id_1", Some("a")).unwrap(), body("id_1")),
            Thing::Container => {
                assert!(matches!(sent("id_1", Some("a")), Err(CannotAsk::NotFound(_))), "{member}");
            }
        }
        // Our own, but of another place: another target may have it.
        let a = tenant("a");
        let there = a.place(&Target { base: "https://other.test".into(), ..target(dialect, "m") });
        let elsewhere = sent(&a.hide(thing, there, "id_1"), Some("a"));
        assert!(matches!(elsewhere, Err(CannotAsk::Unsupported(_))), "{member}");
        // Alone with the provider, ids are the provider's.
        assert_eq!(sent("id_1", None).unwrap(), body("id_1"));
    }
}

#[test]
fn several_are_opened_beside_an_item() {
    let (a, dialect) = (tenant("a"), Dialect::Responses);
    let item = a.mark_item(a.place(&target(dialect, "m")), "rs_1");
    let body = |item: &str, file: &str, container: &str| {
        format!(
            r#"{{"model":"m","input":[{{"type":"item_reference","id":"{item}"}},{{"role":"user","content":
            [{{"type":"input_file","file_id":"{file}"}}]}}],"tools":[{{"container":"{container}"}}]}}"#
        )
    };
    let file = hidden(dialect, "a", Thing::File, "file-1");
    let container = hidden(dialect, "a", Thing::Container, "cntr_1");
    let (_, call) = asked(dialect, "m", Some("a"), &body(&item, &file, &container)).unwrap();
    assert_eq!(text(&call.body), body("rs_1", "file-1", "cntr_1"));
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
    {"type":"server_tool_use","id":"srvtoolu_1","name":"bash_code_execution","input":{"file_id":"file_9"}},
    {"type":"bash_code_execution_tool_result","tool_use_id":"srvtoolu_1","content":
        {"type":"bash_code_execution_result","stdout":"container","stderr":"","return_code":0,"content":
        [{"type":"bash_code_execution_output","file_id":"file_1"}]}},
    {"type":"text","text":"See.","citations":[{"type":"char_location","file_id":"file_2"}]}],
    "container":{"id":"container_1","expires_at":"2025-08-25T00:00:00Z"},
    "stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":3}}"#;

fn expected(answer: &str, dialect: Dialect, things: &[(Thing, &str)]) -> String {
    things.iter().fold(answer.to_owned(), |answer, (thing, id)| {
        answer.replace(&format!("\"{id}\""), &format!("\"{}\"", hidden(dialect, "a", *thing, id)))
    })
}

#[test]
fn an_answer_names_things_by_the_tenants_ids() {
    let dialect = Dialect::Anthropic;
    let ask = |file: &str| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{{"type":"document","source":{{"type":"file","file_id":"{file}"}}}}]}}]}}"#
        )
    };
    let said = |owner: Option<&str>, shown: &str, file: &str| {
        let (mut relay, _) = asked(dialect, shown, owner, &ask(file)).unwrap();
        answered(&mut relay, MESSAGE).unwrap()
    };
    let made = [(Thing::Container, "container_1"), (Thing::File, "file_1")];
    // A file that the request names as the provider does is called so in the answer.
    assert_eq!(said(Some("a"), "m", "file_2"), expected(MESSAGE, dialect, &made));
    let alias = MESSAGE.replace(r#""model":"m""#, r#""model":"alias""#);
    assert_eq!(said(Some("a"), "alias", "file_2"), expected(&alias, dialect, &made));
    // One that it names as the tenant does, as well.
    let opened = hidden(dialect, "a", Thing::File, "file_2");
    let all = [made[0], made[1], (Thing::File, "file_2")];
    assert_eq!(said(Some("a"), "m", &opened), expected(MESSAGE, dialect, &all));
    assert_eq!(said(None, "m", "file_2"), MESSAGE);
}

const EVENTS: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"container":null,"usage":{"input_tokens":9,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"bash_code_execution_tool_result","tool_use_id":"s","content":{"content":[{"type":"bash_code_execution_output","file_id":"file_1"}]}}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\"file_id\": \"file_1\""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"char_location","file_id":"file_2"}}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","container":{"id":"container_1","expires_at":"x"}},"usage":{"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn so_does_a_stream() {
    let dialect = Dialect::Anthropic;
    let ask = |file: &str| {
        format!(
            r#"{{"model":"m","max_tokens":9,"stream":true,"messages":[{{"role":"user","content":[{{"type":"document","source":{{"type":"file","file_id":"{file}"}}}}]}}]}}"#
        )
    };
    let said = |owner: Option<&str>, shown: &str, file: &str| {
        let seen = passes(|| asked(dialect, shown, owner, &ask(file)).unwrap().0, EVENTS);
        assert_eq!((seen.end, seen.done), (Ok(()), true));
        seen.out
    };
    let made = [(Thing::Container, "container_1"), (Thing::File, "file_1")];
    assert_eq!(said(Some("a"), "m", "file_2"), expected(EVENTS, dialect, &made));
    let opened = hidden(dialect, "a", Thing::File, "file_2");
    let all = [made[0], made[1], (Thing::File, "file_2")];
    let alias = EVENTS.replace(r#""model":"m""#, r#""model":"alias""#);
    assert_eq!(said(Some("a"), "alias", &opened), expected(&alias, dialect, &all));
    assert_eq!(said(None, "m", "file_2"), EVENTS);
}

const RESPONSE: &str = r#"{"type":"message","content":[{"type":"output_text","text":"x","annotations":[
    {"type":"container_file_citation","container_id":"cntr_1","file_id":"cfile_1","filename":"a.png"},
    {"type":"file_citation","file_id":"file-9","filename":"b.pdf"}]}]},
    {"type":"code_interpreter_call","status":"completed","container_id":"cntr_1","code":"1","outputs":[]},
    {"type":"file_search_call","queries":[],"results":[{"file_id":"file-9"}]}"#;

#[test]
fn responses_name_them_so_too() {
    let dialect = Dialect::Responses;
    let container = hidden(dialect, "a", Thing::Container, "cntr_2");
    let ask = |stream: bool| {
        format!(
            r#"{{"model":"m","stream":{stream},"input":"x","tools":[{{"type":"code_interpreter","container":"{container}"}}]}}"#
        )
    };
    let whole = format!(
        r#"{{"object":"response","status":"completed","model":"m","output":[{RESPONSE}],
        "tools":[{{"type":"code_interpreter","container":"cntr_2"}}]}}"#
    );
    let things =
        [(Thing::Container, "cntr_1"), (Thing::Container, "cntr_2"), (Thing::File, "cfile_1")];
    let (mut relay, call) = asked(dialect, "m", Some("a"), &ask(false)).unwrap();
    assert_eq!(text(&call.body), ask(false).replace(&container, "cntr_2"));
    assert_eq!(answered(&mut relay, &whole).unwrap(), expected(&whole, dialect, &things));
    let event =
        |kind: &str, more: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{more}}}\n\n");
    let annotation = r#""annotation":{"type":"container_file_citation","container_id":"cntr_1","file_id":"cfile_1"}"#;
    let done = format!(r#""response":{}"#, whole.replace('\n', ""));
    let stream = [
        event("response.created", r#""response":{"status":"in_progress","model":"m","output":[]}"#),
        event("response.output_text.annotation.added", annotation),
        event("response.completed", &done),
    ]
    .concat();
    let seen = passes(|| asked(dialect, "m", Some("a"), &ask(true)).unwrap().0, &stream);
    assert_eq!(seen.out, expected(&stream, dialect, &things));
}

#[test]
fn a_fault_names_what_the_client_named() {
    let dialect = Dialect::Anthropic;
    let container = hidden(dialect, "a", Thing::Container, "container_1");
    let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[],"container":"{container}"}}"#);
    let (relay, _) = asked(dialect, "m", Some("a"), &body).unwrap();
    let said =
        r#"{"type":"error","error":{"type":"not_found_error","message":"container_1 is gone"}}"#;
    let fault = relay.fault(StatusCode::NOT_FOUND, &HeaderMap::new(), Bytes::from(said));
    assert_eq!(fault.message, format!("{container} is gone"));
}

#[test]
fn what_names_nothing_passes_untouched() {
    for (dialect, ask) in PLAIN {
        let (_, call) = asked(dialect, "m", Some("a"), ask).unwrap();
        assert_eq!(text(&call.body), ask);
    }
    let stream = EVENTS.replace("file_id", "field").replace("container", "vessel");
    let odd = stream.replace("event: message_delta", "id: 7\r\nevent: message_delta");
    for stream in [stream, odd] {
        let seen =
            passes(|| asked(Dialect::Anthropic, "m", Some("a"), PLAIN[0].1).unwrap().0, &stream);
        assert_eq!(seen.out, stream);
    }
}
