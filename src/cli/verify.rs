//! `grayd verify`: does what the archive holds still follow from what it was made of?

use super::{Failure, attach, count, failed, node_config, print_all};
use crate::archive::{Job, LocalArchive};
use crate::config::NodeConfig;
use crate::service::integrity::{self, Recomputed};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Read everything back; with --recompute, compute every result again and compare.
///
/// Objects are compared with their hashes, the audit trail with its chain. Results are a function of
/// inputs, parameters and version, so computing again must give the same bytes. May run beside
/// the node. Status 1 where something is damaged or differs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  grayd verify --config /etc/grayd/grayd.yaml
  grayd verify --recompute --job 17")]
pub struct Verify {
    /// Configuration of the node
    #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
    config: PathBuf,
    /// Compute the results again from the inputs in the archive
    #[arg(long)]
    recompute: bool,
    /// Only the results of this job (the number that `grayd status` shows)
    #[arg(long, value_name = "NUMBER", requires = "recompute")]
    job: Option<i64>,
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let config = node_config(&self.config)?;
        let archive = attach(&config)?;
        let mut faults = Vec::new();
        faults.extend(objects(&archive)?);
        faults.extend(trail(&archive)?);
        if self.recompute {
            faults.extend(results(&archive, &config, self.job)?);
        }
        match faults.len() {
            0 => Ok(()),
            n => Err(Failure::Failed(format!("{}: {}", count(n, "fault"), faults.join("; ")))),
        }
    }
}

fn objects(archive: &LocalArchive) -> Result<Option<String>, Failure> {
    let (checked, damaged) =
        integrity::verify_objects(archive, |_, _| {}).map_err(|error| failed(&error))?;
    print_all(&format!("objects  {checked} read back, {} damaged", damaged.len()))?;
    damaged.iter().try_for_each(|uid| print_all(&format!("damaged  {uid}")))?;
    let damaged = damaged.len();
    Ok((damaged > 0).then(|| {
        format!("{} set aside; restore from a backup or send again", count(damaged, "object"))
    }))
}

fn trail(archive: &LocalArchive) -> Result<Option<String>, Failure> {
    let check = archive.check_audit().map_err(|error| failed(&error))?;
    match check.broken {
        None => {
            print_all(&format!("audit    {} lines, sound, last {}", check.lines, check.head))?;
            Ok(None)
        }
        Some(line) => Ok(Some(format!("the audit trail is not as written from line {line} on"))),
    }
}

fn results(
    archive: &LocalArchive,
    config: &NodeConfig,
    only: Option<i64>,
) -> Result<Vec<String>, Failure> {
    let jobs = integrity::finished_jobs(archive).map_err(|error| failed(&error))?;
    let jobs: Vec<Job> =
        jobs.into_iter().filter(|job| only.is_none_or(|id| id == job.id)).collect();
    if let Some(id) = only.filter(|_| jobs.is_empty()) {
        return Err(Failure::Usage(format!("--job {id} is no finished job; see `grayd status`")));
    }
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let program = [program.into_os_string(), OsString::from("work")];
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    let mut faults = Vec::new();
    for job in &jobs {
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let again = integrity::recompute(archive, config, &program, job, folder.path());
        let (line, fault) = match runtime.block_on(again).map_err(|error| failed(&error))? {
            Recomputed::Same { objects } => (format!("same: {}", count(objects, "object")), false),
            Recomputed::OtherVersion(version) => {
                (format!("not compared: it was computed by {version}"), false)
            }
            Recomputed::Different(why) => (format!("DIFFERENT: {why}"), true),
            Recomputed::NotComputed(why) => (format!("not computed again: {why}"), true),
        };
        print_all(&format!("job {:<5}{line}", job.id))?;
        if fault {
            faults.push(format!("job {} {line}", job.id));
        }
    }
    Ok(faults)
}
