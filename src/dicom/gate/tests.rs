use super::*;
use dicom_core::value::Value;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use proptest::prelude::*;

const EXPLICIT: TransferSyntaxKind = TransferSyntaxKind::ExplicitLittle;

/// One element of Explicit VR Little Endian with any length field.
fn element(tag: (u16, u16), vr: &str, length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "SQ" | "UN" | "UT" | "OF") {
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
    } else {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

fn sized(tag: (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    element(tag, vr, value.len() as u32, value)
}

fn item(length: u32, content: &[u8]) -> Vec<u8> {
    [&[0xFE, 0xFF, 0x00, 0xE0], &length.to_le_bytes()[..], content].concat()
}

const ITEM_END: [u8; 8] = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
const SEQUENCE_END: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

fn nested(depth: usize, defined: bool) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..depth {
        inner = if defined {
            let item = item(inner.len() as u32, &inner);
            sized((0x0040, 0xA730), "SQ", &item)
        } else {
            let content = [item(u32::MAX, &inner), ITEM_END.into(), SEQUENCE_END.into()].concat();
            element((0x0040, 0xA730), "SQ", u32::MAX, &content)
        };
    }
    inner
}

/// An image description and what follows it.
fn image(rows: u16, frames: &str, allocated: u16, stored: u16, pixels: &[u8]) -> Vec<u8> {
    let us = |n: u16| n.to_le_bytes();
    [
        sized((0x0028, 0x0002), "US", &us(1)),
        sized((0x0028, 0x0008), "IS", frames.as_bytes()),
        sized((0x0028, 0x0010), "US", &us(rows)),
        sized((0x0028, 0x0011), "US", &us(2)),
        sized((0x0028, 0x0100), "US", &us(allocated)),
        sized((0x0028, 0x0101), "US", &us(stored)),
        sized((0x0028, 0x0102), "US", &us(stored.saturating_sub(1))),
        pixels.to_vec(),
    ]
    .concat()
}

fn fault(data: &[u8]) -> GateFault {
    check(data, EXPLICIT).expect_err("the gate must stay shut").fault
}

#[test]
fn nesting_passes_up_to_the_limit_and_not_beyond() {
    for defined in [true, false] {
        let report = check(&nested(MAX_DEPTH, defined), EXPLICIT).unwrap();
        assert_eq!((report.depth, report.elements as usize), (MAX_DEPTH, 2 * MAX_DEPTH));
        assert!(matches!(fault(&nested(MAX_DEPTH + 1, defined)), GateFault::TooDeep));
        assert!(matches!(fault(&nested(3000, defined)), GateFault::TooDeep));
    }
}

#[test]
fn lengths_beyond_the_enclosure_are_refused_with_place_and_remedy() {
    let huge = element((0x0009, 0x1001), "OB", 0xFFFF_FFF0, b"");
    let error = check(&huge, EXPLICIT).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("(0009,1001) declares 4294967280"), "{text}");
    assert!(text.ends_with("send the instance again, whole (byte 0)"), "{text}");

    // The value fits the data set but not its item: the error names the item's path.
    let text = element((0x0008, 0x0104), "LO", 4, b"ab");
    let data = [
        sized((0x0008, 0x1110), "SQ", &item(text.len() as u32, &text)),
        sized((0x0010, 0x0010), "PN", b"Nobody"),
    ]
    .concat();
    let error = check(&data, EXPLICIT).unwrap_err();
    assert!(matches!(error.fault, GateFault::Overrun { declared: 4, remain: 2 }));
    assert_eq!(error.path, "(0008,1110)[1].(0008,0104)");
}

#[test]
fn what_readers_disagree_on_is_refused() {
    assert!(matches!(
        fault(&sized((0x0028, 0x0106), "US", b"abc")),
        GateFault::Ragged { length: 3, unit: 2, .. }
    ));
    let implicit = [0x08, 0, 0x60, 0, 2, 0, 0, 0, b'P', b'T'];
    assert!(matches!(fault(&implicit), GateFault::UnknownVr));
    let un = [item(u32::MAX, b""), ITEM_END.into(), SEQUENCE_END.into()].concat();
    assert!(matches!(
        fault(&element((0x2001, 0x105F), "UN", u32::MAX, &un)),
        GateFault::UndefinedLength("UN")
    ));
    assert!(matches!(fault(&item(0, b"")), GateFault::Misplaced));
    assert!(matches!(fault(&ITEM_END), GateFault::Misplaced));
    let twice = [sized((0x0008, 0x0060), "CS", b"PT"), sized((0x0008, 0x0060), "CS", b"CT")];
    assert!(matches!(fault(&twice.concat()), GateFault::OutOfOrder(Tag(0x0008, 0x0060))));
    assert!(matches!(fault(&sized((0x0002, 0x0010), "UI", b"1.2\0")), GateFault::IllegalTag));
    // An item of defined length may not be closed by a delimiter, nor a delimiter have a length.
    let closed = sized((0x0008, 0x1110), "SQ", &[item(8, &ITEM_END), SEQUENCE_END.into()].concat());
    assert!(matches!(fault(&closed), GateFault::Misplaced));
    let mut long = ITEM_END;
    long[4] = 2;
    let content = [item(u32::MAX, &long), SEQUENCE_END.into()].concat();
    assert!(matches!(
        fault(&element((0x0008, 0x1110), "SQ", u32::MAX, &content)),
        GateFault::DelimiterLength
    ));
}

#[test]
fn every_cut_of_a_sound_data_set_is_refused_or_ends_at_an_element() {
    let data = [nested(3, false), sized((0x0040, 0xDB0C), "UI", b"1.2.3\0")].concat();
    let sound = check(&data, EXPLICIT).unwrap();
    assert_eq!(sound.bytes, data.len() as u64);
    let boundary = nested(3, false).len();
    for cut in 1..data.len() {
        assert_eq!(check(&data[..cut], EXPLICIT).is_ok(), cut == boundary, "cut at {cut}");
    }
}

#[test]
fn pixel_data_that_contradict_their_description_are_refused() {
    let pixels = |n| sized((0x7FE0, 0x0010), "OW", &vec![0; n]);
    let report = check(&image(3, "2 ", 16, 12, &pixels(24)), EXPLICIT).unwrap();
    let found = report.pixel_data.unwrap();
    assert_eq!((found.length, found.fragments), (24, None));
    assert_eq!(report.bulk, Some(Tag(0x7FE0, 0x0010)));
    assert_eq!(report.header_bytes + 12, found.offset);

    assert!(matches!(
        fault(&image(3, "2 ", 16, 12, &pixels(0))),
        GateFault::Pixels(PixelLie::NoPixels)
    ));
    for length in [22, 26] {
        assert!(matches!(
            fault(&image(3, "2 ", 16, 12, &pixels(length))),
            GateFault::Pixels(PixelLie::Size { wanted: 24, .. })
        ));
    }
    for (frames, allocated, stored) in [("0 ", 16, 16), ("-1", 16, 16), ("2 ", 7, 7)] {
        assert!(matches!(
            fault(&image(3, frames, allocated, stored, &pixels(24))),
            GateFault::Pixels(PixelLie::Value(_))
        ));
    }
    assert!(matches!(
        fault(&image(3, "2 ", 16, 17, &pixels(24))),
        GateFault::Pixels(PixelLie::Bits { .. })
    ));
    // One bit a pixel: 3 x 2 x 3 bits are 3 bytes, padded to 4.
    assert!(check(&image(3, "3 ", 1, 1, &pixels(4)), EXPLICIT).is_ok());
    let rows_as_ul = sized((0x0028, 0x0010), "UL", &[1, 0, 0, 0]);
    assert!(matches!(fault(&rows_as_ul), GateFault::WrongVr { found: "UL", wanted: "US" }));
}

#[test]
fn fragments_are_bounded_and_counted() {
    let fragments = |second: u32| {
        let content =
            [item(0, b""), item(4, b"abcd"), item(second, b"ef"), SEQUENCE_END.into()].concat();
        let pixels = element((0x7FE0, 0x0010), "OB", u32::MAX, &content);
        image(3, "2 ", 8, 8, &pixels)
    };
    let rle = TransferSyntaxKind::Encapsulated;
    let report = check(&fragments(2), rle).unwrap();
    let found = report.pixel_data.unwrap();
    assert_eq!((found.length, found.fragments), (6, Some(2)));
    let fault = |data: &[u8], kind| check(data, kind).unwrap_err().fault;
    assert!(matches!(fault(&fragments(1000), rle), GateFault::Overrun { .. }));
    assert!(matches!(fault(&fragments(3), rle), GateFault::Ragged { length: 3, .. }));
    assert!(matches!(fault(&fragments(2), EXPLICIT), GateFault::PixelForm(_)));
    let native = image(3, "2 ", 8, 8, &sized((0x7FE0, 0x0010), "OW", &[0; 12]));
    assert!(matches!(fault(&native, rle), GateFault::PixelForm(_)));
}

#[test]
fn only_syntaxes_that_can_be_bounded_are_taken() {
    let kind = |text| TransferSyntaxKind::of(&Uid::parse(text).unwrap());
    assert_eq!(kind("1.2.840.10008.1.2"), Some(TransferSyntaxKind::ImplicitLittle));
    assert_eq!(kind("1.2.840.10008.1.2.4.90"), Some(TransferSyntaxKind::Encapsulated));
    for refused in
        ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.3", "1.2.840.10008.1.20"]
    {
        assert_eq!(kind(refused), None, "{refused}");
    }
}

#[test]
fn part_10_files_are_checked_from_the_first_byte() {
    let syntax = sized((0x0002, 0x0010), "UI", b"1.2.840.10008.1.2.1\0");
    let file = |total: u32, meta: &[u8]| {
        let length = sized((0x0002, 0x0000), "UL", &total.to_le_bytes());
        let body = sized((0x0008, 0x0060), "CS", b"PT");
        [&[0; 128], &b"DICM"[..], &length, meta, &body].concat()
    };
    let total = syntax.len() as u32;
    let (uid, report) = check_part10(&file(total, &syntax)).unwrap();
    assert_eq!((uid.as_str(), report.elements), ("1.2.840.10008.1.2.1", 1));
    let fault = |bytes: &[u8]| check_part10(bytes).unwrap_err().fault;
    assert!(matches!(fault(b"DICM"), GateFault::NotPart10(_)));
    assert!(matches!(fault(&file(0, b"")), GateFault::NotPart10(_)));
    assert!(matches!(fault(&file(u32::MAX, &syntax)), GateFault::Overrun { .. }));
    let odd_vr = element((0x0002, 0x0012), "OB", 0x7FFF_FFFF, b"");
    assert!(matches!(
        fault(&file(total + 12, &[syntax.clone(), odd_vr].concat())),
        GateFault::OutOfOrder(_) | GateFault::Overrun { .. }
    ));
    let deflated = sized((0x0002, 0x0010), "UI", b"1.2.840.10008.1.2.1.99");
    assert!(matches!(fault(&file(deflated.len() as u32, &deflated)), GateFault::TransferSyntax(_)));
}

/// Elements and items of a parsed tree; `None` where it holds fragments, which are not kept whole.
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

/// What passes the gate is parsed without error into a tree of the same size.
fn parser_agrees(data: &[u8], kind: TransferSyntaxKind) -> Result<(), TestCaseError> {
    let Ok(report) = check(data, kind) else { return Ok(()) };
    let syntax = match kind {
        TransferSyntaxKind::ImplicitLittle => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
        TransferSyntaxKind::ExplicitBig => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
        TransferSyntaxKind::ExplicitLittle => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        _ => entries::RLE_LOSSLESS.erased(),
    };
    let object = InMemDicomObject::read_dataset_with_ts(data, &syntax)
        .map_err(|error| TestCaseError::fail(format!("gate passed, parser failed: {error}")))?;
    if let Some(size) = size(&object) {
        prop_assert_eq!(size, report.elements);
    }
    Ok(())
}

const KINDS: [TransferSyntaxKind; 4] = [
    TransferSyntaxKind::ImplicitLittle,
    EXPLICIT,
    TransferSyntaxKind::ExplicitBig,
    TransferSyntaxKind::Encapsulated,
];

/// Explicit or implicit little endian trees, sequences with and without lengths.
fn tree(implicit: bool) -> impl Strategy<Value = Vec<u8>> {
    let code = move |tag: (u16, u16), vr: &str, length: u32, value: &[u8]| {
        if implicit {
            let head = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
            [&head, &length.to_le_bytes()[..], value].concat()
        } else {
            element(tag, vr, length, value)
        }
    };
    let leaf = prop::collection::vec(any::<u8>(), 0..6).prop_map(move |bytes| {
        let even = &bytes[..bytes.len() & !1];
        [
            code((0x0008, 0x0060), "CS", bytes.len() as u32, &bytes),
            code((0x0009, 0x0010), "LO", 2, b"X "),
            code((0x0028, 0x1052), "DS", even.len() as u32, even),
            code((0x0028, 0x1101), "US", even.len() as u32, even),
        ]
        .concat()
    });
    leaf.prop_recursive(5, 40, 3, move |inner| {
        (prop::collection::vec(inner, 0..3), any::<bool>(), any::<bool>()).prop_map(
            move |(items, sequence_defined, item_defined)| {
                let mut content = Vec::new();
                for bytes in items {
                    if item_defined {
                        content.extend(item(bytes.len() as u32, &bytes));
                    } else {
                        content.extend(item(u32::MAX, &bytes));
                        content.extend(ITEM_END);
                    }
                }
                let length = if sequence_defined {
                    content.len() as u32
                } else {
                    content.extend(SEQUENCE_END);
                    u32::MAX
                };
                [
                    code((0x0008, 0x0060), "CS", 2, b"PT"),
                    code((0x0040, 0x0008), "SQ", length, &content),
                    code((0x0040, 0xA043), "SQ", 0, b""),
                ]
                .concat()
            },
        )
    })
}

proptest! {
    #[test]
    fn sound_trees_pass_and_are_read_alike(data in tree(false), plain in tree(true)) {
        prop_assert!(check(&data, EXPLICIT).is_ok());
        parser_agrees(&data, EXPLICIT)?;
        prop_assert!(check(&plain, TransferSyntaxKind::ImplicitLittle).is_ok());
        parser_agrees(&plain, TransferSyntaxKind::ImplicitLittle)?;
    }

    #[test]
    fn mutated_trees_are_refused_or_read_alike(
        data in tree(false),
        plain in tree(true),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for mut bytes in [data, plain] {
            for (at, byte) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for kind in KINDS {
                parser_agrees(&bytes, kind)?;
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_alike(data in prop::collection::vec(any::<u8>(), 0..64)) {
        for kind in KINDS {
            parser_agrees(&data, kind)?;
        }
        prop_assert!(check_part10(&data).is_err());
    }
}
