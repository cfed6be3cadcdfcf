//! What dose distributions do, through the whole pipeline on the digital patient.

use crate::made::{computed_in, options};

const ASKED: &str = "  dose: { engine: local }
  biology: { voxel_bed: true, eud_alpha_per_gy: { default: 0.3 }, volumes_at_gy: [0.5, 1000] }
";

/// The patient's regions are uniform: every voxel has the mean's BED, and the mean is the uniform dose.
#[test]
fn uniform_regions_have_the_bed_of_their_mean_in_every_voxel() {
    let folder = tempfile::tempdir().unwrap();
    let (result, _) = computed_in(folder.path(), "multi-time-point", ASKED, &options());
    let mut with_bed = 0;
    for region in &result.regions {
        let Some(dose) = &region.dose else { continue };
        let effect = &region.effect;
        let at: Vec<(f64, f64)> = effect.volumes_at.iter().map(|(g, v)| (g.value(), *v)).collect();
        assert_eq!((at[0].0, at[1]), (0.5, (1000.0, 0.0)));
        let eud = effect.eud.unwrap();
        assert!(eud.dose.value() <= dose.mean.value() * (1.0 + 1e-4), "{}", region.name);
        let Some(bed) = &region.bed else { continue };
        let wanted = bed.value.value() / (1.0 + 2.0 / bed.alpha_beta.value());
        assert!((effect.eqd2.unwrap().value() / wanted - 1.0).abs() < 1e-12);
        if region.name == "Remainder of body" {
            continue;
        }
        with_bed += 1;
        let mean = effect.mean_of_voxel_bed.unwrap().value();
        assert!((mean / bed.value.value() - 1.0).abs() < 2e-3, "{}: {mean} {bed:?}", region.name);
        assert!((eud.dose.value() / dose.mean.value() - 1.0).abs() < 2e-3, "{}", region.name);
        assert_eq!(at[0].1, 1.0, "{}", region.name);
    }
    assert!(with_bed >= 4, "{with_bed}");
    let voxels = result.voxels.as_ref().unwrap();
    let map = voxels.bed.as_ref().unwrap();
    for (gy, bed) in voxels.gy.as_slice().iter().zip(map.gy.as_slice()) {
        assert!(*bed == 0.0 || *bed >= *gy, "a BED of {bed} below its dose {gy}");
    }
    let object = dicom_object::open_file(folder.path().join("results/rt-dose-bed.dcm")).unwrap();
    let text = |name: &str| object.element_by_name(name).unwrap().to_str().unwrap().into_owned();
    assert_eq!(text("DoseType").trim_end(), "EFFECTIVE");
    assert!(text("ImageComments").contains("Kidney Left: α/β 2.6 Gy, T_rep 2.8 h (S)"));
}

/// With a curve for every voxel the BED follows the voxel's own half-life.
#[test]
fn voxels_with_their_own_curves_have_their_own_bed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{ASKED}  kinetics: {{ voxels: voxel-fit }}\n");
    let (result, patient) = computed_in(folder.path(), "multi-time-point", &settings, &options());
    let region = result.regions.iter().find(|region| region.name == "Kidney Left").unwrap();
    let truth = patient.truth().iter().find(|truth| truth.name == "Kidney Left").unwrap();
    let (d, t) = (truth.mean_dose.value(), truth.effective_half_life.hours());
    // One exponential: G = T_rep / (T_rep + T_eff).
    let wanted = d * (1.0 + 2.8 / (2.8 + t) * d / 2.6);
    let found = region.effect.mean_of_voxel_bed.unwrap().value();
    assert!((found / wanted - 1.0).abs() < 5e-3, "{found} {wanted}");
}
