use super::*;

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    port: u16,
    #[serde(default)]
    peers: Vec<Peer>,
    #[serde(default)]
    ratio: Option<f64>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    host: String,
}

fn faults(text: &str) -> Vec<String> {
    match Document::parse("f.yaml", text) {
        Ok(mut document) => document.read::<Sample>().1.iter().map(Fault::to_string).collect(),
        Err(fault) => vec![fault.to_string()],
    }
}

#[test]
fn a_sound_file_is_read_and_text_stays_as_written() {
    let mut document = Document::parse("f.yaml", "name: 0012\nport: 80\nratio: 1\n").unwrap();
    let (value, faults) = document.read::<Sample>();
    assert_eq!(faults, []);
    assert_eq!(
        value.unwrap(),
        Sample { name: "0012".into(), port: 80, peers: vec![], ratio: Some(1.0) }
    );
}

#[test]
fn every_fault_of_a_file_is_reported_at_once_with_its_position() {
    let text = "nam: x\nport: eighty\npeers:\n  - host: a\n    prot: 1\n  - { hots: b }\n";
    assert_eq!(
        faults(text),
        [
            "f.yaml:1:1: unknown key `nam`; known here are `name`, `port`, `peers`, `ratio`",
            "f.yaml:2:7: the text `eighty` stands here; write a whole number from 0 to 65535",
            "f.yaml:5:5: unknown key `prot`; known here are `host`",
            "f.yaml:6:7: unknown key `hots`; known here are `host`",
            "f.yaml:6:5: the key `host` is missing; add it",
            "f.yaml:1:1: the key `name` is missing; add it",
        ]
    );
}

#[test]
fn what_is_no_yaml_is_reported_with_its_position() {
    let all = faults("name: [1, 2\nport: 3\n");
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with("f.yaml:") && all[0].contains("is not readable YAML"), "{all:?}");
    let all = faults("name: a\nname: b\nport: 1\n");
    assert!(all[0].starts_with("f.yaml:2:1: "), "{all:?}");
}

#[test]
fn a_deeply_nested_or_exploding_document_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(Document::parse("f.yaml", &deep).is_err());
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
        let many = vec![format!("*{of}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{many}]\n"));
    }
    assert!(Document::parse("f.yaml", &bomb).is_err());
}

#[test]
fn positions_are_found_by_path() {
    let document = Document::parse("f.yaml", "name: a\npeers:\n  - host: b\n").unwrap();
    let fault = document.fault_at(steps!["peers", 0, "host"], "is wrong");
    assert_eq!(fault.to_string(), "f.yaml:3:11: is wrong");
    let fault = document.fault_at(steps!["peers", 7, "host"], "is wrong");
    assert_eq!(fault.to_string(), "f.yaml:3:3: is wrong");
    assert!(document.has(steps!["peers", 0]) && !document.has(steps!["port"]));
}
