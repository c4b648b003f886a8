use proptest::prelude::*;

use super::*;

/// A row with `input` prompt tokens and little else.
pub(crate) fn row(input: u64) -> UsageRow {
    UsageRow {
        id: Uuid::from_u128(7),
        key: None,
        key_alias: None,
        user_id: None,
        team_id: None,
        end_user: None,
        operation: Cow::Borrowed(""),
        surface: Cow::Borrowed(""),
        group: "".into(),
        model: "".into(),
        provider: "".into(),
        target: "".into(),
        api_base: "".into(),
        stream: false,
        status: 200,
        outcome: Outcome::Ok,
        error: None,
        input,
        cache_read: 0,
        cache_write: 0,
        cache_write_1h: 0,
        output: 0,
        reasoning: 0,
        input_audio: 0,
        output_audio: 0,
        rare: RareUsage::default(),
        estimated: false,
        cost: None,
        started_us: 0,
        first_byte_us: None,
        ended_us: 0,
        upstream_started_us: None,
        attempts: 0,
        fallbacks: 0,
        finish_reason: None,
        tags: Arc::from([]),
        ip: None,
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{1,20}", "[a-z0-9/-]{1,40}", "[\\PC\"\\\\\\x00-\\x1f]{1,20}"]
}

prop_compose! {
    fn any_rare()(
        counts in prop::array::uniform6(any::<u64>()),
        searches in any::<u32>(),
        us_only in any::<bool>(),
        texts in prop::array::uniform2(text()),
    ) -> RareUsage {
        let [cache_read_audio, cache_write_12h, input_image, input_video, output_image, output_video] = counts;
        let [search_size, tier] = texts;
        RareUsage {
            cache_read_audio, cache_write_12h, input_image, input_video, output_image, output_video,
            searches,
            search_size: search_size.into(),
            tier: tier.into(),
            us_only,
        }
    }
}

prop_compose! {
    fn any_row()(
        ids in (any::<u128>(), prop::option::of(any::<[u8; 32]>())),
        texts in prop::array::uniform8(text()),
        some in prop::array::uniform8(prop::option::of(text())),
        counts in prop::array::uniform8(any::<u64>()),
        small in (any::<u16>(), any::<u32>(), any::<u32>(), 0..4_u8, any::<bool>(), any::<bool>()),
        cost in prop::option::of(any::<i64>()),
        // Times as far apart as clocks ever are.
        times in (0..1_i64 << 60, prop::option::of(0..1_i64 << 60), 0..1_i64 << 60),
        tags in prop::collection::vec(text(), 0..3),
        rare in any_rare(),
    ) -> UsageRow {
        let [operation, surface, group, model, provider, target, api_base, _] = texts;
        let [key_alias, user_id, team_id, end_user, error, finish_reason, ip, _] = some;
        let [input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, output_audio] = counts;
        let shared = |text: Option<String>| text.map(Arc::from);
        UsageRow {
            id: Uuid::from_u128(ids.0),
            key: ids.1.map(KeyHash),
            key_alias: shared(key_alias),
            user_id: shared(user_id),
            team_id: shared(team_id),
            end_user: shared(end_user),
            operation: operation.into(),
            surface: surface.into(),
            group: group.into(),
            model: model.into(),
            provider: provider.into(),
            target: target.into(),
            api_base: api_base.into(),
            stream: small.4,
            status: small.0,
            outcome: [Outcome::Ok, Outcome::Failed, Outcome::Aborted, Outcome::Cut][usize::from(small.3)],
            error: error.map(Cow::Owned),
            input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, output_audio,
            rare,
            estimated: small.5,
            cost: cost.map(Nano),
            started_us: times.0,
            first_byte_us: times.1,
            ended_us: times.2,
            upstream_started_us: times.1.map(|time| time / 2),
            attempts: small.1,
            fallbacks: small.2,
            finish_reason: finish_reason.map(Cow::Owned),
            tags: tags.into_iter().map(Arc::from).collect(),
            ip: ip.map(Arc::from),
        }
    }
}

proptest! {
    #[test]
    fn a_line_says_all_of_a_row(row in any_row()) {
        let mut line = Vec::new();
        let record = Record::write_line(row.clone(), &mut line);
        prop_assert_eq!(line.pop(), Some(b'\n'));
        prop_assert!(!line.contains(&b'\n'));
        let read = Record::read_line(&line).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.into_usage().unwrap(), row);
    }

    #[test]
    fn a_torn_line_is_no_row(row in any_row(), cut in 0.0..1.0_f64) {
        let mut line = Vec::new();
        Record::write_line(row, &mut line);
        // Without its line break a line is whole, and still not taken: see `segment`.
        line.pop();
        line.truncate((line.len() as f64 * cut) as usize);
        prop_assert!(Record::read_line(&line).is_err());
    }
}
