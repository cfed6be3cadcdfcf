//! Dates and times of DICOM as instants (PS3.5 table 6.2-1: DA, TM, DT).

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// DA and TM in a zone. `None` where one is malformed or the zone has no such moment, or two.
pub(super) fn instant(date: &str, time: &str, zone: &TimeZone) -> Option<Timestamp> {
    in_zone(self::date(date)?, seconds_of_day(time)?, zone)
}

/// DT with its own offset, or else in the zone. At least the hour must be given: less is no moment
/// from which a decay can be reckoned.
pub(super) fn date_time(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = trim(text);
    let (local, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(zone_offset(&text[at..])?)),
        None => (text, None),
    };
    let (day, time) = local.split_at_checked(8)?;
    let zone = offset.as_ref().unwrap_or(zone);
    in_zone(date(day)?, seconds_of_day(time)?, zone)
}

/// Timezone Offset From UTC (0008,0201), `+0100` or `-0330`.
pub(super) fn zone_offset(text: &str) -> Option<TimeZone> {
    let text = trim(text);
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    let seconds = sign * (hours * 3600 + minutes * 60);
    if minutes > 59 || !(-12 * 3600..=14 * 3600).contains(&seconds) {
        return None;
    }
    Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?))
}

fn in_zone(date: Date, time: SignedDuration, zone: &TimeZone) -> Option<Timestamp> {
    // The minute is looked up in the zone and the seconds are added: a leap second stays legal.
    let minutes = i8::try_from(time.as_mins() % 60).ok()?;
    let hours = i8::try_from(time.as_hours()).ok()?;
    let rest = time - SignedDuration::from_mins(time.as_mins());
    let (hours, rest) =
        if hours == 24 { (23, rest + SignedDuration::from_mins(60)) } else { (hours, rest) };
    let minute = DateTime::from_parts(date, jiff::civil::Time::new(hours, minutes, 0, 0).ok()?);
    let instant = zone.to_ambiguous_timestamp(minute).unambiguous().ok()?;
    instant.checked_add(rest).ok()
}

/// DA; the dotted form of ACR-NEMA is read as well (PS3.5 6.2 note).
fn date(text: &str) -> Option<Date> {
    let text = trim(text);
    let bare: String = match text.as_bytes() {
        [_, _, _, _, b'.', _, _, b'.', _, _] => text.replace('.', ""),
        [_, _, _, _, _, _, _, _] => text.to_owned(),
        _ => return None,
    };
    let (year, month, day) = (bare.get(..4)?, bare.get(4..6)?, bare.get(6..)?);
    Date::new(
        i16::try_from(number(year)?).ok()?,
        i8::try_from(number(month)?).ok()?,
        i8::try_from(number(day)?).ok()?,
    )
    .ok()
}

/// TM as time since midnight: `HH`, `HHMM`, `HHMMSS`, `HHMMSS.FFFFFF`; with colons as ACR-NEMA.
fn seconds_of_day(text: &str) -> Option<SignedDuration> {
    let text = trim(text);
    let bare: String = match text.as_bytes() {
        [_, _, b':', _, _, ..] => text.chars().filter(|c| *c != ':').collect(),
        _ => text.to_owned(),
    };
    let (whole, fraction) = bare.split_once('.').unwrap_or((&bare, ""));
    if !matches!(whole.len(), 2 | 4 | 6) || (!fraction.is_empty() && whole.len() != 6) {
        return None;
    }
    let part = |at: usize| whole.get(at..at + 2).map_or(Some(0), number);
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    if hours > 23 || minutes > 59 || seconds > 60 || fraction.len() > 6 {
        return None;
    }
    let micros = number(&format!("{fraction:0<6}"))?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    Some(SignedDuration::new(seconds, micros * 1000))
}

fn number(digits: &str) -> Option<i32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[test]
    fn every_legal_form_is_the_same_moment() {
        let zone = zone_offset("+0100").unwrap();
        let noon = utc("2026-03-02T11:00:00Z");
        for (date, time) in [
            ("20260302", "12"),
            ("20260302", "1200"),
            ("20260302", "120000"),
            ("20260302 ", "120000.000000"),
            ("2026.03.02", "12:00:00"),
        ] {
            assert_eq!(instant(date, time, &zone), noon, "{date} {time}");
        }
        for text in ["20260302120000+0100", "20260302120000", "2026030212 ", "20260302063000-0430"]
        {
            assert_eq!(date_time(text, &zone), noon, "{text}");
        }
        assert_eq!(instant("20260302", "120000.5", &zone), utc("2026-03-02T11:00:00.5Z"));
        assert_eq!(instant("20161231", "235960", &TimeZone::UTC), utc("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_names_no_single_moment_is_none() {
        for (date, time) in [
            ("20261332", "12"),
            ("20260302", ""),
            ("20260302", "24"),
            ("20260302", "1260"),
            ("20260302", "12.5"),
            ("20260302", "1"),
            ("", "12"),
            ("2026-3-2", "12"),
            ("20260302", "12\u{0663}0"),
        ] {
            assert_eq!(instant(date, time, &TimeZone::UTC), None, "{date} {time}");
        }
        for text in ["2026", "20260302", "20260302120000+1500", "20260302120000+01", "+0100"] {
            assert_eq!(date_time(text, &TimeZone::UTC), None, "{text}");
        }
    }

    #[test]
    fn summer_time_is_honoured_and_its_gap_and_fold_are_refused() {
        assert_eq!(instant("20260328", "12", &berlin()), utc("2026-03-28T11:00:00Z"));
        assert_eq!(instant("20260329", "12", &berlin()), utc("2026-03-29T10:00:00Z"));
        assert_eq!(instant("20260329", "0230", &berlin()), None);
        assert_eq!(instant("20261025", "0230", &berlin()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(a in ".{0,24}", b in ".{0,16}") {
            let _ = instant(&a, &b, &TimeZone::UTC);
            let _ = date_time(&a, &TimeZone::UTC);
            let _ = zone_offset(&b);
        }

        #[test]
        fn each_second_of_a_day_is_found_again(second in 0i64..86_400) {
            let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
            let found = instant("19700101", &format!("{h:02}{m:02}{s:02}"), &TimeZone::UTC);
            prop_assert_eq!(found.map(Timestamp::as_second), Some(second));
        }
    }
}
