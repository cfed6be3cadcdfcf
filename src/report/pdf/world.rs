//! What the typesetter may see: one template, the report's data and pictures, the fonts of the program.
//! No disk, no network, no clock.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::ecow::EcoVec;
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

static LIBRARY: LazyLock<LazyHash<Library>> = LazyLock::new(|| LazyHash::new(Library::default()));

static FONTS: LazyLock<Vec<Font>> = LazyLock::new(|| {
    [dejavu::sans_condensed::regular(), dejavu::sans_condensed::bold()]
        .into_iter()
        .filter_map(|file| Font::new(Bytes::new(file), 0))
        .collect()
});

static BOOK: LazyLock<LazyHash<FontBook>> =
    LazyLock::new(|| LazyHash::new(FontBook::from_fonts(FONTS.iter())));

/// Has every font of the report a glyph for it?
pub(super) fn can_show(c: char) -> bool {
    FONTS.iter().all(|font| font.info().coverage.contains(c.into()))
}

/// One report's template and files.
struct Desk {
    main: Source,
    files: BTreeMap<String, Bytes>,
}

impl World for Desk {
    fn library(&self) -> &LazyHash<Library> {
        &LIBRARY
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &BOOK
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() { Ok(self.main.clone()) } else { Err(unknown(id)) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let name = id.get().vpath().get_without_slash();
        self.files.get(name).cloned().ok_or_else(|| unknown(id))
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn unknown(id: FileId) -> FileError {
    FileError::NotFound(id.get().vpath().get_without_slash().into())
}

/// Sets `template` with `files` beside it and exports it as PDF/A-2b. `made` is when the result was
/// computed, `identity` what makes it another document.
pub(super) fn set(
    template: &str,
    files: BTreeMap<String, Vec<u8>>,
    made: jiff::Timestamp,
    identity: &str,
) -> Result<Vec<u8>, String> {
    let path = VirtualPath::new("report.typ").map_err(|error| error.to_string())?;
    let main = RootedPath::new(VirtualRoot::Project, path).intern();
    let desk = Desk {
        main: Source::new(main, template.to_owned()),
        files: files.into_iter().map(|(name, bytes)| (name, Bytes::new(bytes))).collect(),
    };
    let set = typst::compile::<PagedDocument>(&desk);
    let told = |found: &EcoVec<SourceDiagnostic>| {
        found.iter().map(|one| told(one, &desk)).collect::<Vec<_>>().join("; ")
    };
    let document = set.output.map_err(|errors| told(&errors))?;
    // A font or a glyph that is missing is said as a warning; no page may go out with it.
    if !set.warnings.is_empty() {
        return Err(told(&set.warnings));
    }
    let standards =
        PdfStandards::new(&[PdfStandard::A_2b]).map_err(|error| error.message().to_string())?;
    let options = PdfOptions {
        ident: Smart::Custom(identity.to_owned()),
        creator: Smart::Custom(Some(concat!("grayd ", env!("CARGO_PKG_VERSION")).to_owned())),
        timestamp: instant(made).map(Timestamp::new_utc),
        standards,
        ..PdfOptions::default()
    };
    let bytes = typst_pdf::pdf(&document, &options).map_err(|errors| told(&errors));
    // What was remembered of these pages helps no others.
    typst::comemo::evict(0);
    bytes
}

fn instant(at: jiff::Timestamp) -> Option<Datetime> {
    let at = at.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let part = |value: i8| u8::try_from(value).unwrap_or_default();
    Datetime::from_ymd_hms(
        at.year().into(),
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
    )
}

/// A message with the line of the template that it is about; never with text of the report.
fn told(found: &SourceDiagnostic, desk: &Desk) -> String {
    use typst::WorldExt;
    let line = desk
        .range(found.span)
        .and_then(|range| desk.main.lines().byte_to_line(range.start))
        .map(|line| format!(" (template line {})", line + 1));
    format!("{}{}", found.message, line.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fonts_are_one_family_in_two_weights_and_know_the_letters_of_europe_and_arabia() {
        let families: Vec<&str> = FONTS.iter().map(|font| font.info().family.as_str()).collect();
        assert_eq!(families, ["DejaVu Sans", "DejaVu Sans"]);
        assert!("aÄñŁжΩα½·–≤β²م".chars().all(can_show));
        assert!(!can_show('腎'));
    }

    #[test]
    fn a_template_reaches_nothing_but_what_it_is_given() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        for template in [
            "#read(\"/etc/passwd\")",
            "#read(\"../Cargo.toml\")",
            "#import \"@preview/cetz:0.3.0\"",
            "#datetime.today()",
        ] {
            assert!(set(template, BTreeMap::new(), at, "x").is_err(), "{template}");
        }
        let data = BTreeMap::from([("a.txt".to_owned(), b"words".to_vec())]);
        let bytes = set("#set text(font: \"DejaVu Sans\")\n#read(\"a.txt\")", data, at, "x");
        assert!(bytes.unwrap().starts_with(b"%PDF-"));
    }
}
