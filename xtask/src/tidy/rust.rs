//! Rust source reduced to what the compiler would see outside tests.
//!
//! Not a parser: it knows comments, literals and brackets, and blanks what is not wanted with spaces, so that every
//! line keeps its number.

use std::collections::HashSet;

/// The source with comments and the insides of string and character literals blanked.
pub(super) fn code(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let end = match c {
            '/' if chars.get(at + 1) == Some(&'/') => find(&chars, at, |c| c == '\n'),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment(&chars, at),
            '"' => string(&chars, at),
            '\'' => character(&chars, at),
            c if is_word(c) => {
                let end = find(&chars, at, |c| !is_word(c));
                let word: String = chars[at..end].iter().collect();
                out.push_str(&word);
                at = end;
                if matches!(word.as_str(), "r" | "br" | "cr") {
                    at = raw_string(&chars, at, &mut out);
                }
                continue;
            }
            c => {
                out.push(c);
                at += 1;
                continue;
            }
        };
        blank(&chars[at..end], &mut out);
        at = end;
    }
    out
}

/// What [`code`] gave, with the items under `#[cfg(test)]` blanked too.
pub(super) fn without_tests(code: &str) -> String {
    let mut chars: Vec<char> = code.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let is_attribute = chars[at] == '#' && matches!(chars.get(at + 1), Some('[' | '!'));
        if !is_attribute {
            at += 1;
            continue;
        }
        let inner = chars[at + 1] == '!';
        let end = bracketed(&chars, at + 1 + usize::from(inner));
        let text: String = chars[at..end]
            .iter()
            .filter(|c| !c.is_whitespace())
            .collect();
        let is_test = text == "#[cfg(test)]"
            || text.starts_with("#[cfg(all(test,")
            || text == "#![cfg(test)]";
        if !is_test {
            at = end;
            continue;
        }
        let end = if inner {
            chars.len()
        } else {
            item(&chars, end)
        };
        for c in chars[at..end].iter_mut().filter(|c| **c != '\n') {
            *c = ' ';
        }
        at = end;
    }
    chars.into_iter().collect()
}

/// The numbers of the lines that have code under `#[cfg(test)]`.
pub(crate) fn test_lines(source: &str) -> HashSet<usize> {
    let all = code(source);
    let product = without_tests(&all);
    let pairs = (1..).zip(all.lines().zip(product.lines()));
    let blanked = pairs.filter(|(_, (all, product))| all != product);
    blanked.map(|(number, _)| number).collect()
}

/// Whether `c` can stand inside a word of Rust.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Keeps the first and the last character and the line ends; the rest becomes spaces. Comments go whole.
fn blank(literal: &[char], out: &mut String) {
    let last = literal.len().saturating_sub(1);
    for (index, &c) in literal.iter().enumerate() {
        let quote = literal[0] != '/' && (index == 0 || index == last);
        out.push(if c == '\n' || quote { c } else { ' ' });
    }
}

/// The first place from `at` on where `stop` holds, or the end.
fn find(chars: &[char], at: usize, stop: impl Fn(char) -> bool) -> usize {
    (at..chars.len())
        .find(|&index| stop(chars[index]))
        .unwrap_or(chars.len())
}

fn block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of a character literal, or just past the quote of a lifetime.
fn character(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (find(chars, at + 3, |c| c == '\'') + 1).min(chars.len()),
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// After the word `r`, `br` or `cr`: copies the raw string that follows, blanked, and gives its end; `at` when none does.
fn raw_string(chars: &[char], at: usize, out: &mut String) -> usize {
    let quote = find(chars, at, |c| c != '#');
    if chars.get(quote) != Some(&'"') {
        return at;
    }
    let hashes = &chars[at..quote];
    let is_end = |index: usize| chars[index] == '"' && chars[index + 1..].starts_with(hashes);
    let end = (quote + 1..chars.len())
        .find(|&index| is_end(index))
        .map_or(chars.len(), |index| index + 1 + hashes.len());
    blank(&chars[at..end], out);
    end
}

/// The end of what the bracket at `at` opens.
fn bracketed(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, c) in chars.iter().enumerate().skip(at) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    chars.len()
}

/// The end of the item that follows an attribute: its body, or its semicolon.
fn item(chars: &[char], mut at: usize) -> usize {
    while let Some(&c) = chars.get(at) {
        match c {
            ';' => return at + 1,
            '{' => return bracketed(chars, at),
            '(' | '[' => at = bracketed(chars, at),
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, want: &str) {
        let got = code(source);
        assert_eq!(got, want);
        assert_eq!(got.lines().count(), source.lines().count());
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check("/// panic!\nfn f() {}", "          \nfn f() {}");
        check("a /* open", "a        ");
    }

    #[test]
    fn insides_of_literals_are_blanked() {
        check(r#"f("a // \" b", 'x')"#, r#"f("         ", ' ')"#);
        check("r#\"a\" b\"# c", "r#      # c");
        check("br\"a\\\" c", "br\"  \" c");
        check(r"'\'' '\u{7f}' '/'", r"'  ' '      ' ' '");
        check("\"a\nb\" c", "\" \n \" c");
        check("\"open", "\"   n");
    }

    #[test]
    fn lifetimes_and_raw_names_stay() {
        check(
            "fn f<'a>(x: &'a str, r#type: u8)",
            "fn f<'a>(x: &'a str, r#type: u8)",
        );
        check("for x in r { }", "for x in r { }");
    }

    #[test]
    fn lines_of_tests_are_told() {
        let source = "a();\n#[cfg(test)]\nmod tests {\n    // b\n    c();\n}\nd();\n";
        assert_eq!(test_lines(source), HashSet::from([2, 3, 5, 6]));
    }

    #[test]
    fn items_under_cfg_test_are_blanked() {
        let without = |source: &str| {
            without_tests(source)
                .split_ascii_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            without("a();\n#[cfg(test)]\nmod tests { fn f() { b(); } }\nc();"),
            "a(); c();"
        );
        assert_eq!(without("#[cfg(test)]\nuse a::b;\nc();"), "c();");
        assert_eq!(
            without("#[cfg(test)] fn f(x: [u8; 4]) { b() } c();"),
            "c();"
        );
        assert_eq!(without("#[cfg(all(test, unix))] mod m; c();"), "c();");
        assert_eq!(without("#[cfg(not(test))] a();"), "#[cfg(not(test))] a();");
        assert_eq!(
            without("#[derive(Debug)] struct S;"),
            "#[derive(Debug)] struct S;"
        );
        assert_eq!(without("#![cfg(test)]\na();"), "");
    }
}
