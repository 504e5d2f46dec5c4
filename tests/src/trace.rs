//! The log of a test: printed when the test fails, and there to be asked what was logged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, fmt as printed};

use crate::io::within;

/// While it lives, what is logged on this thread goes to the test's output and is kept.
///
/// On this thread: `#[tokio::test]` runs all tasks of a test on one, unless it asks for more.
#[derive(Debug)]
#[must_use = "it ends when dropped"]
pub struct Trace {
    kept: Arc<Kept>,
    _default: DefaultGuard,
}

/// One logged event.
#[derive(Clone, Debug)]
pub struct Event {
    /// How loud.
    pub level: Level,
    /// The module that logged it.
    pub target: String,
    /// The words.
    pub message: String,
    /// The fields of the event and of the spans it stands in; the innermost of a name counts.
    pub fields: BTreeMap<String, String>,
    /// The names of the spans it stands in, outermost first.
    pub spans: Vec<String>,
}

/// Starts a log. Begin a test with `let _trace = trace::init();`.
///
/// `RUST_LOG` chooses what is printed and kept, debug and above of our crates by default.
pub fn init() -> Trace {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new(
            "info,wsgate=debug,wsgate_layer=debug,wsgate_proxy=debug,wsgate_server=debug,e2e=debug",
        )
    });
    init_with(filter)
}

/// A log of all that our crates tell, whatever `RUST_LOG` says.
pub fn of_everything() -> Trace {
    init_with(EnvFilter::new(
        "info,wsgate=trace,wsgate_frame=trace,wsgate_layer=trace,wsgate_proxy=trace,\
         wsgate_server=trace,wsgate_tls=trace",
    ))
}

fn init_with(filter: EnvFilter) -> Trace {
    let kept = Arc::default();
    let subscriber = Registry::default()
        .with(filter)
        .with(printed::layer().with_test_writer())
        .with(Keep {
            kept: Arc::clone(&kept),
        });
    Trace {
        kept,
        _default: tracing::subscriber::set_default(subscriber),
    }
}

// ===== impl Trace =====

impl Trace {
    /// What was logged so far.
    pub fn events(&self) -> Vec<Event> {
        self.kept
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The events whose words contain these.
    pub fn find(&self, message: &str) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| event.message.contains(message));
        events
    }

    /// Waits until there are so many events whose words contain these.
    ///
    /// # Panics
    ///
    /// When there are not in time, or when there are more.
    pub async fn until(&self, message: &str, count: usize) -> Vec<Event> {
        let events = within(message, async {
            loop {
                let another = self.kept.another.notified();
                let events = self.find(message);
                if events.len() >= count {
                    return events;
                }
                another.await;
            }
        })
        .await;
        assert_eq!(events.len(), count, "{events:?}");
        events
    }
}

// ===== impl Event =====

impl Event {
    /// The value of a field, as it is printed.
    ///
    /// # Panics
    ///
    /// When there is no such field.
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.unwrap_or_else(|| panic!("no field {name:?} in {self:?}"))
    }
}

/// The events so far.
#[derive(Debug, Default)]
struct Kept {
    events: Mutex<Vec<Event>>,
    /// Says that there is one more.
    another: Notify,
}

/// The layer that keeps the events.
struct Keep {
    kept: Arc<Kept>,
}

/// The fields of a span or an event, collected.
#[derive(Clone, Default)]
struct Collected(BTreeMap<String, String>);

// ===== impl Keep =====

impl<S> Layer<S> for Keep
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Collected::default();
        attributes.record(&mut fields);
        let span = context.span(id).expect("the registry has the span");
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("the registry has the span");
        let mut extensions = span.extensions_mut();
        values.record(
            extensions
                .get_mut::<Collected>()
                .expect("every span has one"),
        );
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        let mut spans = Vec::new();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            spans.push(span.name().to_owned());
            fields.extend(
                span.extensions()
                    .get::<Collected>()
                    .cloned()
                    .unwrap_or_default()
                    .0,
            );
        }
        let mut own = Collected::default();
        event.record(&mut own);
        let message = own.0.remove("message").unwrap_or_default();
        fields.extend(own.0);
        let metadata = event.metadata();
        let (level, target) = (*metadata.level(), metadata.target().to_owned());
        let event = Event {
            level,
            target,
            message,
            fields,
            spans,
        };
        self.kept
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
        self.kept.another.notify_waiters();
    }
}

// ===== impl Collected =====

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}
