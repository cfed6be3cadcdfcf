//! Data sets that lie, each named by its lie, and what receiving them must lead to.

pub const PET: &str = "1.2.840.10008.5.1.4.1.1.128";
pub const SOP: &str = "1.2.9.1.1";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const ITEM_END: [u8; 8] = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
const SEQUENCE_END: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];
const UNDEFINED: u32 = u32::MAX;
type Tag = (u16, u16);

pub enum Expected {
    /// Refused with this DIMSE status, and nothing is kept.
    Status(u16),
    /// A legal data set whose values lie: kept byte by byte, judged where they are used.
    Stored,
}

pub struct Fixture {
    pub name: &'static str,
    pub syntax: &'static str,
    pub data: Vec<u8>,
    pub expected: Expected,
}

fn element(tag: Tag, vr: &str, length: u32, value: &[u8]) -> Vec<u8> {
    let mut out = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    out.extend(vr.as_bytes());
    if ["OB", "OW", "OF", "SQ", "UN", "UT"].contains(&vr) {
        out.extend([0, 0]);
        out.extend(length.to_le_bytes());
    } else {
        out.extend((length as u16).to_le_bytes());
    }
    out.extend(value);
    out
}

fn sized(tag: Tag, vr: &str, value: &[u8]) -> Vec<u8> {
    element(tag, vr, value.len() as u32, value)
}

fn text(tag: Tag, vr: &str, text: &str) -> Vec<u8> {
    let mut value = text.as_bytes().to_vec();
    value.resize(value.len().next_multiple_of(2), if vr == "UI" { 0 } else { b' ' });
    sized(tag, vr, &value)
}

fn item(length: u32, content: &[u8]) -> Vec<u8> {
    [&[0xFE, 0xFF, 0x00, 0xE0], &length.to_le_bytes()[..], content].concat()
}

/// A sound PET slice as elements, which a lie then replaces, removes or adds to.
fn elements(sop: &str, fill: u8, pixels: usize) -> Vec<(Tag, Vec<u8>)> {
    let us = |tag: Tag, n: u16| (tag, sized(tag, "US", &n.to_le_bytes()));
    let put = |tag: Tag, vr: &str, value: &str| (tag, text(tag, vr, value));
    let rows = (pixels / 8) as u16;
    vec![
        put((0x0008, 0x0016), "UI", PET),
        put((0x0008, 0x0018), "UI", sop),
        put((0x0008, 0x0022), "DA", "20260302"),
        put((0x0008, 0x0032), "TM", "101500"),
        put((0x0008, 0x0060), "CS", "PT"),
        put((0x0010, 0x0010), "PN", "SECRET^NAME"),
        put((0x0010, 0x0020), "LO", "SECRET-ID"),
        put((0x0020, 0x000D), "UI", "1.2.9"),
        put((0x0020, 0x000E), "UI", "1.2.9.1"),
        put((0x0020, 0x0032), "DS", "0\\0\\4"),
        put((0x0020, 0x0037), "DS", "1\\0\\0\\0\\1\\0"),
        us((0x0028, 0x0002), 1),
        put((0x0028, 0x0008), "IS", "1"),
        us((0x0028, 0x0010), rows),
        us((0x0028, 0x0011), 8),
        put((0x0028, 0x0030), "DS", "2\\2"),
        us((0x0028, 0x0100), 8),
        us((0x0028, 0x0101), 8),
        us((0x0028, 0x0102), 7),
        us((0x0028, 0x0103), 0),
        put((0x0028, 0x1053), "DS", "1"),
        ((0x7FE0, 0x0010), sized((0x7FE0, 0x0010), "OB", &vec![fill; pixels])),
    ]
}

fn join(elements: &[(Tag, Vec<u8>)]) -> Vec<u8> {
    elements.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

pub fn sound(fill: u8) -> Vec<u8> {
    join(&elements(SOP, fill, 64))
}

/// A sound slice of `kib` KiB under a UID.
pub fn named(sop: &str, kib: usize) -> Vec<u8> {
    join(&elements(sop, 0, kib * 1024))
}

/// The sound slice with one element replaced or added in its place.
fn with(tag: Tag, bytes: Vec<u8>) -> Vec<u8> {
    let mut all = elements(SOP, 0, 64);
    all.retain(|(t, _)| *t != tag);
    let at = all.partition_point(|(t, _)| *t < tag);
    all.insert(at, (tag, bytes));
    join(&all)
}

fn without(tag: Tag) -> Vec<u8> {
    with(tag, Vec::new())
}

/// Sequences of undefined length that are never closed.
pub fn unclosed(depth: usize) -> Vec<u8> {
    let level = element((0x0040, 0xA730), "SQ", UNDEFINED, &item(UNDEFINED, b""));
    level.repeat(depth)
}

fn nested(depth: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..depth {
        let content = [item(UNDEFINED, &inner), ITEM_END.into(), SEQUENCE_END.into()].concat();
        inner = element((0x0040, 0xA730), "SQ", UNDEFINED, &content);
    }
    with((0x0040, 0xA730), inner)
}

fn fragments(second: u32) -> Vec<u8> {
    let content = [item(0, b""), item(second, b"ab"), SEQUENCE_END.into()].concat();
    with((0x7FE0, 0x0010), element((0x7FE0, 0x0010), "OB", UNDEFINED, &content))
}

pub fn all() -> Vec<Fixture> {
    let refused =
        |name, data| Fixture { name, syntax: EXPLICIT, data, expected: Expected::Status(0xC000) };
    let mut found = lengths(&refused);
    found.extend(structure(&refused));
    found.extend(identity(&refused));
    found.extend(images(&refused));
    found.extend(values());
    found
}

type Refused<'r> = &'r dyn Fn(&'static str, Vec<u8>) -> Fixture;

fn lengths(refused: Refused<'_>) -> Vec<Fixture> {
    let private = (0x0009, 0x1001);
    let long = |vr, n| with(private, element(private, vr, n, b""));
    let cut = sound(0);
    let rle = |name, n| Fixture {
        name,
        syntax: RLE,
        data: fragments(n),
        expected: Expected::Status(0xC000),
    };
    vec![
        refused("length-4gib-ob", long("OB", 0xFFFF_FFFE)),
        refused("length-4gib-ut", long("UT", 4_000_000_000)),
        refused("length-beyond-end", with(private, element(private, "LO", 60_000, b"x "))),
        refused("length-us-of-3", with(private, sized(private, "US", b"abc"))),
        refused("length-fd-of-4", with(private, element(private, "FD", 4, b"abcd"))),
        refused("cut-in-pixels", cut[..cut.len() - 1].to_vec()),
        refused("cut-in-header", cut[..21].to_vec()),
        refused("nothing-at-all", Vec::new()),
        rle("fragment-beyond-end", 1000),
        rle("fragment-of-odd-length", 1),
        rle("fragment-of-undefined-length", UNDEFINED),
        refused("fragments-in-native-syntax", fragments(2)),
        refused("offset-table-4gib", {
            let content = item(4_000_000_000, b"");
            with((0x7FE0, 0x0010), element((0x7FE0, 0x0010), "OB", UNDEFINED, &content))
        }),
    ]
}

fn structure(refused: Refused<'_>) -> Vec<Fixture> {
    let private = (0x0009, 0x1001);
    let sequence = (0x0008, 0x1110);
    let un = [item(UNDEFINED, b""), ITEM_END.into(), SEQUENCE_END.into()].concat();
    let twice = [text((0x0008, 0x0060), "CS", "PT"), text((0x0008, 0x0060), "CS", "CT")].concat();
    let implicit = [0x09, 0, 0x01, 0x10, 2, 0, 0, 0, b'a', b'b'].to_vec();
    let short_item = sized(sequence, "SQ", &item(4, &text((0x0008, 0x0104), "LO", "abcd")));
    let mut stored = refused("nested-64-deep", nested(64));
    stored.expected = Expected::Stored;
    vec![
        stored,
        refused("nested-65-deep", nested(65)),
        refused("nested-2000-deep-unclosed", with((0x0040, 0xA730), unclosed(2000))),
        refused("vr-unknown", with(private, sized(private, "ZZ", b"ab"))),
        refused("vr-implicit-in-explicit", with(private, implicit)),
        refused("un-of-undefined-length", with(private, element(private, "UN", UNDEFINED, &un))),
        refused("lo-of-undefined-length", with(private, element(private, "UT", UNDEFINED, &un))),
        refused("item-outside-sequence", with(sequence, item(0, b""))),
        refused("delimiter-outside-sequence", with(sequence, SEQUENCE_END.into())),
        refused("item-shorter-than-content", with(sequence, short_item)),
        refused("element-twice", with((0x0008, 0x0060), twice)),
        refused("tags-descending", [sound(0), text((0x0008, 0x0060), "CS", "PT")].concat()),
        refused("meta-group-inside", [text((0x0002, 0x0010), "UI", EXPLICIT), sound(0)].concat()),
        Fixture {
            name: "explicit-sent-as-implicit",
            syntax: IMPLICIT,
            data: sound(0),
            expected: Expected::Status(0xC000),
        },
        Fixture {
            name: "deflated",
            syntax: "1.2.840.10008.1.2.1.99",
            data: vec![0x4B, 0x04, 0x00],
            expected: Expected::Status(0xC000),
        },
    ]
}

fn identity(refused: Refused<'_>) -> Vec<Fixture> {
    let sop = (0x0008, 0x0018);
    let other = |name, tag, value: &str| Fixture {
        name,
        syntax: EXPLICIT,
        data: with(tag, text(tag, "UI", value)),
        expected: Expected::Status(0xA900),
    };
    vec![
        other("uid-not-of-the-command", sop, "1.2.9.1.2"),
        other("class-not-of-the-command", (0x0008, 0x0016), "1.2.840.10008.5.1.4.1.1.2"),
        refused("uid-parent-folder", with(sop, text(sop, "UI", ".."))),
        refused("uid-path", with(sop, text(sop, "UI", "../../../../tmp/x"))),
        refused("uid-absolute", with(sop, text(sop, "UI", "/etc/passwd"))),
        refused("uid-65-characters", with(sop, text(sop, "UI", &"1".repeat(65)))),
        refused("uid-with-nul-inside", with(sop, text(sop, "UI", "1.2\u{0}.3"))),
        refused("uid-two-values", with(sop, text(sop, "UI", "1.2.9.1.1\\1.2.9.1.1"))),
        refused("uid-empty", with(sop, text(sop, "UI", ""))),
        refused("uid-absent", without(sop)),
        refused("study-absent", without((0x0020, 0x000D))),
        refused("series-path", {
            let tag = (0x0020, 0x000E);
            with(tag, text(tag, "UI", "..\\..\\x"))
        }),
    ]
}

fn images(refused: Refused<'_>) -> Vec<Fixture> {
    let us = |tag: Tag, n: u16| with(tag, sized(tag, "US", &n.to_le_bytes()));
    let (rows, frames) = ((0x0028, 0x0010), (0x0028, 0x0008));
    let pixels = |n| with((0x7FE0, 0x0010), sized((0x7FE0, 0x0010), "OB", &vec![0; n]));
    vec![
        refused("rows-as-ul", with(rows, sized(rows, "UL", &8u32.to_le_bytes()))),
        refused("rows-as-ob", with(rows, sized(rows, "OB", &8u16.to_le_bytes()))),
        refused("rows-absent", without(rows)),
        refused("rows-zero", us(rows, 0)),
        refused("rows-too-many", us(rows, 9)),
        refused("rows-of-another-image", us(rows, 65_535)),
        refused("frames-zero", with(frames, text(frames, "IS", "0"))),
        refused("frames-negative", with(frames, text(frames, "IS", "-1"))),
        refused("frames-overflow", with(frames, text(frames, "IS", "4294967297"))),
        refused("frames-4-billion", with(frames, text(frames, "IS", "4294967295"))),
        refused("samples-3-of-1", us((0x0028, 0x0002), 3)),
        refused("bits-allocated-7", us((0x0028, 0x0100), 7)),
        refused("bits-stored-over-allocated", us((0x0028, 0x0101), 9)),
        refused("high-bit-over-allocated", us((0x0028, 0x0102), 8)),
        refused("pixels-empty", pixels(0)),
        refused("pixels-short", pixels(62)),
        refused("pixels-long", pixels(66)),
        refused("pixels-odd", pixels(63)),
    ]
}

/// Lies about geometry, time and scale in legal data sets: what receives them keeps them as they
/// are; what computes with them refuses (readers and stages test that with these same files).
fn values() -> Vec<Fixture> {
    let ds = |name, tag: Tag, value: &str| Fixture {
        name,
        syntax: EXPLICIT,
        data: with(tag, text(tag, "DS", value)),
        expected: Expected::Stored,
    };
    let (orientation, spacing, slope) = ((0x0020, 0x0037), (0x0028, 0x0030), (0x0028, 0x1053));
    let date = (0x0008, 0x0022);
    vec![
        ds("orientation-zero", orientation, "0\\0\\0\\0\\0\\0"),
        ds("orientation-skew", orientation, "1\\0\\0\\1\\1\\0"),
        ds("orientation-nan", orientation, "nan\\0\\0\\0\\1\\0"),
        ds("spacing-zero", spacing, "0\\2"),
        ds("spacing-negative", spacing, "-2\\2"),
        ds("spacing-comma", spacing, "2,0\\2,0"),
        ds("slope-1e999", slope, "1e999"),
        ds("slope-zero", slope, "0"),
        Fixture {
            name: "date-of-month-13",
            syntax: EXPLICIT,
            data: with(date, text(date, "DA", "20261332")),
            expected: Expected::Stored,
        },
    ]
}
