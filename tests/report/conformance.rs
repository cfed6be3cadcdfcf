//! Annex of the conformance statement: what stands in each kind of object, read from the objects
//! themselves over all results that differ in what objects have to hold.

use crate::results::{options, variants};
use crate::statement::{document, renew, table};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;
use grayd::report::{DoseBits, Kind, write_all};
use std::collections::BTreeMap;
use std::path::Path;

/// Attributes below a sequence are written once, whatever the number of items and of levels; deeper
/// than this only the sequence is named.
const DEPTH: usize = 3;

/// How often an attribute is there, and how often with a value.
#[derive(Default)]
struct Seen {
    there: usize,
    with_value: usize,
}

type Tree = BTreeMap<Vec<(Tag, VR)>, Seen>;

fn walk(object: &InMemDicomObject, above: &[(Tag, VR)], tree: &mut Tree) {
    for element in object {
        let mut path = above.to_vec();
        path.push((element.tag(), element.vr()));
        let items = element.items();
        let is_empty = match items {
            Some(items) => items.is_empty(),
            None => element.to_bytes().is_ok_and(|bytes| bytes.is_empty()),
        };
        let seen = tree.entry(path.clone()).or_default();
        seen.there += 1;
        seen.with_value += usize::from(!is_empty);
        if path.len() < DEPTH {
            for item in items.unwrap_or_default() {
                walk(item, &path, tree);
            }
        }
    }
}

/// Items of each sequence, which is what its attributes are counted against.
fn items_of(objects: &[InMemDicomObject]) -> BTreeMap<Vec<Tag>, usize> {
    fn count(object: &InMemDicomObject, above: &[Tag], found: &mut BTreeMap<Vec<Tag>, usize>) {
        *found.entry(above.to_vec()).or_default() += 1;
        for element in object {
            let path = [above, &[element.tag()]].concat();
            for item in element.items().unwrap_or_default() {
                count(item, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    objects.iter().for_each(|object| count(object, &[], &mut found));
    found
}

fn annex(objects: &[InMemDicomObject]) -> String {
    let mut tree = Tree::new();
    objects.iter().for_each(|object| walk(object, &[], &mut tree));
    let items = items_of(objects);
    let rows = tree.iter().map(|(path, seen)| {
        let tags: Vec<Tag> = path.iter().map(|(tag, _)| *tag).collect();
        let (tag, vr) = path.last().unwrap();
        let all = items[&tags[..tags.len() - 1]];
        let entry = StandardDataDictionary.by_tag(*tag);
        let name = entry.map_or("private", |entry| entry.alias());
        let presence = if seen.there == all { "always" } else { "where it applies" };
        let value = match seen.with_value {
            0 => "empty",
            count if count == seen.there => "",
            _ => "or empty",
        };
        vec![
            format!("{}{name}", "> ".repeat(path.len() - 1)),
            format!("({:04X},{:04X})", tag.group(), tag.element()),
            vr.to_string().to_owned(),
            presence.to_owned(),
            value.to_owned(),
        ]
    });
    table(&["attribute", "tag", "VR", "there", "value"], rows)
}

/// Every object of a kind that the results come with.
fn objects(kind: Kind, folder: &Path) -> Vec<InMemDicomObject> {
    let mut found = Vec::new();
    for result in variants() {
        for written in write_all(&result, folder, &options(DoseBits::ThirtyTwo)).unwrap() {
            if written.kind == kind {
                found.push(dicom_object::open_file(&written.path).unwrap().into_inner());
            }
        }
    }
    assert!(!found.is_empty(), "{kind:?}");
    found
}

#[test]
fn the_annex_of_created_objects_is_what_the_writers_write() {
    let folder = tempfile::tempdir().unwrap();
    let tables = [
        ("rt-dose", Kind::RtDose),
        ("rt-dose-error", Kind::RtDoseError),
        ("rt-dose-bed", Kind::RtDoseEffective),
        ("segmentation", Kind::Segmentation),
        ("structured-report", Kind::StructuredReport),
        ("structure-set", Kind::StructureSet),
        ("parametric-map", Kind::TimeIntegratedActivityMap),
        ("registration", Kind::Registration),
        ("administration-report", Kind::AdministrationReport),
        ("patient-dose-report", Kind::PatientDoseReport),
        ("deformable-registration", Kind::DeformableRegistration),
    ];
    let tables = tables.map(|(name, kind)| (name, annex(&objects(kind, folder.path()))));
    renew(&document("conformance-objects.md"), &tables);
}
