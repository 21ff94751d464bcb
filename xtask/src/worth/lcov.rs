//! The lines of an lcov report: `SF:` begins a file, `DA:line,count` is a line of it that has code.

use std::collections::BTreeMap;

/// How often each line with code ran, by file and number.
pub(super) type Lines = BTreeMap<String, BTreeMap<usize, u64>>;

/// Reads a report. A line that is there twice ran as often as both together.
pub(super) fn read(report: &str) -> Lines {
    let mut lines = Lines::new();
    let mut file = String::new();
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            path.clone_into(&mut file);
        } else if let Some((number, count)) = line.strip_prefix("DA:").and_then(numbers) {
            let ran = lines.entry(file.clone()).or_default();
            let ran = ran.entry(number).or_default();
            *ran = ran.saturating_add(count);
        }
    }
    lines
}

fn numbers(text: &str) -> Option<(usize, u64)> {
    let mut parts = text.split(',');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Numbers that follow one another as `3-5, 9`.
pub(super) fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_their_file() {
        let report = "SF:a.rs\nFN:1,f\nDA:1,2\nDA:2,0\nDA:1,3\nLF:2\nend_of_record\nSF:b.rs\nDA:7,0\nend_of_record\n";
        let got = read(report);
        assert_eq!(got["a.rs"], BTreeMap::from([(1, 5), (2, 0)]));
        assert_eq!(got["b.rs"], BTreeMap::from([(7, 0)]));
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn neighbours_are_a_range() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[3, 4, 5, 9, 11, 12]), "3-5, 9, 11-12");
    }
}
