//! The first target that answers.
//!
//! Until an event or a whole answer is there that the client may see, another target can still be
//! asked; after that never. Dropping the future, or the [`Live`] answer, hangs up on the upstream.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use tokio::time::Instant;
use tollgate_wire::{
    CannotAsk, Fault, FaultKind, Operation, Refusal, RefusalKind, Secret, Target, Unsupported,
    exchange::{self, Exchange, Payload},
};

use crate::{
    Client, Plan, Table, UpstreamBody, answer,
    body::Watch,
    client::{Headers, UpstreamResponse},
    fan::{self, Clocks},
    follow,
    place::{Clock, Place},
    refuse,
    sign::{self, Desk},
    table::{Group, Member},
    walk::{Step, Walk},
};

/// One request, as the attempts need it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// This thread's connections.
    pub client: &'a Client,
    /// The groups.
    pub table: &'a Table,
    /// Which targets, in order.
    pub plan: &'a Plan,
    /// What is wanted.
    pub operation: Operation,
    /// What the client sent.
    pub payload: &'a Payload,
    /// The model name that the client is to see in the answer.
    pub shown_model: &'a str,
    /// The time of the call in milliseconds since 1970, on the clock that `plan` was given.
    pub now_ms: u64,
    /// The same moment on the clock that never jumps: what time limits and durations count from.
    pub started: Instant,
}

/// A target has begun to answer, with an event or a whole answer that the client may see.
pub struct Live {
    /// The exchange that made the answer, and that reads the rest of it.
    pub exchange: Box<dyn Exchange>,
    /// The answer, or its beginning.
    pub answer: Answer,
    /// Who answers.
    pub target: Arc<Target>,
    /// The group that the target was asked for in; not the asked one after a fallback.
    pub group: Arc<Group>,
    /// The upstream's status: 2xx.
    pub status: StatusCode,
    /// The upstream's headers.
    pub upstream_headers: Headers,
    /// Calls made, this one included.
    pub attempts: u32,
    /// Calls made after a failed one in the same group and level.
    pub retries: u32,
    /// Times that another group or level was gone to.
    pub fallbacks: u32,
    /// From [`Ask::started`] to the start of the attempt that answers.
    pub started_after: Duration,
    /// From [`Ask::started`] to the first event, or the end of a whole answer.
    pub answered_after: Duration,
}

/// An answer that may be sent on.
pub enum Answer {
    /// The whole answer in the client's dialect.
    Whole(Bytes),
    /// A stream.
    Stream {
        /// Its beginning, already in the client's dialect.
        first: BytesMut,
        /// The rest, as the upstream sends it: to be put through the exchange. A fault that the
        /// exchange finds is to be told to [`UpstreamBody::blame`].
        body: UpstreamBody,
    },
}

/// No target has answered.
#[derive(Debug, Clone)]
pub struct Failed {
    /// What the client is told.
    pub refusal: Refusal,
    /// The last fault and whose it is; `None` where nobody was called.
    pub last: Option<(Arc<Target>, Fault)>,
    /// Calls made.
    pub attempts: u32,
    /// Calls made after a failed one in the same group and level.
    pub retries: u32,
    /// Times that another group or level was gone to.
    pub fallbacks: u32,
}

/// Asks the plan's targets until one answers.
pub async fn first_answer(ask: Ask<'_>) -> Result<Live, Box<Failed>> {
    let clock = Clock { started: ask.started, started_ms: ask.now_ms };
    let policy = &ask.table.policy;
    let deadline = clock.started + Duration::from_millis(policy.timeout_ms);
    let mut walk = Walk::new(ask.table, ask.plan);
    let mut heap = Heap::default();
    let mut began = clock.started;
    let mut next = walk.first(ask.now_ms);
    while let Some(step) = next.take() {
        let wait = Duration::from_millis(step.after_ms);
        if !wait.is_zero() {
            if Instant::now() + wait >= deadline {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        let Some(member) = step.member() else { break };
        let Some(permit) = member.health.begin(member.max_parallel) else {
            next = walk.pass_over(clock.now_ms());
            continue;
        };
        let place = Place::new(&step, permit, policy, clock);
        if walk.attempts > 1 {
            began = Instant::now();
        }
        let at = Ask { now_ms: clock.at_ms(began - clock.started), ..ask };
        match call(&at, &step, member, began, deadline).await {
            Ok(called) => return Ok(called.live(&walk, step, place, clock, began)),
            Err(Trouble::Cannot(CannotAsk::Malformed(why))) => {
                heap.refusal = Some(Refusal {
                    param: why.param,
                    ..Refusal::new(RefusalKind::InvalidRequest, why.message)
                });
                break;
            }
            Err(Trouble::Cannot(CannotAsk::NotFound(why))) => {
                heap.refusal = Some(Refusal {
                    param: why.param,
                    ..Refusal::new(RefusalKind::NotFound, why.message)
                });
                break;
            }
            Err(Trouble::Cannot(CannotAsk::Unsupported(why))) => {
                heap.unsupported.get_or_insert(why);
                next = walk.pass_over(clock.now_ms());
            }
            Err(Trouble::Fault(fault)) => {
                // A count that fails says nothing about the model.
                if ask.operation != Operation::CountTokens {
                    place.blame(&fault);
                }
                drop(place);
                let home = walk.at_home();
                next = walk.failed(&fault, clock.now_ms());
                heap.add(member.target_for(ask.plan.surface), fault, home);
            }
        }
    }
    Err(heap.failed(&ask, &walk, clock.now_ms()))
}

/// What has gone wrong so far.
#[derive(Default)]
struct Heap {
    /// The last fault in the group that was asked for: the one that the client is told.
    at_home: Option<Fault>,
    last: Option<(Arc<Target>, Fault)>,
    unsupported: Option<Unsupported>,
    /// Our own: nobody else is asked.
    refusal: Option<Refusal>,
    /// The least `Retry-After` of all.
    retry_after_ms: Option<u64>,
}

impl Heap {
    fn add(&mut self, target: &Arc<Target>, fault: Fault, home: bool) {
        let least = [self.retry_after_ms, fault.retry_after_ms].into_iter().flatten().min();
        self.retry_after_ms = least;
        if home {
            self.at_home = Some(fault.clone());
        }
        self.last = Some((target.clone(), fault));
    }

    fn failed(self, ask: &Ask<'_>, walk: &Walk<'_>, now_ms: u64) -> Box<Failed> {
        let told = self.at_home.as_ref().or(self.last.as_ref().map(|(_, fault)| fault));
        let refusal = match (self.refusal, told, self.unsupported) {
            (Some(refusal), ..) => refusal,
            (None, Some(fault), _) => {
                let retry_after_ms = fault.retry_after_ms.and(self.retry_after_ms);
                refuse::refusal(&Fault { retry_after_ms, ..fault.clone() })
            }
            (None, None, Some(why)) => {
                Refusal::new(RefusalKind::Unsupported, why.to_string()).param(why.param)
            }
            (None, None, None) => refuse::nobody(&ask.plan.group, now_ms),
        };
        Box::new(Failed {
            refusal,
            last: self.last,
            attempts: walk.attempts,
            retries: walk.retries,
            fallbacks: walk.fallbacks,
        })
    }
}

/// A call that has brought something for the client.
struct Called {
    exchange: Box<dyn Exchange>,
    target: Arc<Target>,
    answer: Answer,
    status: StatusCode,
    headers: Headers,
}

impl Called {
    fn live(
        mut self,
        walk: &Walk<'_>,
        step: Step,
        place: Place,
        clock: Clock,
        began: Instant,
    ) -> Live {
        let answered_after = clock.started.elapsed();
        place.praise(answered_after);
        if let Answer::Stream { body, .. } = &mut self.answer {
            body.keep(place);
        }
        Live {
            exchange: self.exchange,
            answer: self.answer,
            target: self.target,
            group: step.group,
            status: self.status,
            upstream_headers: self.headers,
            attempts: walk.attempts,
            retries: walk.retries,
            fallbacks: walk.fallbacks,
            started_after: began - clock.started,
            answered_after,
        }
    }
}

/// A call that has not.
enum Trouble {
    Cannot(CannotAsk),
    Fault(Fault),
}

impl From<CannotAsk> for Trouble {
    fn from(why: CannotAsk) -> Self {
        Trouble::Cannot(why)
    }
}

/// One call of one target.
async fn call(
    ask: &Ask<'_>,
    step: &Step,
    member: &Member,
    now: Instant,
    deadline: Instant,
) -> Result<Called, Trouble> {
    let surface = ask.plan.surface;
    let target = member.target_for(surface);
    let fallen_back = !Arc::ptr_eq(&step.group, &ask.plan.group);
    let shown = if fallen_back { &*step.group.name } else { ask.shown_model };
    let mut exchange = exchange::exchange_for(ask.operation, surface, target, shown, ask.payload);
    let mut request = exchange.call(ask.payload, target)?;

    let mut limits = member.timeouts;
    limits.first_byte_ms =
        limits.first_byte_ms.min(ask.payload.peek.timeout_ms.unwrap_or(u64::MAX));
    let connect = Duration::from_millis(limits.connect_ms);
    let mut watch = Watch::new(limits, now, deadline);
    let mut token = None;
    let others = exchange.others();
    let answered = if target.dialect.answers_with_jobs() {
        follow::call(ask, &mut *exchange, target, request, (connect, watch), &mut token).await
    } else if !others.is_empty() {
        let calls = std::iter::once(request).chain(others).collect();
        let clocks = Clocks { limits, connect, now, deadline };
        fan::call(ask, &mut *exchange, target, calls, clocks, &mut token).await
    } else {
        let sent = async {
            if let Some(login) = &target.login {
                let desk = Desk { client: ask.client, now_s: ask.now_ms / 1_000, now };
                token = sign::sign(desk, login, target, &Method::POST, &mut request).await?;
            }
            ask.client.send(&target.base, request, connect, now).await
        };
        match watch.guard(sent).await {
            Ok(response) => {
                let UpstreamResponse { status, headers, body } = response;
                let body = UpstreamBody::new(body, watch);
                answer::read(&mut *exchange, status, &headers, body, ask.payload.peek.stream)
                    .await
                    .map(|answer| (answer, status, headers))
            }
            Err(fault) => Err(fault),
        }
    };
    match answered {
        Ok((answer, status, headers)) => {
            Ok(Called { exchange, target: target.clone(), answer, status, headers })
        }
        Err(fault) => {
            if let (FaultKind::Credential, Some(login)) = (fault.kind, &target.login) {
                sign::refused(ask.client, login);
            }
            let fault = scrubbed(fault, target.credential.as_ref());
            Err(Trouble::Fault(scrubbed(fault, token.as_ref())))
        }
    }
}

/// The fault without our credential, should the upstream have repeated it.
pub(crate) fn scrubbed(mut fault: Fault, credential: Option<&Secret>) -> Fault {
    let Some(key) = credential.map(Secret::expose).filter(|key| !key.is_empty()) else {
        return fault;
    };
    let texts = [Some(&mut fault.message), fault.code.as_mut(), fault.error_type.as_mut()];
    for text in texts.into_iter().flatten().chain(fault.param.as_mut()) {
        if text.contains(key) {
            *text = text.replace(key, "[key]");
        }
    }
    if memchr::memmem::find(&fault.body, key.as_bytes()).is_some() {
        fault.body = Bytes::new();
    }
    fault
}
