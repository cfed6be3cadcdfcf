//! The program `grayd`: arguments in, one command run, an exit status out.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    grayd::cli::Cli::parse().run()
}
