//! What has become of the messages: those on their way, those acknowledged, those refused.

use std::collections::VecDeque;
use std::fmt;

use ohmqtt_client::{
    Acknowledgement, Client, ConnectionState, LostMessage, Publication, TopicName,
};

use crate::failure::{Failure, lost_code};

/// The messages of one run.
pub(super) struct Tally {
    on_their_way: VecDeque<(TopicName, Publication)>,
    /// So many may be on their way.
    limit: usize,
    quiet: bool,
    published: u64,
    acknowledged: u64,
    refused: u64,
    /// The first that was refused counts for the exit code.
    code: u8,
}

impl Tally {
    pub(super) fn new(limit: usize, quiet: bool) -> Self {
        Self {
            on_their_way: VecDeque::new(),
            limit,
            quiet,
            published: 0,
            acknowledged: 0,
            refused: 0,
            code: 0,
        }
    }

    pub(super) fn sent(&mut self, topic: TopicName, publication: Publication) {
        self.published += 1;
        self.on_their_way.push_back((topic, publication));
    }

    /// Waits until one more may be on its way.
    pub(super) async fn make_room(&mut self, client: &Client) -> Result<(), Failure> {
        while self.on_their_way.len() >= self.limit {
            self.first(client).await?;
        }
        Ok(())
    }

    /// Forgets the oldest beyond the limit: with a store they are as safe unwatched.
    pub(super) fn look(&mut self) {
        while self.on_their_way.len() > self.limit {
            self.on_their_way.pop_front();
        }
    }

    /// Waits until none is on its way.
    pub(super) async fn wait(&mut self, client: &Client) -> Result<(), Failure> {
        while !self.on_their_way.is_empty() {
            self.first(client).await?;
        }
        Ok(())
    }

    /// Waits for the oldest, which stays where it is until it is done.
    async fn first(&mut self, client: &Client) -> Result<(), Failure> {
        let Some((topic, publication)) = self.on_their_way.front() else {
            return Ok(());
        };
        let end = publication.acked().await;
        let topic = topic.clone();
        self.on_their_way.pop_front();
        match end {
            Ok(acknowledgement) => {
                self.acknowledge(&topic, &acknowledgement);
                Ok(())
            }
            Err(lost) => Err(lost_failure(client, &topic, lost)),
        }
    }

    fn acknowledge(&mut self, topic: &TopicName, acknowledgement: &Acknowledgement) {
        let Acknowledgement {
            reason, properties, ..
        } = acknowledgement;
        if !reason.is_error() {
            self.acknowledged += 1;
            return;
        }
        self.refused += 1;
        let words = properties.reason_string();
        let words = words.map_or_else(String::new, |words| format!(" ('{words}')"));
        let failure = Failure::refused(format!("publish to '{topic}'{words}"), *reason);
        if self.code == 0 {
            self.code = failure.code;
        }
        if !self.quiet {
            failure.tell();
        }
    }

    /// Whether all went well.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.code {
            0 => Ok(()),
            code => Err(Failure::silent(code)),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.published - self.acknowledged - self.refused;
        write!(
            f,
            "{} messages published, {} acknowledged, {} refused, {waiting} not known",
            self.published, self.acknowledged, self.refused
        )
    }
}

/// A message that was taken and will not arrive: why, and why that.
fn lost_failure(client: &Client, topic: &TopicName, lost: LostMessage) -> Failure {
    if let (LostMessage::Closed, ConnectionState::Closed { error }) = (lost, client.state()) {
        return Failure::from(&error);
    }
    let advice = match lost {
        LostMessage::TooLarge { .. } => "; send less at once",
        LostMessage::QosNotSupported { .. } => "; publish with a lower -q",
        LostMessage::RetainNotSupported => "; publish without -r",
        _ => "",
    };
    Failure::new(
        lost_code(lost),
        format!("publish to '{topic}': {lost}{advice}"),
    )
}
