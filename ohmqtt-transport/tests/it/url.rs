//! URLs: what they mean, what is wrong with bad ones, and that nothing ever shows a password.

use ohmqtt_transport::{ConfigError, Endpoint, Scheme};
use proptest::prelude::*;

/// Scheme, host, port and path in a line, `-` for one that is not there.
fn parts(endpoint: &Endpoint) -> String {
    let port = endpoint.port().map_or("-".into(), |port| port.to_string());
    let [host, path] = [endpoint.host(), endpoint.path()].map(|part| part.unwrap_or("-"));
    format!("{} {host} {port} {path}", endpoint.scheme())
}

#[test]
fn good_urls_mean_what_they_say() {
    let table = [
        ("mqtt://h", "mqtt h 1883 -", "mqtt://h:1883"),
        ("h", "mqtt h 1883 -", "mqtt://h:1883"),
        ("h:1", "mqtt h 1 -", "mqtt://h:1"),
        ("mqtt:1884", "mqtt mqtt 1884 -", "mqtt://mqtt:1884"),
        ("MQTT://Host:0/", "mqtt Host 0 -", "mqtt://Host:0"),
        ("mqtt://h:", "mqtt h 1883 -", "mqtt://h:1883"),
        ("mqtt://h:65535", "mqtt h 65535 -", "mqtt://h:65535"),
        (
            "mqtt://a_b-c.d.",
            "mqtt a_b-c.d. 1883 -",
            "mqtt://a_b-c.d.:1883",
        ),
        ("10.0.0.1", "mqtt 10.0.0.1 1883 -", "mqtt://10.0.0.1:1883"),
        ("[::1]", "mqtt ::1 1883 -", "mqtt://[::1]:1883"),
        (
            "mqtts://[2001:db8::1]:9",
            "mqtts 2001:db8::1 9 -",
            "mqtts://[2001:db8::1]:9",
        ),
        ("mqtts://h", "mqtts h 8883 -", "mqtts://h:8883"),
        ("ws://h", "ws h 80 -", "ws://h:80"),
        ("ws://h/a%40b", "ws h 80 /a%40b", "ws://h:80/a%40b"),
        ("wss://h/mqtt?key=1", "wss h 443 /mqtt", "wss://h:443/mqtt"),
        ("quic://h", "quic h 14567 -", "quic://h:14567"),
        (
            "unix:/run/my%20sock",
            "unix - - /run/my sock",
            "unix:/run/my%20sock",
        ),
        ("unix:///run/x", "unix - - /run/x", "unix:/run/x"),
        ("unix:@name", "unix - - @name", "unix:@name"),
        (
            "unix:/run/mqtt@1",
            "unix - - /run/mqtt@1",
            "unix:/run/mqtt@1",
        ),
    ];
    for (url, want, display) in table {
        let endpoint: Endpoint = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(parts(&endpoint), want, "{url}");
        assert_eq!(endpoint.to_string(), display, "{url}");
        assert_eq!(
            (endpoint.user_name(), endpoint.password()),
            (None, None),
            "{url}"
        );
    }
}

#[test]
fn credentials_are_decoded() {
    let table: [(_, _, Option<&[u8]>); 7] = [
        ("u@h", Some("u"), None),
        ("u:p@h", Some("u"), Some(b"p")),
        ("u:@h", Some("u"), Some(b"")),
        (":p@h", None, Some(b"p")),
        ("@h", None, None),
        ("wss://u%40d:p%2F:%3A%23@h/x", Some("u@d"), Some(b"p/::#")),
        ("mqtt://%C3%A9:%ff%00@h", Some("é"), Some(b"\xff\0")),
    ];
    for (url, user_name, password) in table {
        let endpoint: Endpoint = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(
            (endpoint.user_name(), endpoint.password()),
            (user_name, password),
            "{url}"
        );
    }
}

#[test]
fn query_is_kept_but_not_shown() {
    let endpoint: Endpoint = "wss://h/mqtt?token=abc".parse().unwrap();
    assert_eq!(endpoint.query(), Some("token=abc"));
    assert!(!format!("{endpoint} {endpoint:?}").contains("abc"));
}

#[test]
fn bad_urls_are_refused_with_the_wrong_part() {
    let scheme = |scheme: &str| ConfigError::UnknownScheme {
        scheme: scheme.into(),
    };
    let host = |host: &str| ConfigError::BadHost { host: host.into() };
    let port = |port: &str| ConfigError::BadPort { port: port.into() };
    let path = |scheme, path: &str| ConfigError::BadPath {
        scheme,
        path: path.into(),
    };
    let table = [
        ("", ConfigError::MissingHost),
        ("mqtt://", ConfigError::MissingHost),
        ("mqtt://:1883", ConfigError::MissingHost),
        ("mqtt://u:p@", ConfigError::MissingHost),
        ("tcp://h", scheme("tcp")),
        ("http://h/", scheme("http")),
        ("mqtt+ssl://h", scheme("mqtt+ssl")),
        ("mqtt://a b", host("a b")),
        ("mqtt://a..b", host("a..b")),
        ("mqtt://münchen.de", host("münchen.de")),
        ("mqtt://a%20b", host("a%20b")),
        ("mqtt://h\n.de", host("h\\n.de")),
        ("mqtt://256.0.0.1", host("256.0.0.1")),
        ("mqtt://1.2.3", host("1.2.3")),
        ("mqtt://::1", host("::1")),
        ("mqtt://[::1", host("[::1")),
        ("mqtt://[::1]1883", host("[::1]1883")),
        ("mqtt://[fe80::1%25eth0]", host("[fe80::1%25eth0]")),
        ("mqtt://[1.2.3.4]", host("[1.2.3.4]")),
        ("mqtt://h:65536", port("65536")),
        ("mqtt://h:-1", port("-1")),
        ("mqtt://h:+1", port("+1")),
        ("mqtt://h:port", port("port")),
        ("mqtts://[::1]:x", port("x")),
        ("mqtt://h/path", path(Scheme::Mqtt, "/path")),
        ("quic://h?a=b", path(Scheme::Quic, "?...")),
        ("ws://h/a b", path(Scheme::Ws, "/a b")),
        ("ws://h/%zz", path(Scheme::Ws, "/%zz")),
        ("ws://h/mqtt#part", path(Scheme::Ws, "/mqtt#part")),
        ("unix:", path(Scheme::Unix, "")),
        ("unix:/", path(Scheme::Unix, "/")),
        ("unix:@", path(Scheme::Unix, "@")),
        ("unix:run/x", path(Scheme::Unix, "run/x")),
        ("unix://host/x", path(Scheme::Unix, "//host/x")),
        ("unix:/a%00b", path(Scheme::Unix, "/a%00b")),
        ("unix:/a?b", path(Scheme::Unix, "/a?b")),
        ("mqtt://u:a b@h", ConfigError::BadCredentials),
        ("mqtt://u:%zz@h", ConfigError::BadCredentials),
        ("mqtt://%ff:p@h", ConfigError::BadCredentials),
        ("mqtt://u%00:p@h", ConfigError::BadCredentials),
        ("mqtt://u:p@q@h", ConfigError::BadCredentials),
        ("mqtt://u:p/q@h", ConfigError::BadCredentials),
        ("ws://u:1/q@h", ConfigError::BadCredentials),
        ("u:p://q@h", ConfigError::BadCredentials),
    ];
    for (url, want) in table {
        assert_eq!(url.parse::<Endpoint>(), Err(want), "{url:?}");
    }
}

/// What is wrong is found alike under every scheme that has a host, and what has no meaning there is refused.
#[test]
fn every_scheme_refuses_the_same_faults() {
    let schemes = [
        (Scheme::Mqtt, 1883),
        (Scheme::Mqtts, 8883),
        (Scheme::Ws, 80),
        (Scheme::Wss, 443),
        (Scheme::Quic, 14567),
    ];
    for (scheme, port) in schemes {
        let parse = |rest: &str| format!("{scheme}://{rest}").parse::<Endpoint>();
        let good = parse("user:secret@[2001:db8::1]").unwrap();
        assert_eq!((good.scheme(), good.port()), (scheme, Some(port)));
        assert_eq!(scheme.default_port(), Some(port));
        assert_eq!(parse(":1"), Err(ConfigError::MissingHost));
        let host = || "a..b".to_owned();
        assert_eq!(
            parse("u:p@a..b:1"),
            Err(ConfigError::BadHost { host: host() })
        );
        let bad_port = "1x".to_owned();
        assert_eq!(
            parse("u:p@h:1x"),
            Err(ConfigError::BadPort { port: bad_port })
        );
        assert_eq!(parse("u:p#q@h"), Err(ConfigError::BadCredentials));
        let (path, fragment) = ("/a".to_owned(), "/a#b".to_owned());
        let bad_path = |path| Err(ConfigError::BadPath { scheme, path });
        assert_eq!(parse("u:p@h/a#b"), bad_path(fragment));
        if !matches!(scheme, Scheme::Ws | Scheme::Wss) {
            assert_eq!(parse("u:p@h/a"), bad_path(path));
        }
    }
}

#[test]
fn messages_say_what_is_wrong_and_what_to_do() {
    let table = [
        (
            "tcp://h",
            "unknown scheme `tcp` in broker URL; use one of mqtt, mqtts, ws, wss, unix, quic",
        ),
        (
            "mqtt://h:70000",
            "bad port `70000` in broker URL; use a number from 0 to 65535",
        ),
        (
            "mqtt://h/a",
            "bad path `/a` in broker URL; this scheme takes none: remove what follows the port",
        ),
    ];
    for (url, want) in table {
        assert_eq!(url.parse::<Endpoint>().unwrap_err().to_string(), want);
    }
}

#[test]
fn a_long_part_is_shown_cut() {
    let message = "x"
        .repeat(10_000)
        .parse::<Endpoint>()
        .unwrap_err()
        .to_string();
    assert!(message.len() < 300, "{message}");
}

#[test]
fn an_endpoint_is_taken_where_a_url_is() {
    fn take<E>(url: impl TryInto<Endpoint, Error = E>) -> Result<Endpoint, ConfigError>
    where
        ConfigError: From<E>,
    {
        Ok(url.try_into()?)
    }
    let endpoint = take("h:1").unwrap();
    assert_eq!(take(String::from("h:1")).unwrap(), endpoint);
    assert_eq!(take(endpoint.clone()).unwrap(), endpoint);
}

/// Everything that a program might print of the outcome.
fn shown(url: &str) -> String {
    match url.parse::<Endpoint>() {
        Ok(endpoint) => format!("{endpoint} {endpoint:?} {endpoint:#?}"),
        Err(error) => format!("{error} {error:?} {error:#?}"),
    }
}

const SECRET: &str = "S3CR3T";
const PUNCTUATION: &str = r"[a-z0-9:/@?#\[\]%.~ é\\-]{0,12}";

proptest! {
    #[test]
    fn parsing_any_text_does_not_panic(text in ".*") {
        shown(&text);
    }

    #[test]
    fn parsing_what_looks_like_a_url_does_not_panic(
        scheme in "(mqtt|mqtts|ws|wss|unix|quic|tcp)?(://|:)?",
        rest in r"[a-z0-9:/@?#\[\]%. é\\]{0,30}",
    ) {
        shown(&(scheme + &rest));
    }

    #[test]
    fn an_endpoint_is_read_back_from_what_it_displays(
        scheme in "(mqtts?://|wss?://|quic://|unix:/|unix:@)?",
        rest in r"(\[::1\]|[a-z0-9.]{1,9})(:[0-9]{0,5})?(/[a-z%0-9]{0,5})?",
    ) {
        if let Ok(endpoint) = format!("{scheme}{rest}").parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
    }

    /// Whatever a user forgets to encode, and whatever else is wrong.
    #[test]
    fn a_password_is_never_shown(
        scheme in "((mqtts?|wss?|quic|tcp|unix)://)?",
        user in "(alice|%41|%ff|)",
        before in PUNCTUATION,
        after in PUNCTUATION,
        host in r"(h|h\.example|\[::1\]|\[::1|256\.1\.1\.1|a b|)",
        tail in "(:1883|:x|:)?(/mqtt|/a b)?(\\?q)?(#f)?",
    ) {
        let url = format!("{scheme}{user}:{before}{SECRET}{after}@{host}{tail}");
        let shown = shown(&url);
        prop_assert!(!shown.contains(SECRET), "{url} shows {shown}");
    }
}

#[test]
fn a_socket_path_of_any_characters_is_shown_as_it_is_read() {
    for byte in 1..=127_u8 {
        let url = format!("unix:/a%{byte:02X}b");
        let endpoint: Endpoint = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let shown = endpoint.to_string();
        assert_eq!(shown.parse(), Ok(endpoint), "{shown}");
    }
}
