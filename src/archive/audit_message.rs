//! The audit trail as PS3.15 A.5 has it: one `AuditMessage` (RFC 3881 as amended in A.5.1) an event.
//!
//! Our own event names are finer than the standard's; they stand beside its codes as
//! `EventTypeCode` of the coding scheme `99GRAYD`, so that nothing is lost in translation.

use super::AuditEvent;
use std::fmt::Write as _;

/// Code value and meaning of the events of PS3.15 A.5.3 and CID 400.
type Code = (&'static str, &'static str);

const APPLICATION_ACTIVITY: Code = ("110100", "Application Activity");
const AUDIT_LOG_USED: Code = ("110101", "Audit Log Used");
const INSTANCES_ACCESSED: Code = ("110103", "DICOM Instances Accessed");
const INSTANCES_TRANSFERRED: Code = ("110104", "DICOM Instances Transferred");
const STUDY_DELETED: Code = ("110105", "DICOM Study Deleted");
const EXPORT: Code = ("110106", "Export");
const IMPORT: Code = ("110107", "Import");
const NETWORK_ENTRY: Code = ("110108", "Network Entry");
const PROCEDURE_RECORD: Code = ("110111", "Procedure Record");
const QUERY: Code = ("110112", "Query");
const SECURITY_ALERT: Code = ("110113", "Security Alert");
const USER_AUTHENTICATION: Code = ("110114", "User Authentication");

/// What an event does (RFC 3881 section 5.1.2): create, read, update, delete, execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Read,
    Update,
    Delete,
    Execute,
}

impl Action {
    fn letter(self) -> char {
        match self {
            Self::Create => 'C',
            Self::Read => 'R',
            Self::Update => 'U',
            Self::Delete => 'D',
            Self::Execute => 'E',
        }
    }
}

/// Event by the beginning of our name for it; the first that fits counts.
const EVENTS: &[(&str, Code, Action)] = &[
    ("association-", NETWORK_ENTRY, Action::Execute),
    ("instances-stored", INSTANCES_TRANSFERRED, Action::Create),
    ("instances-refused", INSTANCES_TRANSFERRED, Action::Create),
    ("instance-stored", INSTANCES_TRANSFERRED, Action::Create),
    ("instance-adopted", IMPORT, Action::Create),
    ("instance-sent", INSTANCES_TRANSFERRED, Action::Read),
    ("delivery-", INSTANCES_TRANSFERRED, Action::Read),
    ("commitment-refused", SECURITY_ALERT, Action::Update),
    ("commitment-", INSTANCES_TRANSFERRED, Action::Read),
    ("announcement-", PROCEDURE_RECORD, Action::Read),
    ("instances-accessed", INSTANCES_ACCESSED, Action::Read),
    ("instances-retrieved", INSTANCES_TRANSFERRED, Action::Read),
    ("instance-conflict", SECURITY_ALERT, Action::Create),
    ("instance-", SECURITY_ALERT, Action::Update),
    ("object-", SECURITY_ALERT, Action::Update),
    ("quarantine-", SECURITY_ALERT, Action::Delete),
    ("index-", SECURITY_ALERT, Action::Update),
    ("study-deleted", STUDY_DELETED, Action::Delete),
    ("query", QUERY, Action::Execute),
    ("audit-", AUDIT_LOG_USED, Action::Read),
    ("backup-made", EXPORT, Action::Read),
    ("backup-restored", IMPORT, Action::Create),
    ("job-", PROCEDURE_RECORD, Action::Execute),
    ("workitem-", PROCEDURE_RECORD, Action::Update),
    ("result-", PROCEDURE_RECORD, Action::Update),
    ("login", USER_AUTHENTICATION, Action::Execute),
    ("logout", USER_AUTHENTICATION, Action::Execute),
    ("user-", SECURITY_ALERT, Action::Update),
];

/// Everything else is the program's own doing.
const OTHER: (Code, Action) = (APPLICATION_ACTIVITY, Action::Execute);

fn classify(event: &str) -> (Code, Action) {
    let found = EVENTS.iter().find(|(name, ..)| event.starts_with(name));
    found.map_or(OTHER, |(_, code, action)| (*code, *action))
}

/// Words of our event names that tell of a failure, and those of one that ends in a loss.
const MINOR: [&str; 5] = ["refused", "failed", "parked", "conflict", "aborted"];
const SERIOUS: [&str; 4] = ["rotten", "missing", "rebuilt", "damaged"];

/// RFC 3881 section 5.1.4: 0 success, 4 minor failure, 8 serious failure.
fn outcome_indicator(event: &str) -> u8 {
    let has = |words: &[&str]| words.iter().any(|word| event.contains(word));
    match (has(&SERIOUS), has(&MINOR)) {
        (true, _) => 8,
        (false, true) => 4,
        (false, false) => 0,
    }
}

/// Role and identifier type of the object that an event is about (PS3.15 A.5.1.2.2 and CID 404),
/// and the scheme of the latter. DICOM has no identifier type for a single instance or a job.
fn participant(event: &str, object: &str) -> (u8, Code, &'static str) {
    const REPORT: u8 = 3;
    const SECURITY_RESOURCE: u8 = 13;
    const JOB: u8 = 20;
    let is_uid = crate::dicom::Uid::parse(object).is_ok();
    let is_study = event.starts_with("instances-") || event.starts_with("study-");
    match (is_uid, is_study) {
        (true, true) => (REPORT, ("110180", "Study Instance UID"), "DCM"),
        (true, false) => (REPORT, ("instance", "SOP Instance UID"), "99GRAYD"),
        (false, _) if event.starts_with("job-") => (JOB, ("job", "Job"), "99GRAYD"),
        (false, _) => (SECURITY_RESOURCE, ("12", "URI"), "RFC-3881"),
    }
}

/// Text for an attribute: markup escaped; characters that XML 1.0 cannot hold become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if u32::from(c) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

fn code(tag: &str, (value, meaning): Code, scheme: &str) -> String {
    format!(
        "<{tag} csd-code=\"{}\" codeSystemName=\"{}\" originalText=\"{}\"/>",
        escape(value),
        escape(scheme),
        escape(meaning)
    )
}

/// The event as one `AuditMessage` element on one line. `source` names this node (its AE title or
/// host).
pub fn to_xml(event: &AuditEvent, source: &str) -> String {
    let (event_id, action) = classify(&event.event);
    let mut out = format!(
        "<AuditMessage><EventIdentification EventActionCode=\"{}\" EventDateTime=\"{}\" \
         EventOutcomeIndicator=\"{}\">{}<EventTypeCode csd-code=\"{}\" codeSystemName=\"99GRAYD\" \
         originalText=\"{}\"/><EventOutcomeDescription>{}</EventOutcomeDescription>\
         </EventIdentification>",
        action.letter(),
        event.at,
        outcome_indicator(&event.event),
        code("EventID", event_id, "DCM"),
        escape(&event.event),
        escape(&event.event),
        escape(&event.outcome),
    );
    let own = event.actor == "grayd";
    let role: Code = match (own, event_id) {
        (true, _) => ("110150", "Application"),
        (false, INSTANCES_TRANSFERRED) if action == Action::Read => {
            ("110152", "Destination Role ID")
        }
        (false, INSTANCES_TRANSFERRED) => ("110153", "Source Role ID"),
        (false, _) => ("110150", "Application"),
    };
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        out,
        "<ActiveParticipant UserID=\"{}\" UserIsRequestor=\"true\"",
        escape(&event.actor)
    );
    if event.actor.parse::<std::net::IpAddr>().is_ok() {
        // Type 2: an IP address (RFC 3881 section 5.3.2).
        let _ = write!(
            out,
            " NetworkAccessPointID=\"{}\" NetworkAccessPointTypeCode=\"2\"",
            escape(&event.actor)
        );
    }
    let _ = write!(out, ">{}</ActiveParticipant>", code("RoleIDCode", role, "DCM"));
    // Type 4: an application server process (RFC 3881 section 5.4.3).
    let _ = write!(
        out,
        "<AuditSourceIdentification AuditSourceID=\"{}\"><AuditSourceTypeCode csd-code=\"4\"/>\
         </AuditSourceIdentification>",
        escape(source)
    );
    if let Some(object) = &event.object {
        let (role, id_type, scheme) = participant(&event.event, object);
        let object = escape(object);
        // Type 2: a system object (RFC 3881 section 5.5.1).
        let _ = write!(
            out,
            "<ParticipantObjectIdentification ParticipantObjectID=\"{object}\" \
             ParticipantObjectTypeCode=\"2\" ParticipantObjectTypeCodeRole=\"{role}\">{}\
             <ParticipantObjectName>{object}</ParticipantObjectName>\
             </ParticipantObjectIdentification>",
            code("ParticipantObjectIDTypeCode", id_type, scheme)
        );
    }
    out.push_str("</AuditMessage>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn event(event: &str, actor: &str, object: Option<&str>, outcome: &str) -> AuditEvent {
        AuditEvent {
            at: Timestamp::from_second(1_772_445_600).unwrap(),
            event: event.into(),
            actor: actor.into(),
            object: object.map(Into::into),
            outcome: outcome.into(),
        }
    }

    #[test]
    fn events_have_the_codes_of_ps3_15() {
        for (name, code, action, outcome) in [
            ("instances-stored", "110104", 'C', 0),
            ("instance-sent", "110104", 'R', 0),
            ("association-refused", "110108", 'E', 4),
            ("study-deleted", "110105", 'D', 0),
            ("instance-rotten", "110113", 'U', 8),
            ("job-failed", "110111", 'E', 4),
            ("application-started", "110100", 'E', 0),
            ("audit-read", "110101", 'R', 0),
        ] {
            let (found, found_action) = classify(name);
            let found = (found.0, found_action.letter(), outcome_indicator(name));
            assert_eq!(found, (code, action, outcome), "{name}");
        }
    }

    #[test]
    fn a_message_says_who_did_what_to_which_object_when_and_how_it_ended() {
        let sent = event("instances-stored", "SPECT1", Some("1.2.9"), "stored 3, duplicate 0");
        assert_eq!(
            to_xml(&sent, "GRAYD"),
            "<AuditMessage><EventIdentification EventActionCode=\"C\" \
             EventDateTime=\"2026-03-02T10:00:00Z\" EventOutcomeIndicator=\"0\">\
             <EventID csd-code=\"110104\" codeSystemName=\"DCM\" \
             originalText=\"DICOM Instances Transferred\"/>\
             <EventTypeCode csd-code=\"instances-stored\" codeSystemName=\"99GRAYD\" \
             originalText=\"instances-stored\"/>\
             <EventOutcomeDescription>stored 3, duplicate 0</EventOutcomeDescription>\
             </EventIdentification><ActiveParticipant UserID=\"SPECT1\" UserIsRequestor=\"true\">\
             <RoleIDCode csd-code=\"110153\" codeSystemName=\"DCM\" \
             originalText=\"Source Role ID\"/></ActiveParticipant>\
             <AuditSourceIdentification AuditSourceID=\"GRAYD\">\
             <AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>\
             <ParticipantObjectIdentification ParticipantObjectID=\"1.2.9\" \
             ParticipantObjectTypeCode=\"2\" ParticipantObjectTypeCodeRole=\"3\">\
             <ParticipantObjectIDTypeCode csd-code=\"110180\" codeSystemName=\"DCM\" \
             originalText=\"Study Instance UID\"/>\
             <ParticipantObjectName>1.2.9</ParticipantObjectName>\
             </ParticipantObjectIdentification></AuditMessage>"
        );
    }

    #[test]
    fn text_from_outside_cannot_leave_its_attribute() {
        let hostile = event("association-refused", "10.0.0.1", Some("\"><x a='"), "<a>&\u{1}\n");
        let xml = to_xml(&hostile, "a\"b");
        assert!(xml.contains("ParticipantObjectID=\"&quot;&gt;&lt;x a='\""), "{xml}");
        assert!(xml.contains(">&lt;a&gt;&amp;\u{fffd}&#10;<"), "{xml}");
        assert!(xml.contains("NetworkAccessPointID=\"10.0.0.1\""), "{xml}");
        assert!(xml.contains("AuditSourceID=\"a&quot;b\""), "{xml}");
    }
}
