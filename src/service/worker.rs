//! Both ends of a worker process: the node that starts, watches and ends it, and the process
//! itself (`grayd work`).
//!
//! The order goes in as one line on standard input, which then stays open: its end tells the
//! worker that the node is gone. Progress and the outcome come as lines on standard output.

use super::job::{EXIT_PARKED, Outcome, Progress, WorkError, WorkOrder, WorkerLine};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// The longest line that a worker may print, bytes.
const LINE_MAX: usize = 1 << 16;

/// How much of a failed worker's last words is kept, characters.
const LAST_WORDS: usize = 300;

/// How a worker process ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    Done(Outcome),
    Parked {
        reason: String,
    },
    /// Crashed, was killed, ran out of time or broke the protocol.
    Failed {
        reason: String,
    },
}

/// Runs one worker to its end; it is killed when it overruns `limit` or the future is dropped.
pub async fn run(
    program: &[OsString],
    order: &WorkOrder,
    limit: Duration,
    mut progress: impl FnMut(Progress),
) -> Ended {
    let mut child = match start(program) {
        Ok(child) => child,
        Err(error) => {
            return Ended::Failed { reason: format!("worker could not be started: {error}") };
        }
    };
    let stderr = child.stderr.take();
    let last_words = tokio::spawn(async move {
        match stderr {
            Some(stderr) => last_line(stderr).await,
            None => String::new(),
        }
    });
    let outcome = tokio::time::timeout(limit, talk(&mut child, order, &mut progress)).await;
    if outcome.is_err() {
        // It may have ended in this very moment, which is as good.
        let _ = child.kill().await;
        let seconds = limit.as_secs();
        return Ended::Failed {
            reason: format!("worker was stopped after {seconds} s (compute.time_limit_s)"),
        };
    }
    let status = child.wait().await;
    let last_words = last_words.await.unwrap_or_default();
    judge(outcome.ok().flatten(), status, &last_words)
}

fn start(program: &[OsString]) -> std::io::Result<Child> {
    let (name, arguments) = program
        .split_first()
        .ok_or_else(|| std::io::Error::other("no worker program is configured"))?;
    Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Sends the order and follows the lines; the last line that is no progress is what counts.
async fn talk(
    child: &mut Child,
    order: &WorkOrder,
    progress: &mut impl FnMut(Progress),
) -> Option<WorkerLine> {
    let mut line = serde_json::to_vec(order).ok()?;
    line.push(b'\n');
    // Held until the worker has closed its output: its end means that the node is gone.
    let mut stdin = child.stdin.take()?;
    // A worker that ends before it has read its order is judged by its exit status.
    let _ = stdin.write_all(&line).await;
    let _ = stdin.flush().await;
    let mut output = BufReader::new(child.stdout.take()?);
    let mut last = None;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let mut bounded = (&mut output).take(LINE_MAX as u64);
        match bounded.read_until(b'\n', &mut buffer).await {
            Ok(0) | Err(_) => return last,
            Ok(_) => match serde_json::from_slice(&buffer) {
                Ok(WorkerLine::Progress(at)) => progress(at),
                Ok(line) => last = Some(line),
                Err(_) => {}
            },
        }
    }
}

/// The last line of what a worker says on standard error, bounded and printable.
async fn last_line(stderr: impl AsyncRead + Unpin) -> String {
    let mut stderr = BufReader::new(stderr);
    let mut last = String::new();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match (&mut stderr).take(LINE_MAX as u64).read_until(b'\n', &mut buffer).await {
            Ok(0) | Err(_) => return last,
            Ok(_) => {
                let text = String::from_utf8_lossy(&buffer);
                let text: String =
                    text.trim().chars().filter(|c| !c.is_control()).take(LAST_WORDS).collect();
                // The hint about RUST_BACKTRACE follows what is worth keeping.
                if !text.is_empty() && !text.starts_with("note: ") {
                    last = text;
                }
            }
        }
    }
}

fn judge(
    line: Option<WorkerLine>,
    status: std::io::Result<std::process::ExitStatus>,
    last_words: &str,
) -> Ended {
    let status = match status {
        Ok(status) => status,
        Err(error) => return Ended::Failed { reason: format!("worker was lost: {error}") },
    };
    match (status.code(), line) {
        (Some(0), Some(WorkerLine::Done(outcome))) => Ended::Done(outcome),
        (Some(code), Some(WorkerLine::Parked { reason })) if code == i32::from(EXIT_PARKED) => {
            Ended::Parked { reason }
        }
        (Some(0), _) => Ended::Failed { reason: "worker ended without an outcome".into() },
        _ => {
            let words = if last_words.is_empty() { "it said nothing" } else { last_words };
            Ended::Failed { reason: format!("worker ended with {status}: {words}") }
        }
    }
}

/// The worker's side: reads the order, limits itself, computes, says how it went.
pub fn work(
    compute: impl FnOnce(&WorkOrder, &Path, &dyn Fn(Progress)) -> Result<Outcome, WorkError>,
) -> ExitCode {
    let mut line = String::new();
    let order: WorkOrder = match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) => match serde_json::from_str(&line) {
            Ok(order) => order,
            Err(error) => return failed(&format!("order is not understood: {error}")),
        },
        Err(error) => return failed(&format!("order cannot be read: {error}")),
    };
    if let Err(error) = limit_myself(order.memory_mb) {
        return failed(&format!("memory cannot be limited: {error}"));
    }
    end_with_the_node();
    let progress = |at: Progress| say(&WorkerLine::Progress(at));
    match compute(&order, &order.output, &progress) {
        Ok(outcome) => {
            say(&WorkerLine::Done(outcome));
            ExitCode::SUCCESS
        }
        Err(WorkError::Parked(reason)) => {
            say(&WorkerLine::Parked { reason });
            ExitCode::from(EXIT_PARKED)
        }
        Err(WorkError::Failed(reason)) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::FAILURE
}

fn say(line: &WorkerLine) {
    let Ok(text) = serde_json::to_string(line) else { return };
    let mut output = std::io::stdout().lock();
    // A node that no longer listens ends us through standard input.
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}

/// Address space as ordered, and no core file: it would hold a patient's images.
fn limit_myself(memory_mb: u64) -> rustix::io::Result<()> {
    let bytes = memory_mb.saturating_mul(1 << 20);
    setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
}

/// Ends the process when standard input does: nobody would take the results.
fn end_with_the_node() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // Whatever the reason for which it ends, the node is gone.
        let _ = std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut rest);
        std::process::exit(1);
    });
}
