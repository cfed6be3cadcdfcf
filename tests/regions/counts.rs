//! SPECT in counts of a camera without a calibration, and one PET that scales it (Iowa's 90Y-DOTATOC).

use crate::made::{options, requested_in, run_in};
use grayd::phantom::{PhantomOptions, SpectStorage};
use grayd::quantity::nuclide::Nuclide;
use grayd::quantity::{Becquerel, Seconds};

fn iowa() -> PhantomOptions {
    PhantomOptions {
        nuclide: Nuclide::parse("Y-90").unwrap(),
        radiopharmaceutical: Some("90Y-DOTATOC".into()),
        administered: Becquerel::from_gbq(4.4),
        times: Some([5.0, 6.0, 24.0, 48.0, 72.0].map(Seconds::from_hours).to_vec()),
        storage: SpectStorage::PetThenCounts,
        ct_per_spect: 1,
        ..options()
    }
}

#[test]
fn bremsstrahlung_counts_through_one_pet_are_the_patient_s_doses() {
    let folder = tempfile::tempdir().unwrap();
    let (request, patient) = requested_in(folder.path(), "y90-dotatoc-iowa", "", &iowa());
    let result = run_in(folder.path(), &request).unwrap();
    for truth in patient.truth() {
        let region = result.regions.iter().find(|region| region.name == truth.name).unwrap();
        let fit = region.fit.as_ref().unwrap();
        let off = fit.time_integrated_activity / truth.time_integrated_activity - 1.0;
        let dose = region.dose.as_ref().unwrap().mean.value() / truth.mean_dose.value() - 1.0;
        println!("{:20} TIA {off:+.5}, dose {dose:+.5}", truth.name);
        assert!(off.abs() < 5e-3 && dose.abs() < 5e-3, "{}: {off}, {dose}", truth.name);
        assert_eq!(fit.model, "hybrid");
        // Counts are stated as the activity that they stand for.
        for (activity, true_one) in region.activity.iter().zip(&truth.activity) {
            let off = activity.unwrap().value / *true_one - 1.0;
            assert!(off.abs() < 5e-3, "{}: {off}", truth.name);
        }
    }
    let held: Vec<bool> = result.time_points.iter().map(|p| p.field_of_view.is_some()).collect();
    assert_eq!(held, [true, false, false, false, false]);
    assert_eq!(result.time_points[0].series, result.reference_series);
    assert!(result.time_points[1].quantification.contains("relative to each other"));
}

#[test]
fn counts_without_a_scale_of_two_cameras_or_where_no_protocol_takes_them_are_refused() {
    let small = PhantomOptions { spect_shape: [24, 32, 32], spect_voxel_mm: 9.6, ..iowa() };
    let folder = tempfile::tempdir().unwrap();
    let refused = |settings: &str, protocol: &str, only: &dyn Fn(&str) -> bool| {
        let (mut request, _) = requested_in(folder.path(), protocol, settings, &small);
        request.inputs.retain(|path| only(path.to_str().unwrap()));
        run_in(folder.path(), &request).unwrap_err().to_string()
    };
    let all = |_: &str| true;
    let text = refused("", "multi-time-point", &all);
    assert!(text.contains("calibration_cps_per_mbq"), "{text}");
    let without_pet = |path: &str| !path.contains("spect-1");
    let text = refused("", "y90-dotatoc-iowa", &without_pet);
    assert!(text.contains("0 were found; send the PET"), "{text}");
    let text = refused("  kinetics: { voxels: voxel-fit }\n", "y90-dotatoc-iowa", &all);
    assert!(text.contains("in Bq/ml"), "{text}");
    // One of the four from a camera of another name.
    let (request, _) = requested_in(folder.path(), "y90-dotatoc-iowa", "", &small);
    let other = request.inputs.iter().find(|path| path.to_str().unwrap().contains("spect-3"));
    let mut object = dicom_object::open_file(other.unwrap()).unwrap();
    object.put_str(dicom_dictionary_std::tags::STATION_NAME, dicom_core::VR::SH, "OTHER");
    object.write_to_file(other.unwrap()).unwrap();
    let text = run_in(folder.path(), &request).unwrap_err().to_string();
    assert!(text.contains("not taken alike"), "{text}");
}
