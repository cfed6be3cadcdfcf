//! Unified Procedure Steps: pynetdicom schedules, performs, looks and calls off.

use crate::retrieval::Pacs;

const HEAD: &str = r#"
PUSH, PULL, QUERY = UnifiedProcedureStepPush, UnifiedProcedureStepPull, UnifiedProcedureStepQuery
a = associate(PUSH, PULL, QUERY)
def code(value, scheme="99RPT", meaning="m"):
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds
def step(**more):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ProcedureStepState, ds.ScheduledProcedureStepPriority = "SCHEDULED", "MEDIUM"
    ds.ProcedureStepLabel, ds.WorklistLabel = "Dose", ""
    ds.ScheduledProcedureStepStartDateTime, ds.InputReadinessState = "20260302101500", "READY"
    ds.PatientName, ds.PatientID, ds.TransactionUID = "M\u00fcller^Anna", "P-1", ""
    ds.ScheduledWorkitemCodeSequence = [code("SEGMENT")]
    for k, v in more.items(): setattr(ds, k, v)
    return ds
def create(uid, ds=None): return a.send_n_create(ds or step(), PUSH, uid)[0].Status
def to(uid, state, transaction):
    ds = Dataset()
    ds.ProcedureStepState, ds.TransactionUID = state, transaction
    return a.send_n_action(ds, 1, PUSH, uid, meta_uid=PULL)[0].Status
def set_(uid, transaction, **more):
    ds = Dataset()
    ds.TransactionUID = transaction
    for k, v in more.items(): setattr(ds, k, v)
    return a.send_n_set(ds, PUSH, uid, meta_uid=PULL)[0].Status
def get(uid, *tags, context=PULL): return a.send_n_get(list(tags), PUSH, uid, meta_uid=context)
def find(context=PULL, **keys):
    ds = Dataset()
    for k, v in keys.items(): setattr(ds, k, v)
    answers = list(a.send_c_find(ds, context))
    assert answers[-1][0].Status == 0, answers[-1][0]
    return [ds for _, ds in answers[:-1]]
"#;

async fn pynetdicom(pacs: &Pacs, script: &str) {
    pacs.pynetdicom(&format!("{HEAD}{script}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_schedules_takes_reports_and_completes_a_step() {
    let pacs = Pacs::start().await;
    pynetdicom(
        &pacs,
        r#"
assert create("1.2.50.1") == 0 and create("1.2.50.1") == 0x0111
assert create("1.2.50.2", step(PatientID="P-2", ScheduledWorkitemCodeSequence=[code("OTHER")])) == 0
assert create("1.2.50.3", step(ProcedureStepState="IN PROGRESS")) == 0xC309
assert create("1.2.50.3", step(ProcedureStepLabel="")) == 0x0120
uids = lambda found: [ds.SOPInstanceUID for ds in found]
for context in (PULL, QUERY):
    assert uids(find(context, ProcedureStepState="SCHEDULED")) == ["1.2.50.1", "1.2.50.2"]
(found,) = find(PatientName="m*", PatientID="", ScheduledProcedureStepStartDateTime="20260302-20260303",
                ScheduledWorkitemCodeSequence=[code("SEGMENT", meaning="")], ProcedureStepState="", WorklistLabel="")
assert str(found.PatientName) == "M\u00fcller^Anna" and found.PatientID == "P-1"
assert found.ScheduledWorkitemCodeSequence[0].CodeMeaning == "m" and found.WorklistLabel == "DOSIMETRY"
assert find(ScheduledWorkitemCodeSequence=[code("NONE", meaning="")]) == []
assert to("1.2.50.1", "COMPLETED", "1.2.9.9") == 0xC310
assert set_("1.2.50.1", "1.2.9.9", ProcedureStepLabel="x") == 0xC310
assert to("1.2.50.1", "IN PROGRESS", "1.2.9.9") == 0
assert to("1.2.50.1", "IN PROGRESS", "1.2.9.9") == 0xC302
assert to("1.2.50.1", "IN PROGRESS", "1.2.9.8") == 0xC301
progress = Dataset()
progress.ProcedureStepProgress = "40"
assert set_("1.2.50.1", "1.2.9.8", ProcedureStepProgressInformationSequence=[progress]) == 0xC301
assert set_("1.2.50.1", "1.2.9.9", ProcedureStepProgressInformationSequence=[progress]) == 0
status, ds = get("1.2.50.1", 0x00741000, 0x00741002)
assert status.Status == 0 and ds.ProcedureStepState == "IN PROGRESS" and "PatientID" not in ds
assert ds.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 40
assert to("1.2.50.1", "COMPLETED", "1.2.9.9") == 0xC304
performed = Dataset()
performed.PerformedProcedureStepStartDateTime = performed.PerformedProcedureStepEndDateTime = "20260302"
performed.PerformedWorkitemCodeSequence, performed.OutputInformationSequence = [code("SEGMENT")], []
assert set_("1.2.50.1", "1.2.9.9", UnifiedProcedureStepPerformedProcedureSequence=[performed]) == 0
assert to("1.2.50.1", "COMPLETED", "1.2.9.9") == 0
assert to("1.2.50.1", "COMPLETED", "1.2.9.9") == 0xB306
assert set_("1.2.50.1", "1.2.9.9", ProcedureStepLabel="x") == 0xC300
status, ds = get("1.2.50.1", context=QUERY)
assert ds.ProcedureStepState == "COMPLETED" and "TransactionUID" not in ds
assert get("1.2.50.77")[0].Status == 0xC307
a.release()
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_calls_a_step_off_and_only_through_the_contexts_that_may() {
    let pacs = Pacs::start().await;
    pynetdicom(
        &pacs,
        r#"
assert create("1.2.50.1") == 0 and create("1.2.50.2") == 0
def call_off(uid, context=PUSH):
    ds = Dataset()
    ds.ReasonForCancellation = "not needed"
    return a.send_n_action(ds, 2, PUSH, uid, meta_uid=context)[0].Status
assert call_off("1.2.50.1", PULL) == 0x0123
assert call_off("1.2.50.1") == 0 and call_off("1.2.50.1") == 0xB304
(status, ds) = get("1.2.50.1", 0x00741000, 0x00741002)
assert ds.ProcedureStepState == "CANCELED"
assert ds.ProcedureStepProgressInformationSequence[0].ReasonForCancellation == "not needed"
assert to("1.2.50.2", "IN PROGRESS", "1.2.9.9") == 0
assert call_off("1.2.50.2") == 0xC312, "its performer cannot be told"
ds = Dataset()
ds.ProcedureStepState, ds.TransactionUID = "IN PROGRESS", "1.2.9.9"
assert a.send_n_action(ds, 1, PUSH, "1.2.50.2")[0].Status == 0x0123
assert a.send_n_action(ds, 3, PUSH, "1.2.50.2", meta_uid=PULL)[0].Status == 0x0123
a.release()
"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_outlive_the_association_and_watching_is_not_offered() {
    let pacs = Pacs::start().await;
    pynetdicom(&pacs, "assert create('1.2.50.1') == 0\na.release()").await;
    pacs.pynetdicom(
        r#"
a = associate(UnifiedProcedureStepPull, UnifiedProcedureStepWatch)
assert [c.abstract_syntax for c in a.rejected_contexts] == [UnifiedProcedureStepWatch]
ds = Dataset()
ds.ProcedureStepState = ""
answers = list(a.send_c_find(ds, UnifiedProcedureStepPull))
assert [d.SOPInstanceUID for _, d in answers[:-1]] == ["1.2.50.1"]
a.release()
"#,
    )
    .await;
}
