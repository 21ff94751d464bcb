//! Trees of topic levels: which of a hundred thousand subscriptions is a message for, and which retained messages are for a subscription?
//!
//! [`FilterTree`] has values at topic filters and finds those that match a topic, at a cost that does not grow with the number of
//! filters. [`Recent`] remembers what was found for the topics that came last. [`Trie`] is the tree underneath, for who walks it
//! otherwise. None of them knows what a subscription is: a client keeps its streams in one, a broker its subscribers.
//!
//! ```
//! use ohmqtt_codec::{TopicFilter, TopicName};
//! use ohmqtt_topics::{FilterTree, Vacant, Ways};
//!
//! #[derive(Default)]
//! struct Readers(Vec<&'static str>);
//!
//! impl Vacant for Readers {
//!     fn is_vacant(&self) -> bool {
//!         self.0.is_empty()
//!     }
//! }
//!
//! let mut tree = FilterTree::<Readers>::new();
//! for (filter, reader) in [("lamps/+", "panel"), ("lamps/hall", "switch"), ("doors/#", "alarm")] {
//!     if let Some(readers) = tree.get_or_insert(&TopicFilter::new(filter)?) {
//!         readers.0.push(reader);
//!     }
//! }
//! let mut found = Vec::<&str>::new();
//! // Kept and used again, it saves an allocation for each message.
//! let mut ways = Ways::default();
//! tree.visit_matches(&TopicName::new("lamps/hall")?, &mut ways, |_, readers| found.extend(&readers.0));
//! found.sort();
//! assert_eq!(found, ["panel", "switch"]);
//! # Ok::<(), ohmqtt_codec::InvalidTopic>(())
//! ```

mod filter_tree;
mod recent;
mod trie;

pub use filter_tree::{FilterTree, Ways};
pub use recent::Recent;
pub use trie::{NodeId, ROOT, Trie, Vacant, first_level};

/// Runs part of a test where recursion would soon find the end of its stack.
#[cfg(test)]
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    if let Err(panic) = thread.spawn(run).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}
