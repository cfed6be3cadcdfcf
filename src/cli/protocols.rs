//! `grayd protocols`: lists protocols, or prints one with the source of every constant.

use super::Failure;
use crate::config::{NodeConfig, Protocols};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// List protocols, or print one.
///
/// A printed protocol is a file that a site can change and put into its own folder of protocols,
/// where it replaces the built-in one of the same name.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  grayd protocols\n  grayd protocols single-time-point > mine.yaml"
)]
pub struct ProtocolsCommand {
    /// Print this one
    name: Option<String>,
    /// Also the site's own, from this configuration's folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ProtocolsCommand {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.as_deref().map(NodeConfig::open).transpose();
        let folder = config.map_err(Failure::Faults)?.and_then(|config| config.protocols);
        let protocols = Protocols::load(folder.as_deref()).map_err(Failure::Faults)?;
        let mut text = String::new();
        match &self.name {
            Some(name) => match protocols.find(name) {
                Some(protocol) => text.push_str(&protocol.text),
                None => {
                    return Err(Failure::Usage(format!(
                        "there is no protocol `{name}`; write one of {}, or give --config for the \
                         site's own",
                        protocols.names().join(", ")
                    )));
                }
            },
            None => {
                let width = protocols.names().iter().map(|name| name.len()).max().unwrap_or(0);
                for protocol in protocols.iter() {
                    let from = if protocol.built_in { "" } else { " (site)" };
                    text += &format!("{:width$}  {}{from}\n", protocol.name, protocol.title);
                }
            }
        }
        // A reader that has had enough (`| head`) is no failure.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
        Ok(())
    }
}
