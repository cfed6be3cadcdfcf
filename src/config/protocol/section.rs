//! What every section of a protocol has in common: checks of its numbers.

use super::Sourced;
use crate::config::yaml::{Document, Fault, Step};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// One section: its struct declares each key once, for protocols and for plans' `settings` alike
/// (a plan may state any key of a section, see [`super::Parameters`]); `check` holds the ranges.
pub trait Section {
    fn check(&self, check: &mut Check<'_>);
}

/// Collects the faults of one section, each at the position of its key.
pub struct Check<'a> {
    section: &'static str,
    document: &'a Document,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        section: &'static str,
        document: &'a Document,
        faults: &'a mut Vec<Fault>,
    ) -> Self {
        Self { section, document, faults }
    }

    /// A fault at a key of this section.
    pub fn fault(&mut self, path: &[Step<'_>], message: impl Into<String>) {
        let path: Vec<Step<'_>> =
            std::iter::once(self.section.into()).chain(path.iter().copied()).collect();
        self.faults.push(self.document.fault_at(&path, message));
    }

    /// `value` at `path` below the section must lie in `range`.
    pub fn value(&mut self, path: &[Step<'_>], value: f64, range: RangeInclusive<f64>) {
        if !range.contains(&value) {
            let (low, high) = range.into_inner();
            self.fault(path, format!("{value} is out of range; write {low} to {high}"));
        }
    }

    pub fn number<N: Into<f64> + Copy>(
        &mut self,
        key: &str,
        number: &Sourced<N>,
        range: RangeInclusive<f64>,
    ) {
        self.value(&[key.into()], number.value.into(), range);
    }

    /// A number that need not be there.
    pub fn optional<N: Into<f64> + Copy>(
        &mut self,
        key: &str,
        number: Option<&Sourced<N>>,
        range: RangeInclusive<f64>,
    ) {
        if let Some(number) = number {
            self.number(key, number, range);
        }
    }

    /// A number for each of several names, for instance regions.
    pub fn each<N: Into<f64> + Copy>(
        &mut self,
        key: &str,
        numbers: &BTreeMap<String, Sourced<N>>,
        range: RangeInclusive<f64>,
    ) {
        for (name, number) in numbers {
            self.value(&[key.into(), name.as_str().into()], number.value.into(), range.clone());
        }
    }
}
