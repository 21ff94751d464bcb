//! Proxies whose every word is the test's own.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What a proxy does with the next connections.
#[derive(Clone)]
pub(crate) enum Does {
    /// Leads to this address, whatever it is asked for.
    LeadsTo(String),
    /// Says this in the place of its answer, and waits.
    Says(Vec<u8>),
}

/// What a proxy was told: by each connection its requests, as bytes.
pub(crate) type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// Host and port of an HTTP proxy, and what it hears.
pub(crate) async fn http(does: Does) -> (String, Heard) {
    let (listener, at, heard) = listen().await;
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (does, told) = (does.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await?);
                }
                told.lock().unwrap().push(request);
                let ok = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";
                go_on(stream, does, ok).await
            });
        }
    });
    (at, heard)
}

/// Host and port of a SOCKS5 proxy, and what it hears. With credentials it asks for them; `Says` is in the place of its first answer,
/// or of its last, once it was told where to.
pub(crate) async fn socks5(credentials: Option<(&str, &str)>, does: Does) -> (String, Heard) {
    let (listener, at, heard) = listen().await;
    let told = Arc::clone(&heard);
    let wanted = credentials.map(|(user, password)| {
        let mut bytes = vec![1, u8::try_from(user.len()).unwrap()];
        bytes.extend_from_slice(user.as_bytes());
        bytes.push(u8::try_from(password.len()).unwrap());
        bytes.extend_from_slice(password.as_bytes());
        bytes
    });
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (does, told, wanted) = (does.clone(), Arc::clone(&told), wanted.clone());
            tokio::spawn(serve_socks5(stream, does, told, wanted));
        }
    });
    (at, heard)
}

async fn serve_socks5(
    mut stream: TcpStream,
    does: Does,
    told: Heard,
    wanted: Option<Vec<u8>>,
) -> std::io::Result<()> {
    // RFC 1928: version, methods; the answer is the method.
    let mut hello = [0; 2];
    stream.read_exact(&mut hello).await?;
    let mut methods = vec![0; usize::from(hello[1])];
    stream.read_exact(&mut methods).await?;
    let method = if wanted.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xFF]).await;
    }
    stream.write_all(&[5, method]).await?;
    if let Some(wanted) = wanted {
        // RFC 1929: user name and password, each with its length.
        let mut given = vec![0; 2];
        stream.read_exact(&mut given).await?;
        let user = usize::from(given[1]);
        given.resize(2 + user + 1, 0);
        stream.read_exact(&mut given[2..]).await?;
        let password = usize::from(given[2 + user]);
        let at = given.len();
        given.resize(at + password, 0);
        stream.read_exact(&mut given[at..]).await?;
        let good = given == wanted;
        stream.write_all(&[1, u8::from(!good)]).await?;
        if !good {
            return Ok(());
        }
    }
    let mut request = vec![0; 4];
    stream.read_exact(&mut request).await?;
    let length = match request[3] {
        1 => 4,
        4 => 16,
        _ => {
            let length = stream.read_u8().await?;
            request.push(length);
            usize::from(length)
        }
    };
    let at = request.len();
    request.resize(at + length + 2, 0);
    stream.read_exact(&mut request[at..]).await?;
    told.lock().unwrap().push(request);
    go_on(stream, does, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

async fn go_on(mut stream: TcpStream, does: Does, ok: &[u8]) -> std::io::Result<()> {
    match does {
        Does::LeadsTo(address) => {
            let mut server = TcpStream::connect(address).await?;
            stream.write_all(ok).await?;
            copy_bidirectional(&mut stream, &mut server).await?;
        }
        Does::Says(words) => {
            stream.write_all(&words).await?;
            // It is the client that leaves.
            while stream.read_u8().await.is_ok() {}
        }
    }
    Ok(())
}

async fn listen() -> (TcpListener, String, Heard) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    (listener, at, Heard::default())
}
