//! `grayd audit`: is the trail as it was written, and what does it say?

use super::{Failure, attach, count, failed, node_config};
use crate::archive::{Archive, AuditEvent, AuditHead, LocalArchive, audit_message};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Check the audit trail, or export it.
///
/// The trail is append-only and chained by hash. Who can write to the index file could still write
/// a whole new chain: `verify` prints the chain's last line, which kept elsewhere (and given again
/// with --anchor) shows that too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  grayd audit verify --config /etc/grayd/grayd.yaml
  grayd audit export --format xml --since 2026-03-01T00:00:00Z > trail.xml")]
pub struct AuditCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Walk the whole chain; status 1 where a line was changed, moved or cut out
    Verify {
        /// Configuration of the node
        #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
        config: PathBuf,
        /// A last line that an earlier `verify` or a backup printed; may be given more than once
        #[arg(long, value_name = "NUMBER:HASH")]
        anchor: Vec<AuditHead>,
    },
    /// Print the trail, oldest line first
    Export {
        /// Configuration of the node
        #[arg(long, value_name = "FILE", default_value = "config/grayd.yaml")]
        config: PathBuf,
        /// xml: PS3.15 A.5.1 audit messages in one document; json: one object a line
        #[arg(long, value_enum, default_value_t = Format::Xml)]
        format: Format,
        /// Only what happened at or after this time
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Xml,
    Json,
}

/// Lines read at a time.
const PAGE: u32 = 1000;

impl AuditCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Verify { config, anchor } => verify(&attach(&node_config(&config)?)?, &anchor),
            What::Export { config, format, since } => {
                let config = node_config(&config)?;
                let archive = attach(&config)?;
                // Reading the trail is itself an event (PS3.15 A.5.3.2), the last one exported.
                let reading = AuditEvent {
                    at: Timestamp::now(),
                    event: "audit-read".into(),
                    actor: "grayd".into(),
                    object: None,
                    outcome: "exported on the command line".into(),
                };
                archive.audit(reading).map_err(|error| failed(&error))?;
                let mut out = BufWriter::new(std::io::stdout().lock());
                match export(&archive, &config.node.ae_title, format, since, &mut out) {
                    // A reader that has gone (`| head`) is no fault.
                    Err(Trouble::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                    Err(Trouble::Output(error)) => {
                        Err(Failure::Failed(format!("standard output: {error}")))
                    }
                    Err(Trouble::Archive(error)) => Err(failed(&error)),
                    Ok(()) => Ok(()),
                }
            }
        }
    }
}

fn verify(archive: &LocalArchive, anchors: &[AuditHead]) -> Result<(), Failure> {
    let check = archive.check_audit().map_err(|error| failed(&error))?;
    let lines = count(usize::try_from(check.lines).unwrap_or(usize::MAX), "line");
    if let Some(number) = check.broken {
        return Err(Failure::Failed(format!(
            "the audit trail is not as it was written: line {number} was changed, moved or cut \
             out ({lines} are there); compare it with a backup's"
        )));
    }
    for anchor in anchors {
        if !archive.audit_holds(anchor).map_err(|error| failed(&error))? {
            return Err(Failure::Failed(format!(
                "the audit trail was rewritten: line {} is not the one whose hash was noted; \
                 compare it with a backup's",
                anchor.number
            )));
        }
    }
    super::print_all(&format!("sound: {lines}; last line {}", check.head))
}

enum Trouble {
    Output(std::io::Error),
    Archive(crate::archive::ArchiveError),
}

fn export(
    archive: &LocalArchive,
    source: &str,
    format: Format,
    since: Option<Timestamp>,
    out: &mut impl Write,
) -> Result<(), Trouble> {
    let xml = format == Format::Xml;
    if xml {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AuditMessages>")
            .map_err(Trouble::Output)?;
    }
    let mut last = 0;
    loop {
        let page = archive.audit_after(last, PAGE).map_err(Trouble::Archive)?;
        let Some((number, _)) = page.last() else { break };
        last = *number;
        for (_, event) in page.iter().filter(|(_, e)| since.is_none_or(|since| e.at >= since)) {
            let line = if xml {
                audit_message::to_xml(event, source)
            } else {
                serde_json::to_string(event).map_err(|error| Trouble::Output(error.into()))?
            };
            writeln!(out, "{line}").map_err(Trouble::Output)?;
        }
    }
    if xml {
        writeln!(out, "</AuditMessages>").map_err(Trouble::Output)?;
    }
    out.flush().map_err(Trouble::Output)
}
