//! Foreign programs: DCMTK and pynetdicom.

use std::process::{Command, Output, Stdio};

/// Runs a program without blocking the runtime; `None`, with one line, where it is missing.
pub async fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output()).await.expect("it runs");
    match done {
        Ok(output) => Some(output),
        Err(_) => {
            println!("passed over: {program} is not installed (tests/run installs it)");
            None
        }
    }
}

/// Python with pynetdicom; `None`, with one line, where it is missing.
pub fn python() -> Option<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let candidates = [
        std::env::var("GRAYD_PYTHON").unwrap_or_default(),
        format!("{root}/.peers/bin/python"),
        "/opt/grayd-peers/bin/python".to_owned(),
        "python3".to_owned(),
    ];
    let has_pynetdicom = |python: &&String| {
        let check = Command::new(python.as_str())
            .args(["-c", "import pynetdicom"])
            .stderr(Stdio::null())
            .status();
        check.is_ok_and(|status| status.success())
    };
    let found = candidates.iter().filter(|python| !python.is_empty()).find(has_pynetdicom).cloned();
    if found.is_none() {
        println!("passed over: pynetdicom is not installed (tests/run installs it)");
    }
    found
}

/// Text of what a program wrote, for the message of a failed test.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
