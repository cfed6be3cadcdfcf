//! Who looked at what, for the audit trail: one line for a person and a study in a while, not one for each
//! of the thousand frames that a viewer asks for.

use super::Identity;
use crate::archive::AuditEvent;
use crate::web::{Failure, Shared, ask};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A second look within so long is the same look.
const SPAN: Duration = Duration::from_secs(900);
const ENTRIES_MAX: usize = 10_000;

/// What has been written of late.
#[derive(Debug, Default)]
pub(in crate::web) struct Accessed(Mutex<HashMap<String, Instant>>);

impl Accessed {
    /// Whether this has to be written (again).
    fn is_new(&self, key: String, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ENTRIES_MAX {
            known.retain(|_, at| now.duration_since(*at) < SPAN);
        }
        if known.len() >= ENTRIES_MAX {
            // Rather twice in the trail than not at all.
            known.clear();
        }
        let known = known.insert(key, now);
        known.is_none_or(|at| now.duration_since(at) >= SPAN)
    }

    fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Writes the line; what cannot be audited is not answered.
pub(in crate::web) async fn record(
    web: &Shared,
    who: &Identity,
    event: &'static str,
    object: Option<String>,
) -> Result<(), Failure> {
    let key = format!("{event} {} {}", who.name, object.as_deref().unwrap_or_default());
    if !web.accessed.is_new(key.clone(), Instant::now()) {
        return Ok(());
    }
    let event = AuditEvent {
        at: jiff::Timestamp::now(),
        event: event.into(),
        actor: who.name.clone(),
        object,
        outcome: "success".into(),
    };
    let written = ask(web, move |service| service.archive.audit(event)).await;
    if written.is_err() {
        web.accessed.forget(&key);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_written_once_in_a_while_and_memory_is_bounded() {
        let accessed = Accessed::default();
        let now = Instant::now();
        assert!(accessed.is_new("a".into(), now) && !accessed.is_new("a".into(), now));
        assert!(accessed.is_new("b".into(), now));
        assert!(accessed.is_new("c".into(), now) && accessed.is_new("c".into(), now + SPAN));
        for n in 0..2 * ENTRIES_MAX {
            accessed.is_new(n.to_string(), now);
        }
        assert!(accessed.0.lock().unwrap().len() <= ENTRIES_MAX);
    }
}
