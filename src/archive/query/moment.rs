//! DT in keys and values (PS3.5 section 6.2, PS3.4 section C.2.2.2.5), as instants. What has no offset
//! from UTC is taken to be in UTC on both sides, since a question knows no zone.

use super::Matching;
use jiff::civil::DateTime;
use jiff::{SignedDuration, ToSpan};

/// What a DT stands for, in UTC: a short one is as long as what it leaves out. Civil, since the last
/// days of the year 9999, a common end of ranges, are no timestamps.
pub(super) struct Moment {
    pub first: DateTime,
    after: DateTime,
}

impl Matching {
    /// Of a key that is one DT or a range of them; `None` where it is neither.
    pub(super) fn moments(text: &str) -> Option<Self> {
        let (from, rest) = match text.starts_with('-') {
            true => (None, text),
            false => Moment::begin(text).map(|(moment, rest)| (Some(moment), rest))?,
        };
        let before = match (&from, rest.strip_prefix('-').map(str::trim_start)) {
            (Some(only), None) if rest.is_empty() => Some(only.after),
            (Some(_), Some("")) => None,
            (_, to) => Some(Moment::read(to?)?.after),
        };
        Some(Self::Moments { from: from.map(|moment| moment.first), before })
    }
}

impl Moment {
    /// Of a text that is a DT and nothing else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (moment, rest) = Self::begin(text)?;
        rest.is_empty().then_some(moment)
    }

    /// Of the DT that a text begins with, and what follows it.
    fn begin(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (local, rest) = text.split_at(end);
        let (offset, rest) = offset(rest).unwrap_or((SignedDuration::ZERO, rest));
        let (digits, fraction) = local.split_once('.').unwrap_or((local, ""));
        let part = |at: usize, absent: i8| {
            digits.get(at..at + 2).map_or(Some(absent), |digits| digits.parse().ok())
        };
        let lasts = match (digits.len(), local.len() - digits.len()) {
            (4, 0) => 1.year(),
            (6, 0) => 1.month(),
            (8, 0) => 1.day(),
            (10, 0) => 1.hour(),
            (12, 0) => 1.minute(),
            (14, 0) => 1.second(),
            (14, 2..=7) => 10_i64.pow(9 - u32::try_from(fraction.len()).ok()?).nanoseconds(),
            _ => return None,
        };
        let year = digits.get(..4)?.parse().ok()?;
        let minute =
            DateTime::new(year, part(4, 1)?, part(6, 1)?, part(8, 0)?, part(10, 0)?, 0, 0).ok()?;
        // Added, so that a leap second stays legal.
        let seconds = part(12, 0).filter(|seconds| *seconds <= 60)?;
        let nanos = format!("{fraction:0<9}").parse().ok()?;
        let start = minute.saturating_add(SignedDuration::new(i64::from(seconds), nanos));
        let moment = Self {
            first: start.saturating_sub(offset),
            after: start.saturating_add(lasts).saturating_sub(offset),
        };
        Some((moment, rest.trim_start()))
    }
}

/// The offset from UTC that a text begins with, and what follows it. A `-` parts a range as well: it
/// begins an offset where just four digits follow it that are one.
fn offset(text: &str) -> Option<(SignedDuration, &str)> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (digits, rest) = text[1..].split_at_checked(4)?;
    if !digits.bytes().all(|b| b.is_ascii_digit())
        || rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
    {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let offset = sign * (hours * 60 + minutes);
    let is_one = minutes < 60 && (-12 * 60..=14 * 60).contains(&offset);
    is_one.then(|| (SignedDuration::from_mins(offset), rest))
}
