//! The conformance statement: its tables are what the code says, its matrix names tests that exist; and
//! Orthanc as a PACS around a running node.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod site;
mod statement;

use dicom_dictionary_std::uids::{
    STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND as FIND,
    STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET as GET,
    STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE as MOVE,
};
use dicom_encoding::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use grayd::archive::query::{Attribute, KEYS, QueryLevel};
use grayd::archive::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use grayd::node::accept::OFFERS;
use grayd::node::command::{field, status};
use grayd::node::settings::{Limits, Service};
use grayd::worklist::REFUSALS;
use serde_json::{Value, json};
use site::{CALLING_AE, Orthanc, Site, http_json, wait_for};
use statement::{block, document, renew, table};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

/// `CT_IMAGE_STORAGE` as `CT Image Storage`.
fn spoken(name: &str) -> String {
    const SHORT: [&str; 10] = ["CT", "RT", "SR", "DSR", "PDF", "X", "RAY", "VR", "UID", "AE"];
    let word = |word: &str| match SHORT.contains(&word) {
        true => word.to_owned(),
        false => word[..1].to_owned() + &word[1..].to_lowercase(),
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

fn operation(field: u16) -> &'static str {
    match field {
        field::C_ECHO_RQ => "C-ECHO",
        field::C_STORE_RQ => "C-STORE",
        field::C_FIND_RQ => "C-FIND",
        field::C_MOVE_RQ => "C-MOVE",
        field::C_GET_RQ => "C-GET",
        field::N_GET_RQ => "N-GET",
        field::N_SET_RQ => "N-SET",
        field::N_ACTION_RQ => "N-ACTION",
        field::N_CREATE_RQ => "N-CREATE",
        field::N_EVENT_REPORT_RQ => "N-EVENT-REPORT",
        other => panic!("operation {other:04X} has no name here"),
    }
}

fn sop_classes() -> String {
    let rows = OFFERS.iter().map(|offer| {
        let operations: Vec<&str> = offer.operations.iter().map(|f| operation(*f)).collect();
        let syntaxes = if offer.transfer_syntaxes.len() > 2 { "lossless" } else { "native" };
        let right = match offer.service {
            None => "every peer".to_owned(),
            Some(service) => serde_json::to_value(service).unwrap().as_str().unwrap().to_owned(),
        };
        // What was stored is sent on (results, C-MOVE, C-GET) and peers are asked to commit themselves to
        // it; priors are found and fetched in the Study Root.
        let study_root = [FIND, MOVE, GET].contains(&offer.sop_class);
        let scu = matches!(offer.service, None | Some(Service::Store | Service::Commit));
        let scu = scu || study_root;
        vec![
            spoken(offer.name),
            offer.sop_class.to_owned(),
            operations.join(", "),
            if scu { "yes" } else { "" }.to_owned(),
            syntaxes.to_owned(),
            right,
        ]
    });
    table(&["SOP class", "UID", "as SCP", "as SCU", "transfer syntaxes", "`peers: allow`"], rows)
}

fn transfer_syntaxes() -> String {
    let mut sets: Vec<&[&str]> = OFFERS.iter().map(|offer| offer.transfer_syntaxes).collect();
    sets.sort_by_key(|set| set.len());
    sets.dedup();
    assert_eq!(sets.len(), 2, "one set without and one with compression");
    let rows = sets[1].iter().map(|uid| {
        let name = TransferSyntaxRegistry.get(uid).map_or("", |syntax| syntax.name());
        let mark = |of: bool| if of { "yes" } else { "" }.to_owned();
        vec![name.to_owned(), (*uid).to_owned(), mark(sets[0].contains(uid)), mark(true)]
    });
    table(&["transfer syntax", "UID", "native", "lossless"], rows)
}

fn keys() -> String {
    let rows = KEYS.iter().map(|key| {
        use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
        let entry = dicom_dictionary_std::StandardDataDictionary.by_tag(key.tag).unwrap();
        let level = match (key.attribute.level(), key.tag) {
            (_, dicom_dictionary_std::tags::MODALITIES_IN_STUDY) => "STUDY",
            (QueryLevel::Patient, _) => "PATIENT",
            (QueryLevel::Study, _) => "STUDY",
            (QueryLevel::Series, _) => "SERIES",
            (QueryLevel::Instance, _) => "IMAGE",
        };
        let is_unique = matches!(
            key.attribute,
            Attribute::PatientId
                | Attribute::StudyInstanceUid
                | Attribute::SeriesInstanceUid
                | Attribute::SopInstanceUid
        );
        use dicom_core::VR;
        let matching = match key.vr {
            VR::UI => "single, list",
            VR::PN => "single, wildcard; whatever the case",
            VR::DA | VR::TM => "single, range",
            VR::IS | VR::US => "single, as a number",
            _ => "single, list, wildcard",
        };
        vec![
            level.to_owned(),
            entry.alias().to_owned(),
            format!("({:04X},{:04X})", key.tag.group(), key.tag.element()),
            if is_unique { "unique" } else { "" }.to_owned(),
            matching.to_owned(),
        ]
    });
    let mut rows: Vec<_> = rows.collect();
    let levels = ["PATIENT", "STUDY", "SERIES", "IMAGE"];
    rows.sort_by_key(|row| levels.iter().position(|level| *level == row[0]));
    table(&["level", "attribute", "tag", "", "matching"], rows)
}

fn statuses() -> String {
    let own = status::ALL.iter().map(|(status, services, when)| {
        vec![format!("{status:04X}"), (*services).to_owned(), (*when).to_owned()]
    });
    let mut rows: Vec<_> = own.collect();
    rows.extend(REFUSALS.iter().map(|refusal| {
        let status = format!("{:04X}", refusal.status);
        vec![status, "worklist".to_owned(), refusal.meaning.to_owned()]
    }));
    // Of the archive's errors, which have statuses of their own.
    let of_archive = [
        (
            "A900",
            "the data set is not the one that the command announced, or lacks one of its UIDs",
        ),
        ("C000", "the gate refused the data set, or it could not be parsed"),
    ];
    rows.extend(
        of_archive.map(|(status, when)| vec![status.into(), "C-STORE".into(), when.into()]),
    );
    rows.sort();
    table(&["status", "given by", "when"], rows)
}

/// What `config/grayd.yaml` says of each limit, beside the default of the code.
fn limits() -> String {
    let manual = include_str!("../config/grayd.yaml");
    let section = manual.split_once("\n  limits:\n").unwrap().1;
    let defaults = serde_json::to_value(Limits::default()).unwrap();
    let rows = defaults.as_object().unwrap().iter().map(|(key, default)| {
        let line = section.lines().find(|line| line.trim_start().starts_with(&format!("{key}:")));
        let line = line.unwrap_or_else(|| panic!("{key} is not in config/grayd.yaml"));
        let (value, meaning) = line.split_once('#').expect("its meaning");
        let value = value.split_once(':').unwrap().1.trim();
        assert_eq!(value, default.to_string(), "{key}: the manual has another default");
        vec![format!("`{key}`"), default.to_string(), meaning.trim().to_owned()]
    });
    table(&["`node: limits:`", "default", "what"], rows)
}

fn routes(site: &Site) -> String {
    let described = http_json(site.web, "/api/openapi.json").unwrap();
    let mut rows = Vec::new();
    for (path, operations) in described["paths"].as_object().unwrap() {
        let Some(below) = path.strip_prefix("/dicom-web") else { continue };
        for (method, operation) in operations.as_object().unwrap() {
            let text = |key: &str| operation[key].as_str().unwrap().to_owned();
            rows.push(vec![
                text("summary"),
                method.to_uppercase(),
                format!("`{below}`"),
                text("x-right"),
            ]);
        }
    }
    rows.sort_by(|a, b| (&a[0][..4], &a[2]).cmp(&(&b[0][..4], &b[2])));
    table(&["transaction", "method", "below `/dicom-web`", "right"], rows)
}

fn identity() -> String {
    let rows = [
        ("Application Context Name", "1.2.840.10008.3.1.1.1"),
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
    ];
    table(&["", ""], rows.map(|(what, value)| vec![what.to_owned(), value.to_owned()]))
}

#[test]
fn the_statement_s_tables_are_those_of_the_code() {
    let site = Site::start("");
    let tables = [
        ("sop-classes", sop_classes()),
        ("transfer-syntaxes", transfer_syntaxes()),
        ("identity", identity()),
        ("keys", keys()),
        ("statuses", statuses()),
        ("limits", limits()),
        ("routes", routes(&site)),
    ];
    renew(&document("conformance.md"), &tables);
}

/// Names of all functions that are tests.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let mut is_test = false;
                for line in text.lines().map(str::trim_start) {
                    let function = line.trim_start_matches("async ").strip_prefix("fn ");
                    if let Some(name) = function.filter(|_| is_test) {
                        found.insert(name.split(['(', '<']).next().unwrap().to_owned());
                    }
                    is_test = line.starts_with("#[test]")
                        || line.starts_with("#[tokio::test")
                        || (is_test && line.starts_with("#["));
                }
            }
        }
    }
    found
}

#[test]
fn every_cell_of_the_matrix_names_a_test_that_exists() {
    let text = std::fs::read_to_string(document("conformance.md")).unwrap();
    let (_, matrix, _) = block(&text, "matrix");
    let tests = tests();
    let (mut named, mut missing) = (0, Vec::new());
    for cell in matrix.lines().filter(|line| line.starts_with('|')).flat_map(|l| l.split('|')) {
        for name in cell.split('`').skip(1).step_by(2).filter(|name| name.contains('_')) {
            named += 1;
            if !tests.contains(name) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "no such test: {missing:?}");
    assert!(named >= 30, "only {named} cells name a test");
}

/// One request with a body; status and body of the answer.
fn ask(method: &str, address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// A phantom's CT, a few slices: real files by the program itself.
fn slices(folder: &Path) -> Vec<std::path::PathBuf> {
    let made = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["phantom", "--output"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let is_ct = |path: &std::path::PathBuf| {
        dicom_object::open_file(path).is_ok_and(|object| {
            let modality = object.element(dicom_dictionary_std::tags::MODALITY);
            modality.is_ok_and(|m| m.to_str().is_ok_and(|text| text.trim() == "CT"))
        })
    };
    files.retain(is_ct);
    files.sort();
    files.truncate(4);
    assert_eq!(files.len(), 4);
    files
}

#[test]
fn orthanc_echoes_queries_moves_from_grayd_stores_to_it_and_has_it_commit() {
    const NAME: &str = "orthanc_echoes_queries_moves_from_grayd_stores_to_it_and_has_it_commit";
    if !site::have("Orthanc") || !site::have("dcmsend") || !site::in_private_network(NAME) {
        return;
    }
    let pacs = Orthanc::start();
    let site = Site::start(&Site::peers(Some(pacs.dicom_port)));
    let modality = json!({ "AET": "GRAYD", "Host": "127.0.0.1", "Port": site.dicom.port() });
    assert_eq!(ask("PUT", pacs.http, "/modalities/grayd", &modality).0, 200);
    assert_eq!(ask("POST", pacs.http, "/modalities/grayd/echo", &json!({})).0, 200, "C-ECHO");

    let folder = tempfile::tempdir().unwrap();
    let files = slices(folder.path());
    assert!(site.dcmsend(&files), "{CALLING_AE} sends");
    let query = json!({ "Level": "Series", "Query": { "Modality": "CT", "PatientID": "", "StudyInstanceUID": "" } });
    let (code, answer) = ask("POST", pacs.http, "/modalities/grayd/query", &query);
    assert_eq!(code, 200, "C-FIND");
    let path = answer["Path"].as_str().unwrap();
    let found = http_json(pacs.http, &format!("{path}/answers")).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");

    let target = json!({ "TargetAet": "ORTHANC", "Synchronous": true });
    let (code, moved) = ask("POST", pacs.http, &format!("{path}/retrieve"), &target);
    assert_eq!(code, 200, "C-MOVE: {moved}");
    let instances = wait_for("what is moved", || {
        let instances = http_json(pacs.http, "/instances")?;
        (instances.as_array()?.len() == 4).then_some(instances)
    });

    // Orthanc sends back what it has under another patient: new instances of its own.
    let replace = json!({
        "Replace": { "PatientID": "O-1", "SOPInstanceUID": "1.2.826.0.1.77" },
        "Force": true
    });
    let first = instances[0].as_str().unwrap();
    let body = replace.to_string();
    let changed = Command::new("curl")
        .args(["-s", "-X", "POST", "-d", &body])
        .arg(format!("http://{}/instances/{first}/modify", pacs.http))
        .output()
        .unwrap();
    let stored = Command::new("curl")
        .args(["-s", "-X", "POST", "--data-binary", "@-"])
        .arg(format!("http://{}/instances", pacs.http))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut curl| {
            curl.stdin.take().unwrap().write_all(&changed.stdout)?;
            curl.wait_with_output()
        })
        .unwrap();
    let stored: Value = serde_json::from_slice(&stored.stdout).unwrap();
    let id = stored["ID"].as_str().unwrap();
    let (code, sent) = ask("POST", pacs.http, "/modalities/grayd/store", &json!([id]));
    assert_eq!((code, &sent["FailedInstancesCount"]), (200, &json!(0)), "C-STORE: {sent}");
    let kept = http_json(site.web, "/dicom-web/instances?PatientID=O-1").unwrap();
    assert_eq!(kept.as_array().unwrap().len(), 1, "{kept}");

    let commit = json!({ "DicomInstances": [
        { "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.826.0.1.77" },
        { "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.826.0.1.78" }
    ] });
    let (code, asked) = ask("POST", pacs.http, "/modalities/grayd/storage-commitment", &commit);
    assert_eq!(code, 200, "N-ACTION: {asked}");
    let path = asked["Path"].as_str().unwrap();
    let report = wait_for("the report", || {
        let report = http_json(pacs.http, path)?;
        (report["Status"] != "Pending").then_some(report)
    });
    assert_eq!(report["Status"], "Failure", "one of the two is not there");
    assert_eq!(report["Success"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["Success"][0]["SOPInstanceUID"], "1.2.826.0.1.77");
    assert_eq!(report["Failures"][0]["SOPInstanceUID"], "1.2.826.0.1.78");
}
