use bytes::Bytes;

use super::*;
use crate::{Dialect, Operation, dialect::surface, exchange::Payload, peek::peek};

/// Texts with their counts by `o200k_base`, made once with the crate `bpe-openai` 0.3.2.
#[rustfmt::skip]
const COUNTED: &[(&str, u64)] = &[
    ("انطلق القطار في موعده، لكنه توقف بعد الحدود بقليل في وسط الحقول. لم يعرف أحد السبب. كان المسافرون ينظرون من النوافذ إلى الحقول المغطاة بالثلوج التي تحلق فوقها بعض الغربان. بدأ رجل مسن ذو لحية رمادية يحكي لجاره عن رحلاته القديمة.\n", 72),
    ("fn cut_span(&self, i: usize, cuts: usize) -> Range<usize> {\n    let Some(member) = self.peek.members.get(i) else { return 0..0 };\n    match i.checked_sub(1).and_then(|i| self.peek.members.get(i)) {\n        Some(before) if i > cuts => before.value.end..member.value.end,\n        _ => member.key.start..self.peek.close,\n    }\n}\n", 91),
    ("Der Zug war pünktlich abgefahren, doch kurz hinter der Grenze blieb er auf freier Strecke stehen. Niemand wusste, warum. Die Reisenden sahen aus den Fenstern auf verschneite Felder, über denen ein paar Krähen kreisten. Ein älterer Herr mit grauem Bart begann, seinem Nachbarn von früheren Reisen zu erzählen, als man noch tagelang unterwegs war und niemand sich darüber beklagte. Geschwindigkeitsbegrenzungen und Verspätungsentschädigungen kannte damals niemand.\n", 108),
    ("The train had left on time, but shortly after the border it stopped in the middle of nowhere. Nobody knew why. The passengers looked out of the windows at snowy fields, above which a few crows were circling. An elderly gentleman with a grey beard began to tell his neighbour about earlier journeys, when people had been under way for days on end and nobody had complained.\n", 76),
    ("El tren había salido puntual, pero poco después de la frontera se detuvo en medio del campo. Nadie sabía por qué. Los viajeros miraban por las ventanas los campos nevados sobre los que volaban en círculos algunas cornejas. Un señor mayor de barba gris empezó a contarle a su vecino sus viajes de antaño.\n", 69),
    ("Le train était parti à l'heure, mais peu après la frontière il s'arrêta en pleine campagne. Personne ne savait pourquoi. Les voyageurs regardaient par les fenêtres les champs enneigés au-dessus desquels tournaient quelques corneilles. Un vieux monsieur à la barbe grise commença à raconter à son voisin ses voyages d'autrefois, lorsqu'on passait des journées entières en chemin sans que personne s'en plaigne.\n", 92),
    ("रेलगाड़ी समय पर चली थी, लेकिन सीमा पार करने के कुछ ही देर बाद वह खुले मैदान में रुक गई। किसी को कारण नहीं पता था। यात्री खिड़कियों से बर्फ से ढके खेतों को देख रहे थे, जिनके ऊपर कुछ कौवे मंडरा रहे थे।\n", 63),
    ("列車は定刻に出発したが、国境を越えてまもなく、何もない野原の真ん中で止まってしまった。理由は誰にもわからなかった。乗客たちは窓から雪に覆われた畑を眺め、その上をカラスが数羽旋回していた。灰色のひげを生やした老紳士が、隣の人に昔の旅の話を始めた。\n", 106),
    ("{\"type\":\"object\",\"properties\":{\"location\":{\"type\":\"string\",\"description\":\"The city and state, e.g. San Francisco, CA\"},\"unit\":{\"type\":\"string\",\"enum\":[\"celsius\",\"fahrenheit\"]},\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":14}},\"required\":[\"location\"]}\n", 63),
    ("기차는 정시에 출발했지만 국경을 지나자마자 들판 한가운데에서 멈춰 섰다. 이유를 아는 사람은 아무도 없었다. 승객들은 창밖으로 눈 덮인 들판을 바라보았고 그 위로 까마귀 몇 마리가 맴돌고 있었다. 회색 수염을 기른 노신사가 옆 사람에게 옛날 여행 이야기를 들려주기 시작했다.\n", 99),
    ("Поезд отправился вовремя, но вскоре после границы остановился посреди поля. Никто не знал почему. Пассажиры смотрели из окон на заснеженные поля, над которыми кружили вороны. Пожилой господин с седой бородой начал рассказывать соседу о прежних путешествиях, когда люди проводили в дороге целые дни и никто на это не жаловался.\n", 91),
    ("火车准时出发了，但刚过边境不久就在旷野里停了下来。没有人知道原因。旅客们透过车窗望着白雪覆盖的田野，几只乌鸦在上面盘旋。一位留着灰白胡子的老先生开始向邻座讲述他以前的旅行，那时候人们要在路上走好几天，却没有人抱怨。\n", 93),
];

#[test]
fn estimates_are_near_the_tokenizers_counts() {
    let mut off = 0.0;
    for (text, tokens) in COUNTED {
        let ratio = of_text(text) as f64 / *tokens as f64;
        assert!((0.8..1.2).contains(&ratio), "{ratio:.2}: {text}");
        off += (ratio - 1.0).abs();
    }
    assert!(off / (COUNTED.len() as f64) < 0.06, "{off}");
}

#[test]
fn a_text_and_its_double_differ_by_a_factor_of_two() {
    assert_eq!(of_text(""), 0);
    for (text, _) in COUNTED {
        let (one, two) = (of_text(text), of_text(&format!("{text}{text}")));
        assert!(two.abs_diff(2 * one) <= 1, "{one} {two}");
    }
}

/// A word of a million letters is no million of words, and no single one.
#[test]
fn hostile_texts_have_sane_counts() {
    for (text, least, most) in [
        ("a".repeat(1_000_000), 100_000, 600_000),
        (" ".repeat(1_000_000), 1_000, 100_000),
        ("\n".repeat(1_000_000), 10_000, 600_000),
        ("\u{1f600}".repeat(10_000), 10_000, 40_000),
        ("1".repeat(999), 333, 333),
    ] {
        let count = of_text(&text);
        assert!((least..=most).contains(&count), "{count}");
    }
}

fn of_body(dialect: Dialect, body: &serde_json::Value) -> u64 {
    let body = Bytes::from(body.to_string());
    let peek = peek(dialect, Operation::CountTokens, &body).unwrap();
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    of_request(&surface(dialect).unwrap().read_count(&payload).unwrap())
}

#[test]
fn everything_in_a_request_counts() {
    use serde_json::json;
    let hello = json!({"model": "m", "messages": [{"role": "user", "content": "Say hello"}]});
    let plain = of_body(Dialect::Anthropic, &hello);
    assert_eq!(plain, 3 + 3 + 3);
    assert_eq!(
        of_body(Dialect::Openai, &hello),
        plain,
        "a dialect is no reason to count otherwise"
    );
    for (name, value) in [
        ("system", json!("Be brief.")),
        (
            "tools",
            json!([{"name": "weather", "description": "of a place", "input_schema": {"type": "object"}}]),
        ),
        (
            "messages",
            json!([{"role": "user", "content": [
                {"type": "text", "text": "Say hello"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            ]}]),
        ),
        (
            "messages",
            json!([
                {"role": "user", "content": "Say hello"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {"place": "Bern"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]},
            ]),
        ),
    ] {
        let mut more = hello.clone();
        more[name] = value;
        assert!(of_body(Dialect::Anthropic, &more) > plain + 2, "{name}");
    }
}
