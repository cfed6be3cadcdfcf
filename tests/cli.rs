//! The command line from outside, on the real binary: what each command says, where it says it, and
//! the status that it ends with. 0 done, 1 failed, 2 bad usage or bad configuration.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::Path;
use std::process::Command;

const PLAN: &str = "patient: { id: P-1 }\nprotocol: single-time-point\n\
    radiopharmaceutical: 177Lu-DOTATATE\ncycles:\n  - number: 1\n    administered: \
    { activity_mbq: 7400, at: 2026-03-02T10:00:00Z }\n\
    settings: { kinetics: { effective_half_life_h: { default: 75 } } }\n";

const COMMANDS: [&str; 15] = [
    "demo",
    "serve",
    "compute",
    "phantom",
    "check",
    "prescribe",
    "protocols",
    "nuclide",
    "kernel",
    "status",
    "verify",
    "audit",
    "backup",
    "restore",
    "reindex",
];

struct Told {
    status: Option<i32>,
    out: String,
    err: String,
}

fn grayd(arguments: &[&str]) -> Told {
    let output = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Told { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Ends with `status`, says all of `words` on standard error and nothing on standard output.
fn refuses(arguments: &[&str], status: i32, words: &[&str]) {
    let told = grayd(arguments);
    assert_eq!(told.status, Some(status), "{arguments:?}: {}", told.err);
    assert_eq!(told.out, "", "{arguments:?}");
    for word in words {
        assert!(told.err.contains(word), "{arguments:?}: {word} is not in {}", told.err);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_command_has_help_with_a_way_to_call_it() {
    let all = grayd(&["--help"]);
    assert_eq!((all.status, all.err.as_str()), (Some(0), ""));
    assert!(all.out.contains("Exit status: 0 done, 1 failed, 2 bad usage"), "{}", all.out);
    assert!(all.out.contains(grayd::report::RESEARCH_MARK));
    for command in COMMANDS {
        assert!(all.out.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = grayd(&[command, "--help"]);
        assert_eq!((help.status, help.err.as_str()), (Some(0), ""), "{command}");
        for word in [&format!("Usage: grayd {command}"), "Example", &format!("grayd {command}")] {
            assert!(help.out.contains(word), "{command}: {word} is not in {}", help.out);
        }
    }
    assert!(!all.out.contains("\n  work"), "the worker is nothing to call by hand");
}

#[test]
fn wrong_usage_says_what_is_right_and_ends_with_status_2() {
    refuses(&[], 2, &["Usage: grayd <COMMAND>", "demo", "Exit status"]);
    refuses(&["fly"], 2, &["unrecognized subcommand 'fly'", "--help"]);
    refuses(&["protcols"], 2, &["a similar subcommand exists: 'protocols'"]);
    refuses(&["compute"], 2, &["--plan <FILE>", "--input <DIR>", "--output <DIR>"]);
    refuses(&["serve", "--log", "xml"], 2, &["possible values: text, json"]);
    refuses(&["nuclide", "Xx-1"], 2, &["`Xx-1`", "write it like `Lu-177`"]);
    refuses(&["nuclide", "C-11"], 2, &["no decay data for C-11; `grayd nuclide` lists"]);
    let kernel = |nuclide, voxel| ["kernel", "--nuclide", nuclide, "--voxel-mm", voxel];
    refuses(&kernel("Lu-177", "0"), 2, &["voxel side of 0 mm", "0.05 to 100 mm"]);
    refuses(&kernel("Lu-177", "4,4"), 2, &["`4,4`", "like 4.42 or 4,4,3"]);
    refuses(&kernel("Xx-1", "3"), 2, &["`Xx-1`", "write it like `Lu-177`"]);
    refuses(&["protocols", "nope"], 2, &["`nope`", "multi-time-point, single-time-point"]);
    refuses(&["status", "--url", "localhost"], 2, &["`localhost`", "http://127.0.0.1:8042"]);
    let folder = tempfile::tempdir().unwrap();
    let output = text(folder.path());
    refuses(&["phantom", "--output", output, "--nuclide", "Zz"], 2, &["`Zz`", "`Lu-177`"]);
}

#[test]
fn status_without_a_node_says_how_to_have_one() {
    let words = ["no node answers at http://127.0.0.1:1/", "grayd serve", "--url", "`web=`"];
    refuses(&["status", "--url", "http://127.0.0.1:1"], 1, &words);
}

#[test]
fn check_reports_all_faults_of_all_files_in_order_and_ends_with_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grayd.yaml");
    let path = text(&file);
    let plan = folder.path().join("plans/a.yaml");
    let protocol = folder.path().join("protocols/p.yaml");
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::create_dir(folder.path().join("protocols")).unwrap();
    std::fs::write(&file, "protocols: protocols\nnode: { listen: here }\nweb: { lisen: x }\n")
        .unwrap();
    std::fs::write(&plan, PLAN.replace("7400", "0")).unwrap();
    let mine = grayd(&["protocols", "single-time-point"]).out.replace("title:", "titel:");
    std::fs::write(&protocol, mine).unwrap();
    std::fs::write(folder.path().join("plans/b.yaml"), "cycles: [\n").unwrap();

    let told = grayd(&["check", "--config", path]);
    assert_eq!(told.status, Some(2), "{}", told.err);
    let lines: Vec<&str> = told.out.lines().collect();
    let starts = [
        format!("{path}:2:17: `here` is no address; write it like"),
        format!("{path}:3:8: unknown key `lisen`; known here are `listen`"),
        format!("{}:", protocol.display()),
        format!("{}:", protocol.display()),
        format!("{}:6:35: 0 MBq cannot have been given; write MBq", plan.display()),
        format!("{}", folder.path().join("plans/b.yaml:1:9: is not readable YAML").display()),
    ];
    assert_eq!(lines.len(), starts.len(), "{}", told.out);
    for (line, start) in lines.iter().zip(&starts) {
        assert!(line.starts_with(start.as_str()), "{line}\ndoes not start with {start}");
    }
    assert!(told.out.contains("unknown key `titel`") && told.err.contains("6 faults to correct"));

    // The node refuses the same configuration with the same lines.
    refuses(&["serve", "--config", path], 2, &["\n", lines[0], lines[1]]);

    std::fs::remove_file(folder.path().join("plans/b.yaml")).unwrap();
    std::fs::remove_file(&protocol).unwrap();
    std::fs::write(&file, "protocols: protocols\n").unwrap();
    std::fs::write(&plan, PLAN).unwrap();
    let told = grayd(&["check", "--config", path]);
    let sound = "sound: configuration, 23 protocols, 1 plan\n";
    assert_eq!((told.status, told.out.as_str(), told.err.as_str()), (Some(0), sound, ""));

    std::fs::write(folder.path().join("plans/a.csv"), "quantity,value\nhaematocrit,41\n").unwrap();
    let told = grayd(&["check", "--config", path]);
    let place = folder.path().join("plans/a.csv:2:13: 41 is not plausible");
    assert_eq!(told.status, Some(2));
    assert!(told.out.starts_with(&place.display().to_string()), "{}", told.out);

    let gone = folder.path().join("gone.yaml");
    let told = grayd(&["check", "--config", text(&gone)]);
    assert_eq!(told.status, Some(2));
    assert!(told.out.contains("cannot be read") && told.out.contains("check path and rights"));
}

#[test]
fn the_manual_of_the_configuration_is_sound() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grayd.yaml");
    assert_eq!(grayd(&["check", "--config", manual]).status, Some(0));
}

#[test]
fn compute_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (plan, images, results) = (at("plan.yaml"), at("images"), at("results"));
    std::fs::write(&plan, PLAN).unwrap();
    let call = |plan: &Path, status, words: &[&str]| {
        let input = ["--input", text(&images), "--output", text(&results)];
        let arguments = [&["compute", "--plan", text(plan)][..], &input].concat();
        refuses(&arguments, status, words);
    };
    call(&plan, 2, &["--input", "images cannot be read", "check path and rights"]);
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("notes.txt"), "no DICOM").unwrap();
    call(&plan, 1, &["no DICOM file lies below", "images; give with --input"]);
    call(&at("gone.yaml"), 2, &["--plan", "gone.yaml cannot be read", "check path and rights"]);
    std::fs::write(&plan, PLAN.replace("2026-03-02T10:00:00Z", "2026-03-02T10:00:00")).unwrap();
    call(&plan, 2, &["1 fault to correct:\n", "plan.yaml:6:45: ", "has no zone offset; write"]);
    assert!(!results.exists(), "nothing was computed, nothing is written");
}

#[test]
fn compute_of_another_patient_says_what_waits_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let patient = folder.path().join("patient");
    assert_eq!(grayd(&["phantom", "--output", text(&patient)]).status, Some(0));
    let plan = folder.path().join("plan.yaml");
    std::fs::write(&plan, PLAN).unwrap();
    let results = folder.path().join("results");
    let arguments = ["compute", "--plan", text(&plan), "--input", text(&patient), "--output"];
    let told = grayd(&[&arguments[..], &[text(&results)]].concat());
    assert_eq!((told.status, told.out.as_str()), (Some(1), ""), "{}", told.err);
    assert!(told.err.contains("waits: "), "{}", told.err);
    assert!(told.err.contains("supply what the lines above name"), "{}", told.err);
}

#[test]
fn prescribe_tells_the_state_of_a_course_without_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.yaml");
    std::fs::write(
        &plan,
        "patient: { id: P-1 }\nprotocol: lu177-quebec\ncycles:\n  - { number: 1, administered: { \
         activity_mbq: 7692.3, at: 2026-03-02T10:00:00Z } }\nmeasured:\n  doses:\n    - { cycle: 1, \
         region: kidneys, dose_gy: 5.4 }\n    - { cycle: 1, region: red marrow, dose_gy: 0.2 }\n",
    )
    .unwrap();
    let told = grayd(&["prescribe", "--plan", text(&plan)]);
    assert_eq!(told.status, Some(0), "{}", told.err);
    for words in ["state PRESCRIBED", "proposed 8350 MBq", "limiting: kidneys", "fixed regime"] {
        assert!(told.out.contains(words), "{words}: {}", told.out);
    }
    assert!(told.out.contains("parameter not confirmed: "), "{}", told.out);
    let json = grayd(&["prescribe", "--plan", text(&plan), "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["proposal"]["activity_mbq"], 8350.0);
    // What was measured may stand in a table beside the plan; what is wrong there is told with its place.
    let table = folder.path().join("plan.csv");
    let gated = std::fs::read_to_string(&plan).unwrap().replace(
        "measured:",
        "settings:\n  gates: { facts: { \
        platelets_giga_l: { at_least: 75 } } }\nmeasured:",
    );
    std::fs::write(&plan, &gated).unwrap();
    let held = grayd(&["prescribe", "--plan", text(&plan)]).out;
    assert!(held.contains("add patient_facts.platelets_giga_l"), "{held}");
    std::fs::write(&table, "quantity,value,date\nplatelets_giga_l,212,2026-02-27\n").unwrap();
    let told = grayd(&["prescribe", "--plan", text(&plan)]).out;
    assert!(told.contains("proposed 8350 MBq"), "{told}");
    std::fs::write(&table, "quantity,value\nplatelets_giga_l,many\n").unwrap();
    let at = format!("{}:2:18: `many` is no number", table.display());
    refuses(&["prescribe", "--plan", text(&plan)], 2, &[&at]);
    std::fs::remove_file(&table).unwrap();
    // Results of another patient are not taken.
    let results = folder.path().join("results.json");
    std::fs::write(&results, "{\"patient_id\": \"P-2\"}").unwrap();
    let arguments = ["prescribe", "--plan", text(&plan), "--results", text(&results)];
    refuses(&arguments, 2, &["patient_id is not the plan's"]);
}

#[test]
fn what_scripts_read_stands_alone_on_standard_output() {
    let told = grayd(&["nuclide", "177Lu-DOTATATE", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.status, told.err.as_str()), (Some(0), ""));
    assert_eq!(value["nuclide"], "Lu-177");
    let listed = grayd(&["protocols"]).out;
    for name in ["multi-time-point", "single-time-point"] {
        assert!(listed.contains(name), "{listed}");
        let printed = grayd(&["protocols", name]);
        assert_eq!(printed.status, Some(0));
        assert!(printed.out.contains(&format!("name: {name}")), "{}", printed.out);
    }
}
