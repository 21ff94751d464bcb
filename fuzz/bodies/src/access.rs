//! Files of passwords and of rules.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::Duration;

use ohmqtt_broker::{Broker, StartError};
use tokio::runtime::{Builder, Runtime};

/// The first byte says whether the rest is a file of passwords or of rules.
///
/// A broker starts with it, or says which line is wrong, and shows nothing of a hash.
pub(crate) fn run(data: &[u8]) {
    thread_local! {
        static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text).expect("room in it");
    let builder = Broker::builder().listen("mqtt://127.0.0.1:0");
    let of_passwords = first % 2 == 0;
    let builder = if of_passwords {
        builder.passwords(file.path())
    } else {
        builder.acl(file.path())
    };
    RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            let mut builder = Builder::new_current_thread();
            builder.enable_all().build().expect("a runtime")
        });
        runtime.block_on(async {
            match builder.start().await {
                Ok(broker) => broker.shutdown(Duration::ZERO).await,
                Err(StartError::Access(error)) => {
                    let error = error.to_string();
                    assert!(!error.is_empty());
                    if of_passwords {
                        look_for_hashes(&error, text);
                    }
                }
                Err(error) => panic!("not for the file: {error}"),
            }
        });
    });
}

/// What stands behind the first `$` of a line may be one, and a name that says the same has not shown it.
fn look_for_hashes(error: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('$'))
        .collect();
    for (_, hash) in lines.iter().filter(|(_, hash)| hash.len() >= 16) {
        let is_a_name = lines.iter().any(|(name, _)| name.contains(hash));
        assert!(is_a_name || !error.contains(hash), "{error} shows a hash");
    }
}
