//! What passes the gate, the parser reads without error, panic or undue memory, and both see the
//! same number of elements on all levels and the same bulk.
#![no_main]

use dicom_core::value::Value;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::{TransferSyntax, entries};
use grayd::dicom::gate::{self, GateReport, TransferSyntaxKind};
use libfuzzer_sys::fuzz_target;

/// Elements and items; `None` where there are fragments, whose items the parser does not keep.
fn size(object: &InMemDicomObject) -> Option<u32> {
    object.iter().try_fold(0, |sum, element| {
        let below = match element.value() {
            Value::Primitive(_) => 0,
            Value::PixelSequence(_) => return None,
            Value::Sequence(sequence) => {
                sequence.items().iter().try_fold(0, |sum, item| Some(sum + 1 + size(item)?))?
            }
        };
        Some(sum + 1 + below)
    })
}

fuzz_target!(|input: &[u8]| {
    // Must not panic on files either, whatever it answers.
    let _ = gate::check_part10(input);
    // As each of the layouts: the same bytes mean other elements in each.
    for (kind, syntax) in [
        (TransferSyntaxKind::ExplicitLittle, entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()),
        (TransferSyntaxKind::ImplicitLittle, entries::IMPLICIT_VR_LITTLE_ENDIAN.erased()),
        (TransferSyntaxKind::ExplicitBig, entries::EXPLICIT_VR_BIG_ENDIAN.erased()),
        (TransferSyntaxKind::Encapsulated, entries::RLE_LOSSLESS.erased()),
    ] {
        if let Ok(report) = gate::check(input, kind) {
            parser_agrees(input, &report, &syntax);
        }
    }
});

fn parser_agrees(data: &[u8], report: &GateReport, syntax: &TransferSyntax) {
    let object = InMemDicomObject::read_dataset_with_ts(data, syntax)
        .expect("the parser reads what the gate lets through");
    if let Some(size) = size(&object) {
        assert_eq!(size, report.elements);
    }
    let header = &data[..report.header_bytes as usize];
    let header = InMemDicomObject::read_dataset_with_ts(header, syntax)
        .expect("the header is whole by itself");
    let before = |tag| report.bulk.is_none_or(|bulk| tag < bulk);
    let tags =
        |object: &InMemDicomObject| object.iter().map(|e| e.header().tag).collect::<Vec<_>>();
    let mut expected = tags(&object);
    expected.retain(|tag| before(*tag));
    assert_eq!(tags(&header), expected);
}
