//! Every lossless coding gives the same pixels as the native one; coders are DCMTK and SimpleITK.

use crate::build::{Build, Folder};
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;
use grayd::dicom::read::ct;
use grayd::dicom::read::pixels::decode;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Frames of noise and a ramp, unsigned of 12 bits or signed of 16.
fn image(signed: bool, frames: usize) -> Build {
    let mut state = 12_345u32;
    let words: Vec<u16> = (0..64 * 48 * frames as u16)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 20) as u16;
            if signed { (n * 3).wrapping_sub(2000).wrapping_add(noise / 8) } else { noise }
        })
        .collect();
    let image = Build::instance(uids::CT_IMAGE_STORAGE, "CT", 1).pixels(48, 64, frames, 16);
    let image = if signed {
        image.us(tags::PIXEL_REPRESENTATION, 1)
    } else {
        image.us(tags::BITS_STORED, 12).us(tags::HIGH_BIT, 11)
    };
    image
        .ds(tags::PIXEL_SPACING, "1\\1")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")
        .ds(tags::IMAGE_POSITION_PATIENT, "0\\0\\0")
        .ds(tags::RESCALE_SLOPE, "1")
        .ds(tags::RESCALE_INTERCEPT, "0")
        .words(&words)
}

fn pixels(path: &Path) -> Vec<i64> {
    let object = dicom_object::open_file(path).unwrap();
    {
        let decoded = decode(&object).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (0..decoded.format().frames as usize).flat_map(|f| decoded.frame(f)).collect()
    }
}

/// False, with a line, where the tool is not installed.
fn run(tool: &str, arguments: &[&str]) -> bool {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{tool} {arguments:?}: {errors}");
            true
        }
        Err(_) => {
            println!("passed over: {tool} is not installed (tests/run installs it)");
            false
        }
    }
}

#[test]
fn lossless_codings_of_dcmtk_give_the_native_pixels() {
    for (signed, frames) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
        let folder = Folder::new();
        let native = folder.write("native", &image(signed, frames));
        let expected = pixels(&native);
        for (tool, options) in [
            ("dcmcrle", vec![]),
            ("dcmcjpeg", vec!["+e1"]),
            ("dcmcjpeg", vec!["+el"]),
            ("dcmcjpls", vec!["+el"]),
        ] {
            let coded = folder.path("coded");
            let mut arguments = options.clone();
            arguments.extend([native.to_str().unwrap(), coded.to_str().unwrap()]);
            if run(tool, &arguments) {
                assert_eq!(
                    pixels(&coded),
                    expected,
                    "{tool} {options:?} signed {signed}, {frames} frames"
                );
            }
        }
    }
}

#[test]
fn near_lossless_and_baseline_jpeg_are_refused_as_lossy() {
    let folder = Folder::new();
    let native = folder.write("native", &image(false, 1));
    let coded = folder.path("coded");
    let names = [native.to_str().unwrap(), coded.to_str().unwrap()];
    for (tool, option) in [("dcmcjpls", "+en"), ("dcmcjpeg", "+ee")] {
        if run(tool, &[&[option], &names[..]].concat()) {
            let object = dicom_object::open_file(&coded).unwrap();
            let error = decode(&object).unwrap_err().to_string();
            assert!(error.contains("lossy"), "{tool}: {error}");
        }
    }
}

/// `GRAYD_PYTHON`, the project's own environment, the system's.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/bin/python");
    std::env::var_os("GRAYD_PYTHON")
        .map(PathBuf::from)
        .or_else(|| [own, "/opt/grayd-peers/bin/python".into()].into_iter().find(|p| p.exists()))
        .unwrap_or_else(|| "python3".into())
}

#[test]
fn lossless_jpeg_2000_of_simpleitk_gives_the_native_pixels() {
    let python = python();
    let has = Command::new(&python).args(["-c", "import SimpleITK"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        println!("passed over: SimpleITK is not installed (tests/run installs it)");
        return;
    }
    const SCRIPT: &str = "import sys, SimpleITK as s\n\
        r = s.ImageFileReader(); r.SetImageIO('GDCMImageIO'); r.SetFileName(sys.argv[1])\n\
        i = r.Execute(); w = s.ImageFileWriter(); w.SetImageIO('GDCMImageIO')\n\
        w.SetFileName(sys.argv[2]); w.UseCompressionOn(); w.SetCompressor('JPEG2000')\n\
        w.Execute(i)\n";
    for signed in [false, true] {
        let folder = Folder::new();
        let native = folder.write("native.dcm", &image(signed, 1));
        let coded = folder.path("coded.dcm");
        let names = [native.to_str().unwrap(), coded.to_str().unwrap()];
        assert!(run(python.to_str().unwrap(), &[&["-c", SCRIPT], &names[..]].concat()));
        let object = dicom_object::open_file(&coded).unwrap();
        let syntax = object.meta().transfer_syntax.trim_end_matches('\0').to_owned();
        assert_eq!(syntax, uids::JPEG2000_LOSSLESS);
        assert_eq!(pixels(&coded), pixels(&native), "signed {signed}");
    }
}

#[test]
fn a_code_of_another_size_than_its_header_never_reaches_a_codec() {
    let folder = Folder::new();
    let native = folder.write("native", &image(false, 1));
    let coded = folder.path("coded");
    for (tool, option) in [("dcmcjpeg", "+e1"), ("dcmcjpls", "+el")] {
        let names = [option, native.to_str().unwrap(), coded.to_str().unwrap()];
        if run(tool, &names) {
            let mut object = dicom_object::open_file(&coded).unwrap();
            object.put(Build::item().us(tags::ROWS, 47).0.take(tags::ROWS).unwrap());
            let error = decode(&object).unwrap_err().to_string();
            assert!(error.contains("not the header's"), "{tool}: {error}");
        }
    }
}

#[test]
fn deflated_and_big_endian_files_are_not_parsed() {
    const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
    let folder = Folder::new();
    for syntax in [uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, BIG_ENDIAN] {
        let path = folder.path("other");
        let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
        image(false, 1).0.with_meta(meta).unwrap().write_to_file(&path).unwrap();
        let error = ct(&[path]).unwrap_err().to_string();
        assert!(error.contains(&format!("transfer syntax {syntax}")), "{error}");
    }
}
