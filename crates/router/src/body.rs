//! An answer's body with its clocks: one timer, set anew only when it has run out.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};
use tollgate_wire::{Fault, FaultKind};

use crate::{client::ResponseBody, follow::Running, place::Place, table::Timeouts};

/// Room that is reserved for a whole answer on the upstream's word alone.
const MAX_RESERVED: u64 = 1024 * 1024;

/// The time limits of one call, and the timer that watches them.
#[derive(Debug)]
pub(crate) struct Watch {
    timer: Pin<Box<Sleep>>,
    phase: Phase,
    idle: Duration,
    /// The end of the call, whatever happens.
    end: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing of the answer may be shown yet: it must be until then.
    First(Instant),
    /// The stream runs; if a reader waits for more, since when.
    Running(Option<Instant>),
}

impl Watch {
    /// Starts at `now`; `deadline` is the whole request's.
    pub(crate) fn new(limits: Timeouts, now: Instant, deadline: Instant) -> Self {
        let first = now + Duration::from_millis(limits.first_byte_ms);
        let total = now + Duration::from_millis(limits.total_ms);
        let end = total.min(deadline);
        Watch {
            timer: Box::pin(sleep_until(first.min(end))),
            phase: Phase::First(first),
            idle: Duration::from_millis(limits.idle_ms),
            end,
        }
    }

    /// The stream has begun: from here on, silence is what counts.
    pub(crate) fn run(&mut self) {
        self.phase = Phase::Running(None);
        self.timer.as_mut().reset((Instant::now() + self.idle).min(self.end));
    }

    /// `future`, unless the time is over first.
    pub(crate) async fn guard<T>(
        &mut self,
        future: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => self.poll_expired(cx).map(Err),
        })
        .await
    }

    fn progress(&mut self) {
        if let Phase::Running(waiting) = &mut self.phase {
            *waiting = None;
        }
    }

    /// Ready when the time is over. To be called whenever there is nothing to read.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let (limit, fault) = match &mut self.phase {
            Phase::First(first) => (*first, (FaultKind::FirstByteTimeout, "no answer in time")),
            Phase::Running(waiting) => {
                // Time during which nobody wanted to read is not the upstream's silence.
                let since = *waiting.get_or_insert_with(Instant::now);
                (since + self.idle, (FaultKind::IdleTimeout, "the answer stalled"))
            }
        };
        let (limit, (kind, message)) = if self.end < limit {
            (self.end, (FaultKind::Deadline, "the answer took too long"))
        } else {
            (limit, fault)
        };
        while self.timer.as_mut().poll(cx).is_ready() {
            if limit <= self.timer.deadline() {
                return Poll::Ready(Fault::new(kind, message));
            }
            self.timer.as_mut().reset(limit);
        }
        Poll::Pending
    }
}

/// The rest of an upstream's stream. Dropping it before its end hangs up on the upstream.
///
/// The target counts as busy as long as this lives.
#[derive(Debug)]
pub struct UpstreamBody {
    body: ResponseBody,
    watch: Watch,
    ended: bool,
    /// Gone once the target was blamed: one broken stream is one failure.
    place: Option<Box<Place>>,
    /// What runs beside the stream, which does not say all.
    job: Option<Box<Running>>,
}

impl UpstreamBody {
    pub(crate) fn new(body: ResponseBody, watch: Watch) -> Self {
        UpstreamBody { body, watch, ended: false, place: None, job: None }
    }

    /// A body of which everything is read.
    pub(crate) fn over(watch: Watch) -> Self {
        UpstreamBody { ended: true, ..UpstreamBody::new(ResponseBody::empty(), watch) }
    }

    /// The stream belongs to a job.
    pub(crate) fn follow(&mut self, job: Running) {
        self.job = Some(Box::new(job));
    }

    pub(crate) fn keep(&mut self, place: Place) {
        self.place = Some(Box::new(place));
    }

    /// The stream broke after its first event with a fault that the exchange has found: counts it
    /// against the target. Faults that `poll_next` gives are counted already.
    pub fn blame(&mut self, fault: &Fault) {
        if let Some(place) = self.place.take() {
            place.blame(fault);
        }
    }

    /// See [`Watch::run`].
    pub(crate) fn run(&mut self) {
        self.watch.run();
    }

    /// The next piece. `Err` (`IdleTimeout`, `Deadline`, `Disconnected`, `BadResponse`; before the
    /// first event also `FirstByteTimeout`) is the last item; `None` is the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = match &mut self.job {
            None => self.body.poll_data(cx),
            Some(job) => poll_job(job, &mut self.body, cx),
        };
        let next = match polled {
            Poll::Ready(next) => next,
            Poll::Pending => match self.watch.poll_expired(cx) {
                Poll::Ready(fault) => Some(Err(fault)),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.ended = !matches!(next, Some(Ok(_)));
        if let Some(Err(fault)) = &next {
            self.blame(fault);
        }
        self.watch.progress();
        Poll::Ready(next)
    }

    /// The next piece, awaited.
    pub async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// All of it; `BadResponse` where that is more than `cap` bytes.
    pub(crate) async fn whole(&mut self, cap: usize) -> Result<Bytes, Fault> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return bounded(first, cap) };
        let announced = self.body.announced().unwrap_or(0).min(MAX_RESERVED);
        let room = first.len() + second.len() + usize::try_from(announced).unwrap_or(0);
        let mut whole = BytesMut::with_capacity(room);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            if whole.len() + piece.len() > cap {
                return Err(too_large(cap));
            }
            whole.extend_from_slice(&piece);
        }
        bounded(whole.freeze(), cap)
    }

    /// The clocks, which go on.
    pub(crate) fn into_watch(self) -> Watch {
        self.watch
    }

    /// As much of it as comes within `time`, at most `cap` bytes.
    pub(crate) async fn start_of(mut self, cap: usize, time: Duration) -> Bytes {
        let mut start = BytesMut::new();
        let read = async {
            while let Some(Ok(piece)) = self.next().await {
                let room = cap.saturating_sub(start.len());
                start.extend_from_slice(piece.get(..room).unwrap_or(&piece));
                if start.len() >= cap {
                    break;
                }
            }
        };
        // Whatever has come by then is what there is.
        let _ = tokio::time::timeout(time, read).await;
        start.freeze()
    }
}

/// The next piece of a job's stream, and after its end what it has not said.
fn poll_job(
    job: &mut Running,
    body: &mut ResponseBody,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, Fault>>> {
    if job.is_read() {
        match ready!(body.poll_data(cx)) {
            Some(Ok(piece)) => {
                job.hear(Some(&piece));
                return Poll::Ready(Some(Ok(piece)));
            }
            Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
            None => job.hear(None),
        }
    }
    job.poll_rest(cx).map(|rest| rest.map(Ok))
}

fn bounded(bytes: Bytes, cap: usize) -> Result<Bytes, Fault> {
    if bytes.len() > cap { Err(too_large(cap)) } else { Ok(bytes) }
}

pub(crate) fn too_large(cap: usize) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the answer has more than {cap} bytes"))
}
