//! Streams of text, into the hub.

use super::reply::{Piece, Pieces};
use crate::{
    dialect::{
        events::{self, Events},
        figures::Figures,
    },
    fault::Fault,
    op::chat::{Delta, Event, Extra, Opening, Start},
};

/// Reads a stream.
pub(super) type Decoder<P> = events::Decoder<State<P>>;

#[derive(Default)]
pub(super) struct State<P> {
    started: bool,
    open: bool,
    done: bool,
    figures: Figures,
    pieces: std::marker::PhantomData<P>,
}

impl<P: Pieces> Events for State<P> {
    fn frame(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done || data.trim_ascii().is_empty() {
            return Ok(());
        }
        let Piece { text, finish } = P::piece(data, &mut self.figures)?;
        if !self.started {
            self.started = true;
            out.push(Event::Start(Start {
                upstream: P::DIALECT,
                id: String::new(),
                model: String::new(),
                created: None,
                usage: None,
                extra: Extra::new(),
            }));
        }
        if !text.is_empty() {
            if !self.open {
                self.open = true;
                out.push(Event::Open { choice: 0, part: 0, kind: Opening::Text });
            }
            out.push(Event::Delta { choice: 0, part: 0, delta: Delta::Text(text) });
        }
        if let Some(finish) = finish {
            if self.open {
                out.push(Event::Close { choice: 0, part: 0 });
            }
            out.push(Event::Usage(self.figures.usage(P::DIALECT, (0, 0))));
            out.push(Event::Finish { choice: 0, finish });
            self.done = true;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
