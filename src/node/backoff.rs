//! When what failed is tried again, for deliveries and all that is kept up like them.

use super::settings::Limits;
use jiff::{SignedDuration, Timestamp};

/// Longest wait between attempts.
const MAX_WAIT_S: u64 = 3600;
/// Part of a wait that is varied, so that many attempts do not come back at one instant.
const JITTER: f64 = 0.25;

/// Whether the waits after so many attempts add up to `give_up_h`.
pub(crate) fn is_over(limits: &Limits, attempts: u32) -> bool {
    let waited: u64 = (0..attempts).map(|n| wait_s(limits.retry_s, n)).sum();
    waited >= u64::from(limits.give_up_h) * 3600
}

/// When something is tried again that failed for the `attempts + 1`th time; `id` varies the wait.
pub(crate) fn at(first_s: u32, attempts: u32, id: i64) -> Timestamp {
    let wait = varied(wait_s(first_s, attempts), id, attempts);
    Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Wait after `attempts` earlier failures: doubles up to an hour, s.
fn wait_s(first_s: u32, attempts: u32) -> u64 {
    let factor = 1u64.checked_shl(attempts.min(32)).unwrap_or(u64::MAX);
    u64::from(first_s.max(1)).saturating_mul(factor).min(MAX_WAIT_S)
}

/// A wait lengthened by up to [`JITTER`], by a hash of what is waiting: as good as chance for
/// spreading attempts, and the same again when a run is repeated.
fn varied(wait_s: u64, id: i64, attempts: u32) -> SignedDuration {
    // Fibonacci hashing: the multiplier is 2^64 divided by the golden ratio.
    let seed = id.cast_unsigned() ^ (u64::from(attempts) << 48);
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let part = mixed as f64 / (1u64 << 24) as f64;
    SignedDuration::from_secs_f64(wait_s as f64 * (1.0 + JITTER * part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn waits_double_up_to_an_hour_and_vary_by_a_quarter_at_most() {
        let waits: Vec<u64> = (0..12).map(|attempts| wait_s(10, attempts)).collect();
        assert_eq!(waits[..9], [10, 20, 40, 80, 160, 320, 640, 1280, 2560]);
        assert_eq!(waits[9..], [3600; 3]);
        assert_eq!(wait_s(u32::MAX, u32::MAX), MAX_WAIT_S);
        let spread: BTreeSet<_> = (0..100).map(|id| varied(100, id, 3)).collect();
        assert!(spread.len() > 90, "attempts of a hundred deliveries fall apart");
        assert!(*spread.first().unwrap() >= SignedDuration::from_secs(100));
        assert!(*spread.last().unwrap() <= SignedDuration::from_secs(125));
    }
}
