//! The time of day, for people.

use jiff::Zoned;
use jiff::fmt::strtime;

/// A moment, as it is told in this place.
#[derive(Debug, Clone)]
pub(crate) struct Moment(Zoned);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(Zoned::now())
    }

    /// `2026-08-10T09:47:38+0100`.
    pub(crate) fn iso(&self) -> String {
        self.directive("%Y-%m-%dT%H:%M:%S%z")
    }

    /// `2026-08-10T09:47:38.786368+0100`.
    pub(crate) fn iso_with_microseconds(&self) -> String {
        self.directive("%Y-%m-%dT%H:%M:%S.%6f%z")
    }

    /// Seconds since 1970, and the nanoseconds of the current one.
    pub(crate) fn unix(&self) -> (i64, i32) {
        let timestamp = self.0.timestamp();
        (timestamp.as_second(), timestamp.subsec_nanosecond())
    }

    /// What strftime(3) makes of a directive; nothing of one it does not know.
    pub(crate) fn directive(&self, directive: &str) -> String {
        strtime::format(directive, &self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_as_people_do() {
        let zoned: Zoned = "2026-08-10T09:47:38.786368637+01:00[+01:00]"
            .parse()
            .unwrap();
        let moment = Moment(zoned);
        assert_eq!(moment.iso(), "2026-08-10T09:47:38+0100");
        assert_eq!(
            moment.iso_with_microseconds(),
            "2026-08-10T09:47:38.786368+0100"
        );
        assert_eq!(moment.unix(), (1_786_351_658, 786_368_637));
        assert_eq!(moment.directive("%A"), "Monday");
        assert_eq!(moment.directive("%!"), "");
    }
}
