//! Codes for what a region is, from its name (`config/codes/anatomy.yaml`).

use crate::dicom::write::Code;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Category, type and side of a region (PS3.16 CID 7150, 7151, 244).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionCodes {
    pub category: Code,
    pub property: Code,
    pub laterality: Option<Code>,
}

impl RegionCodes {
    /// A lesion rather than an organ: its category is the table's `abnormal`.
    pub fn is_abnormal(&self) -> bool {
        table().categories.get("abnormal") == Some(&self.category)
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    categories: BTreeMap<String, Code>,
    lateralities: Lateralities,
    unknown: Unknown,
    entries: Vec<Entry>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Lateralities {
    left: Code,
    right: Code,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Unknown {
    category: String,
    code: Code,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    words: Vec<String>,
    category: String,
    code: Code,
    #[serde(default)]
    paired: bool,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        serde_saphyr::from_str(include_str!("../../config/codes/anatomy.yaml"))
            .expect("the embedded table is read by a test")
    })
}

/// Codes of a region by its anatomy, where that is known, else by its name. A region that no
/// entry knows is tissue.
pub fn codes_of(name: &str, anatomy: Option<&str>) -> RegionCodes {
    let table = table();
    let named = words_of(name);
    let described = anatomy.map(words_of).unwrap_or_default();
    let entry = table
        .entries
        .iter()
        .find(|entry| entry.applies_to(&described))
        .or_else(|| table.entries.iter().find(|entry| entry.applies_to(&named)));
    let (category, code, paired) = entry
        .map_or((&table.unknown.category, &table.unknown.code, false), |entry| {
            (&entry.category, &entry.code, entry.paired)
        });
    let says = |sides: [&str; 3]| {
        sides.iter().any(|side| named.contains(*side) || described.contains(*side))
    };
    let laterality = match (says(["left", "lt", "l"]), says(["right", "rt", "r"])) {
        (true, false) if paired => Some(table.lateralities.left.clone()),
        (false, true) if paired => Some(table.lateralities.right.clone()),
        _ => None,
    };
    let category = table.categories.get(category).unwrap_or(&table.unknown.code).clone();
    RegionCodes { category, property: code.clone(), laterality }
}

impl Entry {
    fn applies_to(&self, words: &BTreeSet<String>) -> bool {
        self.words.iter().any(|phrase| words_of(phrase).is_subset(words))
    }
}

/// Lower-case words of a name; `KidneyLeft_2` is `kidney`, `left`, `2`.
fn words_of(name: &str) -> BTreeSet<String> {
    let mut words = Vec::<String>::new();
    let mut previous = ' ';
    for c in name.chars() {
        let goes_on = c.is_alphanumeric()
            && previous.is_alphanumeric()
            && c.is_numeric() == previous.is_numeric()
            && !(c.is_uppercase() && previous.is_lowercase());
        match words.last_mut() {
            Some(word) if goes_on => word.extend(c.to_lowercase()),
            _ if c.is_alphanumeric() => words.push(c.to_lowercase().collect()),
            _ => {}
        }
        previous = c;
    }
    let singular = |word: String| match word.strip_suffix('s') {
        Some(stem) if stem.len() > 3 && !stem.ends_with(['s', 'i']) => stem.to_owned(),
        _ => word,
    };
    words.into_iter().map(singular).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_is_whole() {
        let table = table();
        assert!(table.entries.len() > 20);
        for entry in &table.entries {
            assert!(table.categories.contains_key(&entry.category), "{}", entry.code.meaning);
            assert!(entry.code.value.len() <= 16 && !entry.words.is_empty());
        }
        assert!(table.categories.contains_key(&table.unknown.category));
    }

    #[test]
    fn names_as_people_write_them_find_their_codes() {
        for (name, meaning, side) in [
            ("Kidney Left", "Kidney", Some("Left")),
            ("kidneys", "Kidney", None),
            ("KidneyR", "Kidney", Some("Right")),
            ("LUNG_LT", "Lung", Some("Left")),
            ("Liver", "Liver", None),
            ("liver lesion 2", "Lesion", None),
            ("Lesion1", "Lesion", None),
            ("Bone marrow L2-L4", "Bone Marrow", None),
            ("Remainder of body", "Tissue", None),
            ("xyz", "Tissue", None),
        ] {
            let codes = codes_of(name, None);
            assert_eq!(codes.property.meaning, meaning, "{name}");
            assert_eq!(codes.laterality.map(|c| c.meaning.to_string()).as_deref(), side, "{name}");
        }
        assert_eq!(codes_of("ROI-1", Some("lesion")).property.meaning, "Lesion");
    }
}
