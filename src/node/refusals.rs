//! Refused callers in the audit trail: who calls again and again fills counts, not the disk.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A caller's first refusal is written at once; what follows within this time is counted.
pub(super) const SPAN: Duration = Duration::from_secs(60);

/// Callers that are told apart at one time; all others share one count.
const MAX_CALLERS: usize = 64;

/// Stands for the callers beyond [`MAX_CALLERS`].
const OTHERS: &str = "other callers";

/// A line for the trail: actor and outcome.
pub(super) type Line = (String, String);

/// What is being counted, by actor and reason.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<Line, Count>);

#[derive(Debug)]
struct Count {
    since: Instant,
    more: u64,
}

impl Refusals {
    /// Notes one refusal; gives the line if it is to be written now.
    pub(super) fn note(&mut self, now: Instant, actor: String, reason: String) -> Option<Line> {
        let mut key = (actor, reason);
        if !self.0.contains_key(&key) && self.0.len() >= MAX_CALLERS {
            key = (OTHERS.to_owned(), "refused for different reasons".to_owned());
        }
        if let Some(count) = self.0.get_mut(&key) {
            count.more += 1;
            return None;
        }
        self.0.insert(key.clone(), Count { since: now, more: 0 });
        Some(key)
    }

    /// The counts whose time is over, as lines; `now` as `None` ends them all.
    pub(super) fn ended(&mut self, now: Option<Instant>) -> Vec<Line> {
        let mut lines = Vec::new();
        self.0.retain(|(actor, reason), count| {
            if now.is_some_and(|now| now.saturating_duration_since(count.since) < SPAN) {
                return true;
            }
            if count.more > 0 {
                let outcome = format!("{reason}; {} times more within a minute", count.more);
                lines.push((actor.clone(), outcome));
            }
            false
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refused_callers_leaves_two_lines_a_minute_and_caller() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let note = |refusals: &mut Refusals, second| {
            let at = start + Duration::from_secs(second);
            refusals.note(at, "10.0.0.1".into(), "unknown AE title".into())
        };
        assert_eq!(note(&mut refusals, 0), Some(("10.0.0.1".into(), "unknown AE title".into())));
        for second in 0..50 {
            assert_eq!(note(&mut refusals, second), None);
            assert!(refusals.ended(Some(start + Duration::from_secs(second))).is_empty());
        }
        let ended = refusals.ended(Some(start + SPAN));
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].1, "unknown AE title; 50 times more within a minute");
        assert!(note(&mut refusals, 61).is_some(), "the next minute begins with a line again");
        assert!(refusals.ended(None).is_empty(), "one that was written is not written twice");
    }

    #[test]
    fn a_hundred_thousand_addresses_are_counted_in_bounded_memory() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        let calls = 100_000;
        let written = (0..calls)
            .filter(|n| {
                refusals.note(now, format!("10.0.{}.{}", n / 256, n % 256), "x".into()).is_some()
            })
            .count();
        assert_eq!(written, MAX_CALLERS + 1);
        assert_eq!(refusals.0.len(), MAX_CALLERS + 1);
        let ended = refusals.ended(None);
        let missed = calls - written;
        assert_eq!(ended.len(), 1);
        assert!(ended[0].1.contains(&format!("{missed} times more")), "{ended:?}");
    }
}
