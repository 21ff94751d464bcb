//! Which of the messages that come are printed.

use clap::Args;
use ohmqtt_client::{Message, TopicFilter};

use crate::failure::Failure;

/// Which messages are printed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Wanted {
    /// Leave out messages whose topics match this filter; may be given again
    #[arg(short = 'T', long = "filter-out", value_name = "FILTER")]
    filter_out: Vec<String>,
    /// Leave out retained messages
    #[arg(short = 'R', conflicts_with = "retained_only")]
    no_retained: bool,
    /// Print retained messages, and end with the first that is not
    #[arg(long)]
    retained_only: bool,
    /// Print so many percent of the messages, at random
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = percent, hide_default_value = true)]
    random_filter: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|percent| (0.1..=100.0).contains(percent))
        .ok_or_else(|| "a number from 0.1 to 100".to_owned())
}

/// The same, ready to be asked.
pub(super) struct Filter<'a> {
    wanted: &'a Wanted,
    out: Vec<TopicFilter>,
}

impl Wanted {
    pub(super) fn retained_only(&self) -> bool {
        self.retained_only
    }

    pub(super) fn filter(&self) -> Result<Filter<'_>, Failure> {
        let out = self.filter_out.iter().map(TopicFilter::new).collect();
        let out: Result<Vec<_>, _> = out;
        Ok(Filter {
            wanted: self,
            out: out.map_err(|error| Failure::usage(format!("-T: {error}")))?,
        })
    }
}

impl Filter<'_> {
    /// Whether nothing behind this message is wanted.
    pub(super) fn is_the_end(&self, message: &Message) -> bool {
        self.wanted.retained_only && !message.retain
    }

    pub(super) fn takes(&self, message: &Message) -> bool {
        let is_stale = self.wanted.no_retained && message.retain;
        !is_stale && !self.out.iter().any(|filter| filter.matches(&message.topic))
    }

    /// Whether it is one of those that are picked at random.
    pub(super) fn is_picked(&self) -> bool {
        let percent = self.wanted.random_filter;
        percent >= 100.0 || fastrand::f64() * 100.0 < percent
    }
}
