//! How tables of coded concepts are written: `NAME = "value", "scheme", "meaning";`.

macro_rules! codes {
    ($($name:ident = $value:literal, $scheme:literal, $meaning:literal;)*) => {
        $(pub(in crate::report) static $name: $crate::dicom::write::Code =
            $crate::dicom::write::Code::new($value, $scheme, $meaning);)*
    };
}

pub(super) use codes;
