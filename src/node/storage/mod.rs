//! One session an association: messages are put together and dispatched. Storage and
//! verification (PS3.4 annexes A and B) are answered here, other services in `services`.
//!
//! Fragments become messages here: command sets are collected, bounded and decoded; data sets are
//! streamed to the archive as they come and never looked at. The answer to C-STORE is given when
//! [`Incoming::commit`](crate::archive::Incoming::commit) has returned, and says what it returned.

pub(super) mod spool;
pub(super) mod tally;

use super::ae_title::AeTitle;
use super::association::state::Unforeseen;
use super::association::{Association, AssociationError, Indication, Transport, seconds};
use super::command::{Command, MAX_COMMAND_BYTES, field, status};
use super::commitment::Report;
use super::identifier::MAX_IDENTIFIER_BYTES;
use super::local::LocalAe;
use super::quota::Quota;
use super::services::Unconfirmed;
use super::settings::{Peer, Service};
use super::{accept, stopped};
use crate::archive::{Archive, Arrival};
use crate::count;
use crate::dicom::Uid;
use dicom_dictionary_std::uids::VERIFICATION;
use dicom_ul::pdu::{PDataValue, PDataValueType};
use spool::{Failure, Spool};
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Span over which the minimum rate of a data set is measured.
const RATE_SPAN: Duration = Duration::from_secs(30);

/// How a session ended.
#[derive(Debug)]
pub(super) enum Ending {
    Released,
    /// The node stops; the association was idle and has been aborted.
    ShutDown,
    /// The peer's messages could not be followed; the association has been aborted.
    Faulty(&'static str),
    Failed(AssociationError),
}

impl Ending {
    /// For the audit trail: made of our own words only.
    pub(super) fn as_text(&self) -> String {
        match self {
            Self::Released => "released".to_owned(),
            Self::ShutDown => "aborted: the node stops".to_owned(),
            Self::Faulty(what) => format!("aborted: {what}"),
            Self::Failed(error) => error.to_string(),
        }
    }
}

impl From<AssociationError> for Ending {
    fn from(error: AssociationError) -> Self {
        Self::Failed(error)
    }
}

impl From<Unforeseen> for Ending {
    fn from(error: Unforeseen) -> Self {
        Self::Failed(error.into())
    }
}

/// Where a message's data set goes.
enum Sink {
    Spool(Spool),
    /// Kept, up to a bound, for the service that is asked for.
    Keep(Vec<u8>),
    /// The message is refused already; its data set is passed over.
    Discard {
        received: u64,
        failure: Failure,
    },
}

/// What has come of the current message.
#[derive(Default)]
enum Message {
    #[default]
    Awaited,
    Command {
        context: u8,
        bytes: Vec<u8>,
    },
    DataSet {
        context: u8,
        command: Command,
        sink: Sink,
    },
}

/// Bytes against time spent waiting for them (never time spent on our own disk).
struct Pace {
    waited: Duration,
    bytes: u64,
    least_per_s: u64,
}

impl Pace {
    /// False when the last span's rate was below the least allowed.
    fn keeps_up(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < RATE_SPAN {
            return true;
        }
        let least = self.least_per_s.saturating_mul(self.waited.as_secs());
        let kept_up = self.bytes >= least;
        self.waited = Duration::ZERO;
        self.bytes = 0;
        kept_up
    }
}

/// One association's service.
pub(super) struct Session<S> {
    pub(super) association: Association<S>,
    /// AE title of the peer, as configured.
    pub(super) calling: String,
    pub(super) caller: Peer,
    quota: Arc<Quota>,
    pub(super) archive: Arc<dyn Archive>,
    pub(super) local: Arc<LocalAe>,
    pub(super) peers: Arc<[(AeTitle, Peer)]>,
    message: Message,
    pace: Pace,
    tally: Tally,
    /// Requests for storage commitment that are being checked, with their contexts.
    pub(super) reports: JoinSet<(u8, Report)>,
    pub(super) unconfirmed: Option<Unconfirmed>,
    pub(super) message_ids: u16,
}

impl<S: Transport> Session<S> {
    pub(super) fn new(
        association: Association<S>,
        (calling, caller): (AeTitle, Peer),
        quota: Arc<Quota>,
        (local, peers): (Arc<LocalAe>, Arc<[(AeTitle, Peer)]>),
        archive: Arc<dyn Archive>,
    ) -> Self {
        let calling = calling.as_str().to_owned();
        let least_per_s = u64::from(local.limits.min_rate_bytes_per_s);
        Self {
            association,
            tally: Tally::new(calling.clone(), archive.clone()),
            calling,
            caller,
            quota,
            archive,
            local,
            peers,
            reports: JoinSet::new(),
            unconfirmed: None,
            message_ids: 0,
            message: Message::Awaited,
            pace: Pace { waited: Duration::ZERO, bytes: 0, least_per_s },
        }
    }

    /// Serves until the association ends, in whichever way, and writes what was transferred to
    /// the audit trail. Reports of storage commitment that the peer has not confirmed are given back.
    pub(super) async fn run(
        mut self,
        mut shutdown: watch::Receiver<bool>,
    ) -> (Ending, Vec<Report>) {
        let ending = match self.serve(&mut shutdown).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        let Self { association, message, mut tally, mut reports, unconfirmed, .. } = self;
        // What was not whole is dropped by the archive before anything else happens.
        drop(message);
        tally.write_out().await;
        let ending = match ending {
            Ending::Released => match association.confirm_release().await {
                Ok(()) => Ending::Released,
                Err(error) => Ending::Failed(error),
            },
            Ending::Faulty(what) => {
                association.abort_invalid(what).await;
                Ending::Faulty(what)
            }
            Ending::ShutDown => {
                association.abort().await;
                Ending::ShutDown
            }
            Ending::Failed(error) => Ending::Failed(error),
        };
        let mut unreported: Vec<Report> = unconfirmed.into_iter().map(|sent| sent.report).collect();
        while let Some(checked) = reports.join_next().await {
            unreported.extend(checked.ok().map(|(_, report)| report));
        }
        (ending, unreported)
    }

    async fn serve(
        &mut self,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Result<std::convert::Infallible, Ending> {
        loop {
            let began = Instant::now();
            let indication = if matches!(self.message, Message::Awaited) {
                let idle = seconds(self.local.limits.idle_s);
                tokio::select! {
                    biased;
                    () = stopped(shutdown) => return Err(Ending::ShutDown),
                    next = self.association.next(idle) => next?,
                    Some(checked) = self.reports.join_next(), if self.unconfirmed.is_none() => {
                        // A check that panicked has no report; the peer asks again.
                        if let Ok((context, report)) = checked {
                            self.report(context, report).await?;
                        }
                        continue;
                    }
                }
            } else {
                self.association.next(seconds(self.local.limits.pdu_s)).await?
            };
            let waited = began.elapsed();
            match indication {
                Indication::Release if matches!(self.message, Message::Awaited) => {
                    return Err(Ending::Released);
                }
                Indication::Release => return Err(Ending::Faulty("release within a message")),
                Indication::Data(values) => {
                    let bytes = values.iter().map(|value| value.data.len() as u64).sum();
                    if !matches!(self.message, Message::Awaited)
                        && !self.pace.keeps_up(waited, bytes)
                    {
                        return Err(Ending::Faulty("data came slower than node.limits allow"));
                    }
                    for value in values {
                        self.take_fragment(value).await?;
                    }
                }
            }
        }
    }

    /// Takes one fragment into the message that it continues or begins.
    async fn take_fragment(&mut self, value: PDataValue) -> Result<(), Ending> {
        let context = value.presentation_context_id;
        if !self.association.contexts().contains_key(&context) {
            return Err(Ending::Faulty("unknown presentation context"));
        }
        match (std::mem::take(&mut self.message), &value.value_type) {
            (Message::Awaited, PDataValueType::Command) => {
                self.take_command(context, Vec::new(), value).await
            }
            (Message::Command { context: begun, bytes }, PDataValueType::Command)
                if begun == context =>
            {
                self.take_command(context, bytes, value).await
            }
            (Message::DataSet { context: begun, command, sink }, PDataValueType::Data)
                if begun == context =>
            {
                self.take_data(context, command, sink, value).await
            }
            _ => Err(Ending::Faulty("a fragment that does not continue its message")),
        }
    }

    async fn take_command(
        &mut self,
        context: u8,
        mut bytes: Vec<u8>,
        value: PDataValue,
    ) -> Result<(), Ending> {
        if bytes.len() + value.data.len() > MAX_COMMAND_BYTES {
            return Err(Ending::Faulty("command set too long"));
        }
        bytes.extend_from_slice(&value.data);
        if !value.is_last {
            self.message = Message::Command { context, bytes };
            return Ok(());
        }
        let command = Command::decode(&bytes).map_err(|error| {
            tracing::debug!(%error, "command set refused");
            Ending::Faulty("malformed command set")
        })?;
        self.dispatch(context, command).await
    }

    /// Answers a whole command, or begins to receive its data set.
    async fn dispatch(&mut self, context: u8, command: Command) -> Result<(), Ending> {
        let refuse = |status, comment: &'static str| Sink::Discard {
            received: 0,
            failure: Failure::new(status, comment),
        };
        let service = self.abstract_syntax(context);
        let asked = accept::service(&service);
        let is_kept = asked.is_some_and(|asked| asked != Service::Store)
            && accept::belongs(command.field, &service);
        let sink = match command.field {
            field::C_CANCEL_RQ => return Ok(()),
            field::N_EVENT_REPORT_RSP if !command.has_data_set => {
                return self.confirm_report(&command);
            }
            field if field & field::RESPONSE != 0 => {
                return Err(Ending::Faulty("a response that nothing was asked for"));
            }
            field::C_ECHO_RQ if service == VERIFICATION && !command.has_data_set => {
                return self.answer(context, &command, status::SUCCESS, None).await;
            }
            field::C_STORE_RQ if !self.caller.may(Service::Store) => {
                refuse(status::NOT_AUTHORIZED, "peers.allow lacks store for this peer")
            }
            field::C_STORE_RQ if command.has_data_set && asked == Some(Service::Store) => {
                self.begin_storing(context, &service, &command)
            }
            _ if is_kept && command.has_data_set => Sink::Keep(Vec::new()),
            // N-GET has no data set, and a request to cancel need not have one.
            _ if is_kept && asked == Some(Service::Worklist) => {
                return self.serve_request(context, &command, Vec::new()).await;
            }
            _ if is_kept => refuse(status::IDENTIFIER_MISMATCH, "the identifier is missing"),
            field::C_STORE_RQ => refuse(status::SOP_CLASS_NOT_SUPPORTED, "nothing to store"),
            _ => refuse(status::UNRECOGNIZED_OPERATION, "operation not supported"),
        };
        if command.has_data_set {
            self.pace.waited = Duration::ZERO;
            self.pace.bytes = 0;
            self.message = Message::DataSet { context, command, sink };
            return Ok(());
        }
        self.finish(context, &command, sink).await
    }

    fn begin_storing(&self, context: u8, service: &str, command: &Command) -> Sink {
        let discard = |status, comment: &'static str| Sink::Discard {
            received: 0,
            failure: Failure::new(status, comment),
        };
        let Some(sop_class) = command.sop_class.clone().filter(|uid| uid.as_str() == service)
        else {
            return discard(
                status::SOP_CLASS_NOT_SUPPORTED,
                "SOP class is not that of the presentation context",
            );
        };
        let Some(sop_instance) = command.sop_instance.clone() else {
            return discard(status::INVALID_SOP_INSTANCE, "affected SOP instance UID is no UID");
        };
        let Some(transfer_syntax) = self.transfer_syntax(context) else {
            return discard(status::PROCESSING_FAILURE, "no transfer syntax agreed");
        };
        if let Err(why) = self.quota.begin_instance(&self.caller, Instant::now()) {
            count::QUOTA_REFUSALS.add(1);
            return discard(status::OUT_OF_RESOURCES, why);
        }
        let arrival =
            Arrival { sop_class, sop_instance, transfer_syntax, calling_ae: self.calling.clone() };
        Sink::Spool(Spool::open(self.archive.clone(), arrival))
    }

    async fn take_data(
        &mut self,
        context: u8,
        command: Command,
        sink: Sink,
        value: PDataValue,
    ) -> Result<(), Ending> {
        if !matches!(sink, Sink::Keep(_)) {
            // As it comes: what is refused, too long or broken off has taken its share as well.
            self.quota.add_bytes(value.data.len() as u64, Instant::now());
        }
        let sink = match sink {
            Sink::Discard { received, failure } => Sink::Discard {
                received: received.saturating_add(value.data.len() as u64),
                failure,
            },
            Sink::Keep(kept) if kept.len() + value.data.len() > MAX_IDENTIFIER_BYTES => {
                Sink::Discard {
                    received: (kept.len() + value.data.len()) as u64,
                    failure: Failure::new(status::OUT_OF_RESOURCES, "the data set is too long"),
                }
            }
            Sink::Keep(mut kept) => {
                kept.extend_from_slice(&value.data);
                Sink::Keep(kept)
            }
            Sink::Spool(mut spool) => match spool.write(&value.data).await {
                Ok(()) => Sink::Spool(spool),
                Err(failure) => Sink::Discard { received: spool.received(), failure },
            },
        };
        let (received, is_full) = match &sink {
            Sink::Spool(spool) => (spool.received(), false),
            Sink::Keep(kept) => (kept.len() as u64, false),
            Sink::Discard { received, failure } => (*received, failure.is_too_large()),
        };
        if is_full || received > self.archive.instance_limit_bytes() {
            // There may be no end to this data set: answer now and go, rather than read on.
            drop(sink);
            let comment = "instance is larger than storage.instance_limit_mb";
            self.tally.refused(status::OUT_OF_RESOURCES);
            self.answer(context, &command, status::OUT_OF_RESOURCES, Some(comment.to_owned()))
                .await?;
            return Err(Ending::Faulty("instance larger than allowed"));
        }
        if value.is_last {
            return self.finish(context, &command, sink).await;
        }
        self.message = Message::DataSet { context, command, sink };
        Ok(())
    }

    /// The message is whole: commits it where it is to be stored, and answers.
    async fn finish(&mut self, context: u8, command: &Command, sink: Sink) -> Result<(), Ending> {
        let result = match sink {
            Sink::Discard { failure, .. } => Err(failure),
            Sink::Spool(spool) => spool.commit().await,
            Sink::Keep(bytes) => return self.serve_request(context, command, bytes).await,
        };
        let (status, comment) = match result {
            Ok(receipt) => self.tally.received(receipt),
            Err(failure) => {
                self.tally.refused(failure.status);
                (failure.status, Some(failure.comment))
            }
        };
        self.tally.write_out_if_long().await;
        self.answer(context, command, status, comment).await
    }

    pub(super) async fn answer(
        &mut self,
        context: u8,
        command: &Command,
        status: u16,
        comment: Option<String>,
    ) -> Result<(), Ending> {
        let bytes = command.response(status, comment).encode();
        Ok(self.association.send(context, PDataValueType::Command, &bytes).await?)
    }

    pub(super) fn abstract_syntax(&self, context: u8) -> String {
        let found = self.association.contexts().get(&context);
        found.map(|context| context.abstract_syntax.clone()).unwrap_or_default()
    }

    pub(super) fn transfer_syntax(&self, context: u8) -> Option<Uid> {
        let found = self.association.contexts().get(&context)?;
        Uid::parse(&found.transfer_syntax).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_judged_over_the_span_and_not_before() {
        let mut pace = Pace { waited: Duration::ZERO, bytes: 0, least_per_s: 1024 };
        assert!(pace.keeps_up(Duration::from_secs(29), 0), "the span is not over");
        assert!(!pace.keeps_up(Duration::from_secs(1), 30 * 1024 - 1));
        assert!(pace.keeps_up(Duration::from_secs(30), 30 * 1024), "a new span has begun");
    }
}
