//! Coded entries (PS3.3 section 8).

use super::DataSet;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::borrow::Cow;

/// (value, scheme, meaning), as one item of a code sequence.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Code Value, at most 16 characters.
    pub value: Cow<'static, str>,
    /// Coding Scheme Designator: `DCM`, `SCT`, `UCUM`, `LN`, `NCIt`, `UMLS`, `RFC5646`, `99RPT`.
    pub scheme: Cow<'static, str>,
    pub meaning: Cow<'static, str>,
}

impl Code {
    pub const fn new(value: &'static str, scheme: &'static str, meaning: &'static str) -> Self {
        Self {
            value: Cow::Borrowed(value),
            scheme: Cow::Borrowed(scheme),
            meaning: Cow::Borrowed(meaning),
        }
    }

    /// A unit of measurement; the meaning is the UCUM symbol itself.
    pub const fn unit(symbol: &'static str) -> Self {
        Self::new(symbol, "UCUM", symbol)
    }

    /// The item of a code sequence.
    pub fn item(&self) -> DataSet {
        DataSet::new()
            .text(tags::CODE_VALUE, VR::SH, &self.value)
            .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, &self.scheme)
            .text(tags::CODE_MEANING, VR::LO, &self.meaning)
    }
}
