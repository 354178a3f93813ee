//! What time it is: the engine tells the rooms below, which know no clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Day;

/// The day it is, in UTC.
pub fn today() -> Day {
    Day::from_epoch_days(now_unix().div_euclid(24 * 60 * 60) as i32)
}

/// Seconds since 1970-01-01 UTC, as the engine counts time.
pub fn now_unix() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
