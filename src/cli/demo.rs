//! `grayd demo`: the whole house on loopback, with a patient whose truth is known.

use super::progress::ProgressDisplay;
use super::serve;
use super::table;
use super::{Failure, print_all};
use crate::archive::{Archive, InstanceFilter, JobState, LocalArchive, StorageSettings};
use crate::node::LocalAe;
use crate::node::send::{self, SendOutcome};
use crate::node::settings::{Limits, Peer};
use crate::phantom::{DigitalPatient, PhantomOptions};
use crate::quantity::nuclide::Nuclide;
use crate::service::job::results_note;
use crate::service::{self, Ready, Service};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// See it work: a digital patient through the whole house, over real DICOM associations on loopback.
///
/// Builds a patient with known truth (SPECT/CT at four time points, RTSTRUCT and SEG), starts a node and a
/// receiving PACS on free ports, pushes the series, and shows the doses beside the truth. Stays up until
/// Ctrl-C. Needs no other program.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  grayd demo\n  grayd demo --exit")]
pub struct Demo {
    /// End after the run; exit status 0 only if every result object arrived back
    #[arg(long)]
    exit: bool,
}

const SCANNER_AE: &str = "DEMOSCANNER";
const PACS_AE: &str = "DEMOPACS";

/// RT Dose, SEG, SR and, where the program can set pages, the PDF.
const OBJECTS_EXPECTED: usize = 3 + cfg!(feature = "pdf") as usize;

/// Longest wait for the result before the demo says that it failed.
const PATIENCE: Duration = Duration::from_secs(300);

impl Demo {
    pub fn run(self) -> Result<(), Failure> {
        serve::start_log(serve::Log::Text, "warn");
        let folder = tempfile::Builder::new()
            .prefix("grayd-demo-")
            .tempdir()
            .map_err(|error| Failure::Failed(format!("temporary folder: {error}")))?
            .keep();
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| Failure::Failed(format!("the runtime cannot start: {error}")))?;
        let result = runtime.block_on(demo(&folder, self.exit));
        runtime.shutdown_background();
        result
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

async fn demo(folder: &Path, exit: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let display = ProgressDisplay::new();
    display.show(0.0, "making the digital patient");
    let patient = folder.join("patient");
    let files = make_patient(&patient)?;
    let (stop, shutdown) = watch::channel(false);
    let (pacs, pacs_port) = start_pacs(folder, &shutdown).await?;
    let (service, ready) = start_node(folder, pacs_port, &shutdown).await?;
    push(&files, ready, &display).await?;
    let results = wait_for_results(&service, &display).await?;
    display.show(0.95, "waiting for the results to arrive at the PACS");
    let arrived = wait_for_objects(pacs.as_ref()).await?;
    display.finish();
    let truth = std::fs::read_to_string(patient.join("truth.json")).map_err(failed)?;
    let truth: Value = serde_json::from_str(&truth).map_err(failed)?;
    print_all(&table::of(&results))?;
    print_all(&format!("\n{}", table::beside_truth(&results, &truth)))?;
    print_all(&format!(
        "\n{} instances in, {} objects back at the PACS over C-STORE, {:.1} s:",
        files.len(),
        arrived.len(),
        started.elapsed().as_secs_f64()
    ))?;
    for (modality, path) in &arrived {
        print_all(&format!("  {modality:8} {}", path.display()))?;
    }
    print_all(&format!(
        "\npages         http://{}/\nfolder        {}",
        ready.web,
        folder.display()
    ))?;
    print_all(crate::report::RESEARCH_MARK)?;
    if !exit {
        print_all("Ctrl-C ends the node; delete the folder when you are done with it.")?;
        tokio::signal::ctrl_c().await.map_err(failed)?;
    }
    // Nobody listens any more when everything has ended already.
    let _ = stop.send(true);
    Ok(())
}

fn make_patient(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let options = PhantomOptions::new(Nuclide::parse("Lu-177").map_err(failed)?);
    let patient = DigitalPatient::new(&options).map_err(failed)?;
    let mut files = patient.write(folder).map_err(failed)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    Ok(files)
}

/// A second node that only receives, with an archive of its own.
async fn start_pacs(
    folder: &Path,
    shutdown: &watch::Receiver<bool>,
) -> Result<(Arc<dyn Archive>, u16), Failure> {
    let settings =
        StorageSettings { directory: folder.join("pacs"), reserve_mb: 64, ..Default::default() };
    let zone = jiff::tz::TimeZone::UTC;
    let archive: Arc<dyn Archive> = Arc::new(LocalArchive::open(&settings, zone).map_err(failed)?);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let node = Arc::new(LocalAe::plain(PACS_AE, Limits::default()).map_err(failed)?);
    let peers: Arc<[Peer]> = Arc::new([peer("grayd", "GRAYD", 104)]);
    tokio::spawn(crate::node::serve(listener, node, peers, archive.clone(), shutdown.clone()));
    Ok((archive, port))
}

fn peer(name: &str, ae_title: &str, port: u16) -> Peer {
    Peer {
        name: name.into(),
        ae_title: ae_title.into(),
        host: "127.0.0.1".into(),
        port,
        ..Peer::default()
    }
}

async fn start_node(
    folder: &Path,
    pacs_port: u16,
    shutdown: &watch::Receiver<bool>,
) -> Result<(Arc<Service>, Ready), Failure> {
    let plans = folder.join("plans");
    std::fs::create_dir_all(&plans).map_err(failed)?;
    std::fs::copy(folder.join("patient/plan.yaml"), plans.join("demo.yaml")).map_err(failed)?;
    let config = folder.join("grayd.yaml");
    let text = format!(
        "# Configuration of the demo's node.\n\
         node: {{ ae_title: GRAYD, listen: \"127.0.0.1:0\" }}\n\
         web: {{ listen: \"127.0.0.1:0\" }}\n\
         storage: {{ directory: node, reserve_mb: 64 }}\n\
         plans: plans\n\
         peers:\n\
         \x20 - {{ name: scanner, ae_title: {SCANNER_AE}, host: 127.0.0.1, port: 104 }}\n\
         \x20 - {{ name: pacs, ae_title: {PACS_AE}, host: 127.0.0.1, port: {pacs_port} }}\n\
         results: {{ send_to: [pacs] }}\n\
         intake: {{ settle_seconds: 1, rescan_seconds: 1 }}\n"
    );
    std::fs::write(&config, text).map_err(failed)?;
    let loaded = crate::config::load(&config).map_err(Failure::Faults)?;
    let service = serve::start(loaded)?;
    let (tell, told) = oneshot::channel();
    let running = service::run(service.clone(), shutdown.clone(), move |ready| {
        // The receiver waits until it is told or the node has failed.
        let _ = tell.send(ready);
    });
    let running = tokio::spawn(running);
    match told.await {
        Ok(ready) => Ok((service, ready)),
        Err(_) => Err(match running.await {
            Ok(Err(error)) => failed(error),
            _ => Failure::Failed("the node ended before it was ready".into()),
        }),
    }
}

/// Sends everything as a scanner would: one association a folder, that is a series.
async fn push(files: &[PathBuf], ready: Ready, display: &ProgressDisplay) -> Result<(), Failure> {
    let node = peer("grayd", "GRAYD", ready.dicom.port());
    let scanner = LocalAe::plain(SCANNER_AE, Limits::default()).map_err(failed)?;
    let mut done = 0;
    for series in files.chunk_by(|a, b| a.parent() == b.parent()) {
        let outcomes = send::store(&node, &scanner, series).await.map_err(failed)?;
        if let Some((uid, outcome)) =
            outcomes.iter().find(|(_, outcome)| !matches!(outcome, SendOutcome::Stored { .. }))
        {
            return Err(Failure::Failed(format!("the node did not take {uid}: {outcome:?}")));
        }
        done += series.len();
        display
            .show(0.05 + 0.5 * done as f64 / files.len() as f64, "pushing the series by C-STORE");
    }
    Ok(())
}

/// `results.json` of the course once its job is done.
async fn wait_for_results(
    service: &Arc<Service>,
    display: &ProgressDisplay,
) -> Result<Value, Failure> {
    let start = Instant::now();
    display.show(0.6, "intake and computing in a worker process");
    loop {
        let archive = service.archive.clone();
        let jobs = tokio::task::spawn_blocking(move || archive.jobs(10)).await.map_err(failed)?;
        let jobs = jobs.map_err(failed)?;
        for job in &jobs {
            match job.state {
                JobState::Parked | JobState::Failed => {
                    let reason = job.reason.as_deref().unwrap_or("no reason is known");
                    return Err(Failure::Failed(format!("the job did not end well: {reason}")));
                }
                JobState::Done => {
                    let note =
                        service.archive.note(&results_note(&job.course, 1)).map_err(failed)?;
                    let text = note.unwrap_or_default();
                    return serde_json::from_str(&text).map_err(failed);
                }
                JobState::Queued | JobState::Running => {}
            }
        }
        if start.elapsed() > PATIENCE {
            let waiting = service.board.get().decision.waiting;
            let reasons: Vec<String> = waiting.into_iter().map(|w| w.reason).collect();
            return Err(Failure::Failed(format!("no result came: {}", reasons.join("; "))));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Modality and file of every object that the PACS has received.
async fn wait_for_objects(pacs: &dyn Archive) -> Result<Vec<(String, PathBuf)>, Failure> {
    let start = Instant::now();
    loop {
        let instances = pacs.instances(&InstanceFilter::default()).map_err(failed)?;
        if instances.len() >= OBJECTS_EXPECTED {
            return instances
                .iter()
                .map(|i| Ok((i.header.modality.clone(), pacs.path(&i.header.sop_instance)?)))
                .collect::<Result<_, crate::archive::ArchiveError>>()
                .map_err(failed);
        }
        if start.elapsed() > PATIENCE {
            return Err(Failure::Failed(format!(
                "only {} of {OBJECTS_EXPECTED} result objects arrived at the PACS",
                instances.len()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
