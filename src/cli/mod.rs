//! The command line, one file a command. Exit status: 0 done, 1 failed, 2 bad usage or bad
//! configuration.

mod check;
mod compute;
mod demo;
mod kernel;
mod nuclide;
mod phantom;
pub mod progress;
mod protocols;
mod serve;
mod status;
mod table;
mod work;

use crate::config::Fault;
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
    Check(check::Check),
    Protocols(protocols::ProtocolsCommand),
    Nuclide(nuclide::NuclideCommand),
    Kernel(kernel::KernelCommand),
    Status(status::Status),
    /// Computes one job for the node that started it (order on standard input).
    #[command(hide = true)]
    Work,
}

impl Cli {
    /// Runs the command; what goes wrong is said on standard error.
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Demo(command) => command.run(),
            Command::Serve(command) => command.run(),
            Command::Compute(command) => command.run(),
            Command::Phantom(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Protocols(command) => command.run(),
            Command::Nuclide(command) => command.run(),
            Command::Kernel(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Work => return work::run(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }
}

/// Why a command did not do it.
#[derive(Debug)]
pub enum Failure {
    /// It went wrong: exit status 1.
    Failed(String),
    /// Usage or configuration is wrong: exit status 2.
    Usage(String),
    /// Configuration, plans or protocols have faults: exit status 2.
    Faults(Vec<Fault>),
}

/// Exit status of bad usage and bad configuration, as clap's own.
const EXIT_USAGE: u8 = 2;

impl Failure {
    fn report(self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                eprintln!("grayd: {message}");
                ExitCode::FAILURE
            }
            Self::Usage(message) => {
                eprintln!("grayd: {message}");
                ExitCode::from(EXIT_USAGE)
            }
            Self::Faults(faults) => {
                faults.iter().for_each(|fault| eprintln!("{fault}"));
                ExitCode::from(EXIT_USAGE)
            }
        }
    }
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
}
