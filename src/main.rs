//! The program `grayd`: arguments in, one command run, an exit status out.

use clap::Parser;
use grayd::cli::{Cli, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("grayd: {error:#}");
            error.downcast_ref().map_or(ExitCode::FAILURE, Failure::status)
        }
    }
}

/// Bad usage of the command line ends here, with clap's own message and status 2.
fn run() -> anyhow::Result<ExitCode> {
    Ok(Cli::parse().run()?)
}
