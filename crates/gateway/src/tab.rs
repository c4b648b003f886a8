//! A tab: an open hold plus a live exchange. It lives exactly as long as the answer's body, and
//! whatever ends it (the last byte, a hang-up, a broken upstream, a panic) closes it once.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::Sleep;
use tollgate_ledger::Nano;
use tollgate_router::{Failed, Live, UpstreamBody};
use tollgate_store::{Outcome, UsageRow};
use tollgate_wire::{Dialect, Exchange, Fault, Refusal, RefusalKind, Target};
use uuid::Uuid;

use crate::{
    ask::Ask,
    auth::Caller,
    background,
    core::Core,
    handle::Incoming,
    limits::Hold,
    now::Now,
    settle::{self, CLIENT_LEFT, Draft},
};

/// A stream that is silent this long gets a comment, so that proxies between keep it open.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(15);
pub(crate) const PING: &[u8] = b": ping\n\n";
/// The same where a comment would not be understood: Google's SDKs take it for a message, and in a
/// JSON list there are none.
const QUIET_PING: &[u8] = b"\r\n";

/// An open tab.
pub struct Tab {
    core: Arc<Core>,
    pub(crate) hold: Hold,
    draft: Draft,
    exchange: Option<(Box<dyn Exchange>, Arc<Target>)>,
    closed: bool,
    /// The answer is paid for when it has ended, not with the request: see [`background`].
    pub(crate) pending: bool,
    /// What a silent stream gets.
    ping: &'static [u8],
    /// The media type of a stream.
    pub(crate) stream_type: &'static str,
    /// The request's id: `x-litellm-call-id`, and the row's.
    pub(crate) id: Uuid,
    /// What the answer cost, once that is known.
    pub(crate) cost: Option<Nano>,
}

impl Tab {
    /// Opens the tab of a request whose caller is known.
    pub fn open<B>(core: &Arc<Core>, caller: &Caller, incoming: &Incoming<B>, now: Now) -> Self {
        let key = caller.key();
        let row = UsageRow {
            id: incoming.id,
            key: key.map(|key| key.hash),
            key_alias: key.and_then(|key| key.alias.clone()),
            user_id: key.and_then(|key| key.user_id.clone()),
            team_id: key.and_then(|key| key.terms.team_id.clone()),
            operation: incoming.operation.name().into(),
            surface: incoming.surface.name().into(),
            started_us: now.unix_us,
            ip: incoming.ip.clone(),
            ..UsageRow::default()
        };
        Tab {
            core: Arc::clone(core),
            hold: Hold::default(),
            draft: Draft { row, started: now },
            exchange: None,
            closed: false,
            pending: false,
            ping: PING,
            stream_type: "text/event-stream; charset=utf-8",
            id: incoming.id,
            cost: None,
        }
    }

    /// Enters what was asked for.
    pub fn asks(&mut self, ask: &Ask) {
        if ask.surface == Dialect::Gemini {
            self.ping = QUIET_PING;
        }
        if ask.payload.peek.listed {
            self.stream_type = "application/json";
        }
        let row = &mut self.draft.row;
        row.end_user = ask.end_user.as_deref().map(Arc::from);
        row.group = Arc::from(ask.payload.peek.model.as_str());
        row.stream = ask.payload.peek.stream;
        row.tags = ask.tags.iter().map(|tag| Arc::from(tag.as_str())).collect();
    }

    /// Passes a stage's result on; a refusal closes the tab.
    pub fn note<T>(&mut self, stage: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(why) = &stage {
            self.draft.row.status = why.http_status().as_u16();
            self.draft.row.error = Some(why.kind.code().into());
            self.close(Outcome::Refused);
        }
        stage
    }

    /// Takes the exchange of the target that answered.
    pub(crate) fn attach(&mut self, exchange: Box<dyn Exchange>, target: Arc<Target>) {
        self.exchange = Some((exchange, target));
    }

    /// What is known of the request.
    pub(crate) fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    /// Closes the tab of a request that no target answered.
    pub fn close_failed(mut self, failed: Failed) -> Refusal {
        if let Some((target, fault)) = &failed.last {
            self.draft.answered_by(target, failed.attempts, failed.fallbacks);
            self.draft.row.error = Some(fault.kind.class().into());
        }
        self.draft.row.status = failed.refusal.http_status().as_u16();
        self.close(Outcome::Failed);
        failed.refusal
    }

    /// Closes the tab: once, whatever is asked of it later.
    pub(crate) fn close(&mut self, outcome: Outcome) {
        let now = self.draft.started.later();
        self.close_at(outcome, now);
    }

    /// The same, for one who knows the time.
    fn close_at(&mut self, outcome: Outcome, now: Now) {
        if !self.closed {
            self.settle_at(outcome, now);
            self.core.flush();
        }
    }

    /// The same, for one who sees to it that the row is written before the answer is seen: see
    /// [`Core::durable`].
    pub(crate) fn settle_at(&mut self, outcome: Outcome, now: Now) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if self.pending {
            return self.leave(outcome, now);
        }
        if let Some((exchange, target)) = &self.exchange {
            self.draft.consumed(&exchange.usage(), target);
            self.cost = self.draft.row.cost;
            self.draft.row.finish_reason = exchange.finish_reason().map(finish_reason);
        }
        if outcome == Outcome::Aborted {
            self.draft.row.status = CLIENT_LEFT;
        }
        settle::settle(&self.core, &mut self.draft, &mut self.hold, outcome, now);
    }

    /// The end of a request whose answer goes on, or went on, in the background. What its stream
    /// said at its end counts; of any other end, the provider knows more.
    fn leave(&mut self, outcome: Outcome, now: Now) {
        let Some((exchange, target)) = &self.exchange else { return };
        let usage = exchange.usage();
        let (Outcome::Ok, Some(finish), false) =
            (outcome, exchange.finish_reason(), usage.estimated)
        else {
            return;
        };
        self.draft.consumed(&usage, target);
        let elapsed_us = self.draft.elapsed_us(now);
        let mut row = std::mem::take(&mut self.draft.row);
        row.finish_reason = Some(finish_reason(finish));
        row.ended_us = row.started_us.saturating_add(elapsed_us);
        background::settle_soon(&self.core.gw, row);
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.closed {
            self.draft.row.status = RefusalKind::Internal.status().as_u16();
            self.draft.row.error = Some(RefusalKind::Internal.code().into());
            self.close(Outcome::Failed);
        }
        self.close(Outcome::Aborted);
    }
}

/// The usual reasons cost no allocation.
fn finish_reason(reason: &str) -> Cow<'static, str> {
    match reason {
        "stop" => Cow::Borrowed("stop"),
        "length" => Cow::Borrowed("length"),
        "tool_calls" => Cow::Borrowed("tool_calls"),
        other => Cow::Owned(other.to_owned()),
    }
}

/// The body of a streamed answer.
pub struct LiveBody {
    tab: Tab,
    upstream: Option<UpstreamBody>,
    ready: BytesMut,
    ping: Option<Pin<Box<Sleep>>>,
    spoke_at: tokio::time::Instant,
}

impl LiveBody {
    /// The body of `live`'s stream; `first` is what the exchange has made of it already.
    pub(crate) fn new(mut tab: Tab, first: BytesMut, upstream: UpstreamBody) -> Self {
        // All of it came at once: its end is in `first`, and is seen with it.
        if tab.exchange.as_ref().is_some_and(|(exchange, _)| exchange.done()) {
            tab.close(Outcome::Ok);
        }
        let spoke_at = tokio::time::Instant::now();
        LiveBody { tab, upstream: Some(upstream), ready: first, ping: None, spoke_at }
    }

    /// Takes what the upstream has; leaves what the client is to see in `ready`. False when there
    /// is nothing yet.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some(upstream), Some((exchange, _))) = (&mut self.upstream, &mut self.tab.exchange)
        else {
            return true;
        };
        match upstream.poll_next(cx) {
            Poll::Pending => return false,
            Poll::Ready(Some(Ok(chunk))) => {
                if let Err(fault) = exchange.push(&chunk, &mut self.ready) {
                    self.break_off(&fault);
                } else if exchange.done() {
                    // Before the end mark is seen, the receipt is written.
                    self.tab.close(Outcome::Ok);
                }
            }
            Poll::Ready(Some(Err(fault))) => self.break_off(&fault),
            Poll::Ready(None) => {
                self.upstream = None;
                match exchange.end(&mut self.ready) {
                    Ok(()) => self.tab.close(Outcome::Ok),
                    Err(fault) => self.break_off(&fault),
                }
            }
        }
        true
    }

    /// The stream broke: says so in the client's dialect and ends it. What the answer consumed so
    /// far is charged.
    fn break_off(&mut self, fault: &Fault) {
        if let Some(mut upstream) = self.upstream.take() {
            upstream.blame(fault);
        }
        if self.tab.closed {
            // The answer was complete; what came after its end mark is of no interest.
            return;
        }
        if let Some((exchange, _)) = &self.tab.exchange {
            let why: Refusal = tollgate_router::refusal(fault);
            exchange.broken(&why, &mut self.ready);
        }
        self.tab.draft.row.error = Some(fault.kind.class().into());
        self.tab.close(Outcome::Cut);
    }

    /// True when a silent stream is due a comment; arms the timer otherwise.
    fn ping_due(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.spoke_at + PING_AFTER;
        let ping = self.ping.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while ping.as_mut().poll(cx).is_ready() {
            if ping.deadline() >= due {
                return true;
            }
            // It was armed for an earlier silence, which a chunk ended.
            ping.as_mut().reset(due);
        }
        false
    }
}

impl Body for LiveBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                this.spoke_at = tokio::time::Instant::now();
                return Poll::Ready(Some(Ok(Frame::data(this.ready.split().freeze()))));
            }
            if this.upstream.is_none() {
                return Poll::Ready(None);
            }
            if !this.advance(cx) {
                if this.tab.closed || !this.ping_due(cx) {
                    return Poll::Pending;
                }
                this.ready.extend_from_slice(this.tab.ping);
                this.ping = None;
            }
        }
    }
}

/// What `Live` of the router gives, sorted for the tab.
pub(crate) fn enter(tab: &mut Tab, live: &Live, now: Now) {
    tab.draft.answered_by(&live.target, live.attempts, live.fallbacks);
    tab.draft.row.status = live.status.as_u16();
    let elapsed = tab.draft.elapsed_us(now);
    tab.draft.row.first_byte_us = Some(tab.draft.row.started_us.saturating_add(elapsed));
}
