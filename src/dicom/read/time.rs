//! Dates and times of DICOM as instants (PS3.5 section 6.2: DA, TM, DT).
//!
//! Timezone Offset From UTC (0008,0201) holds for every date and time of the instance that has
//! no offset of its own; where it is absent the site's zone is used.

use super::attribute::{Object, malformed, text};
use super::error::ReadError;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

/// The zone that an instance's own dates and times are in.
pub fn zone_of(object: &Object, default: &TimeZone) -> Result<TimeZone, ReadError> {
    let tag = tags::TIMEZONE_OFFSET_FROM_UTC;
    match text(object, tag) {
        None => Ok(default.clone()),
        Some(t) => offset(&t)
            .map(TimeZone::fixed)
            .ok_or_else(|| malformed(tag, "an offset like +0100 is wanted")),
    }
}

/// `&ZZXX` of PS3.5, -1200 to +1400.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let number = whole(std::str::from_utf8(digits).ok()?, 4..=4)?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours <= 14 && minutes < 60)
        .then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

fn whole(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<i32> {
    (length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// DA, also the `YYYY.MM.DD` of files from before 1993's final text.
fn date(text: &str) -> Option<Date> {
    let digits: String = text.split('.').collect();
    whole(&digits, 8..=8)?;
    Date::new(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?).ok()
}

/// TM with any precision from hours to microseconds, also the legacy `HH:MM:SS`. Second 60 (a
/// leap second) counts as 59.
fn time(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = clock.split(':').collect();
    whole(&digits, 2..=6)?;
    let part = |at: usize| match digits.get(at..at + 2) {
        Some(two) => two.parse::<i8>().ok(),
        None => (digits.len() == at).then_some(0),
    };
    let missing_tail = |at: usize| if digits.len() <= at { Some(0) } else { part(at) };
    let nanosecond = if fraction.is_empty() {
        0
    } else {
        whole(fraction, 1..=6)? * 10i32.pow(9 - u32::try_from(fraction.len()).ok()?)
    };
    Time::new(part(0)?, missing_tail(2)?, missing_tail(4)?.min(59), nanosecond).ok()
}

fn instant(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let local = DateTime::from_parts(date, time);
    zone.to_ambiguous_zoned_datetime(local).compatible().ok().map(|zoned| zoned.timestamp())
}

/// A DT value with date and at least the hour; less is no instant.
pub fn datetime(
    object: &Object,
    tag: Tag,
    default: &TimeZone,
) -> Result<Option<Timestamp>, ReadError> {
    let Some(value) = text(object, tag) else { return Ok(None) };
    let zone = zone_of(object, default)?;
    datetime_text(&value, &zone)
        .map(Some)
        .ok_or_else(|| malformed(tag, "a date and time like 20260302101500+0100 is wanted"))
}

/// As [`datetime`], of a text that is already at hand.
pub fn datetime_text(value: &str, zone: &TimeZone) -> Option<Timestamp> {
    let split = value.get(8..).and_then(|rest| rest.find(['+', '-'])).map(|at| at + 8);
    let (local, own) = match split {
        Some(at) => (&value[..at], Some(TimeZone::fixed(offset(&value[at..])?))),
        None => (value, None),
    };
    let day = date(local.get(..8)?)?;
    let clock = time(local.get(8..)?)?;
    instant(day, clock, own.as_ref().unwrap_or(zone))
}

/// A DA and a TM together; `None` where either is absent.
pub fn date_and_time(
    object: &Object,
    day: Tag,
    clock: Tag,
    default: &TimeZone,
) -> Result<Option<Timestamp>, ReadError> {
    let (Some(d), Some(t)) = (text(object, day), text(object, clock)) else { return Ok(None) };
    let d = date(&d).ok_or_else(|| malformed(day, "a date like 20260302 is wanted"))?;
    let t = time(&t).ok_or_else(|| malformed(clock, "a time like 101500 is wanted"))?;
    let zone = zone_of(object, default)?;
    instant(d, t, &zone)
        .map(Some)
        .ok_or_else(|| malformed(day, "it is outside the range of instants"))
}

/// A TM alone on the calendar day (in the instance's zone) of `on`, or on the day before where
/// that would be after `on`: only for what is known to have happened within a day before.
pub fn time_within_the_day_before(
    object: &Object,
    clock: Tag,
    on: Timestamp,
    default: &TimeZone,
) -> Result<Option<Timestamp>, ReadError> {
    let Some(value) = text(object, clock) else { return Ok(None) };
    let t = time(&value).ok_or_else(|| malformed(clock, "a time like 101500 is wanted"))?;
    let zone = zone_of(object, default)?;
    let day = on.to_zoned_datetime(zone.clone()).date();
    let same_day = instant(day, t, &zone);
    Ok(match same_day {
        Some(at) if at > on => day.yesterday().ok().and_then(|d| instant(d, t, &zone)),
        other => other,
    })
}

/// Where a beginning of the acquisition was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    Acquisition,
    Content,
    Series,
    Study,
}

/// Beginning of the acquisition: Acquisition DateTime, then Acquisition, Content, Series and
/// Study Date and Time.
pub fn acquired(
    object: &Object,
    default: &TimeZone,
) -> Result<Option<(Timestamp, TimeSource)>, ReadError> {
    if let Some(at) = datetime(object, tags::ACQUISITION_DATE_TIME, default)? {
        return Ok(Some((at, TimeSource::Acquisition)));
    }
    for (day, clock, source) in [
        (tags::ACQUISITION_DATE, tags::ACQUISITION_TIME, TimeSource::Acquisition),
        (tags::CONTENT_DATE, tags::CONTENT_TIME, TimeSource::Content),
        (tags::SERIES_DATE, tags::SERIES_TIME, TimeSource::Series),
        (tags::STUDY_DATE, tags::STUDY_TIME, TimeSource::Study),
    ] {
        if let Some(at) = date_and_time(object, day, clock, default)? {
            return Ok(Some((at, source)));
        }
    }
    Ok(None)
}

/// Seconds from `earlier` to `later`, negative where the order is the other way round.
pub fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_precision_and_zone_become_instants() {
        let utc = TimeZone::UTC;
        let at = |text: &str| datetime_text(text, &utc).map(|t| t.to_string());
        assert_eq!(at("20260302101500+0100").as_deref(), Some("2026-03-02T09:15:00Z"));
        assert_eq!(at("2026030210").as_deref(), Some("2026-03-02T10:00:00Z"));
        assert_eq!(at("20260302101560.25-0500").as_deref(), Some("2026-03-02T15:15:59.25Z"));
        for bad in ["20260302", "2026", "20261302101500", "202603021015001", "20260302101500+9900"]
        {
            assert_eq!(at(bad), None, "{bad}");
        }
        assert_eq!(time("09:53:00"), time("095300"));
        assert_eq!(date("1993.11.24"), date("19931124"));
        assert_eq!(time("0953001"), None);
        assert_eq!(time("095"), None);
    }

    #[test]
    fn a_change_to_summer_time_is_no_hour_of_decay() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC);
        let before = datetime_text("20260328120000", &berlin).unwrap();
        let after = datetime_text("20260329120000", &berlin).unwrap();
        let expected = if berlin == TimeZone::UTC { 86_400.0 } else { 82_800.0 };
        assert_eq!(seconds_between(before, after), expected);
    }
}
