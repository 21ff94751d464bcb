//! Takes the secrets out of what is told: an argument that is a URL may hold a password, and errors quote arguments.

/// The text without what stands before the `@` of a URL, and without a URL's query.
pub(crate) fn redact(text: &str) -> String {
    let mut rest = text;
    let mut told = String::with_capacity(text.len());
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + "://".len());
        told.push_str(before);
        let end = url
            .find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`'))
            .unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let shown = match url.rsplit_once('@') {
            Some((_, host)) => {
                told.push_str("***@");
                host
            }
            None => url,
        };
        match shown.split_once('?') {
            Some((shown, _)) => {
                told.push_str(shown);
                told.push_str("?***");
            }
            None => told.push_str(shown),
        }
        rest = after;
    }
    told.push_str(rest);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        assert_eq!(redact(text), want);
    }

    #[test]
    fn what_a_url_holds_of_secrets_is_not_told() {
        check("no url", "no url");
        check("'mqtt://host:1883/x'", "'mqtt://host:1883/x'");
        check(
            "bad 'mqtt://me:pa@ss@host' and more",
            "bad 'mqtt://***@host' and more",
        );
        check(
            "wss://h/mqtt?token=1 ws://u@h",
            "wss://h/mqtt?*** ws://***@h",
        );
    }
}
