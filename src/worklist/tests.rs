use super::*;
use crate::archive::{Archive, LocalArchive, StorageSettings};
use crate::dicom::write::{Code, DataSet};
use dicom_dictionary_std::uids;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_772_445_600).unwrap()
}

fn archive() -> (tempfile::TempDir, LocalArchive) {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        StorageSettings { directory: folder.path().join("store"), ..StorageSettings::default() };
    let archive = LocalArchive::open(&settings, jiff::tz::TimeZone::UTC).unwrap();
    (folder, archive)
}

/// What a requester has to say at least.
fn request() -> DataSet {
    DataSet::new()
        .text(tags::PROCEDURE_STEP_STATE, VR::CS, "SCHEDULED")
        .text(tags::SCHEDULED_PROCEDURE_STEP_PRIORITY, VR::CS, "MEDIUM")
        .text(tags::PROCEDURE_STEP_LABEL, VR::LO, "Dose")
        .text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE_TIME, VR::DT, "20260302101500")
        .text(tags::INPUT_READINESS_STATE, VR::CS, "READY")
        .text(tags::PATIENT_ID, VR::LO, "P-1")
}

fn transaction(text: &str) -> DataSet {
    DataSet::new().uid_text(tags::TRANSACTION_UID, text)
}

fn to(state: State, transaction_uid: &str) -> InMemDicomObject {
    let asked = transaction(transaction_uid);
    asked.text(tags::PROCEDURE_STEP_STATE, VR::CS, state.as_str()).into_inner()
}

fn status<T>(result: Result<T, WorklistError>) -> u16 {
    result.map_or_else(|error| error.dimse_status(), |_| 0)
}

const DONE: Code = Code::new("121726", "DCM", "done");

/// All that a final state asks for.
fn final_words(transaction_uid: &str) -> InMemDicomObject {
    let performed = DataSet::new()
        .text(tags::PERFORMED_PROCEDURE_STEP_START_DATE_TIME, VR::DT, "20260302101500")
        .text(tags::PERFORMED_PROCEDURE_STEP_END_DATE_TIME, VR::DT, "20260302101600")
        .code(tags::PERFORMED_WORKITEM_CODE_SEQUENCE, &order::COMPUTE)
        .sequence(tags::OUTPUT_INFORMATION_SEQUENCE, Vec::new());
    let progress = DataSet::new()
        .code(tags::PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE, &DONE)
        .text(tags::PROCEDURE_STEP_PROGRESS, VR::DS, "50");
    transaction(transaction_uid)
        .sequence(tags::UNIFIED_PROCEDURE_STEP_PERFORMED_PROCEDURE_SEQUENCE, vec![performed])
        .sequence(tags::PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE, vec![progress])
        .into_inner()
}

/// PS3.4 table CC.1.1-2, row by row: requests against the four states, with the right Transaction
/// UID and with another.
#[test]
fn each_request_is_granted_or_refused_in_each_state_as_the_standard_s_table_says() {
    let (_folder, archive) = archive();
    let worklist = Worklist::of(&archive);
    let states = [State::Scheduled, State::InProgress, State::Completed, State::Canceled];
    let mut number = 0;
    let mut step_in = |state: State| {
        number += 1;
        let step = uid(&format!("1.2.{number}"));
        worklist.create(step.clone(), request().into_inner(), "RIS", now()).unwrap();
        if state != State::Scheduled {
            worklist.change_state(&step, &to(State::InProgress, "1.9"), "TPS", now()).unwrap();
            worklist.set(&step, final_words("1.9"), "TPS", now()).unwrap();
        }
        if state.is_final() {
            worklist.change_state(&step, &to(state, "1.9"), "TPS", now()).unwrap();
        }
        step
    };
    // Asked for; then the status in each of the four states.
    let with_the_right_one = [
        (State::Scheduled, [0xC303, 0xC303, 0xC303, 0xC303]),
        (State::InProgress, [0, 0xC302, 0xC300, 0xC300]),
        (State::Completed, [0xC310, 0, 0xB306, 0xC300]),
        (State::Canceled, [0xC310, 0, 0xC300, 0xB304]),
    ];
    for (asked, answers) in with_the_right_one {
        for (state, answer) in states.into_iter().zip(answers) {
            let step = step_in(state);
            let got = worklist.change_state(&step, &to(asked, "1.9"), "TPS", now());
            assert_eq!(status(got), answer, "{asked:?} asked of {state:?}");
            let after = if answer == 0 { asked } else { state };
            let step = worklist.step(&step).unwrap();
            assert_eq!(step.state, after);
            assert_eq!(text(&step.data, tags::PROCEDURE_STEP_STATE).unwrap(), after.as_str());
        }
    }
    for state in states {
        let step = step_in(state);
        let other = if state == State::Scheduled { "" } else { "1.8" };
        for asked in [State::InProgress, State::Completed, State::Canceled] {
            let got = worklist.change_state(&step, &to(asked, other), "TPS", now());
            assert_eq!(status(got), 0xC301, "{asked:?} asked of {state:?}");
        }
        let set = worklist.set(&step, transaction("1.8").into_inner(), "TPS", now());
        let wanted = [0xC310, 0xC301, 0xC300, 0xC300];
        assert_eq!(status(set), wanted[states.iter().position(|s| *s == state).unwrap()]);
    }
    let none = InMemDicomObject::new_empty;
    for (state, answer) in states.into_iter().zip([0, 0xC312, 0xC311, 0xB304]) {
        let step = step_in(state);
        assert_eq!(status(worklist.call_off(&step, &none(), "RIS", now())), answer, "{state:?}");
    }
    let unknown = uid("1.2.999");
    assert_eq!(status(worklist.call_off(&unknown, &none(), "RIS", now())), 0xC307);
    assert_eq!(status(worklist.set(&unknown, none(), "RIS", now())), 0xC307);
    assert_eq!(status(worklist.step(&unknown)), 0xC307);
}

#[test]
fn a_final_state_wants_what_belongs_to_it() {
    let (_folder, archive) = archive();
    let worklist = Worklist::of(&archive);
    let step = uid("1.2.1");
    worklist.create(step.clone(), request().into_inner(), "RIS", now()).unwrap();
    worklist.change_state(&step, &to(State::InProgress, "1.9"), "TPS", now()).unwrap();
    for state in [State::Completed, State::Canceled] {
        let got = worklist.change_state(&step, &to(state, "1.9"), "TPS", now());
        assert_eq!(status(got), 0xC304, "{state:?}");
    }
    let state = request().uid_text(tags::TRANSACTION_UID, "1.9").into_inner();
    assert_eq!(status(worklist.set(&step, state, "TPS", now())), 0x0106, "not by N-SET");
    worklist.set(&step, final_words("1.9"), "TPS", now()).unwrap();
    worklist.change_state(&step, &to(State::Completed, "1.9"), "TPS", now()).unwrap();
    assert!(worklist.step(&step).unwrap().data.get(tags::TRANSACTION_UID).is_none());
}

#[test]
fn what_is_no_step_is_not_created_and_the_reason_is_said() {
    let (_folder, archive) = archive();
    let worklist = Worklist::of(&archive);
    let create = |request: DataSet| {
        status(worklist.create(uid("1.2.1"), request.into_inner(), "RIS", now()))
    };
    let state = |state| request().text(tags::PROCEDURE_STEP_STATE, VR::CS, state);
    assert_eq!(create(state("IN PROGRESS")), 0xC309);
    assert_eq!(create(DataSet::new()), 0x0120);
    assert_eq!(create(request().empty(tags::PROCEDURE_STEP_LABEL, VR::LO)), 0x0120);
    let urgent = request().text(tags::SCHEDULED_PROCEDURE_STEP_PRIORITY, VR::CS, "URGENT");
    assert_eq!(create(urgent), 0x0106);
    assert_eq!(create(request().uid_text(tags::TRANSACTION_UID, "1.9")), 0x0106);
    let long = "x".repeat(70_000);
    let comments = tags::COMMENTS_ON_THE_SCHEDULED_PROCEDURE_STEP;
    assert_eq!(create(request().text(comments, VR::UT, &long)), 0x0213);
    assert_eq!(create(request()), 0);
    assert_eq!(create(request()), 0x0111);
    let step = worklist.step(&uid("1.2.1")).unwrap();
    let class = text(&step.data, tags::SOP_CLASS_UID);
    assert_eq!(class.as_deref(), Some(uids::UNIFIED_PROCEDURE_STEP_PUSH));
}

#[test]
fn a_step_that_has_ended_makes_room_and_one_that_has_not_keeps_its_place() {
    let (_folder, archive) = archive();
    let worklist = Worklist { limit: 3, ..Worklist::of(&archive) };
    let create =
        |step: &str| status(worklist.create(uid(step), request().into_inner(), "RIS", now()));
    assert_eq!(
        [create("1.2.1"), create("1.2.2"), create("1.2.3"), create("1.2.4")],
        [0, 0, 0, 0x0213]
    );
    worklist.call_off(&uid("1.2.2"), &InMemDicomObject::new_empty(), "RIS", now()).unwrap();
    assert_eq!(create("1.2.4"), 0);
    // As after a restart: nothing but the archive is asked.
    let again = Worklist::of(&archive);
    let kept: Vec<String> = again.steps().unwrap().iter().map(|s| s.uid.to_string()).collect();
    assert_eq!(kept, ["1.2.1", "1.2.4", "1.2.3"]);
    again.call_off(&uid("1.2.4"), &InMemDicomObject::new_empty(), "RIS", now()).unwrap();
    let open: Vec<String> = again.open_steps().unwrap().iter().map(|s| s.uid.to_string()).collect();
    assert_eq!(open, ["1.2.1", "1.2.3"]);
    assert_eq!(status(again.step(&uid("1.2.2"))), 0xC307);
}

#[test]
fn an_order_names_patient_course_cycle_and_inputs_and_nothing_that_is_not_known() {
    let (_folder, archive) = archive();
    let worklist = Worklist::of(&archive);
    let parameter = |code: &Code| DataSet::new().code(tags::CONCEPT_NAME_CODE_SEQUENCE, code);
    let course = parameter(&order::COURSE).text(tags::TEXT_VALUE, VR::UT, "c-1");
    let cycle = parameter(&order::CYCLE).decimals(tags::NUMERIC_VALUE, &[2.0]);
    let reference = DataSet::new().uid_text(tags::REFERENCED_SOP_INSTANCE_UID, "1.3.7");
    let input = DataSet::new().sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
    let asked = |parameters: Vec<DataSet>| {
        request()
            .code(tags::SCHEDULED_WORKITEM_CODE_SEQUENCE, &order::COMPUTE)
            .sequence(tags::SCHEDULED_PROCESSING_PARAMETERS_SEQUENCE, parameters)
            .sequence(tags::INPUT_INFORMATION_SEQUENCE, vec![input.clone()])
    };
    let mut number = 0;
    let mut order = |data: DataSet| {
        number += 1;
        let step = uid(&format!("1.2.{number}"));
        worklist.create(step.clone(), data.into_inner(), "RIS", now()).unwrap();
        order::Order::of(&worklist.step(&step).unwrap())
    };
    let whole = order(asked(vec![course.clone(), cycle.clone()])).unwrap().unwrap();
    assert_eq!((whole.course.as_deref(), whole.cycle), (Some("c-1"), Some(2)));
    assert_eq!((whole.patient_id.as_str(), whole.instances), ("P-1", vec![uid("1.3.7")]));
    let other = parameter(&DONE).text(tags::TEXT_VALUE, VR::UT, "faster");
    assert!(order(asked(vec![course, other])).unwrap().is_err());
    let nobody = asked(vec![cycle]).empty(tags::PATIENT_ID, VR::LO);
    assert!(order(nobody).unwrap().is_err());
    assert_eq!(order(request()), None, "it asks somebody else");
}

#[test]
fn a_place_that_was_cut_off_while_it_changed_hands_is_used_again() {
    let (_folder, archive) = archive();
    let worklist = Worklist { limit: 1, ..Worklist::of(&archive) };
    let create =
        |step: &str| status(worklist.create(uid(step), request().into_inner(), "RIS", now()));
    assert_eq!(create("1.2.1"), 0);
    worklist.call_off(&uid("1.2.1"), &InMemDicomObject::new_empty(), "RIS", now()).unwrap();
    let list = archive.note("worklist").unwrap().unwrap();
    assert_eq!(create("1.2.2"), 0);
    // As a crash between the step and the list leaves it.
    archive.put_note("worklist", &list).unwrap();
    assert!(worklist.steps().unwrap().is_empty());
    assert_eq!(create("1.2.3"), 0);
    assert_eq!(worklist.open_steps().unwrap()[0].uid, uid("1.2.3"));
    assert_eq!(create("1.2.4"), 0x0213);
}

#[test]
fn a_step_that_is_full_of_a_peer_s_words_can_still_be_followed_and_ended_by_us() {
    let (_folder, archive) = archive();
    let worklist = Worklist::of(&archive);
    let step = uid("1.2.1");
    let comments = tags::COMMENTS_ON_THE_SCHEDULED_PROCEDURE_STEP;
    let long = |count: usize| request().text(comments, VR::UT, &"x".repeat(count)).into_inner();
    worklist.create(step.clone(), long(63_000), "RIS", now()).unwrap();
    worklist.take(&step, now()).unwrap();
    let what = "y".repeat(3_000);
    worklist.tell(&step, now(), |step| step.tell_progress(10.0, &what)).unwrap();
    let progress = worklist.step(&step).unwrap().progress();
    let said = text(&progress, tags::PROCEDURE_STEP_PROGRESS_DESCRIPTION).unwrap();
    assert_eq!(said.len(), 1024, "as much as an ST holds");
    worklist.end(&step, now(), Err(&"z".repeat(20_000))).unwrap();
    let ended = worklist.step(&step).unwrap();
    let why = text(&ended.progress(), tags::REASON_FOR_CANCELLATION).unwrap();
    assert_eq!((ended.state, why.len()), (State::Canceled, 10_240));
    // Peers have no more room than before.
    let other = uid("1.2.2");
    worklist.create(other.clone(), long(60_000), "RIS", now()).unwrap();
    worklist.change_state(&other, &to(State::InProgress, "1.9"), "TPS", now()).unwrap();
    let more = transaction("1.9").text(comments, VR::UT, &"x".repeat(66_000));
    assert_eq!(status(worklist.set(&other, more.into_inner(), "TPS", now())), 0x0213);
    worklist.set(&other, final_words("1.9"), "TPS", now()).unwrap();
}

#[test]
fn text_of_items_is_kept_as_utf_8_whatever_character_set_it_came_in() {
    let (_folder, archive) = archive();
    let worklist = Worklist::of(&archive);
    let mut asked = request().into_inner();
    let values = PrimitiveValue::Strs(["".into(), "ISO 2022 IR 87".into()].into());
    asked.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, values));
    // As the parser leaves it: byte for byte.
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, "\u{1b}$B;3ED\u{1b}(B");
    put_items(&mut asked, tags::REFERENCED_REQUEST_SEQUENCE, vec![item]);
    worklist.create(uid("1.2.1"), asked, "RIS", now()).unwrap();
    let kept = worklist.step(&uid("1.2.1")).unwrap().data;
    let item = &items(&kept, tags::REFERENCED_REQUEST_SEQUENCE)[0];
    let described = text(item, tags::REQUESTED_PROCEDURE_DESCRIPTION);
    assert_eq!(described.as_deref(), Some("\u{5c71}\u{7530}"));
    assert_eq!(text(&kept, tags::SPECIFIC_CHARACTER_SET).as_deref(), Some("ISO_IR 192"));
}
