//! What all processes of a line said and suffered, in one file, in the order in which the rig heard of it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::stamp;

/// The file `trace.log` in a line's folder. Clones write to the same.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    file: Arc<Mutex<BufWriter<File>>>,
    begin: u64,
}

impl Trace {
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let file = File::create(folder.join("trace.log"))?;
        Ok(Self {
            file: Arc::new(Mutex::new(BufWriter::new(file))),
            begin: stamp::now(),
        })
    }

    /// A line of it: microseconds since it began, who, what.
    pub(crate) fn note(&self, who: &str, what: &str) {
        let at = stamp::now().saturating_sub(self.begin);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // It is there to be looked at after a failure; one more failure helps nobody.
        let _ = writeln!(file, "{at:>10} {who} {what}");
    }

    pub(crate) fn flush(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.flush();
    }
}
