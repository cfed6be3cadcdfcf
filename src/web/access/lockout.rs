//! Guessing passwords is made slow: each wrong one more than a few doubles the wait, for this name
//! from this address, for the address, and, with more patience, for the name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(900);
/// Longest wait for a name from elsewhere: nobody can lock a colleague out for long.
const WAIT_NAME_MAX: Duration = Duration::from_secs(60);
/// A failure is forgotten after so long.
const MEMORY: Duration = Duration::from_secs(3_600);
const ENTRIES_MAX: usize = 20_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    NameFrom(String, IpAddr),
    From(IpAddr),
    Name(String),
}

impl Key {
    fn all(name: &str, from: IpAddr) -> [Self; 3] {
        // A name that is too long is nobody's: it is not kept.
        let name: String = name.chars().take(32).collect();
        [Self::NameFrom(name.clone(), from), Self::From(from), Self::Name(name)]
    }

    /// Wrong passwords that cost no wait, and the longest wait.
    fn patience(&self) -> (u32, Duration) {
        match self {
            Self::NameFrom(..) => (3, WAIT_MAX),
            Self::From(_) => (10, WAIT_MAX),
            Self::Name(_) => (20, WAIT_NAME_MAX),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Lockout(Mutex<HashMap<Key, Failures>>);

impl Lockout {
    /// How long this name at this address has to wait before the next attempt is looked at.
    pub(super) fn wait(&self, name: &str, from: IpAddr, now: Instant) -> Option<Duration> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |key: &Key| {
            let failures = entries.get(key)?;
            let (free, longest) = key.patience();
            let over = failures.count.checked_sub(free)?;
            let whole = Duration::from_secs(1 << over.min(20)).min(longest);
            whole.checked_sub(now.duration_since(failures.last)).filter(|left| !left.is_zero())
        };
        Key::all(name, from).iter().filter_map(wait).max()
    }

    pub(super) fn failed(&self, name: &str, from: IpAddr, now: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() + 3 > ENTRIES_MAX {
            entries.retain(|_, failures| now.duration_since(failures.last) < MEMORY);
        }
        if entries.len() + 3 > ENTRIES_MAX {
            // More guessers than can be told apart: what is known of addresses is kept.
            entries.retain(|key, _| matches!(key, Key::From(_)));
        }
        for key in Key::all(name, from) {
            let failures = entries.entry(key).or_insert(Failures { count: 0, last: now });
            if now.duration_since(failures.last) >= MEMORY {
                failures.count = 0;
            }
            *failures = Failures { count: failures.count.saturating_add(1), last: now };
        }
    }

    /// A right password: what went before was a slip.
    pub(super) fn succeeded(&self, name: &str, from: IpAddr) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in Key::all(name, from) {
            entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_are_bounded_and_end_with_the_right_password() {
        let lockout = Lockout::default();
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut now = Instant::now();
        for _ in 0..2 {
            lockout.failed("ada", here, now);
        }
        assert_eq!(lockout.wait("ada", here, now), None, "a slip or two is free");
        let mut waits = Vec::new();
        for _ in 0..14 {
            lockout.failed("ada", here, now);
            let wait = lockout.wait("ada", here, now).unwrap();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(lockout.wait("ada", here, now), None);
        }
        assert_eq!(&waits[..4], [1, 2, 4, 8]);
        assert_eq!(waits.last(), Some(&900));
        lockout.failed("ada", here, now);
        assert_eq!(lockout.wait("ada", there, now), None, "the colleague at her own desk");
        assert!(lockout.wait("eve", here, now).is_some(), "other names from there wait as well");
        lockout.succeeded("ada", here);
        assert_eq!(lockout.wait("ada", here, now), None);
    }

    #[test]
    fn what_is_kept_of_guessers_is_bounded() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for n in 0..30_000u32 {
            lockout.failed(&n.to_string(), IpAddr::from([10, 0, 0, 1]), now);
        }
        assert!(lockout.0.lock().unwrap().len() <= ENTRIES_MAX);
        assert!(lockout.wait("x", IpAddr::from([10, 0, 0, 1]), now).is_some());
    }
}
