//! The command line, one file a command. Exit status: 0 done, 1 failed, 2 bad usage or bad
//! configuration.

mod audit;
mod backup;
mod calibrate;
mod check;
mod compute;
mod demo;
mod kernel;
mod nuclide;
mod phantom;
mod prescribe;
pub mod progress;
mod protocols;
mod reindex;
mod serve;
mod status;
mod table;
mod user;
mod verify;
mod work;

use crate::archive::{ArchiveError, LocalArchive};
use crate::config::{Fault, NodeConfig};
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// A DICOM node that turns nuclear-medicine images into absorbed dose without a click.
///
/// Research software. Not a medical device. Not for clinical decisions.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  grayd demo                                see it work, with a patient whose truth is known
  grayd check --config config/grayd.yaml    what is wrong with configuration, plans, protocols
  grayd serve --config config/grayd.yaml    run the node; pages on http://127.0.0.1:8042
  grayd status                              courses, waiting series, jobs of a running node
  grayd protocols multi-time-point          print a protocol with the source of every constant

Exit status: 0 done, 1 failed, 2 bad usage or bad configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Compute(compute::Compute),
    Phantom(phantom::Phantom),
    Calibrate(calibrate::Calibrate),
    Check(check::Check),
    Prescribe(prescribe::Prescribe),
    Protocols(protocols::ProtocolsCommand),
    Nuclide(nuclide::NuclideCommand),
    Kernel(kernel::KernelCommand),
    Status(status::Status),
    User(user::UserCommand),
    Verify(verify::Verify),
    Audit(audit::AuditCommand),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Reindex(reindex::Reindex),
    /// Computes one job for the node that started it (order on standard input).
    #[command(hide = true)]
    Work,
    /// Decodes compressed frames for the node that started it (order on standard input).
    #[command(hide = true)]
    Frames,
}

impl Cli {
    /// Runs the command; the worker alone has statuses of its own.
    pub fn run(self) -> Result<ExitCode, Failure> {
        crate::dose::tables::verify().map_err(|fault| Failure::Failed(fault.to_string()))?;
        match self.command {
            Command::Demo(command) => command.run(),
            Command::Serve(command) => command.run(),
            Command::Compute(command) => command.run(),
            Command::Phantom(command) => command.run(),
            Command::Calibrate(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Prescribe(command) => command.run(),
            Command::Protocols(command) => command.run(),
            Command::Nuclide(command) => command.run(),
            Command::Kernel(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::User(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Audit(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Restore(command) => command.run(),
            Command::Reindex(command) => command.run(),
            Command::Work => return Ok(work::run()),
            Command::Frames => return Ok(crate::web::decode_frames()),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// Why a command did not do it, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It went wrong: exit status 1.
    #[error("{0}")]
    Failed(String),
    /// Usage or configuration is wrong: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Configuration, plans or protocols have faults: exit status 2.
    #[error("{} to correct:{}", count(.0.len(), "fault"), on_lines(.0))]
    Faults(Vec<Fault>),
}

/// Exit status of bad usage and bad configuration, as clap's own.
const EXIT_USAGE: u8 = 2;

impl Failure {
    /// Status that the program ends with.
    pub fn status(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Usage(_) | Self::Faults(_) => ExitCode::from(EXIT_USAGE),
        }
    }

    /// An argument that cannot be what it stands for.
    fn usage_of(argument: &str, error: &dyn std::error::Error) -> Self {
        Self::Usage(format!("`{argument}`: {error}"))
    }
}

/// The configuration that a command on the archive needs, or its faults.
fn node_config(path: &std::path::Path) -> Result<NodeConfig, Failure> {
    NodeConfig::open(path).map_err(Failure::Faults)
}

/// The archive beside the node that may be running on it.
fn attach(config: &NodeConfig) -> Result<LocalArchive, Failure> {
    LocalArchive::attach(&config.storage, config.site.zone()).map_err(|error| match error {
        ArchiveError::NotFound("index") => Failure::Failed(format!(
            "{} holds no archive; is storage.directory right?",
            config.storage.directory.display()
        )),
        other => failed(&other),
    })
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// Each fault at the start of a line of its own, where editors look for `file:line:column`.
fn on_lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n{fault}")).collect()
}

/// Prints to standard output; a reader that has gone (`| head`) is no fault.
fn print_all(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// `1 plan`, `2 plans`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_course_is_a_patient_s_and_no_phantom_body_s() {
        let course = ["grayd", "phantom", "--output", "x", "--protocol", "lu177-quebec"];
        assert!(Cli::try_parse_from(course).is_ok());
        let of_spheres = course.iter().chain(&["--body", "nema"]);
        assert!(Cli::try_parse_from(of_spheres).is_err());
    }
}
