//! Events and spans of `tracing` as lines of text. A line has what the event says, its fields, and those of the spans it is in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::queue::{self, Said};
use super::{filter, is_taken, logger, number};

thread_local! {
    /// The spans that this thread is in, the innermost last.
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Listens to what is said.
#[derive(Default)]
pub(super) struct Bridge {
    spans: Mutex<HashMap<u64, Span>>,
    last: AtomicU64,
}

struct Span {
    fields: String,
    parent: Option<u64>,
    holds: usize,
}

impl Bridge {
    fn spans(&self) -> MutexGuard<'_, HashMap<u64, Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn current() -> Option<u64> {
    INSIDE.with_borrow(|inside| inside.last().copied())
}

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if logger(metadata).is_some() {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        logger(metadata).is_some() && (metadata.is_span() || is_taken(*metadata.level()))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        span.record(&mut text);
        let parent = if span.is_contextual() {
            current()
        } else {
            span.parent().map(Id::into_u64)
        };
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let made = Span {
            fields: text.fields,
            parent,
            holds: 1,
        };
        self.spans().insert(number, made);
        Id::from_u64(number)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        if let Some(span) = self.spans().get_mut(&span.into_u64()) {
            span.fields.push_str(&text.fields);
        }
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Some(logger) = logger(metadata) else {
            return;
        };
        let mut text = Text::default();
        event.record(&mut text);
        let mut inside = if event.is_contextual() {
            current()
        } else {
            event.parent().map(Id::into_u64)
        };
        {
            let spans = self.spans();
            while let Some(span) = inside.and_then(|number| spans.get(&number)) {
                text.fields.push_str(&span.fields);
                inside = span.parent;
            }
        }
        queue::put(Said {
            logger,
            level: number(*metadata.level()),
            text: text.message + &text.fields,
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
        });
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| {
            if let Some(at) = inside.iter().rposition(|number| *number == span.into_u64()) {
                inside.remove(at);
            }
        });
    }

    fn clone_span(&self, span: &Id) -> Id {
        if let Some(span) = self.spans().get_mut(&span.into_u64()) {
            span.holds += 1;
        }
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let mut spans = self.spans();
        let Some(held) = spans.get_mut(&span.into_u64()) else {
            return false;
        };
        held.holds -= 1;
        held.holds == 0 && spans.remove(&span.into_u64()).is_some()
    }
}

/// What an event says, and its fields, each after a space.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A String takes whatever is written.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
