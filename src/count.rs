//! What the process counts, for `/metrics`: plain atomics, so that counting costs nothing and needs
//! nobody's leave. Nothing is decided by them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are now; each is held by a [`Presence`].
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Counts one for as long as the answer lives.
    pub fn enter(&'static self) -> Presence {
        self.0.fetch_add(1, Ordering::Relaxed);
        Presence(self)
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub struct Presence(&'static Gauge);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Upper bounds of the classes of durations, s.
pub const BOUNDS_S: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

/// How long something took, by classes.
#[derive(Debug)]
pub struct Durations {
    classes: [Counter; BOUNDS_S.len()],
    number: Counter,
    sum_us: Counter,
}

impl Default for Durations {
    fn default() -> Self {
        Self::new()
    }
}

impl Durations {
    #[allow(clippy::declare_interior_mutable_const)] // a value to repeat, never a shared one
    pub const fn new() -> Self {
        const ZERO: Counter = Counter::new();
        Self { classes: [ZERO; BOUNDS_S.len()], number: ZERO, sum_us: ZERO }
    }

    pub fn observe(&self, seconds: f64) {
        if let Some(class) = BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.classes[class].add(1);
        }
        self.number.add(1);
        self.sum_us.add((seconds * 1e6) as u64);
    }

    pub fn number(&self) -> u64 {
        self.number.get()
    }

    pub fn sum_s(&self) -> f64 {
        self.sum_us.get() as f64 / 1e6
    }

    /// Upper bound and how many were at most that, the last one without bound.
    pub fn cumulative(&self) -> Vec<(String, u64)> {
        let mut sum = 0;
        let classes = BOUNDS_S.iter().zip(&self.classes).map(|(bound, class)| {
            sum += class.get();
            (bound.to_string(), sum)
        });
        let mut all: Vec<(String, u64)> = classes.collect();
        all.push(("+Inf".into(), self.number()));
        all
    }
}

pub static ASSOCIATIONS_ACCEPTED: Counter = Counter::new();
pub static ASSOCIATIONS_REFUSED: Counter = Counter::new();
/// Associations and instances beyond what `peers: limits:` grants.
pub static QUOTA_REFUSALS: Counter = Counter::new();
pub static ASSOCIATIONS_OPEN: Gauge = Gauge::new();
pub static INSTANCES_STORED: Counter = Counter::new();
pub static INSTANCES_DUPLICATE: Counter = Counter::new();
pub static INSTANCES_CONFLICT: Counter = Counter::new();
pub static INSTANCES_REFUSED: Counter = Counter::new();
pub static BYTES_STORED: Counter = Counter::new();
/// From an instance's last byte to its being durable.
pub static COMMITS: Durations = Durations::new();
/// From a request over HTTP to the head of its answer.
pub static REQUESTS: Durations = Durations::new();
/// Answers over HTTP, by the first digit of their status.
pub static ANSWERS: [Counter; 5] =
    [Counter::new(), Counter::new(), Counter::new(), Counter::new(), Counter::new()];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_classes_that_add_up() {
        let durations = Durations::new();
        for seconds in [0.0005, 0.001, 0.02, 1000.0] {
            durations.observe(seconds);
        }
        let found = durations.cumulative();
        assert_eq!(found[0], ("0.001".into(), 2));
        assert_eq!(found[3], ("0.05".into(), 3));
        assert_eq!(found[9], ("300".into(), 3));
        assert_eq!(found[10], ("+Inf".into(), 4));
        assert!((durations.sum_s() - 1000.0215).abs() < 1e-6);
    }

    #[test]
    fn a_gauge_counts_what_is_there() {
        static HERE: Gauge = Gauge::new();
        let one = HERE.enter();
        let two = HERE.enter();
        assert_eq!(HERE.get(), 2);
        drop(one);
        assert_eq!(HERE.get(), 1);
        drop(two);
        assert_eq!(HERE.get(), 0);
    }
}
