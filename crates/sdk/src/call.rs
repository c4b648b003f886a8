//! One call: targets, the router's attempts, and the answer read into types.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tollgate_router::{
    Answer, Ask, Failed, Group, Health, Live, Member, Policy, Prefs, Rules, Table, Timeouts,
};
use tollgate_wire::{Dialect, Operation, RefusalKind, catalogue, exchange::Payload, peek::peek};

use crate::{
    ChatCompletion, Completion, Embeddings, Error, Tollgate, cost,
    embedding::Embedding,
    error::Details,
    options::{Fields, Options},
    response::Route,
    stream::CompletionStream,
    target,
};

/// Longest time that a call can be given: a day.
const MOST_PATIENCE_MS: u64 = 86_400_000;

/// What every call is made of.
struct Call {
    client: Tollgate,
    model: String,
    fields: Fields,
    options: Options,
    operation: Operation,
}

pub(crate) async fn whole(ask: Completion) -> Result<ChatCompletion, Error> {
    let (mut answer, route): (ChatCompletion, _) = Call::of(ask).whole().await?;
    route.name(&mut answer.model);
    answer.route = route;
    Ok(answer)
}

pub(crate) async fn stream(ask: Completion) -> Result<CompletionStream, Error> {
    let call = Call::of(ask);
    let (live, route) = call.live().await?;
    match live.answer {
        Answer::Stream { first, body } => {
            Ok(CompletionStream::live(live.exchange, first.freeze(), body, route))
        }
        Answer::Whole(_) => Err(invalid(&route, "expected a stream, had a whole answer")),
    }
}

pub(crate) async fn embeddings(ask: Embedding) -> Result<Embeddings, Error> {
    let Embedding { client, model, fields, options } = ask;
    let call = Call { client, model, fields, options, operation: Operation::Embeddings };
    let (mut answer, route): (Embeddings, _) = call.whole().await?;
    route.name(&mut answer.model);
    answer.route = route;
    Ok(answer)
}

impl Call {
    fn of(ask: Completion) -> Self {
        let Completion { client, model, fields, options, .. } = ask;
        Call { client, model, fields, options, operation: Operation::Chat }
    }

    async fn whole<T: DeserializeOwned>(self) -> Result<(T, Route), Error> {
        let (live, mut route) = self.live().await?;
        let Answer::Whole(body) = live.answer else {
            return Err(invalid(&route, "expected a whole answer, had a stream"));
        };
        route.settle(live.exchange.as_ref());
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok((answer, route)),
            Err(error) => Err(invalid(&route, &format!("cannot read the answer: {error}"))),
        }
    }

    async fn live(&self) -> Result<(Live, Route), Error> {
        let payload = self.payload()?;
        let (table, group) = self.table()?;
        let http = self.client.http()?;
        let prefs = Prefs {
            surface: Dialect::Openai,
            fallbacks: &[],
            num_retries: Some(self.options.num_retries.unwrap_or(self.settings().num_retries)),
            disable_fallbacks: false,
        };
        let now_ms = self.client.now_ms();
        // The provider's own spelling stays in the answer.
        let shown = group.members.first().map(|member| member.target.model.clone());
        let plan = tollgate_router::plan(&table, &group, prefs, now_ms, 0);
        let ask = Ask {
            client: http,
            table: &table,
            plan: &plan,
            operation: self.operation,
            payload: &payload,
            shown_model: shown.as_deref().unwrap_or(&self.model),
            now_ms,
            started: tokio::time::Instant::now(),
        };
        match tollgate_router::first_answer(ask).await {
            Ok(live) => {
                let route = Route::of(&live);
                Ok((live, route))
            }
            Err(failed) => Err(self.error(&failed)),
        }
    }

    fn settings(&self) -> &crate::Builder {
        &self.client.inner.settings
    }

    /// The request as the wire knows it.
    fn payload(&self) -> Result<Payload, Error> {
        if let Some(mistake) = &self.fields.mistake {
            return Err(Error::bad_request(&self.model, mistake));
        }
        let body = serde_json::to_vec(&self.fields.map)
            .map_err(|error| Error::bad_request(&self.model, error.to_string()))?;
        let body = Bytes::from(body);
        let peek = peek(Dialect::Openai, self.operation, &body)
            .map_err(|error| Error::bad_request(&self.model, error.message))?;
        let received_s = self.client.now_ms() / 1_000;
        Ok(Payload { body, peek, headers: Vec::new(), received_s })
    }

    /// A table with a group for the model and for each that may stand in.
    fn table(&self) -> Result<(Table, Arc<Group>), Error> {
        let longer = &self.options.context_window_fallbacks;
        let models = std::iter::once(&self.model).chain(&self.options.fallbacks).chain(longer);
        let mut members: Vec<(String, Member)> = Vec::new();
        for model in models {
            // The same model twice would be two targets of one group.
            if members.iter().all(|(name, _)| name != model) {
                members.push((model.clone(), self.member(model)?));
            }
        }
        let stand_in = |models: &[String]| {
            let names = models.iter().map(|model| model.as_str().into()).collect();
            HashMap::from([(self.model.as_str().into(), names)])
        };
        // An empty list is no list: the other one is gone to then.
        let fallbacks = stand_in(&self.options.fallbacks);
        let context_window_fallbacks =
            if longer.is_empty() { HashMap::new() } else { stand_in(longer) };
        let policy = Policy { disable_cooldowns: true, ..Policy::default() };
        let table = Table::new(Rules {
            members,
            policy,
            fallbacks,
            context_window_fallbacks,
            ..Rules::default()
        });
        let found = table.group(&self.model);
        match found {
            Some(found) => Ok((table, found.group)),
            None => Err(Error::bad_request(&self.model, "no such model")),
        }
    }

    fn member(&self, model: &str) -> Result<Member, Error> {
        if model.contains('*') {
            let message = format!("`{model}`: a call names one model, without `*`");
            return Err(Error::bad_request(model, message));
        }
        let catalogue = catalogue::builtin();
        let target = target::of(catalogue, self.settings(), &self.options, self.operation, model)?;
        let patience = self.options.timeout.unwrap_or(self.settings().timeout);
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(MOST_PATIENCE_MS);
        let patience_ms = patience_ms.min(MOST_PATIENCE_MS);
        let usual = Timeouts::default();
        let timeouts = Timeouts {
            connect_ms: usual.connect_ms.min(patience_ms),
            first_byte_ms: patience_ms,
            idle_ms: patience_ms,
            total_ms: usual.total_ms.max(patience_ms),
        };
        Ok(Member { timeouts, ..Member::new(Arc::new(target), Arc::new(Health::default())) })
    }

    fn error(&self, failed: &Failed) -> Error {
        let (refusal, attempts) = (&failed.refusal, failed.attempts);
        let ours = matches!(refusal.kind, RefusalKind::Unsupported | RefusalKind::InvalidRequest);
        match &failed.last {
            Some((target, fault)) if !ours => {
                Error::of_fault(fault, &target.provider.name, &target.model, attempts)
            }
            Some((target, _)) => {
                Error::of_refusal(refusal, &target.provider.name, &target.model, attempts)
            }
            None => Error::of_refusal(refusal, "", &self.model, attempts),
        }
    }
}

impl Route {
    fn of(live: &Live) -> Self {
        let target = &live.target;
        Route {
            provider: target.provider.name.to_string(),
            model: target.model.to_string(),
            api_base: target.base.to_string(),
            attempts: live.attempts,
            fallbacks: live.fallbacks,
            headers: live.upstream_headers.to_map(),
            first_byte: live.answered_after,
            card: target.card.clone(),
            ..Route::default()
        }
    }

    /// Names the model that answered, where it is not the one that was asked first.
    pub(crate) fn name(&self, model: &mut String) {
        if self.fallbacks > 0 {
            model.clone_from(&self.model);
        }
    }

    /// Takes down what the exchange knows so far.
    pub(crate) fn settle(&mut self, exchange: &dyn tollgate_wire::Exchange) {
        self.usage = exchange.usage();
        self.dropped_params = exchange.dropped().to_vec();
        self.cost =
            cost::told(&self.headers).or_else(|| cost::of_card(&self.usage, self.card.as_deref()));
    }
}

pub(crate) fn invalid(route: &Route, message: &str) -> Error {
    Error::APIResponseValidationError(Box::new(Details {
        status: 500,
        message: message.to_owned(),
        provider: route.provider.clone(),
        model: route.model.clone(),
        attempts: route.attempts,
        ..Details::default()
    }))
}
