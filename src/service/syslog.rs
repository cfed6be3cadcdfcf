//! The audit trail to a repository elsewhere, as PS3.15 A.5 has it: RFC 5424 messages over TLS
//! (RFC 5425), so that who can rewrite this machine's disk cannot rewrite the trail everywhere.
//!
//! The trail is the queue: lines are read after the last one that was sent, which a note of the archive
//! keeps, and nothing waits in memory but one batch. A repository that is down loses nothing and holds
//! nobody up. Syslog has no receipts, and a repository never speaks: all that can be read of the
//! connection is that it ends, be it that the repository goes or that under TLS 1.3 it refuses us after
//! our handshake is over. So the connection is read all the time, and a batch counts as sent only where
//! nothing was read for [`SILENCE`] after it; else it is sent again, so that lines may come twice. Lost is
//! what was on its way to a repository that vanishes without a word.

use super::{Service, until_shutdown};
use crate::archive::audit_message::to_xml;
use crate::archive::{Archive, ArchiveError, AuditEvent};
use crate::config::SyslogSettings;
use crate::node::blocking;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Lines that are read and sent at once.
const BATCH: u32 = 100;
/// How often the trail is asked for more.
const POLL: Duration = Duration::from_secs(1);
/// For the repository to answer, and to take a batch.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection has to stay silent after a batch for the batch to count as sent.
const SILENCE: Duration = Duration::from_millis(250);
/// Waits after a failure: doubling, from the first to the last.
const WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// Number of the last line that was sent.
const SENT: &str = "audit/syslog";

/// Facility 10 (security and authorisation), severity 5 (notice): RFC 5424 section 6.2.1.
const PRIORITY: u32 = 10 * 8 + 5;

/// Runs until `shutdown`, where a repository is configured.
pub(super) async fn run(service: Arc<Service>, shutdown: watch::Receiver<bool>) {
    let Some(settings) = service.loaded.config.audit.syslog.clone() else {
        return until_shutdown(shutdown).await;
    };
    let sending = async {
        let mut wait = WAITS.0;
        loop {
            let failed = send(&service, &settings, &mut wait).await;
            tracing::warn!(host = settings.host, why = failed, "the audit trail is held back");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    };
    tokio::select! {
        () = until_shutdown(shutdown) => {}
        () = sending => {}
    }
}

/// Sends what there is and what comes, until that fails; why it did.
async fn send(service: &Arc<Service>, settings: &SyslogSettings, wait: &mut Duration) -> String {
    let mut stream = match connect(settings).await {
        Ok(stream) => stream,
        Err(why) => return why,
    };
    loop {
        let batch = match blocking(&service.archive, |archive| next(archive)).await {
            Ok(batch) => batch,
            Err(error) => return error.to_string(),
        };
        let Some((last, _)) = batch.last() else {
            match ended(&mut stream, POLL).await {
                Some(why) => return why,
                None => continue,
            }
        };
        let (last, source) = (*last, service.loaded.config.node.ae_title.clone());
        let bytes: Vec<u8> = batch.iter().flat_map(|(_, line)| frame(line, &source)).collect();
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        match timeout(PATIENCE, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the repository takes nothing".to_owned(),
        }
        if let Some(why) = ended(&mut stream, SILENCE).await {
            return why;
        }
        let noted = blocking(&service.archive, move |a| a.put_note(SENT, &last.to_string())).await;
        if let Err(error) = noted {
            return error.to_string();
        }
        *wait = WAITS.0;
    }
}

/// Whether, and how, the connection ends within this time.
async fn ended(stream: &mut TlsStream<TcpStream>, within: Duration) -> Option<String> {
    match timeout(within, stream.read_u8()).await {
        Err(_) => None,
        Ok(Ok(_)) => Some("the repository says something; none does in syslog".to_owned()),
        Ok(Err(error)) => Some(format!("the repository ended the connection: {error}")),
    }
}

async fn connect(settings: &SyslogSettings) -> Result<TlsStream<TcpStream>, String> {
    let client = settings.client()?;
    let name = ServerName::try_from(settings.host.clone()).map_err(|error| error.to_string())?;
    let connecting = async {
        let stream = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
        TlsConnector::from(Arc::new(client)).connect(name, stream).await
    };
    let done: io::Result<_> = timeout(PATIENCE, connecting)
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the repository does not answer")));
    done.map_err(|error| error.to_string())
}

fn next(archive: &dyn Archive) -> Result<Vec<(i64, AuditEvent)>, ArchiveError> {
    let sent = archive.note(SENT)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    archive.audit_after(sent, BATCH)
}

/// One message with its length before it (RFC 5425 section 4.3).
fn frame(line: &AuditEvent, source: &str) -> Vec<u8> {
    // An AE title may hold spaces, a host name here not (RFC 5424 section 6.2.4).
    let host: String = source.chars().map(|c| if c == ' ' { '-' } else { c }).collect();
    let process = std::process::id();
    let message = format!(
        "<{PRIORITY}>1 {at} {host} grayd {process} DICOM+RFC3881 - \u{feff}{xml}",
        at = line.at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"),
        xml = to_xml(line, source),
    );
    let mut bytes = format!("{} ", message.len()).into_bytes();
    bytes.extend(message.into_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_its_length_in_bytes_and_holds_one_message() {
        let line = AuditEvent {
            at: jiff::Timestamp::from_second(1_772_445_600).unwrap(),
            event: "query".into(),
            actor: "PACS \u{e4}".into(),
            object: None,
            outcome: "5 matches".into(),
        };
        let frame = String::from_utf8(frame(&line, "GRAYD 1")).unwrap();
        let (length, message) = frame.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(message.len()));
        let head = format!(
            "<85>1 2026-03-02T10:00:00.000000Z GRAYD-1 grayd {} DICOM+RFC3881 - \u{feff}<AuditMessage>",
            std::process::id()
        );
        assert!(message.starts_with(&head), "{message}");
        assert!(message.ends_with("</AuditMessage>") && !message.contains('\n'));
    }
}
