//! Ending a connection so that the other end gets to read why.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Shuts down what was written to `stream` last and reads on for a moment. A stream closed over unread data is reset, and
/// the reset can overtake the last words.
pub(crate) async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    const LONGEST: Duration = Duration::from_secs(1);
    const MOST: u64 = 64 * 1024;
    let to_the_end = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MOST), &mut tokio::io::sink()).await
    };
    let _: Result<io::Result<u64>, _> = timeout(LONGEST, to_the_end).await;
}
