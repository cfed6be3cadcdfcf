//! `grayd serve`: the node.

use super::Failure;
use crate::archive::LocalArchive;
use crate::config::{self, Loaded};
use crate::service::{self, Ready, Service};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Run the node: DICOM associations, computation, pages.
///
/// Prints one line `ready dicom=HOST:PORT web=HOST:PORT`, with `dicom-tls=HOST:PORT` where node.tls is set, on standard
/// output once it accepts associations; logs go to standard error. SIGTERM or Ctrl-C lets open associations and running
/// jobs end, a second one stops at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  grayd serve --config config/grayd.yaml
  RUST_LOG=debug grayd serve --config /etc/grayd/grayd.yaml --log json")]
pub struct Serve {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
    config: PathBuf,
    /// Form of the log
    #[arg(long, value_enum, default_value_t = Log::Text)]
    log: Log,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    Text,
    Json,
}

/// Logs to standard error; `RUST_LOG` says how much.
pub(crate) fn start_log(form: Log, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start keeps the first log, which is as good.
    let _ = match form {
        Log::Text => log.with_ansi(false).try_init(),
        Log::Json => log.json().try_init(),
    };
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        let loaded = config::load(&self.config).map_err(Failure::Faults)?;
        start_log(self.log, "info");
        let service = start(loaded)?;
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| Failure::Failed(format!("the runtime cannot start: {error}")))?;
        let result = runtime.block_on(async {
            let shutdown = shutdown_on_signal()?;
            let running = service::run(service, shutdown, |ready| say_ready(&ready));
            running.await.map_err(|error| Failure::Failed(error.to_string()))
        });
        // What still blocks then (a name that does not resolve) must not hold the end up.
        runtime.shutdown_background();
        result
    }
}

/// Opens the archive; the worker is this very program.
pub(crate) fn start(loaded: Loaded) -> Result<Arc<Service>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let zone = loaded.config.site.zone();
    let archive =
        LocalArchive::open(&loaded.config.storage, zone).map_err(|error| failed(&error))?;
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let worker = vec![program.into_os_string(), "work".into()];
    Service::new(loaded, Arc::new(archive), worker).map_err(|error| failed(&error))
}

fn say_ready(ready: &Ready) {
    let mut output = std::io::stdout().lock();
    // Who started the node may not listen; it serves all the same.
    let secured = ready.dicom_tls.map(|address| format!(" dicom-tls={address}"));
    let secured = secured.unwrap_or_default();
    let _ = writeln!(output, "ready dicom={} web={}{secured}", ready.dicom, ready.web)
        .and_then(|()| output.flush());
}

fn shutdown_on_signal() -> Result<watch::Receiver<bool>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::Failed(format!("no signals can be had: {error}")))
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                std::process::exit(1);
            }
            asked = true;
            tracing::info!("stopping: open associations and running jobs get their time");
            // The receivers are gone only when everything has ended already.
            let _ = sender.send(true);
        }
    });
    Ok(receiver)
}
