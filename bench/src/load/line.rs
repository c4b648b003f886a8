//! One connection of the load generator, and the request that is under way on it.

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mio::{Interest, Poll, Token, event::Event, net::TcpStream};

use crate::reply::Reply;

/// How long a connection rests after a failure.
const REST: Duration = Duration::from_millis(10);

/// What all connections send.
#[derive(Debug)]
pub(super) struct Sends {
    pub(super) target: SocketAddr,
    /// One a key.
    pub(super) heads: Vec<Vec<u8>>,
    pub(super) body: Bytes,
}

/// What an event led to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing that matters yet.
    Goes,
    /// The answer is whole; it is to be checked.
    Answered { due: Instant, first_byte: Instant },
    /// The request under way has failed.
    Failed(String),
}

/// The request under way.
#[derive(Debug)]
struct Turn {
    key: usize,
    /// Bytes already written.
    sent: usize,
    due: Instant,
    first_byte: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Line {
    token: Token,
    socket: Option<TcpStream>,
    /// The connection is established.
    open: bool,
    turn: Option<Turn>,
    reply: Reply,
    rests_until: Option<Instant>,
    connects: u64,
}

impl Line {
    pub(super) fn new(token: Token) -> Line {
        Line {
            token,
            socket: None,
            open: false,
            turn: None,
            reply: Reply::default(),
            rests_until: None,
            connects: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn reply(&self) -> &Reply {
        &self.reply
    }

    /// True if it must not be used yet.
    pub(super) fn rests_at(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| until > now)
    }

    /// When the request under way was due.
    pub(super) fn busy_since(&self) -> Option<Instant> {
        self.turn.as_ref().map(|turn| turn.due)
    }

    /// Connections made.
    pub(super) fn connects(&self) -> u64 {
        self.connects
    }

    pub(super) fn connect(&mut self, sends: &Sends, poll: &Poll) -> io::Result<()> {
        let mut socket = TcpStream::connect(sends.target)?;
        socket.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, self.token, interest)?;
        self.socket = Some(socket);
        self.open = false;
        self.connects = self.connects.saturating_add(1);
        Ok(())
    }

    /// Sends a request.
    pub(super) fn start(
        &mut self,
        key: usize,
        due: Instant,
        sends: &Sends,
        poll: &Poll,
    ) -> Outcome {
        self.turn = Some(Turn { key, sent: 0, due, first_byte: None });
        self.reply.clear();
        if self.socket.is_none()
            && let Err(e) = self.connect(sends, poll)
        {
            return Outcome::Failed(format!("connect: {}", e.kind()));
        }
        // A connection that is not open yet says so by an event.
        if self.open { self.write(sends) } else { Outcome::Goes }
    }

    pub(super) fn follow(
        &mut self,
        event: &Event,
        sends: &Sends,
        poll: &Poll,
        buffer: &mut [u8],
    ) -> Outcome {
        if event.is_writable() {
            if !self.open
                && let Some(why) = self.opens()
            {
                let outcome = self.lost(format!("connect: {why}"));
                self.hang_up(poll);
                return outcome;
            }
            if let failed @ Outcome::Failed(_) = self.write(sends) {
                return failed;
            }
        }
        if !(event.is_readable() || event.is_read_closed()) {
            return Outcome::Goes;
        }
        let outcome = self.read(buffer, event.is_read_closed());
        // The edge that says "closed" comes once, so it must not be forgotten.
        if event.is_read_closed() {
            self.hang_up(poll);
        }
        outcome
    }

    /// The request is over: ready for the next. False if there was none.
    pub(super) fn rest(&mut self, failed: bool, poll: &Poll) -> bool {
        self.rests_until = failed.then(|| Instant::now() + REST);
        if failed || self.reply.closes() {
            self.hang_up(poll);
        }
        self.turn.take().is_some()
    }

    /// Takes note that the connection is open, or says why it is not.
    fn opens(&mut self) -> Option<String> {
        let socket = self.socket.as_ref()?;
        if let Ok(Some(e)) | Err(e) = socket.take_error() {
            return Some(e.kind().to_string());
        }
        if let Err(e) = socket.peer_addr() {
            return Some(e.kind().to_string());
        }
        self.open = true;
        None
    }

    fn hang_up(&mut self, poll: &Poll) {
        if let Some(mut socket) = self.socket.take() {
            // An error here means that it is gone already.
            let _gone = poll.registry().deregister(&mut socket);
        }
        self.open = false;
    }

    fn write(&mut self, sends: &Sends) -> Outcome {
        let (Some(turn), Some(socket)) = (self.turn.as_mut(), self.socket.as_mut()) else {
            return Outcome::Goes;
        };
        let head = sends.heads.get(turn.key).map_or(&[][..], Vec::as_slice);
        loop {
            let of_body = turn.sent.saturating_sub(head.len());
            let head = head.get(turn.sent..).unwrap_or_default();
            let body = sends.body.get(of_body..).unwrap_or_default();
            if head.is_empty() && body.is_empty() {
                return Outcome::Goes;
            }
            match socket.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(n) => turn.sent = turn.sent.saturating_add(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Outcome::Goes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Outcome::Failed(format!("write: {}", e.kind())),
            }
        }
    }

    /// Reads what is there; up to the end if the peer has `closed` its side.
    fn read(&mut self, buffer: &mut [u8], closed: bool) -> Outcome {
        loop {
            let Some(socket) = self.socket.as_mut() else { return Outcome::Goes };
            let read = match socket.read(buffer) {
                Ok(0) => return self.ended(),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Outcome::Goes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return self.lost(format!("read: {}", e.kind())),
            };
            let data = buffer.get(..read).unwrap_or_default();
            if let Err(broken) = self.reply.feed(data) {
                return Outcome::Failed(format!("answer: {}", broken.0));
            }
            let Some(turn) = self.turn.as_mut() else {
                return Outcome::Failed("answer: bytes after the answer".to_owned());
            };
            if turn.first_byte.is_none() && !self.reply.body().is_empty() {
                turn.first_byte = Some(Instant::now());
            }
            if self.reply.is_whole() {
                return self.answered();
            }
            // Less than there was room for: the socket is empty, and its next edge will come.
            if read < buffer.len() && !closed {
                return Outcome::Goes;
            }
        }
    }

    fn ended(&mut self) -> Outcome {
        if self.turn.is_none() {
            return Outcome::Goes;
        }
        if self.reply.ends() {
            return self.answered();
        }
        if self.reply.is_untouched() {
            return Outcome::Failed("closed before the answer".to_owned());
        }
        Outcome::Failed("closed within the answer".to_owned())
    }

    fn answered(&self) -> Outcome {
        match &self.turn {
            Some(turn) => Outcome::Answered {
                due: turn.due,
                first_byte: turn.first_byte.unwrap_or_else(Instant::now),
            },
            None => Outcome::Goes,
        }
    }

    /// A connection that is lost while nobody waits is no failure.
    fn lost(&self, why: String) -> Outcome {
        if self.turn.is_some() { Outcome::Failed(why) } else { Outcome::Goes }
    }
}
