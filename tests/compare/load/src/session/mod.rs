//! One WebSocket and what happens on it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::Fault;
use crate::frame::{CLOSE, PONG};
use crate::pace::Pace;
use crate::receiver::{Event, Receiver};
use crate::scratch;
use crate::sender::Sender;
use crate::stream::Stream;
use crate::tally::Tally;

/// A client's end of an opened WebSocket.
#[derive(Debug)]
pub(crate) struct Session {
    io: Stream,
    /// What came together with the answer to the handshake.
    early: Vec<u8>,
    sender: Sender,
    receiver: Receiver,
    /// When the messages that have not come back were due, oldest first. Only of closed loops.
    due: VecDeque<Instant>,
}

/// What the owner of a running session holds: it can wake it, and have it come to an end.
#[derive(Debug, Default)]
pub(crate) struct Reins {
    stopped: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

// ===== impl Session =====

impl Session {
    pub(crate) fn new(io: Stream, early: Vec<u8>) -> Self {
        Self {
            io,
            early,
            sender: Sender::new(),
            receiver: Receiver::new(),
            due: VecDeque::new(),
        }
    }

    /// Sends messages of `size` bytes as the pace has it, and checks what comes back, until the pace's last
    /// message, or all that was sent before [`Reins::stop`], is back.
    ///
    /// # Errors
    ///
    /// When the WebSocket ends, or something else comes back than was sent.
    pub(crate) async fn run(
        &mut self,
        size: usize,
        pace: &Pace,
        reins: &Reins,
        tally: &Tally,
    ) -> Result<(), Fault> {
        poll_fn(|cx| {
            reins.hold(cx.waker());
            Poll::Ready(())
        })
        .await;
        // What was due and not begun when the last run was stopped.
        self.due.truncate(self.outstanding() as usize);
        let early = mem::take(&mut self.early);
        self.receive(&early, size, pace, tally)?;
        poll_fn(|cx| self.poll_run(cx, size, pace, reins, tally)).await
    }

    /// Messages that were sent and are not back.
    pub(crate) const fn outstanding(&self) -> u64 {
        self.sender
            .messages()
            .saturating_sub(self.receiver.messages())
    }

    /// The closing handshake (RFC 6455, 7.1.2): a Close, the peer's, and the end, which is the server's to begin.
    /// Messages of `size` bytes may still come before the peer's Close.
    ///
    /// # Errors
    ///
    /// When one of them does not come within [`CLOSE_WITHIN`].
    pub(crate) async fn close(mut self, size: usize) -> Result<(), Fault> {
        self.sender.control(CLOSE, &NORMAL.to_be_bytes())?;
        let mut closed = false;
        let closing = poll_fn(|cx| self.poll_close(cx, size, &mut closed));
        match timeout(CLOSE_WITHIN, closing).await {
            Ok(outcome) => outcome,
            Err(_) if closed => Err(Fault::new("no end after the Close")),
            Err(_) => Err(Fault::new("no answer to the Close")),
        }
    }

    fn poll_run(
        &mut self,
        cx: &mut Context<'_>,
        size: usize,
        pace: &Pace,
        reins: &Reins,
        tally: &Tally,
    ) -> Poll<Result<(), Fault>> {
        loop {
            let received = self.poll_receive(cx, size, pace, tally)?;
            let stopped = reins.is_stopped();
            let due = if stopped { 0 } else { self.owed(pace) };
            let sent = self
                .sender
                .poll_send(cx, Pin::new(&mut self.io), due, size)?;
            let over = stopped || self.sender.messages() >= pace.last();
            if over && self.sender.is_idle() && (!pace.is_echoed() || self.outstanding() == 0) {
                return Poll::Ready(Ok(()));
            }
            if received.is_pending() && sent.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// How many messages may be begun now.
    fn owed(&mut self, pace: &Pace) -> u64 {
        match pace {
            Pace::Closed { in_flight, last } => {
                let free = in_flight.saturating_sub(self.outstanding());
                let owed = free.min(last.saturating_sub(self.sender.messages()));
                // What was owed and not begun, the buffer being full, has been due since then.
                let known = (self.due.len() as u64).saturating_sub(self.outstanding());
                if owed > known {
                    let now = Instant::now();
                    self.due.extend((known..owed).map(|_| now));
                }
                owed
            }
            Pace::Open(schedule) | Pace::Publish(schedule) => schedule
                .due_by(Instant::now())
                .saturating_sub(self.sender.messages()),
            Pace::Listen(_) => 0,
        }
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        size: usize,
        pace: &Pace,
        tally: &Tally,
    ) -> Poll<Result<(), Fault>> {
        scratch::with_input(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(Fault::new("the connection ended")));
            }
            Poll::Ready(self.receive(buffer.filled(), size, pace, tally))
        })
    }

    fn receive(
        &mut self,
        bytes: &[u8],
        size: usize,
        pace: &Pace,
        tally: &Tally,
    ) -> Result<(), Fault> {
        let Self {
            sender,
            receiver,
            due,
            ..
        } = self;
        let mut record = tally.record();
        let mut outcome = Ok(());
        receiver.feed(bytes, size, |event| match event {
            Event::Message(number) => record.message(match pace.due(number) {
                Some(due) => due,
                None => due.pop_front().unwrap_or_else(Instant::now),
            }),
            Event::Ping(payload) => outcome = sender.control(PONG, payload),
            Event::Close(code) => {
                let code = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                outcome = Err(Fault::new(format!("the peer sent a Close, with {code}")));
            }
        })?;
        outcome
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        size: usize,
        closed: &mut bool,
    ) -> Poll<Result<(), Fault>> {
        loop {
            let _ = self.sender.poll_send(cx, Pin::new(&mut self.io), 0, 0)?;
            let read = scratch::with_input(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
                if !*closed {
                    let told = |event: Event<'_>| *closed |= matches!(event, Event::Close(_));
                    self.receiver.feed(buffer.filled(), size, told)?;
                }
                Poll::Ready(Ok(buffer.filled().len()))
            });
            match ready!(read) {
                Ok(0) if !*closed => return Poll::Ready(Err(Fault::new("an end without a Close"))),
                Ok(1..) => {}
                // After the Close any end will do.
                Ok(0) => return Poll::Ready(Ok(())),
                Err(_) if *closed => return Poll::Ready(Ok(())),
                Err(fault) => return Poll::Ready(Err(fault)),
            }
        }
    }
}

// ===== impl Reins =====

impl Reins {
    /// Has the session end as soon as all that it has sent is back.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Has the session look at the clock.
    pub(crate) fn wake(&self) {
        let waker = self.waker.lock().expect("no holder panics");
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }

    fn hold(&self, waker: &Waker) {
        *self.waker.lock().expect("no holder panics") = Some(waker.clone());
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Longer than any proxy waits for the other side's last words while it is under load.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// "Normal closure" (RFC 6455, 7.4.1).
const NORMAL: u16 = 1000;

#[cfg(test)]
mod tests;
