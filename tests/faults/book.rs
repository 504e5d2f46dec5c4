//! What one side saw of each tunnel.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// The pages of all tunnels of one side. Clones are the same book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pages: Arc<watch::Sender<Pages>>,
}

/// By the path of the handshake.
pub(crate) type Pages = BTreeMap<String, Page>;

/// What is known of one tunnel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Messages that were written.
    pub(crate) sent: u64,
    /// Messages that came, each after the one before it.
    pub(crate) received: u64,
    /// Messages that had come before.
    pub(crate) twice: u64,
    /// Messages that came although one before them had not.
    pub(crate) early: u64,
    /// Messages that were not as they had been sent.
    pub(crate) damaged: u64,
    /// Pings that were answered.
    pub(crate) pings: u64,
    pub(crate) end: Option<End>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) at: Instant,
    pub(crate) how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// By a Close.
    Close(u16, String),
    /// The connection ended without one.
    Eof,
    /// The same within a frame, where none could stand.
    Truncated,
    /// It broke.
    Broken(String),
}

// ===== impl Book =====

impl Book {
    /// Changes the page of a tunnel.
    pub(crate) fn note(&self, name: &str, note: impl FnOnce(&mut Page)) {
        self.pages
            .send_modify(|pages| note(pages.entry(name.to_owned()).or_default()));
    }

    /// A message came.
    pub(crate) fn message(&self, name: &str, number: Option<u64>) {
        self.note(name, |page| match number {
            None => page.damaged += 1,
            Some(number) if number < page.received => page.twice += 1,
            Some(number) if number > page.received => page.early += 1,
            Some(_) => page.received += 1,
        });
    }

    /// It has ended, if it had not before.
    pub(crate) fn end(&self, name: &str, how: How) {
        let at = Instant::now();
        self.note(name, |page| {
            page.end.get_or_insert(End { at, how });
        });
    }

    pub(crate) fn pages(&self) -> Pages {
        self.pages.borrow().clone()
    }

    /// Waits for what is to come, and gives the pages as they are then.
    ///
    /// # Panics
    ///
    /// When it does not come within `limit`.
    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Pages) -> bool,
    ) -> Pages {
        let mut pages = self.pages.subscribe();
        match timeout(limit, pages.wait_for(condition)).await {
            Ok(pages) => pages.expect("we hold the sender").clone(),
            Err(_) => panic!("{what}: not within {limit:?}; {:?}", self.pages()),
        }
    }

    /// Waits until so many tunnels have ended.
    ///
    /// # Panics
    ///
    /// As [`Book::until`].
    pub(crate) async fn ended(&self, count: usize, limit: Duration) -> Pages {
        let what = format!("the end of {count}");
        let have_ended = |pages: &Pages| pages.values().filter(|page| page.end.is_some()).count();
        self.until(&what, limit, |pages| have_ended(pages) >= count)
            .await
    }

    /// Waits until so many more messages have come on each tunnel.
    ///
    /// # Panics
    ///
    /// As [`Book::until`], or when a tunnel ends.
    pub(crate) async fn more(&self, messages: u64, limit: Duration) {
        let before = self.pages();
        self.until("more messages", limit, |pages| {
            pages.iter().all(|(name, page)| {
                assert!(page.end.is_none(), "{name} has ended: {page:?}");
                let before = before.get(name).map_or(0, |page| page.received);
                page.received >= before + messages
            })
        })
        .await;
    }
}

// ===== impl Page =====

impl Page {
    /// Whether every message that came was the next one, and whole.
    pub(crate) fn is_in_order(&self) -> bool {
        (self.twice, self.early, self.damaged) == (0, 0, 0)
    }

    /// How it ended.
    pub(crate) fn how(&self) -> Option<&How> {
        self.end.as_ref().map(|end| &end.how)
    }
}

// ===== impl How =====

impl From<io::Error> for How {
    fn from(error: io::Error) -> Self {
        Self::Broken(match error.kind() {
            // rustls adds a link to its manual.
            io::ErrorKind::UnexpectedEof => "end without a TLS close_notify".to_owned(),
            io::ErrorKind::ConnectionReset => "reset".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(code, reason) if reason.is_empty() => write!(f, "{code}"),
            Self::Close(code, reason) => write!(f, "{code} {reason}"),
            Self::Eof => f.write_str("end without a Close"),
            Self::Truncated => f.write_str("end within a frame"),
            Self::Broken(error) => f.write_str(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_out_of_line_are_told_apart() {
        let book = Book::default();
        for number in [Some(0), Some(1), Some(1), Some(4), None, Some(2)] {
            book.message("a", number);
        }
        let page = &book.pages()["a"];
        assert_eq!(
            (page.received, page.twice, page.early, page.damaged),
            (3, 1, 1, 1)
        );
        assert!(!page.is_in_order());
    }

    #[test]
    fn the_first_end_counts() {
        let book = Book::default();
        book.end("a", How::Close(1000, String::new()));
        book.end("a", How::Eof);
        assert_eq!(
            book.pages()["a"].how(),
            Some(&How::Close(1000, String::new()))
        );
    }
}
