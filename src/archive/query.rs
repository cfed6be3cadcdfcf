//! Questions about patients, studies, series and instances, as C-FIND and QIDO-RS ask them
//! (PS3.4 section C.2.2.2): typed, so that any implementation of [`Archive`](super::Archive) can
//! answer them from its index.
//!
//! [`answer`] is the meaning of a question: an implementation may narrow the rows that it hands over,
//! never widen what comes back.

mod keys;
mod moment;

pub use keys::{KEYS, Key};

use super::Instance;
use crate::dicom::InstanceHeader;
use jiff::civil::DateTime;
use moment::Moment;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What one match stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueryLevel {
    Patient,
    Study,
    Series,
    Instance,
}

/// What can be asked about, at its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    PatientId,
    IssuerOfPatientId,
    PatientName,
    PatientBirthDate,
    PatientSex,
    StudyInstanceUid,
    StudyDate,
    StudyTime,
    StudyId,
    AccessionNumber,
    StudyDescription,
    ReferringPhysicianName,
    SeriesInstanceUid,
    /// At study level: any of the study's series has it (Modalities in Study).
    Modality,
    SeriesNumber,
    SeriesDescription,
    SeriesDate,
    SeriesTime,
    BodyPartExamined,
    ProtocolName,
    StationName,
    Manufacturer,
    ManufacturerModelName,
    SopInstanceUid,
    SopClassUid,
    InstanceNumber,
    NumberOfFrames,
    Rows,
    Columns,
}

impl Attribute {
    pub fn level(self) -> QueryLevel {
        use Attribute::*;
        match self {
            PatientId | IssuerOfPatientId | PatientName | PatientBirthDate | PatientSex => {
                QueryLevel::Patient
            }
            StudyInstanceUid
            | StudyDate
            | StudyTime
            | StudyId
            | AccessionNumber
            | StudyDescription
            | ReferringPhysicianName => QueryLevel::Study,
            SeriesInstanceUid
            | Modality
            | SeriesNumber
            | SeriesDescription
            | SeriesDate
            | SeriesTime
            | BodyPartExamined
            | ProtocolName
            | StationName
            | Manufacturer
            | ManufacturerModelName => QueryLevel::Series,
            SopInstanceUid | SopClassUid | InstanceNumber | NumberOfFrames | Rows | Columns => {
                QueryLevel::Instance
            }
        }
    }

    /// As the header has it; `None` where it is absent or empty.
    pub fn value(self, header: &InstanceHeader) -> Option<Cow<'_, str>> {
        use Attribute::*;
        fn number<N: ToString>(number: Option<N>) -> Option<Cow<'static, str>> {
            number.map(|number| number.to_string().into())
        }
        fn text(text: Option<&String>) -> Option<Cow<'_, str>> {
            text.map(|text| text.as_str().into())
        }
        let tag = |keyword: &str| text(header.series_tags.get(keyword));
        let found = match self {
            PatientId => Some(header.patient.id.as_str().into()),
            IssuerOfPatientId => Some(header.patient.issuer.as_str().into()),
            PatientName => Some(header.patient.name.as_str().into()),
            PatientBirthDate => Some(header.patient.birth_date.as_str().into()),
            PatientSex => Some(header.patient.sex.as_str().into()),
            StudyInstanceUid => Some(header.study.as_str().into()),
            StudyDate => text(header.study_date.as_ref()),
            StudyTime => tag("StudyTime"),
            StudyId => tag("StudyID"),
            AccessionNumber => text(header.accession_number.as_ref()),
            StudyDescription => tag("StudyDescription"),
            ReferringPhysicianName => tag("ReferringPhysicianName"),
            SeriesInstanceUid => Some(header.series.as_str().into()),
            Modality => Some(header.modality.as_str().into()),
            SeriesNumber => number(header.series_number),
            SeriesDescription => text(header.series_description.as_ref()),
            SeriesDate => tag("SeriesDate"),
            SeriesTime => tag("SeriesTime"),
            BodyPartExamined => tag("BodyPartExamined"),
            ProtocolName => tag("ProtocolName"),
            StationName => text(header.station_name.as_ref()),
            Manufacturer => text(header.manufacturer.as_ref()),
            ManufacturerModelName => text(header.model.as_ref()),
            SopInstanceUid => Some(header.sop_instance.as_str().into()),
            SopClassUid => Some(header.sop_class.as_str().into()),
            InstanceNumber => number(header.instance_number),
            NumberOfFrames => number(Some(header.frames)),
            Rows => number(header.rows),
            Columns => number(header.columns),
        };
        found.filter(|value| !value.is_empty())
    }
}

/// How a value has to be (PS3.4 section C.2.2.2). Universal matching is no condition at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matching {
    /// One of these, exactly: single value and list of UIDs.
    OneOf(BTreeSet<String>),
    /// The same whole number, however it is written.
    Number(i64),
    /// `*` is any run of characters and `?` any one; without them the value itself.
    Pattern(String),
    /// As `Pattern`, for names of persons: case and empty trailing components do not count, and each
    /// component group may match by itself.
    Name(String),
    /// From and to, both included; a bound that leaves out its end stands for all that begin so.
    Range { from: Option<String>, to: Option<String> },
    /// As `Range`, for dates with times: from here, included, to there, not included, in UTC.
    Moments { from: Option<DateTime>, before: Option<DateTime> },
}

impl Matching {
    /// Whether a value fits; an absent one fits a pattern of stars only.
    pub fn fits(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        match self {
            Self::OneOf(wanted) => wanted.contains(value),
            Self::Number(wanted) => value.parse() == Ok(*wanted),
            Self::Pattern(pattern) => matches_pattern(pattern, value),
            Self::Name(pattern) => {
                let pattern = comparable_name(pattern);
                let value = comparable_name(value);
                matches_pattern(&pattern, &value)
                    || value
                        .split('=')
                        .any(|group| matches_pattern(&pattern, group.trim_end_matches('^')))
            }
            Self::Range { from, to } => {
                let value = digits(value);
                !value.is_empty()
                    && from.as_ref().is_none_or(|from| value >= digits(from))
                    && to.as_ref().is_none_or(|to| {
                        let to = digits(to);
                        value <= to || value.starts_with(&to)
                    })
            }
            Self::Moments { from, before } => Moment::read(value).is_some_and(|value| {
                from.is_none_or(|from| value.first >= from)
                    && before.is_none_or(|before| value.first < before)
            }),
        }
    }
}

fn comparable_name(name: &str) -> String {
    name.to_lowercase().trim_end_matches(['^', '=', ' ']).to_owned()
}

/// Dates and times in the legacy form with `.` or `:` compare like those without.
fn digits(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).collect()
}

/// In time proportional to the product of the lengths at worst, whatever the pattern: of the stars
/// that were passed only the last is ever taken up again.
fn matches_pattern(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    let (mut p, mut v) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, v));
                p += 1;
            }
            Some(c) if *c == '?' || *c == value[v] => {
                p += 1;
                v += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                v = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// One condition; all of a query's have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub attribute: Attribute,
    pub matching: Matching,
}

/// A question. A condition below the level holds where anything below the match fulfils it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub level: QueryLevel,
    pub conditions: Vec<Condition>,
    /// At most so many matches come back.
    pub limit: usize,
}

impl Query {
    fn holds(&self, header: &InstanceHeader, which: impl Fn(QueryLevel) -> bool) -> bool {
        self.conditions
            .iter()
            .filter(|c| which(c.attribute.level()))
            .all(|condition| condition.matching.fits(condition.attribute.value(header).as_deref()))
    }

    /// Whether a series can hold a match, by what it has in common.
    pub(super) fn concerns_series(&self, header: &InstanceHeader) -> bool {
        self.holds(header, |level| level <= QueryLevel::Series)
    }

    /// Whether anything is asked of single instances.
    pub(super) fn asks_of_instances(&self) -> bool {
        self.conditions.iter().any(|c| c.attribute.level() == QueryLevel::Instance)
    }

    /// The values that an attribute has to be one of, if there is such a condition.
    pub(super) fn wanted(&self, attribute: Attribute) -> Option<&BTreeSet<String>> {
        self.conditions.iter().find_map(|condition| match &condition.matching {
            Matching::OneOf(wanted) if condition.attribute == attribute => Some(wanted),
            _ => None,
        })
    }
}

/// One match: what it is, and what the archive has of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Of the instance, or of any instance of the series, study or patient.
    pub header: InstanceHeader,
    pub modalities: BTreeSet<String>,
    pub studies: u64,
    pub series: u64,
    pub instances: u64,
}

/// One series: the header of one of its instances, and how many there are.
pub(super) struct SeriesRow {
    pub header: InstanceHeader,
    pub instances: u64,
}

/// Answers a question above instance level from the rows of all series that may concern it. Rows
/// of a study have to be given all or none, since a match counts what it has below it.
pub(super) fn answer(query: &Query, rows: Vec<SeriesRow>) -> Vec<Match> {
    let mut groups: BTreeMap<[String; 4], Group> = BTreeMap::new();
    for row in rows {
        if !query.holds(&row.header, |level| level <= query.level) {
            continue;
        }
        let fulfils = query.concerns_series(&row.header);
        let group = groups.entry(key(query.level, &row.header)).or_insert_with(|| Group {
            found: Match {
                header: row.header.clone(),
                modalities: BTreeSet::new(),
                studies: 0,
                series: 0,
                instances: 0,
            },
            studies: BTreeSet::new(),
            fulfilled: false,
        });
        group.fulfilled |= fulfils;
        group.studies.insert(row.header.study.to_string());
        group.found.series += 1;
        group.found.instances += row.instances;
        group.found.modalities.insert(row.header.modality);
    }
    let fulfilled = groups.into_values().filter(|group| group.fulfilled);
    fulfilled.map(Group::closed).take(query.limit).collect()
}

struct Group {
    found: Match,
    studies: BTreeSet<String>,
    fulfilled: bool,
}

impl Group {
    fn closed(mut self) -> Match {
        self.found.studies = self.studies.len() as u64;
        self.found.modalities.remove("");
        self.found
    }
}

fn key(level: QueryLevel, header: &InstanceHeader) -> [String; 4] {
    let patient = &header.patient;
    let mut key = [patient.id.clone(), patient.issuer.clone(), String::new(), String::new()];
    if level >= QueryLevel::Study {
        key[2] = header.study.to_string();
    }
    if level >= QueryLevel::Series {
        key[3] = header.series.to_string();
    }
    key
}

/// Answers a question from instances alone, as an archive without an index by series does.
pub fn answer_from_instances(query: &Query, mut instances: Vec<Instance>) -> Vec<Match> {
    if query.level == QueryLevel::Instance {
        // Stable: within a series they stay as they came.
        instances.sort_by_cached_key(|instance| key(QueryLevel::Series, &instance.header));
        return matching_instances(query, instances).take(query.limit).collect();
    }
    let mut series: BTreeMap<[String; 4], SeriesRow> = BTreeMap::new();
    let mut fulfilling: BTreeSet<[String; 4]> = BTreeSet::new();
    for instance in instances {
        let key = key(QueryLevel::Series, &instance.header);
        if query.holds(&instance.header, |level| level == QueryLevel::Instance) {
            fulfilling.insert(key.clone());
        }
        let row = SeriesRow { header: instance.header, instances: 0 };
        series.entry(key).or_insert(row).instances += 1;
    }
    // A study whose one series has no such instance still counts that series.
    let keep = |matched: &Match| {
        let at = key(query.level, &matched.header);
        fulfilling.iter().any(|series| (0..4).all(|n| at[n].is_empty() || at[n] == series[n]))
    };
    answer(query, series.into_values().collect()).into_iter().filter(keep).collect()
}

/// The instances that match, each as one.
pub(super) fn matching_instances(
    query: &Query,
    instances: Vec<Instance>,
) -> impl Iterator<Item = Match> {
    instances.into_iter().filter(|i| query.holds(&i.header, |_| true)).map(|instance| Match {
        modalities: BTreeSet::from([instance.header.modality.clone()]),
        header: instance.header,
        studies: 1,
        series: 1,
        instances: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(pattern: &str, value: &str) -> bool {
        Matching::Pattern(pattern.into()).fits(Some(value))
    }

    fn name(pattern: &str, value: &str) -> bool {
        Matching::Name(pattern.into()).fits(Some(value))
    }

    #[test]
    fn stars_and_question_marks_match_as_the_standard_says() {
        assert!(pattern("*", "") && pattern("*", "any") && pattern("a*c", "abbbc"));
        assert!(pattern("?b?", "abc") && !pattern("?b?", "ab") && !pattern("a*", "ba"));
        assert!(pattern("*b*b", "abab") && pattern("**", "x") && !pattern("", "x"));
        assert!(!pattern("LUNG", "lung"), "only names pass over case");
    }

    #[test]
    fn a_name_matches_whatever_its_case_and_by_each_component_group() {
        assert!(name("DOE^JOHN", "Doe^John^^^") && name("doe*", "Doe^John"));
        assert!(name("yamada*", "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}"));
        assert!(name("\u{5c71}\u{7530}*", "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}"));
        assert!(name("m\u{dc}ller^*", "M\u{fc}ller^Anna"));
        assert!(!name("doe", "Doe^John"));
    }

    #[test]
    fn a_range_includes_both_ends_and_what_a_short_end_stands_for() {
        let range = |from: &str, to: &str| {
            let bound = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Matching::Range { from: bound(from), to: bound(to) }
        };
        assert!(range("20260301", "20260303").fits(Some("20260303")));
        assert!(range("", "20260303").fits(Some("19990101")));
        assert!(range("20260304", "").fits(Some("2026.03.04")));
        assert!(!range("20260304", "").fits(Some("20260303")));
        assert!(range("1000", "1015").fits(Some("101559.5")), "10:15 ends with its minute");
        assert!(!range("1000", "1015").fits(Some("101600")));
        assert!(!range("1000", "").fits(None), "what is absent lies in no range");
    }

    #[test]
    fn a_bomb_of_stars_is_defused() {
        let bomb = "*a".repeat(2_000) + "b";
        assert!(!pattern(&bomb, &"a".repeat(4_000)));
    }

    /// The definition: a star is nothing or one character and a star.
    fn slowly(pattern: &[u8], value: &[u8]) -> bool {
        match (pattern.first(), value.first()) {
            (None, None) => true,
            (Some(b'*'), None) => slowly(&pattern[1..], value),
            (Some(b'*'), Some(_)) => slowly(&pattern[1..], value) || slowly(pattern, &value[1..]),
            (Some(p), Some(v)) if p == v || *p == b'?' => slowly(&pattern[1..], &value[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_their_definition_matches(p in "[ab*?]{0,7}", v in "[ab]{0,8}") {
            prop_assert_eq!(pattern(&p, &v), slowly(p.as_bytes(), v.as_bytes()));
        }
    }
}
