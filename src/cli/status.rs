//! `grayd status`: what a running node has, needs and does.

use super::{Failure, count, print_all};
use crate::dicom::visible;
use clap::Args;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Courses, what waits and why, jobs and deliveries of a running node.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  grayd status\n  grayd status --url http://127.0.0.1:8042 --json"
)]
pub struct Status {
    /// Where the node's pages are
    #[arg(long, default_value = "http://127.0.0.1:8042")]
    url: String,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// A node that is there answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

impl Status {
    pub fn run(self) -> Result<(), Failure> {
        if !self.url.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--url `{}` is no address of a node's pages; write it like http://127.0.0.1:8042",
                self.url
            )));
        }
        let mut all = serde_json::Map::new();
        for name in ["courses", "waiting", "plans", "jobs", "deliveries", "announcements"] {
            all.insert(name.to_owned(), self.ask(name)?);
        }
        let all = Value::Object(all);
        if self.json {
            print_all(&format!("{all:#}"))
        } else {
            print_all(describe(&all).trim_end())
        }
    }

    fn ask(&self, name: &str) -> Result<Value, Failure> {
        let url = format!("{}/api/{name}", self.url.trim_end_matches('/'));
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
        let answer = agent.get(&url).call().and_then(|mut answer| answer.body_mut().read_json());
        answer.map_err(|error| {
            Failure::Failed(format!(
                "no node answers at {url} ({error}); start one with `grayd serve`, or give with \
                 --url the address after `web=` of its ready line"
            ))
        })
    }
}

/// Received text among it: nothing of it steers the terminal.
fn text<'a>(value: &'a Value, key: &str) -> Cow<'a, str> {
    visible(value[key].as_str().unwrap_or(""))
}

fn rows<'a>(all: &'a Value, name: &str) -> &'a [Value] {
    all[name].as_array().map_or(&[], Vec::as_slice)
}

fn describe(all: &Value) -> String {
    let mut out = String::new();
    for course in rows(all, "courses") {
        let cycles: Vec<String> = rows(course, "cycles")
            .iter()
            .map(|cycle| {
                let points = rows(cycle, "time_points").len();
                format!("cycle {}: {points} of {}", cycle["number"], cycle["time_points_wanted"])
            })
            .collect();
        out += &format!(
            "course {}  {}  {}  {}\n",
            text(course, "course"),
            text(course, "protocol"),
            text(course, "radiopharmaceutical"),
            cycles.join(", ")
        );
    }
    for fault in rows(&all["plans"], "faults") {
        out += &format!(
            "plan    {}:{}:{}: {}\n",
            text(fault, "file"),
            fault["line"],
            fault["column"],
            text(fault, "message")
        );
    }
    let mut waits: Vec<(String, usize)> = Vec::new();
    for item in rows(all, "waiting") {
        let what = [text(item, "modality"), text(item, "description")].join(" ");
        let (reason, supply) = (text(item, "reason"), text(item, "supply"));
        let line = format!("{}: {reason}; {supply}", what.trim());
        match waits.iter_mut().find(|(known, _)| *known == line) {
            Some((_, times)) => *times += 1,
            None => waits.push((line, 1)),
        }
    }
    for (line, times) in waits {
        let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
        out += &format!("waits   {line}{times}\n");
    }
    for job in rows(all, "jobs") {
        let reason = job["reason"].as_str().map(|r| format!(": {}", visible(r)));
        let reason = reason.unwrap_or_default();
        out += &format!(
            "job {:<4}{} cycle {} {}{reason}\n",
            job["id"].to_string(),
            text(job, "course"),
            job["cycle"],
            text(job, "state")
        );
    }
    let mut deliveries: BTreeMap<(Cow<'_, str>, Cow<'_, str>), usize> = BTreeMap::new();
    for delivery in rows(all, "deliveries") {
        let asked = delivery["state"] == "delivered" && delivery["transaction"].is_string();
        let state =
            if asked { "delivered, commitment asked for".into() } else { text(delivery, "state") };
        *deliveries.entry((text(delivery, "peer"), state)).or_default() += 1;
    }
    for ((peer, state), number) in deliveries {
        out += &format!("to {peer:<5}{} {state}\n", count(number, "object"));
    }
    for told in rows(all, "announcements").iter().filter(|told| told["state"] != "delivered") {
        out += &format!(
            "tell {:<5}job {} is at {}: {} {}\n",
            text(told, "peer"),
            told["job"],
            text(told, "destination"),
            text(told, "state"),
            text(told, "reason")
        );
    }
    if out.is_empty() { "nothing yet: no plan, no image, no job\n".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_says_what_waits_and_what_runs() {
        let all = serde_json::json!({
            "courses": [{"course": "ab", "protocol": "p", "radiopharmaceutical": "r",
                "cycles": [{"number": 1, "time_points": [{}], "time_points_wanted": 3}]}],
            "waiting": [
                {"modality": "NM", "description": "d", "reason": "r", "supply": "s"},
                {"modality": "CT", "description": null, "reason": "r", "supply": "s"},
                {"modality": "NM", "description": "d", "reason": "r", "supply": "s"},
            ],
            "plans": {"faults": [{"file": "f", "line": 1, "column": 2, "message": "m"}]},
            "jobs": [{"id": 7, "course": "ab", "cycle": 1, "state": "parked", "reason": "why"}],
            "deliveries": [
                {"peer": "pacs", "state": "delivered", "transaction": null},
                {"peer": "pacs", "state": "delivered", "transaction": "2.25.1"},
                {"peer": "pacs", "state": "committed", "transaction": "2.25.2"},
            ],
            "announcements": [
                {"peer": "flow", "job": 7, "destination": "pacs", "state": "delivered"},
                {"peer": "flow", "job": 8, "destination": "pacs", "state": "parked", "reason": "why"},
            ],
        });
        assert_eq!(
            describe(&all),
            "course ab  p  r  cycle 1: 1 of 3\nplan    f:1:2: m\nwaits   NM d: r; s (2 times)\n\
             waits   CT: r; s\n\
             job 7   ab cycle 1 parked: why\nto pacs 1 object committed\nto pacs 1 object delivered\n\
             to pacs 1 object delivered, commitment asked for\ntell flow job 8 is at pacs: parked why\n"
        );
        assert!(describe(&serde_json::json!({})).starts_with("nothing yet"));
    }
}
