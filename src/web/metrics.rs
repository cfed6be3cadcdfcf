//! `/metrics` in the text format of Prometheus. Counters count from the start of the process; states are
//! asked of the archive when they are wanted. No label is made of received text.

use super::{Failure, Shared, ask};
use crate::archive::{ArchiveError, DeliveryState, JobState};
use crate::count;
use crate::service::Service;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::time::Instant;

/// Jobs and deliveries that are counted by state: the newest.
const ROWS: u32 = 10_000;

/// Counts a request and what it took.
pub(super) async fn request(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = next.run(request).await;
    count::REQUESTS.observe(began.elapsed().as_secs_f64());
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(counter) = count::ANSWERS.get(class.wrapping_sub(1)) {
        counter.add(1);
    }
    response
}

pub(super) async fn metrics(State(web): State<Shared>) -> Result<Response, Failure> {
    let text = ask(&web, render).await?;
    let media = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = write!(self.0, "# HELP grayd_{name} {help}\n# TYPE grayd_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "grayd_{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn durations(&mut self, name: &str, help: &str, durations: &count::Durations) {
        self.head(name, "histogram", help);
        for (bound, number) in durations.cumulative() {
            self.line(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), number);
        }
        self.line(&format!("{name}_sum"), "", durations.sum_s());
        self.line(&format!("{name}_count"), "", durations.number());
    }
}

fn render(service: &Service) -> Result<String, ArchiveError> {
    let mut text = Text(String::new());
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    text.head("build_info", "gauge", "The program that runs.");
    text.line("build_info", &version, 1);
    counters(&mut text);
    let jobs = service.archive.jobs(ROWS)?;
    text.head("jobs", "gauge", "Jobs by state, of the newest 10000.");
    for (state, name) in [
        (JobState::Queued, "queued"),
        (JobState::Running, "running"),
        (JobState::Done, "done"),
        (JobState::Parked, "parked"),
        (JobState::Failed, "failed"),
    ] {
        let number = jobs.iter().filter(|job| job.state == state).count();
        text.line("jobs", &format!("{{state=\"{name}\"}}"), number);
    }
    let deliveries = service.archive.deliveries(ROWS)?;
    text.head("deliveries", "gauge", "Deliveries by state, of the newest 10000.");
    for (state, name) in [
        (DeliveryState::Waiting, "waiting"),
        (DeliveryState::Delivered, "delivered"),
        (DeliveryState::Committed, "committed"),
        (DeliveryState::CommitmentFailed, "commitment-failed"),
        (DeliveryState::Parked, "parked"),
    ] {
        let number = deliveries.iter().filter(|delivery| delivery.state == state).count();
        text.line("deliveries", &format!("{{state=\"{name}\"}}"), number);
    }
    let found = service.board.get();
    let looked = found.looked.map_or(0, |at| at.as_second());
    text.one("courses", "gauge", "Courses in force.", found.decision.courses.len());
    text.one("waiting", "gauge", "Series and cycles that wait.", found.decision.waiting.len());
    text.one("plan_faults", "gauge", "Faults of plans.", found.plan_faults.len());
    text.one(
        "intake_changed_timestamp_seconds",
        "gauge",
        "When intake last found something new.",
        looked,
    );
    disk(&mut text, service);
    Ok(text.0)
}

fn counters(text: &mut Text) {
    text.head("associations_total", "counter", "Associations of peers, by how they were met.");
    text.line("associations_total", "{met=\"accepted\"}", count::ASSOCIATIONS_ACCEPTED.get());
    text.line("associations_total", "{met=\"refused\"}", count::ASSOCIATIONS_REFUSED.get());
    text.one(
        "quota_refusals_total",
        "counter",
        "Associations and instances beyond what peers.limits grant.",
        count::QUOTA_REFUSALS.get(),
    );
    text.one(
        "associations_open",
        "gauge",
        "Associations that are open.",
        count::ASSOCIATIONS_OPEN.get(),
    );
    text.head("instances_received_total", "counter", "Instances offered, by what became of them.");
    for (became, counter) in [
        ("stored", &count::INSTANCES_STORED),
        ("duplicate", &count::INSTANCES_DUPLICATE),
        ("conflict", &count::INSTANCES_CONFLICT),
        ("refused", &count::INSTANCES_REFUSED),
    ] {
        text.line("instances_received_total", &format!("{{became=\"{became}\"}}"), counter.get());
    }
    text.one(
        "bytes_stored_total",
        "counter",
        "Bytes of data sets stored.",
        count::BYTES_STORED.get(),
    );
    text.head("http_answers_total", "counter", "Answers over HTTP by class of status.");
    for (class, counter) in (1..).zip(&count::ANSWERS) {
        text.line("http_answers_total", &format!("{{status=\"{class}xx\"}}"), counter.get());
    }
    text.durations(
        "http_request_seconds",
        "From a request to the head of its answer.",
        &count::REQUESTS,
    );
    text.durations(
        "commit_seconds",
        "From an instance's last byte to its being durable.",
        &count::COMMITS,
    );
}

fn disk(text: &mut Text, service: &Service) {
    let folder = &service.loaded.config.storage.directory;
    let Ok(found) = rustix::fs::statvfs(folder) else { return };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    text.one("disk_free_bytes", "gauge", "Free below storage.directory.", bytes(found.f_bavail));
    text.one("disk_size_bytes", "gauge", "Size of that file system.", bytes(found.f_blocks));
}
