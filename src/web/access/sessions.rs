//! Log-ins that last: in memory only, so that a restart ends them all. Times are monotonic, so that no
//! clock that is set prolongs one.

use crate::config::credentials::{random_text, sha256_hex};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most log-ins at once; one more ends the one that has been idle longest.
const SESSIONS_MAX: usize = 1_000;

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) user: String,
    /// What forms of this session carry.
    pub(super) csrf: String,
    begun: Instant,
    seen: Instant,
}

pub(super) struct Sessions {
    /// By the hash of the cookie: a look into memory gives no session away.
    open: Mutex<HashMap<String, Session>>,
    idle: Duration,
    longest: Duration,
}

impl Sessions {
    pub(super) fn new(idle: Duration, longest: Duration) -> Self {
        Self { open: Mutex::default(), idle, longest }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        // A panic while the lock was held leaves whole entries: each is put in one step.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, session: &Session, now: Instant) -> bool {
        now.duration_since(session.seen) > self.idle
            || now.duration_since(session.begun) > self.longest
    }

    /// A new session; its cookie.
    pub(super) fn begin(&self, user: String, now: Instant) -> String {
        let mut open = self.lock();
        open.retain(|_, session| !self.is_over(session, now));
        if open.len() >= SESSIONS_MAX
            && let Some(oldest) = open.iter().min_by_key(|(_, s)| s.seen).map(|(k, _)| k.clone())
        {
            open.remove(&oldest);
        }
        let cookie = random_text();
        let session = Session { user, csrf: random_text(), begun: now, seen: now };
        open.insert(sha256_hex(cookie.as_bytes()), session);
        cookie
    }

    /// The session of a cookie, which has now been seen.
    pub(super) fn find(&self, cookie: &str, now: Instant) -> Option<Session> {
        let key = sha256_hex(cookie.as_bytes());
        let mut open = self.lock();
        let session = open.get_mut(&key)?;
        if self.is_over(session, now) {
            open.remove(&key);
            return None;
        }
        session.seen = now;
        Some(session.clone())
    }

    pub(super) fn end(&self, cookie: &str) {
        self.lock().remove(&sha256_hex(cookie.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_idleness_by_age_and_by_wish() {
        let minute = Duration::from_secs(60);
        let sessions = Sessions::new(10 * minute, 25 * minute);
        let start = Instant::now();
        let cookie = sessions.begin("ada".into(), start);
        assert_eq!(sessions.find(&cookie, start + 9 * minute).unwrap().user, "ada");
        assert!(sessions.find(&cookie, start + 18 * minute).is_some(), "seen in between");
        assert!(sessions.find(&cookie, start + 26 * minute).is_none(), "too old in any case");
        let cookie = sessions.begin("ada".into(), start);
        assert!(sessions.find(&cookie, start + 11 * minute).is_none(), "idle");
        let cookie = sessions.begin("ada".into(), start);
        sessions.end(&cookie);
        assert!(sessions.find(&cookie, start).is_none());
        assert!(sessions.find("guessed", start).is_none());
    }

    #[test]
    fn sessions_do_not_grow_without_bound() {
        let sessions = Sessions::new(Duration::from_secs(60), Duration::from_secs(60));
        let start = Instant::now();
        let first = sessions.begin("first".into(), start);
        for n in 1..=SESSIONS_MAX as u32 {
            sessions.begin("x".into(), start + Duration::from_millis(n.into()));
        }
        assert_eq!(sessions.lock().len(), SESSIONS_MAX);
        assert!(sessions.find(&first, start).is_none());
    }
}
