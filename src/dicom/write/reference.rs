//! References to other instances, grouped as the modules want them.

use super::DataSet;
use crate::dicom::Uid;
use dicom_dictionary_std::tags;
use std::collections::BTreeMap;

/// One instance and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceReference {
    pub study: Uid,
    pub series: Uid,
    pub sop_class: Uid,
    pub sop_instance: Uid,
}

impl InstanceReference {
    /// Referenced SOP Class UID and Referenced SOP Instance UID.
    pub fn item(&self) -> DataSet {
        DataSet::new()
            .uid(tags::REFERENCED_SOP_CLASS_UID, &self.sop_class)
            .uid(tags::REFERENCED_SOP_INSTANCE_UID, &self.sop_instance)
    }
}

type ByStudy<'a> = BTreeMap<&'a Uid, BTreeMap<&'a Uid, Vec<&'a InstanceReference>>>;

/// Study, series, instances, each in UID order and once.
fn grouped(references: &[InstanceReference]) -> ByStudy<'_> {
    let mut studies = ByStudy::new();
    let ordered: std::collections::BTreeSet<_> = references.iter().collect();
    for reference in ordered {
        let series = studies.entry(&reference.study).or_default();
        series.entry(&reference.series).or_default().push(reference);
    }
    studies
}

fn series_items(
    series: &BTreeMap<&Uid, Vec<&InstanceReference>>,
    instances: dicom_core::Tag,
) -> Vec<DataSet> {
    let item = |(uid, list): (&&Uid, &Vec<&InstanceReference>)| {
        DataSet::new()
            .uid(tags::SERIES_INSTANCE_UID, uid)
            .sequence(instances, list.iter().map(|r| r.item()).collect())
    };
    series.iter().map(item).collect()
}

/// Common Instance Reference module (PS3.3 C.12.2) of an object in `own_study`.
pub fn common_instance_reference(references: &[InstanceReference], own_study: &Uid) -> DataSet {
    let studies = grouped(references);
    let own = studies.get(own_study);
    let others: Vec<DataSet> = studies
        .iter()
        .filter(|(study, _)| *study != &own_study)
        .map(|(study, series)| {
            DataSet::new().uid(tags::STUDY_INSTANCE_UID, study).sequence(
                tags::REFERENCED_SERIES_SEQUENCE,
                series_items(series, tags::REFERENCED_INSTANCE_SEQUENCE),
            )
        })
        .collect();
    let mut module = DataSet::new().with_some(own, |set, series| {
        set.sequence(
            tags::REFERENCED_SERIES_SEQUENCE,
            series_items(series, tags::REFERENCED_INSTANCE_SEQUENCE),
        )
    });
    if !others.is_empty() {
        module =
            module.sequence(tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE, others);
    }
    module
}

/// Hierarchical SOP Instance Reference (PS3.3 table C.17-3): one item a study, for the evidence
/// sequences and the predecessor of an SR document.
pub fn hierarchical(references: &[InstanceReference]) -> Vec<DataSet> {
    grouped(references)
        .iter()
        .map(|(study, series)| {
            DataSet::new().uid(tags::STUDY_INSTANCE_UID, study).sequence(
                tags::REFERENCED_SERIES_SEQUENCE,
                series_items(series, tags::REFERENCED_SOP_SEQUENCE),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(study: &str, series: &str, instance: &str) -> InstanceReference {
        let uid = |text: &str| Uid::parse(text).unwrap();
        InstanceReference {
            study: uid(study),
            series: uid(series),
            sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
            sop_instance: uid(instance),
        }
    }

    #[test]
    fn own_study_and_other_studies_are_kept_apart_and_every_instance_stands_once() {
        let all = [reference("1.1", "1.1.1", "9"), reference("1.2", "1.2.1", "8")];
        let twice = [all.clone(), all].concat();
        let module = common_instance_reference(&twice, &Uid::parse("1.1").unwrap()).into_inner();
        let items = |tag| module.get(tag).unwrap().items().unwrap().len();
        assert_eq!(items(tags::REFERENCED_SERIES_SEQUENCE), 1);
        assert_eq!(items(tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE), 1);
        assert_eq!(hierarchical(&twice).len(), 2);
    }
}
