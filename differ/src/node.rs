//! mqtt-packet, the codec of MQTT.js, in Node.js: a script reads a line of digits for each packet and writes a line of what it found.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fields::{Fields, hex};
use crate::{Reading, Result};

const SCRIPT: &str = "interop/mqttjs/packets.js";

/// What it reads in each packet.
pub(crate) fn read(node: &str, folder: &Path, frames: &[Vec<u8>]) -> Result<Vec<Reading>> {
    let mut lines = String::new();
    for frame in frames {
        writeln!(lines, "{}", hex(frame))?;
    }
    let file = folder.join("packets.hex");
    std::fs::write(&file, lines)?;
    let mut command = Command::new(node);
    command.arg(SCRIPT).arg(file).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("node {SCRIPT}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(packet).collect()
}

/// Reads `error TEXT`, or the type and, each behind a tab, `NAME=VALUE`; `property 38=` and `will property 38=` are properties.
fn packet(line: &str) -> Result<Reading> {
    if let Some(error) = line.strip_prefix("error ") {
        return Ok(Err(format!("refuses it: {error}")));
    }
    let mut parts = line.split('\t');
    let mut it = Fields::new(parts.next().unwrap_or_default());
    for part in parts {
        let (name, value) = part.split_once('=').ok_or("a field without a value")?;
        let (will, rest) = match name.strip_prefix("will property ") {
            Some(id) => (true, Some(id)),
            None => (false, name.strip_prefix("property ")),
        };
        match rest {
            Some(id) => it.push_property(will, id.parse()?, value),
            None => it.push(name, value),
        }
    }
    Ok(Ok(it))
}
