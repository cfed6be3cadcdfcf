//! C-FIND as SCU, Study Root, from studies down to instances.

use super::{FetchError, Lacking, MAX_INSTANCES, MAX_SERIES, MAX_STUDIES, Wanted, lacking_of};
use crate::archive::Archive;
use crate::dicom::{PatientIdentity, Uid, header};
use crate::node::association::seconds;
use crate::node::command::{Command, field, status};
use crate::node::identifier::{self, uid};
use crate::node::local::LocalAe;
use crate::node::send::{self, Client, is_answer};
use crate::node::settings::Peer;
use crate::node::tls::Stream;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const MODEL: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND;

/// An association on which a peer is asked what it has.
pub(super) struct Finder {
    client: Client<Stream>,
    syntax: Uid,
    messages: usize,
    /// For the next answer.
    patience: Duration,
}

/// Keys of an identifier: level, what is matched, what is to come back.
pub(super) fn identifier(level: &str, keys: &[(Tag, VR, String)]) -> InMemDicomObject {
    let element = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
    let mut object = InMemDicomObject::from_element_iter(
        keys.iter().map(|(tag, vr, text)| element(*tag, *vr, text)),
    );
    object.put(element(tags::QUERY_RETRIEVE_LEVEL, VR::CS, level));
    if keys.iter().any(|(.., text)| !text.is_ascii()) {
        object.put(element(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"));
    }
    object
}

impl Finder {
    pub(super) async fn connect(peer: &Peer, local: &LocalAe) -> Result<Self, FetchError> {
        let Some((client, syntax)) = Client::for_class(peer, local, MODEL, &[]).await? else {
            let what = "queries (C-FIND, Study Root); set them up there";
            return Err(FetchError::NotOffered(what));
        };
        let patience = seconds(local.limits.idle_s).max(client.answer);
        Ok(Self { client, syntax, messages: 0, patience })
    }

    pub(super) async fn close(self, peer: &str, is_sound: bool) {
        match is_sound {
            true => self.client.release(peer).await,
            false => self.client.association.abort().await,
        }
    }

    /// All answers to one question, at most `max`.
    async fn ask(
        &mut self,
        identifier: &InMemDicomObject,
        (max, what): (usize, &'static str),
    ) -> Result<Vec<InMemDicomObject>, FetchError> {
        let model = Uid::parse(MODEL).expect("the dictionary's UIDs are UIDs");
        let request = Command::request(field::C_FIND_RQ, send::message_id(self.messages), model);
        self.messages += 1;
        let data = identifier::encode(identifier, &self.syntax);
        self.client.request(1, &request, &data).await?;
        let mut answers = Vec::new();
        loop {
            let Some((context, response)) = self.client.next_command(self.patience).await? else {
                return Err(FetchError::Unreadable("a release amid its answers"));
            };
            if context != 1 || !is_answer(&response, &request) {
                return Err(FetchError::Unreadable("an answer to something else"));
            }
            let data = match response.has_data_set {
                true => Some(self.client.data_set(context).await?),
                false => None,
            };
            match (response.status, data) {
                (Some(status::PENDING | status::PENDING_WITHOUT_SOME_KEYS), Some(data)) => {
                    if answers.len() >= max {
                        return Err(FetchError::TooMany { max, what });
                    }
                    let answer = identifier::data_set(&data, &self.syntax)
                        .map_err(|_| FetchError::Unreadable("a data set that is none"))?;
                    answers.push(answer);
                }
                (Some(status::SUCCESS), _) => return Ok(answers),
                _ => return Err(FetchError::refused("C-FIND", &response)),
            }
        }
    }

    /// How many instances are wanted, and which series are not whole here.
    pub(super) async fn look(
        &mut self,
        archive: &Arc<dyn Archive>,
        wanted: &Wanted,
    ) -> Result<(usize, Vec<Lacking>), FetchError> {
        let mut series = Vec::new();
        for study in self.studies(wanted).await? {
            for one in self.series(&study, wanted).await? {
                series.push((study.clone(), one));
            }
            if series.len() > MAX_SERIES {
                return Err(FetchError::TooMany { max: MAX_SERIES, what: "series" });
            }
        }
        let (mut found, mut lacking) = (0, Vec::new());
        for (study, series) in series {
            let instances = self.instances(&study, &series, MAX_INSTANCES - found).await?;
            let all = instances.len();
            found += all;
            let instances = lacking_of(archive, &series, instances).await?;
            if !instances.is_empty() {
                let whole = instances.len() == all;
                lacking.push(Lacking { study, series, instances, whole });
            }
        }
        Ok((found, lacking))
    }

    /// Of the patient and within the dates. One of another patient ends it all.
    async fn studies(&mut self, wanted: &Wanted) -> Result<BTreeSet<Uid>, FetchError> {
        let (from, to) = wanted.dates;
        let dates = format!("{}-{}", from.strftime("%Y%m%d"), to.strftime("%Y%m%d"));
        let keys = [
            (tags::STUDY_DATE, VR::DA, dates),
            (tags::PATIENT_ID, VR::LO, wanted.patient.id.clone()),
            (tags::ISSUER_OF_PATIENT_ID, VR::LO, wanted.patient.issuer.clone()),
            (tags::STUDY_INSTANCE_UID, VR::UI, String::new()),
        ];
        let answers = self.ask(&identifier("STUDY", &keys), (MAX_STUDIES, "studies")).await?;
        let mut studies = BTreeSet::new();
        for answer in answers {
            let text = |tag| header::text(&answer, tag).unwrap_or_default();
            let patient = PatientIdentity {
                id: text(tags::PATIENT_ID),
                issuer: text(tags::ISSUER_OF_PATIENT_ID),
                ..PatientIdentity::default()
            };
            if !patient.is_same_person(&wanted.patient) {
                return Err(FetchError::WrongPatient);
            }
            // A peer that cannot match ranges answers with studies of any day.
            let date = text(tags::STUDY_DATE);
            let within = jiff::civil::Date::strptime("%Y%m%d", &date)
                .is_ok_and(|date| (from..=to).contains(&date));
            if !within && !date.is_empty() {
                continue;
            }
            let study = uid(&answer, tags::STUDY_INSTANCE_UID)
                .ok_or(FetchError::Unreadable("a study without its UID"))?;
            studies.insert(study);
        }
        Ok(studies)
    }

    async fn series(&mut self, study: &Uid, wanted: &Wanted) -> Result<BTreeSet<Uid>, FetchError> {
        let keys = [
            (tags::MODALITY, VR::CS, String::new()),
            (tags::STUDY_INSTANCE_UID, VR::UI, study.to_string()),
            (tags::SERIES_INSTANCE_UID, VR::UI, String::new()),
        ];
        let mut series = BTreeSet::new();
        for answer in self.ask(&identifier("SERIES", &keys), (MAX_SERIES, "series")).await? {
            is_within(&answer, tags::STUDY_INSTANCE_UID, study)?;
            let modality = header::text(&answer, tags::MODALITY).unwrap_or_default();
            if !wanted.modalities.contains(&modality) {
                continue;
            }
            let uid = uid(&answer, tags::SERIES_INSTANCE_UID)
                .ok_or(FetchError::Unreadable("a series without its UID"))?;
            series.insert(uid);
        }
        Ok(series)
    }

    async fn instances(
        &mut self,
        study: &Uid,
        series: &Uid,
        max: usize,
    ) -> Result<BTreeSet<Uid>, FetchError> {
        let keys = [
            (tags::SOP_INSTANCE_UID, VR::UI, String::new()),
            (tags::STUDY_INSTANCE_UID, VR::UI, study.to_string()),
            (tags::SERIES_INSTANCE_UID, VR::UI, series.to_string()),
        ];
        let answers = match self.ask(&identifier("IMAGE", &keys), (max, "instances")).await {
            Err(FetchError::TooMany { what, .. }) => {
                return Err(FetchError::TooMany { max: MAX_INSTANCES, what });
            }
            answers => answers?,
        };
        let mut instances = BTreeSet::new();
        for answer in answers {
            is_within(&answer, tags::STUDY_INSTANCE_UID, study)?;
            is_within(&answer, tags::SERIES_INSTANCE_UID, series)?;
            let uid = uid(&answer, tags::SOP_INSTANCE_UID)
                .ok_or(FetchError::Unreadable("an instance without its UID"))?;
            instances.insert(uid);
        }
        Ok(instances)
    }
}

/// An answer may leave the unique keys of levels above out, but not give others.
fn is_within(answer: &InMemDicomObject, tag: Tag, asked: &Uid) -> Result<(), FetchError> {
    match uid(answer, tag) {
        Some(other) if other != *asked => {
            Err(FetchError::Unreadable("an answer about another study or series"))
        }
        _ => Ok(()),
    }
}
