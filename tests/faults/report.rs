//! The table at the end.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::book::{Book, Pages};
use crate::gateway::Event;

/// What one scenario came to: a line of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// What was done to what.
    pub(crate) what: String,
    /// How many tunnels.
    pub(crate) tunnels: usize,
    /// Who was found dead, and by whom; nothing where nobody was.
    pub(crate) found: Option<Found>,
    /// How long after the link was well again the clients knew.
    pub(crate) learned: Option<Duration>,
    /// What each side saw of the end.
    pub(crate) client: String,
    pub(crate) gateway: String,
    pub(crate) upstream: String,
    pub(crate) sent: u64,
    /// Only those of tunnels that live: what a dead one still had under way is lost with it.
    pub(crate) lost: Option<u64>,
    pub(crate) twice: u64,
}

/// A peer that was found dead.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) by: String,
    pub(crate) after: Duration,
}

// ===== impl Line =====

impl Line {
    pub(crate) fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            ..Self::default()
        }
    }

    /// Counts the messages of clients that talk to echoes, and says how the tunnels ended.
    ///
    /// # Panics
    ///
    /// When a message came twice, out of order, or damaged, on either side.
    pub(crate) fn count(mut self, clients: &Book, upstreams: &Book) -> Self {
        let (clients, upstreams) = (clients.pages(), upstreams.pages());
        for (name, page) in clients.iter().chain(&upstreams) {
            assert!(page.is_in_order(), "{name}: {page:?}");
        }
        self.tunnels = clients.len();
        self.sent = clients.values().map(|page| page.sent).sum();
        self.client = ends(&clients);
        self.upstream = ends(&upstreams);
        self
    }

    /// The same of tunnels that have lived through it: every message came back.
    ///
    /// # Panics
    ///
    /// As [`Line::count`], or when a message did not come, or a tunnel did not end by the client's Close.
    pub(crate) fn count_all(self, clients: &Book, upstreams: &Book) -> Self {
        let line = self.count(clients, upstreams);
        let (pages, other) = (clients.pages(), upstreams.pages());
        for (name, page) in &pages {
            let (there, back) = (other[name].received, page.received);
            assert_eq!((there, back), (page.sent, page.sent), "{name}: {page:?}");
        }
        assert_eq!((&*line.client, &*line.upstream), ("1000", "1000"));
        Self {
            lost: Some(0),
            ..line
        }
    }

    pub(crate) fn found(self, by: &str, after: Duration) -> Self {
        Self {
            found: Some(Found {
                by: by.to_owned(),
                after,
            }),
            ..self
        }
    }

    /// The clients were told of the end when the link was well again, at that time.
    pub(crate) fn healed(self, at: Instant, clients: &Book) -> Self {
        let pages = clients.pages();
        let ends = pages.values().filter_map(|page| page.end.as_ref());
        let last = ends.map(|end| end.at.saturating_duration_since(at)).max();
        Self {
            learned: last,
            ..self
        }
    }

    /// What the gateway's closing events say.
    pub(crate) fn told(mut self, events: &[Event]) -> Self {
        let told = events.iter().map(|event| {
            let word = |name| event.field(name).as_str().unwrap_or_default().to_owned();
            let code = event.field("close_code").as_u64();
            let code = code.map_or(String::new(), |code| format!(", {code}"));
            let side = word("side");
            let side = if side.is_empty() {
                side
            } else {
                format!(" of {side}")
            };
            format!("{}: {}{side}{code}", word("closed_by"), word("cause"))
        });
        self.gateway = different(told);
        self
    }
}

/// The lines as a table of Markdown.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = "| fault | tunnels | found dead by | after | the client saw | after the heal | the gateway's event | the upstream saw \
                     | sent | lost | twice |\n|---|---:|---|---:|---|---:|---|---|---:|---:|---:|\n"
        .to_owned();
    for line in lines {
        let (by, after) = match &line.found {
            Some(Found { by, after }) => (&**by, shown(Some(*after))),
            None => ("nobody", shown(None)),
        };
        let learned = shown(line.learned);
        let lost = line.lost.map_or("-".to_owned(), |lost| lost.to_string());
        let _ = writeln!(
            table,
            "| {} | {} | {by} | {after} | {} | {learned} | {} | {} | {} | {lost} | {} |",
            line.what,
            line.tunnels,
            line.client,
            line.gateway,
            line.upstream,
            line.sent,
            line.twice
        );
    }
    table
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| {
        format!("{:.1} s", time.as_secs_f64())
    })
}

fn ends(pages: &Pages) -> String {
    different(pages.values().map(|page| match page.how() {
        Some(how) => how.to_string(),
        None => "open".to_owned(),
    }))
}

fn different(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<_> = words.collect();
    words.sort();
    words.dedup();
    words.join("; ")
}
