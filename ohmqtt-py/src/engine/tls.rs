//! TLS by Python's `ssl`: a context over memory BIOs, between the client's stream and TCP.
//!
//! Each connection has a thread of its own, because `ssl` wants the GIL, and the I/O thread waits for that never.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ohmqtt_client::{
    BoxFuture, CertificateFault, Connect, Connector, Endpoint, Phase, Scheme, Transport,
    TransportError, TransportErrorKind, WsOptions, websocket,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::runtime;

/// How much is read at once, and how much may wait in between, in bytes.
const CHUNK: usize = 64 * 1024;

/// So long is waited for the server to hang up once this side has.
const LAST_READ: Duration = Duration::from_secs(2);

/// What `ssl` raised last.
pub(super) type Fault = Arc<Mutex<Option<PyErr>>>;

/// Connects by a context of Python's.
pub(super) struct ContextConnector {
    context: Arc<Py<PyAny>>,
    /// The name the certificate is to be for, if not the address's.
    hostname: Option<String>,
    fault: Fault,
    plain: Connector,
}

impl ContextConnector {
    pub(super) fn new(context: Py<PyAny>, hostname: Option<String>) -> Self {
        Self {
            context: Arc::new(context),
            hostname,
            fault: Fault::default(),
            plain: Connector::new(),
        }
    }

    /// Another one that tells its faults where this does.
    pub(super) fn again(&self) -> Self {
        Self {
            context: Arc::clone(&self.context),
            hostname: self.hostname.clone(),
            fault: Arc::clone(&self.fault),
            plain: self.plain.clone(),
        }
    }

    /// What `ssl` raised last.
    pub(super) fn fault(&self, py: Python<'_>) -> Option<PyErr> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.as_ref().map(|error| error.clone_ref(py))
    }

    async fn secure(&self, to: &Endpoint) -> Result<DuplexStream, TransportError> {
        let failed = |error| TransportError::from_io(Phase::Connect, to, error);
        let tcp = self.plain.connect(&below(to)?).await?;
        let (near, far) = duplex(CHUNK);
        let (ready, done) = oneshot::channel();
        let own = Handle::try_current().map_err(|error| failed(std::io::Error::other(error)))?;
        let hostname = self.hostname.as_deref().or(to.host()).unwrap_or_default();
        let (context, hostname) = (Arc::clone(&self.context), hostname.to_owned());
        let fault = Arc::clone(&self.fault);
        let thread = std::thread::Builder::new().name("ohmqtt tls".to_owned());
        let run = move || own.block_on(run(context, hostname, tcp, far, ready, fault));
        thread.spawn(run).map_err(failed)?;
        let refused = match done.await {
            Ok(Ok(())) => return Ok(near),
            Ok(Err(refused)) => refused,
            Err(_) => Refused::of("the connection ended in the handshake"),
        };
        let Refused { kind, text } = refused;
        Err(TransportError::new(kind, Phase::Handshake, to, text))
    }
}

impl Connect for ContextConnector {
    fn connect<'a>(
        &'a self,
        to: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Transport>, TransportError>> {
        Box::pin(async move {
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
            match to.scheme() {
                Scheme::Mqtts => Ok(Box::new(self.secure(to).await?) as Box<dyn Transport>),
                Scheme::Wss => {
                    let stream = self.secure(to).await?;
                    websocket(stream, to, &WsOptions::new()).await
                }
                _ => self.plain.connect(to).await,
            }
        })
    }
}

/// The address of the TCP connection that carries this.
fn below(to: &Endpoint) -> Result<Endpoint, TransportError> {
    let host = to.host().unwrap_or_default();
    let (open, close) = if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    let port = to.port().unwrap_or_default();
    format!("mqtt://{open}{host}{close}:{port}")
        .parse()
        .map_err(|error| TransportError::misconfigured(Phase::Connect, to, error))
}

/// Why there is no TLS.
struct Refused {
    kind: TransportErrorKind,
    text: String,
}

impl Refused {
    fn of(text: &str) -> Self {
        Self {
            kind: TransportErrorKind::Tls,
            text: text.to_owned(),
        }
    }

    /// What `ssl` raised, which is kept as it is as well.
    fn keep(py: Python<'_>, error: PyErr, fault: &Fault) -> Self {
        let is_certificate = py
            .import(intern!(py, "ssl"))
            .and_then(|ssl| ssl.getattr(intern!(py, "SSLCertVerificationError")))
            .is_ok_and(|class| error.is_instance(py, &class));
        let kind = if is_certificate {
            TransportErrorKind::Certificate(CertificateFault::Invalid)
        } else {
            TransportErrorKind::Tls
        };
        let text = error.value(py).to_string();
        *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Self { kind, text }
    }
}

/// One connection's TLS, as Python has it.
struct Session {
    object: Py<PyAny>,
    incoming: Py<PyAny>,
    outgoing: Py<PyAny>,
    want_read: Py<PyAny>,
    established: bool,
}

/// What came of a step.
#[derive(Default)]
struct Step {
    /// For the client.
    plain: Vec<u8>,
    /// For the server.
    wire: Vec<u8>,
    /// The server has said that nothing more comes.
    ended: bool,
    error: Option<PyErr>,
}

impl Session {
    fn new(py: Python<'_>, context: &Py<PyAny>, hostname: &str) -> PyResult<Self> {
        let ssl = py.import(intern!(py, "ssl"))?;
        let incoming = ssl.getattr(intern!(py, "MemoryBIO"))?.call0()?;
        let outgoing = ssl.getattr(intern!(py, "MemoryBIO"))?.call0()?;
        let arguments = (&incoming, &outgoing, false, hostname);
        let object = context
            .bind(py)
            .call_method1(intern!(py, "wrap_bio"), arguments)?;
        Ok(Self {
            object: object.unbind(),
            incoming: incoming.unbind(),
            outgoing: outgoing.unbind(),
            want_read: ssl.getattr(intern!(py, "SSLWantReadError"))?.unbind(),
            established: false,
        })
    }

    /// Takes what came from both sides, and gives what goes to them.
    fn step(&mut self, py: Python<'_>, wire: &[u8], plain: &[u8], last: bool) -> Step {
        let mut step = Step::default();
        if let Err(error) = self.advance(py, wire, plain, last, &mut step) {
            step.error = Some(error);
        }
        let outgoing = self.outgoing.bind(py);
        match outgoing
            .call_method0(intern!(py, "read"))
            .and_then(|wire| wire.extract::<Vec<u8>>())
        {
            Ok(wire) => step.wire = wire,
            Err(error) => step.error = step.error.or(Some(error)),
        }
        step
    }

    fn advance(
        &mut self,
        py: Python<'_>,
        wire: &[u8],
        plain: &[u8],
        last: bool,
        step: &mut Step,
    ) -> PyResult<()> {
        let object = self.object.bind(py);
        if !wire.is_empty() {
            let wire = PyBytes::new(py, wire);
            self.incoming
                .bind(py)
                .call_method1(intern!(py, "write"), (wire,))?;
        }
        if !self.established {
            let done = object.call_method0(intern!(py, "do_handshake"));
            self.established = self.unless_more_is_needed(py, done)?.is_some();
        }
        if !self.established {
            return Ok(());
        }
        if !plain.is_empty() {
            object.call_method1(intern!(py, "write"), (PyBytes::new(py, plain),))?;
        }
        loop {
            let read = object.call_method1(intern!(py, "read"), (CHUNK,));
            let Some(read) = self.unless_more_is_needed(py, read)? else {
                break;
            };
            let read = read.cast::<PyBytes>()?.as_bytes();
            if read.is_empty() {
                step.ended = true;
                break;
            }
            step.plain.extend_from_slice(read);
        }
        if last {
            let unwrapped = object.call_method0(intern!(py, "unwrap"));
            self.unless_more_is_needed(py, unwrapped)?;
        }
        Ok(())
    }

    /// `None` when it cannot go on before more has come.
    fn unless_more_is_needed<'py>(
        &self,
        py: Python<'py>,
        result: PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match result {
            Err(error) if error.is_instance(py, self.want_read.bind(py)) => Ok(None),
            result => result.map(Some),
        }
    }
}

/// Carries one connection. `ready` hears of the end of the handshake.
async fn run(
    context: Arc<Py<PyAny>>,
    hostname: String,
    tcp: Box<dyn Transport>,
    far: DuplexStream,
    ready: oneshot::Sender<Result<(), Refused>>,
    fault: Fault,
) {
    // An interpreter that is about to end gives nobody the GIL.
    let made = runtime::visit(|py| {
        Session::new(py, &context, &hostname).map_err(|error| Refused::keep(py, error, &fault))
    });
    let mut ready = Some(ready);
    let tell = |ready: &mut Option<oneshot::Sender<_>>, result| {
        if let Some(ready) = ready.take() {
            // Who has given up needs no word.
            let _ = ready.send(result);
        }
    };
    let mut session = match made {
        Some(Ok(session)) => session,
        Some(Err(refused)) => return tell(&mut ready, Err(refused)),
        None => return,
    };
    let (mut from_server, mut to_server) = split(tcp);
    let (mut from_client, mut to_client) = split(far);
    let (mut wire_in, mut plain_in) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut wire_out, mut plain_out) = (Vec::new(), Vec::new());
    let (mut received, mut sent, mut last) = (0, 0, false);
    loop {
        let stepped = runtime::visit(|py| {
            let wire = wire_in.get(..received).unwrap_or_default();
            let plain = plain_in.get(..sent).unwrap_or_default();
            let mut step = session.step(py, wire, plain, last);
            let refused = step
                .error
                .take()
                .map(|error| Refused::keep(py, error, &fault));
            (step, refused)
        });
        let Some((step, refused)) = stepped else {
            return;
        };
        wire_out.extend_from_slice(&step.wire);
        plain_out.extend_from_slice(&step.plain);
        (received, sent) = (0, 0);
        if session.established && refused.is_none() {
            tell(&mut ready, Ok(()));
        }
        let ends = refused.is_some() || step.ended || last;
        if let Some(refused) = refused {
            tell(&mut ready, Err(refused));
        }
        if ends {
            // The last words of each side still reach the other.
            let to_server = async {
                to_server.write_all(&wire_out).await?;
                to_server.shutdown().await
            };
            let to_client = async { to_client.write_all(&plain_out).await };
            let words = async { tokio::join!(to_server, to_client) };
            let _ = tokio::time::timeout(LAST_READ, words).await;
            let hung_up =
                async { while from_server.read(&mut wire_in).await.is_ok_and(|n| n > 0) {} };
            let _ = tokio::time::timeout(LAST_READ, hung_up).await;
            return;
        }
        // Until something has come that only `ssl` understands.
        while received == 0 && sent == 0 && !last {
            tokio::select! {
                read = from_server.read(&mut wire_in), if plain_out.is_empty() => match read {
                    Ok(0) | Err(_) => return,
                    Ok(n) => received = n,
                },
                read = from_client.read(&mut plain_in), if wire_out.is_empty() => match read {
                    Ok(0) | Err(_) if !session.established => return,
                    Ok(0) | Err(_) => last = true,
                    Ok(n) => sent = n,
                },
                written = to_server.write(&wire_out), if !wire_out.is_empty() => match written {
                    Ok(n) if n > 0 => drop(wire_out.drain(..n)),
                    _ => return,
                },
                written = to_client.write(&plain_out), if !plain_out.is_empty() => match written {
                    Ok(n) if n > 0 => drop(plain_out.drain(..n)),
                    _ => return,
                },
            }
        }
    }
}
