use super::*;
use crate::config::DeviceMatch;
use crate::dicom::Uid;
use dicom_dictionary_std::uids;

const MANUAL: &str = include_str!("../../../config/grayd.yaml");

fn read(text: &str) -> Result<NodeConfig, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    let mut document = Document::parse("grayd.yaml", text).unwrap();
    match NodeConfig::from_document(&mut document, folder.path()) {
        (Some(config), faults) if faults.is_empty() => Ok(config),
        (_, faults) => Err(faults.iter().map(Fault::to_string).collect()),
    }
}

#[test]
fn the_manual_is_equal_to_the_defaults_but_for_where_data_lie() {
    let mut document = Document::parse("grayd.yaml", MANUAL).unwrap();
    let (config, faults) = document.read::<NodeConfig>();
    assert_eq!(faults, []);
    let mut config = config.unwrap();
    // The one exception, and the manual says so: a service keeps its data elsewhere.
    assert_eq!(config.storage.directory, Path::new("grayd-data"));
    config.storage.directory = NodeConfig::default().storage.directory;
    assert_eq!(config, NodeConfig::default());
    assert!(read(MANUAL).is_ok());
}

#[test]
fn the_manual_names_every_key() {
    fn keys(value: &serde_json::Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            path.push(key.clone());
            out.push(path.clone());
            keys(value, path, out);
            path.pop();
        }
    }
    let document = Document::parse("grayd.yaml", MANUAL).unwrap();
    let mut all = Vec::new();
    keys(&serde_json::to_value(NodeConfig::default()).unwrap(), &mut Vec::new(), &mut all);
    assert!(all.len() > 30);
    for path in all {
        let steps: Vec<Step<'_>> = path.iter().map(|key| Step::from(key.as_str())).collect();
        assert!(document.has(&steps), "config/grayd.yaml does not name {}", path.join("."));
    }
}

#[test]
fn the_commented_examples_are_sound() {
    let text: String = MANUAL
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| l.starts_with([' ', '-'])).unwrap_or(line))
        .map(|line| line.strip_prefix("#  ").map_or(line.to_owned(), |rest| format!("  {rest}")))
        .map(|line| line.replace("peers: []", "peers:").replace("cameras: []", "cameras:"))
        .collect::<Vec<_>>()
        .join("\n");
    let config = read(&text).unwrap();
    assert_eq!((config.peers.len(), config.cameras.len()), (3, 1));
    assert_eq!(config.cameras[0].calibrated_on, Some(jiff::civil::date(2026, 1, 12)));
}

#[test]
fn all_faults_are_reported_in_one_go_with_positions() {
    let text = "\
site: { time_zone: Mars/Olympus }
node:
  ae_title: \"MUCH TOO LONG A TITLE\"
  listen: everywhere
  limits: { associations: 0 }
web: { lisen: 127.0.0.1:1 }
peers:
  - { name: pacs, ae_title: ORTHANC, host: 10.0.0.9, port: 70000 }
  - { name: a, ae_title: A, host: \"\", port: 104 }
  - { name: a, ae_title: A, host: h, port: 0 }
results: { send_to: [], dose_bits: 12 }
cameras:
  - { match: {}, nuclide: Lu-177, calibration_cps_per_mbq: 0 }
protocols: nowhere
";
    let faults = read(text).unwrap_err();
    let expected = [
        "grayd.yaml:6:8: unknown key `lisen`; known here are `listen`, `hosts`, `users`, `tls`, \
         `behind_proxy`, `sessions`, `cors`, `viewer`",
        "grayd.yaml:8:60: `70000` stands here; write a whole number from 0 to 65535",
        "grayd.yaml:4:11: `everywhere` is no address; write it like `127.0.0.1:11112`",
        "grayd.yaml:3:13: `MUCH TOO LONG A TITLE` is no AE title; write 1 to 16 ASCII characters, \
         no backslash",
        "grayd.yaml:1:20: `Mars/Olympus` is no known time zone; write it like `Europe/Stockholm` \
         or `UTC`",
    ];
    for line in expected {
        assert!(faults.iter().any(|fault| fault == line), "{line}\nnot in {faults:#?}");
    }
    for start in [
        "grayd.yaml:9:35: is empty",
        "grayd.yaml:10:13: `a` names two peers",
        "grayd.yaml:10:44: port 0 cannot be called",
        "grayd.yaml:11:36: 12 bits cannot be",
        "grayd.yaml:13:14: matches every device",
        "grayd.yaml:13:60: 0 cannot be",
        "grayd.yaml:14:12: `protocols` is not a folder",
        "grayd.yaml:5:27: 0 is out of range; write 1 to 4096",
    ] {
        assert!(faults.iter().any(|f| f.starts_with(start)), "{start}\nnot in {faults:#?}");
    }
}

#[test]
fn results_go_only_to_peers_that_there_are() {
    let text =
        "peers:\n  - { name: a, ae_title: A, host: h, port: 1 }\nresults: { send_to: [a, b] }\n";
    let faults = read(text).unwrap_err();
    assert_eq!(
        faults,
        ["grayd.yaml:3:25: `b` is none of the peers; add it to `peers` or take it out"]
    );
}

#[test]
fn a_peer_may_get_some_kinds_of_results_only() {
    let to = |send_to: &str| {
        let peer = "peers:\n  - { name: a, ae_title: A, host: h, port: 1 }\n";
        read(&format!("{peer}results: {{ send_to: [{send_to}] }}\n"))
    };
    let gets = |send_to: &str| {
        let config = to(send_to).unwrap();
        let [to] = &config.results.send_to[..] else { panic!("{:?}", config.results) };
        assert_eq!(to.peer, "a");
        [uids::RT_DOSE_STORAGE, uids::COMPREHENSIVE3_DSR_STORAGE, uids::ENCAPSULATED_PDF_STORAGE]
            .map(|class| to.gets(&Uid::parse(class).unwrap()))
    };
    assert_eq!(gets("a"), [true, true, true]);
    assert_eq!(gets("{ peer: a }"), [true, true, true]);
    assert_eq!(gets("{ peer: a, objects: [rt-dose, pdf] }"), [true, false, true]);
    assert_eq!(gets("{ peer: a, objects: [] }"), [false, false, false]);
    // Reports for registries go to who names them, and to nobody else.
    let registry = |send_to: &str| {
        let config = to(send_to).unwrap();
        let dose_report = Uid::parse(uids::PATIENT_RADIATION_DOSE_SR_STORAGE).unwrap();
        let to = &config.results.send_to[0];
        (to.is_registry(), to.gets(&dose_report))
    };
    assert_eq!(registry("a"), (false, false));
    assert_eq!(registry("{ peer: a, objects: [rt-dose] }"), (false, false));
    assert_eq!(registry("{ peer: a, objects: [administration-report] }"), (true, false));
    assert_eq!(registry("{ peer: a, objects: [patient-dose-report] }"), (true, true));
    for wrong in ["{ peer: a, objects: [mail] }", "{ peer: b }", "{ objects: [pdf] }", "7"] {
        assert!(to(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn relative_paths_count_from_the_file_s_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("p")).unwrap();
    let file = folder.path().join("grayd.yaml");
    std::fs::write(&file, "plans: p\nstorage: { directory: /var/lib/grayd }\n").unwrap();
    let config = NodeConfig::open(&file).unwrap();
    assert_eq!(config.plans.0, folder.path().join("p"));
    assert_eq!(config.storage.directory, Path::new("/var/lib/grayd"));
}

#[test]
fn a_camera_matches_by_what_it_names() {
    let device = DeviceMatch { station_name: Some("INTEVO1".into()), ..DeviceMatch::default() };
    assert!(device.matches(Some("INTEVO1"), None, Some("x"), None));
    assert!(!device.matches(None, None, None, None));
    assert!(!device.matches(Some("INTEVO2"), None, None, None));
    let with = DeviceMatch { collimator: Some("MEGP".into()), ..device };
    assert!(with.matches(Some("INTEVO1"), None, None, Some("MEGP")));
    assert!(!with.matches(Some("INTEVO1"), None, None, Some("HEGP")));
    assert!(!with.matches(Some("INTEVO1"), None, None, None));
}

#[test]
fn what_a_camera_cannot_have_is_refused_at_its_key() {
    let text = "\
cameras:
  - match: { collimator: MEGP }
    nuclide: Lu-177
    dead_time: { model: paralysable, tau_us: 0 }
    recovery: { beta_ml: 4.0, gamma: 0, relative_uncertainty: 5 }
    planar: { cps_per_mbq: 0, broad_beam_ratio: 1.5 }
";
    let faults = read(text).unwrap_err();
    for start in [
        "grayd.yaml:2:12: matches every device",
        "grayd.yaml:4:46: 0 is out of range",
        "grayd.yaml:5:38: 0 is out of range",
        "grayd.yaml:5:63: 5 is out of range",
        "grayd.yaml:6:28: 0 is out of range",
        "grayd.yaml:6:49: 1.5 is out of range",
    ] {
        assert!(faults.iter().any(|f| f.starts_with(start)), "{start}\nnot in {faults:#?}");
    }
    let unknown = read(&text.replace("paralysable", "parallel")).unwrap_err();
    assert!(unknown.iter().any(|f| f.starts_with("grayd.yaml:4:25: ")), "{unknown:#?}");
}

#[test]
fn what_tls_needs_is_asked_for_where_it_is_missing() {
    let text = "\
node:
  tls: { listen: nowhere, certificate: absent.pem, key: absent.key }
peers:
  - { name: a, ae_title: A, host: h, port: 1, tls: true, certificate_sha256: \"AB:CD\" }
  - { name: b, ae_title: B, host: h, port: 1, certificate_sha256: \"FINGERPRINT\" }
";
    let text = text.replace("FINGERPRINT", &["AB"; 32].join(":"));
    let faults = read(&text).unwrap_err();
    for start in [
        "grayd.yaml:2:18: `nowhere` is no address",
        "grayd.yaml:2:8: ",
        "grayd.yaml:4:52: needs node.tls with authorities",
        "grayd.yaml:4:78: is no SHA-256",
        "grayd.yaml:5:67: counts only with `tls: true`",
    ] {
        assert!(faults.iter().any(|f| f.starts_with(start)), "{start}\nnot in {faults:#?}");
    }
    assert!(faults.iter().any(|f| f.contains("absent.key cannot be used")), "{faults:#?}");
}
