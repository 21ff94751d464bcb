//! Moments and stretches of time as Python tells them: seconds, as a float, of a clock that the caller chooses.

use std::time::Duration;

use ohmqtt_session::Instant;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Microseconds are exact in a float up to here: in seconds of the Unix epoch, to the year 2255.
const LATEST: f64 = 9e9;

/// A moment.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) Instant);

impl FromPyObject<'_, '_> for Moment {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let seconds: f64 = value.extract()?;
        if !(0.0..=LATEST).contains(&seconds) {
            return Err(PyValueError::new_err(format!(
                "{seconds} is no moment: give seconds of a clock that never goes back, such as time.monotonic()"
            )));
        }
        Ok(Self(of_seconds(seconds)))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both are bounded before"
)]
fn of_seconds(seconds: f64) -> Instant {
    Instant::from_unix_micros((seconds * 1e6).round() as u64)
}

/// In seconds. Who tells that moment again tells no earlier one.
#[expect(
    clippy::cast_precision_loss,
    reason = "what is lost is less than a microsecond, and made up for"
)]
pub(super) fn seconds(moment: Instant) -> f64 {
    let seconds = (moment.unix_micros() as f64 / 1e6).min(LATEST);
    if of_seconds(seconds) < moment {
        seconds.next_up()
    } else {
        seconds
    }
}

/// A time to wait, above 0.
pub(super) fn patience(name: &str, seconds: f64) -> PyResult<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok();
    duration.filter(|wait| !wait.is_zero()).ok_or_else(|| {
        PyValueError::new_err(format!("{name}: {seconds} is no number of seconds above 0"))
    })
}
