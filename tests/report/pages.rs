//! The report as pages, as poppler and pydicom read it.

use crate::course::{MARROW, whole, with_course};
use crate::peer::{dciodvfy_faults, peer, python_with, said, script};
use crate::results::{grid, options, region, voxels};
use grayd::report::planes;
use grayd::report::{CycleResult, DoseBits, Kind, ReportOptions, pdf, write_all};
use std::path::Path;
use std::process::Command;

fn document(result: &CycleResult) -> Vec<u8> {
    pdf::write(result, &options(DoseBits::ThirtyTwo)).unwrap()
}

/// Text of every page, or nothing where poppler is not there.
fn text(pdf: &[u8]) -> Option<Vec<String>> {
    let tool = peer("pdftotext")?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.pdf");
    std::fs::write(&path, pdf).unwrap();
    let text = said(Command::new(tool).args(["-layout", "-enc", "UTF-8"]).arg(&path).arg("-"));
    // Places where long words may break are no part of them.
    let text = text.replace('\u{200b}', "");
    let mut pages: Vec<String> = text.split('\u{c}').map(str::to_owned).collect();
    pages.pop();
    Some(pages)
}

/// Pages in grey: width, height and pixels of each.
fn grey(pdf: &[u8], dpi: u32) -> Option<Vec<(usize, usize, Vec<u8>)>> {
    let tool = peer("pdftoppm")?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.pdf");
    std::fs::write(&path, pdf).unwrap();
    let dpi = dpi.to_string();
    said(Command::new(tool).args(["-gray", "-r", &dpi]).arg(&path).arg(folder.path().join("page")));
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pgm"))
        .collect();
    files.sort();
    Some(files.iter().map(|file| pgm(&std::fs::read(file).unwrap())).collect())
}

fn pgm(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut words = bytes.split(|b| b.is_ascii_whitespace());
    assert_eq!(words.next(), Some(&b"P5"[..]));
    let mut number =
        || -> usize { std::str::from_utf8(words.next().unwrap()).unwrap().parse().unwrap() };
    let (width, height, white) = (number(), number(), number());
    assert_eq!(white, 255);
    (width, height, bytes[bytes.len() - width * height..].to_vec())
}

/// Nothing stands in the outer 7 mm of any page, and every page has something on it.
#[track_caller]
fn nothing_is_cut(pdf: &[u8]) {
    const DPI: u32 = 60;
    let Some(pages) = grey(pdf, DPI) else { return };
    let margin = (7.0 / 25.4 * f64::from(DPI)) as usize;
    for (n, (width, height, pixels)) in pages.iter().enumerate() {
        let mut ink = 0;
        for (place, value) in pixels.iter().enumerate() {
            let (x, y) = (place % width, place / width);
            let outside = x < margin || y < margin || x >= width - margin || y >= height - margin;
            assert!(
                !outside || *value > 245,
                "page {}: ink at {x}, {y} of {width}, {height}",
                n + 1
            );
            ink += usize::from(*value < 128);
        }
        assert!(ink > 500, "page {} is empty", n + 1);
    }
}

#[test]
fn the_pages_say_what_the_result_says() {
    let bytes = document(&whole());
    assert!(bytes.starts_with(b"%PDF-1.7"));
    nothing_is_cut(&bytes);
    let Some(pages) = text(&bytes) else { return };
    assert!((3..=8).contains(&pages.len()), "{} pages", pages.len());
    let all = pages.join("\n");
    for (n, page) in pages.iter().enumerate() {
        for wanted in [
            "Müller, Änne",
            "P-0001",
            "1960-02-29",
            "Research software. Not a medical device.",
            &format!("Page {} of {}", n + 1, pages.len()),
            "grayd 0.1.0",
        ] {
            assert!(page.contains(wanted), "page {} lacks {wanted}: {page}", n + 1);
        }
    }
    for wanted in [
        "Kidney Left",
        "Kidney Right",
        "Lesion 1",
        "177Lu-DOTATATE, nuclide Lu-177",
        "7400 MBq on 2026-03-02 10:15:00 +01:00",
        "7.654",
        "8.900",
        "mono-exponential",
        "53.50",
        "4861",
        "11.3",
        "RT Structure Set, ROI 4",
        "correlation 0.980",
        "not stated",
        "calibration",
        "Decay Factor (0054,1321) contradicts the half-life",
        "smaller than three voxels",
        "axial, z = ",
        "Medical physicist",
        "7450 MBq at 2026-03-02 10:15:00 +01:00; 50.00 MBq at",
        "VIK-202 1234, traceable to PTB, quality control on 2026-03-02",
        "Intravenous route",
        "Meyer, Anna",
        "lysine and arginine, 25 g each in 1 L over 4 h",
        "Wizard 2480",
        "2026-03-03",
        "No activity is proposed, so there is none to sign.",
        "result of cycle 1 signed by physicist on 2026-02-10 09:30:00 +01:00 on the pages of the node",
        &"0123456789abcdef".repeat(4),
    ] {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let joined = plain(&all).replace(' ', "");
        assert!(joined.contains(&plain(wanted).replace(' ', "")), "lacks {wanted}:\n{all}");
    }
    for (n, heading) in [
        "Identity and plan",
        "Equipment",
        "Acquisition",
        "Processing",
        "Regions",
        "Activities and kinetics",
        "Absorbed dose",
        "Cumulative doses and limits",
        "Prescription",
        "Uncertainty",
        "Warnings, parameters, provenance",
        "Signature",
    ]
    .iter()
    .enumerate()
    {
        let line = all.lines().any(|line| {
            line.split_whitespace().collect::<Vec<_>>().join(" ") == format!("{} {heading}", n + 1)
        });
        assert!(line, "no section {heading}:\n{all}");
    }
}

#[test]
fn the_same_result_is_the_same_bytes_and_another_is_not() {
    let first = document(&whole());
    assert!(first == document(&whole()));
    let mut other = whole();
    other.regions[0].volume = other.regions[1].volume.map(|volume| volume * 2.0);
    assert!(first != document(&other));
}

/// Name, time and what was signed, in the pages and in the SR; and that nobody did.
#[test]
fn who_signed_which_activity_stands_in_pages_and_report() {
    let proposal = with_course("lu177-quebec", MARROW).prescription.unwrap();
    let activity = proposal["proposal"]["activity_mbq"].as_f64().unwrap();
    let signed = format!(
        "{MARROW}signed:\n  - {{ cycle: 2, by: Dr. Anna Meyer, at: 2026-04-30T16:00:00+02:00, activity_mbq: {activity} }}\n"
    );
    for (more, wanted) in [
        (
            signed.as_str(),
            format!(
                "cycle 2, {activity:.0} MBq, signed by Dr. Anna Meyer on 2026-04-30 15:00:00 +01:00 in the plan"
            ),
        ),
        (MARROW, "cycle 2: unsigned, a proposal only; a named person decides".to_owned()),
    ] {
        let result = with_course("lu177-quebec", more);
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        if let Some(pages) = text(&document(&result)) {
            let all = plain(&pages.join(" "));
            let (_, closing) = all.rsplit_once("12Signature").unwrap();
            assert!(closing.contains(&plain(&wanted)), "lacks {wanted}: {closing}");
        }
        let Some(dsrdump) = peer("dsrdump") else { continue };
        let folder = tempfile::tempdir().unwrap();
        let written = write_all(&result, folder.path(), &options(DoseBits::ThirtyTwo)).unwrap();
        let report = written.iter().find(|one| one.kind == Kind::StructuredReport).unwrap();
        let tree = said(Command::new(dsrdump).arg("+Pl").arg(&report.path));
        assert!(tree.contains(&wanted), "lacks {wanted}: {tree}");
    }
}

#[test]
fn ledger_limits_and_proposal_stand_on_the_pages() {
    let result = with_course("lu177-quebec", MARROW);
    let course = result.prescription.as_ref().unwrap();
    let proposal = &course["proposal"];
    let activity = proposal["activity_mbq"].as_f64().unwrap();
    let bytes = document(&result);
    nothing_is_cut(&bytes);
    let Some(pages) = text(&bytes) else { return };
    let all = pages.join("\n").split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        format!("cycle 2: {activity:.0} MBq"),
        proposal["limiting"].as_str().unwrap().to_owned(),
        "Ledger of the course".into(),
        "Sums and limits".into(),
        "What each constraint alone allows".into(),
        "A proposal: a named person decides.".into(),
        "Alternative: what the fixed regime would give".into(),
    ] {
        assert!(all.contains(&wanted), "lacks {wanted}: {all}");
    }
    // What holds is said as a hold.
    let held = with_course("lu177-quebec", "");
    let hold = &held.prescription.as_ref().unwrap()["holds"][0];
    let Some(pages) = text(&document(&held)) else { return };
    let all = pages.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(all.contains(&format!("HOLD ({})", hold["code"].as_str().unwrap())), "{hold}: {all}");
}

/// Names that would be markup, that are long without a space, that turn text about, that no font has.
#[test]
fn forty_regions_with_hostile_names_stay_data_and_within_the_page() {
    let mut result = whole();
    let grid = grid();
    let names = [
        "#read(\"/etc/passwd\") $x$ *bold* _it_ `raw` <label> @ref",
        "\"}, {\"kind\": \"text\", \"text\": \"injected\"}",
        "Wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
        "= Heading \\ #set page(width: 1mm)",
        "Niere \u{202e}sknil 腎臓 كلية",
        "\u{feff}\u{e000}\u{10ffff}\u{0}\u{1f9ec}\u{200b}e\u{301}",
        " ",
        "\\u{41} &amp; <b>&#65;</b>",
    ];
    result.regions = (0..40u16)
        .map(|n| {
            let name = match names.get(usize::from(n)) {
                Some(name) => (*name).to_owned(),
                None => format!("Lesion {n} of the left lobe, segment VII"),
            };
            region(n + 1, &name, &grid, [5.0, 6.0, 3.0], 3.0)
        })
        .collect();
    result.patient.name = format!("{}^#include^\"x\"", "X".repeat(64));
    result.patient.id = "9".repeat(64);
    result.radiopharmaceutical = "*177Lu*-#text(size: 90pt)[x]".repeat(4);
    let gy = &result.voxels.as_ref().unwrap().gy;
    let cut = planes::cut(gy, None, &result.regions);
    voxels(&mut result).planes = cut;
    let bytes = document(&result);
    nothing_is_cut(&bytes);
    let Some(pages) = text(&bytes) else { return };
    assert!((5..=16).contains(&pages.len()), "{} pages", pages.len());
    let all = pages.join("\n").split_whitespace().collect::<Vec<_>>().join("");
    for wanted in [
        "#read(\"/etc/passwd\")$x$*bold*",
        "\"kind\":\"text\"",
        "[U+202E]",
        "[U+814E]",
        "[U+FEFF][U+E000]",
        "[U+1F9EC]",
        "&amp;<b>&#65;</b>",
        "Lesion39ofthe",
    ] {
        assert!(all.contains(wanted), "lacks {wanted}: {all}");
    }
    assert!(!all.contains("root:x:0"));
}

#[test]
fn the_encapsulated_document_holds_the_very_pages_and_names_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(&whole(), folder.path(), &options(DoseBits::ThirtyTwo)).unwrap();
    let path =
        |kind| -> &Path { &written.iter().find(|written| written.kind == kind).unwrap().path };
    let pages = std::fs::read(path(Kind::Pages)).unwrap();
    assert!(pages.starts_with(b"%PDF-"));
    if let Some(dciodvfy) = peer("dciodvfy") {
        assert_eq!(dciodvfy_faults(&dciodvfy, path(Kind::Document), &[]), [""; 0]);
    }
    let Some(python) = python_with("pydicom") else { return };
    let read = script(&python, "pdf_pydicom.py", &[path(Kind::Document), path(Kind::Pages)]);
    assert_eq!(read["same"], true);
    assert_eq!(read["mime"], "application/pdf");
    assert_eq!(read["modality"], "DOC");
    assert_eq!(read["study"], "1.2.826.0.1.1");
    assert_eq!(read["title"], "RPT dosimetry report Lu-177 C2");
    assert_eq!(read["concept"], "18748-4");
    let named: Vec<&str> =
        read["sources"].as_array().unwrap().iter().filter_map(|uid| uid.as_str()).collect();
    for input in &whole().inputs {
        assert!(named.contains(&input.sop_instance.as_str()));
    }
    for kind in [Kind::RtDose, Kind::Segmentation, Kind::StructuredReport] {
        let own = written.iter().find(|one| one.kind == kind).unwrap().sop_instance.as_ref();
        assert!(named.contains(&own.unwrap().as_str()), "{kind:?}");
    }
    let again = tempfile::tempdir().unwrap();
    let other =
        write_all(&whole(), again.path(), &ReportOptions { ..options(DoseBits::ThirtyTwo) });
    let other = other.unwrap().into_iter().find(|one| one.kind == Kind::Document).unwrap();
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    assert!(bytes(&other.path) == bytes(path(Kind::Document)));
}
