//! The null broker behind a socket of loopback, as a process of its own, so that the system calls of a client are its alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::Result;
use super::null::Null;

/// Prints a free port and serves every connection to it, until the parent closes this process's standard input. Who subscribes gets messages
/// of this QoS without end.
pub fn serve(qos: u8) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // That a client leaves is how each connection ends.
            thread::spawn(move || drop(answer(stream, qos)));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// One connection. It waits only where it has nothing to say: what a client says while it does not read is heard too.
fn answer(mut stream: TcpStream, qos: u8) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut null = Null::flooding(qos);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if null.answers().is_empty() {
            stream.set_nonblocking(false)?;
        } else {
            stream.set_nonblocking(true)?;
            match stream.write(null.answers()) {
                Ok(written) => null.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    thread::yield_now();
                }
                Err(error) => return Err(error),
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => null.take(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The broker in a process of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Process {
    /// Starts this program with the word `null` and a QoS, which is to call [`serve`].
    pub fn start(qos: u8) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command
            .args(["null", &qos.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.trim().parse()?;
        Ok(Self { child, port })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends with its input.
        let _ = self.child.wait();
    }
}
