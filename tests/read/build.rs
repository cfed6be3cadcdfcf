//! Small DICOM objects, built attribute by attribute and written to a folder of their own.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use grayd::dicom::read::{Emission, EmissionContext, ReadError, emission};
use jiff::tz::TimeZone;
use std::path::PathBuf;
use tempfile::TempDir;

/// A data set in the making.
#[derive(Clone)]
pub struct Build(pub InMemDicomObject);

impl Build {
    pub fn item() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// Identity of an instance: patient, study, series, frame of reference.
    pub fn instance(sop_class: &str, modality: &str, number: usize) -> Self {
        Self::item()
            .uid(tags::SOP_CLASS_UID, sop_class)
            .uid(tags::SOP_INSTANCE_UID, &format!("1.2.826.0.1.{number}"))
            .uid(tags::STUDY_INSTANCE_UID, "1.2.826.0.2")
            .uid(tags::SERIES_INSTANCE_UID, "1.2.826.0.3")
            .uid(tags::FRAME_OF_REFERENCE_UID, "1.2.826.0.4")
            .text(tags::MODALITY, VR::CS, modality)
            .text(tags::PATIENT_ID, VR::LO, "P-1")
            .text(tags::PATIENT_NAME, VR::PN, "Phantom^One")
    }

    /// Image Pixel of `bits` allocated and stored.
    pub fn pixels(self, rows: u16, columns: u16, frames: usize, bits: u16) -> Self {
        let image = self
            .us(tags::SAMPLES_PER_PIXEL, 1)
            .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
            .us(tags::ROWS, rows)
            .us(tags::COLUMNS, columns)
            .us(tags::BITS_ALLOCATED, bits)
            .us(tags::BITS_STORED, bits)
            .us(tags::HIGH_BIT, bits - 1)
            .us(tags::PIXEL_REPRESENTATION, 0);
        if frames > 0 {
            image.text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string())
        } else {
            image
        }
    }

    fn put(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self {
        self.0.put(DataElement::new(tag, vr, value));
        self
    }
    pub fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        let parts: Vec<String> = text.split('\\').map(str::to_owned).collect();
        self.put(tag, vr, PrimitiveValue::Strs(parts.into_iter().collect()))
    }
    pub fn uid(self, tag: Tag, uid: &str) -> Self {
        self.text(tag, VR::UI, uid)
    }
    pub fn ds(self, tag: Tag, text: &str) -> Self {
        self.text(tag, VR::DS, text)
    }
    pub fn cs(self, tag: Tag, text: &str) -> Self {
        self.text(tag, VR::CS, text)
    }
    pub fn us(self, tag: Tag, value: u16) -> Self {
        self.put(tag, VR::US, PrimitiveValue::from(value))
    }
    pub fn us_list(self, tag: Tag, values: &[u16]) -> Self {
        self.put(tag, VR::US, PrimitiveValue::U16(values.iter().copied().collect()))
    }
    pub fn ul_list(self, tag: Tag, values: &[u32]) -> Self {
        self.put(tag, VR::UL, PrimitiveValue::U32(values.iter().copied().collect()))
    }
    pub fn fd(self, tag: Tag, values: &[f64]) -> Self {
        self.put(tag, VR::FD, PrimitiveValue::F64(values.iter().copied().collect()))
    }
    pub fn floats(self, tag: Tag, values: &[f32]) -> Self {
        self.put(tag, VR::OF, PrimitiveValue::F32(values.iter().copied().collect()))
    }
    pub fn at(self, tag: Tag, pointers: &[Tag]) -> Self {
        self.put(tag, VR::AT, PrimitiveValue::Tags(pointers.iter().copied().collect()))
    }
    pub fn words(self, values: &[u16]) -> Self {
        self.put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(values.iter().copied().collect()))
    }
    pub fn bytes(self, values: &[u8]) -> Self {
        self.put(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(values.iter().copied().collect()))
    }
    pub fn sequence(mut self, tag: Tag, items: Vec<Build>) -> Self {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|b| b.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        self
    }
    pub fn code(self, tag: Tag, value: &str, scheme: &str, meaning: &str) -> Self {
        let code = Build::item()
            .text(tags::CODE_VALUE, VR::SH, value)
            .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme)
            .text(tags::CODE_MEANING, VR::LO, meaning);
        self.sequence(tag, vec![code])
    }
    pub fn without(mut self, tag: Tag) -> Self {
        self.0.remove_element(tag);
        self
    }
}

/// A folder of instances.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
    pub fn write(&self, name: &str, object: &Build) -> PathBuf {
        let path = self.0.path().join(name);
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        object.0.clone().with_meta(meta).unwrap().write_to_file(&path).unwrap();
        path
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Writes and reads a series, in the order given.
pub fn read_series(objects: &[Build]) -> Result<Emission, ReadError> {
    let folder = Folder::new();
    let paths: Vec<PathBuf> =
        objects.iter().enumerate().map(|(n, o)| folder.write(&format!("{n}.dcm"), o)).collect();
    emission(&paths, &EmissionContext { rwvm: &[], default_zone: TimeZone::UTC })
}

/// Warning codes, in order.
pub fn codes(warnings: &[grayd::quantity::Warning]) -> Vec<&str> {
    warnings.iter().map(|w| w.code.as_str()).collect()
}
