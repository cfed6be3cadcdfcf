use super::*;
use crate::phantom::noise::Random;
use crate::phantom::planar::{begins, counts};
use crate::phantom::{PhantomOptions, SimulatedCourse, Views};
use crate::quantify::planar::{
    BodyPath, EnergyWindow, Exposure, NetRate, Outlined, OutlinedBackground, OutlinedRegion,
    OutlinedScan, PlanarFrame, PlanarImage, Raster, RateParameters, TransmissionCounts,
    TransmissionDepth, View, ViewOutline, net_rates, split_backgrounds, transmission_depth,
    window_roles,
};
use crate::quantify::{Injection, QuantifyError};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Becquerel, KiloElectronvolt, Millimetre};
use std::collections::BTreeMap;

/// A patient seen by views alone.
struct Case<'a> {
    patient: &'a DigitalPatient,
    kev: f64,
    outlines: Vec<ViewOutline>,
    thicknesses: [BTreeMap<String, f64>; 2],
}

impl<'a> Case<'a> {
    fn of(patient: &'a DigitalPatient) -> Self {
        let outline = |drawn: Drawn| ViewOutline {
            name: drawn.name,
            masks: [drawn.mask.clone(), drawn.mask],
        };
        Self {
            kev: photopeak(patient).unwrap(),
            outlines: super::outlines(patient).unwrap().into_iter().map(outline).collect(),
            thicknesses: thicknesses(patient).unwrap().map(|of| of.into_iter().collect()),
            patient,
        }
    }

    fn exposure(&self) -> Exposure {
        let camera = camera(self.patient).unwrap();
        Exposure::Scanning {
            velocity: camera.velocity_mm_s,
            field_of_view_mm: Some(camera.field_of_view_mm),
            first_row_first: Some(true),
            duration: None,
        }
    }

    fn drawn(&self, mean: &Array2<f64>, random: &mut Option<Random>) -> Array2<f32> {
        mean.mapv(|n| random.as_mut().map_or(n, |random| random.poisson(n) as f64) as f32)
    }

    fn rates(&self, session: usize, random: &mut Option<Random>) -> [NetRate; 2] {
        let camera = camera(self.patient).unwrap();
        let (half, beside) = (camera.peak_width * self.kev / 2.0, camera.scatter_width * self.kev);
        let [low, high] = [self.kev - half, self.kev + half];
        let windows = [[low, high], [low - beside, low], [high, high + beside]]
            .map(|range| EnergyWindow { ranges: vec![range.map(KiloElectronvolt::new)] });
        let frames = counts(self.patient, camera, session, self.kev);
        let (rows, columns) = frames[0].dim();
        let [dx, _, dz] = self.patient.spect.spacing_mm();
        let frames = frames.iter().enumerate().map(|(n, mean)| PlanarFrame {
            view: View::BOTH[n % 2],
            window: n / 2,
            counts: {
                let mut counts = self.drawn(mean, random);
                if n % 2 == 1 {
                    counts.invert_axis(ndarray::Axis(1));
                }
                counts
            },
        });
        let image = PlanarImage {
            raster: Raster {
                rows,
                columns,
                spacing_mm: [dx, dz],
                axes: [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
                origin_lps_mm: None,
            },
            windows: windows.to_vec(),
            frames: frames.collect(),
            exposure: self.exposure(),
            injection: Injection::default(),
            dead_time_corrected: true,
            warnings: Vec::new(),
        };
        let roles =
            window_roles(&image.windows, &[(KiloElectronvolt::new(self.kev), 0.1)]).unwrap();
        let parameters = RateParameters {
            half_life: self.patient.decay.half_life,
            dead_time: None,
            field_of_view_mm: None,
        };
        net_rates(&image, &roles, &parameters).unwrap()
    }

    /// 1/cm of soft tissue.
    fn attenuation(&self, kev: f64) -> f64 {
        let along = self.patient.spect.spacing_mm()[1] / 10.0;
        super::super::attenuation(self.patient, kev)[usize::from(BODY)] / along
    }

    fn transmission(&self, random: &mut Option<Random>) -> TransmissionDepth {
        let [through, blank] = [true, false].map(|through| {
            self.drawn(&transmission::counts(self.patient, through).unwrap(), random)
        });
        let exposure = self.exposure();
        let scan = |counts| TransmissionCounts { counts, exposure: &exposure };
        let [dx, _, dz] = self.patient.spect.spacing_mm();
        let ratio = self.attenuation(self.kev) / self.attenuation(122.0);
        transmission_depth(scan(&through), scan(&blank), [dx, dz], None, ratio).unwrap()
    }

    fn found(
        &self,
        rates: &[NetRate; 2],
        map: Option<&TransmissionDepth>,
    ) -> Result<Vec<Outlined>, QuantifyError> {
        let (regions, backgrounds) = split_backgrounds(&self.outlines);
        let regions: Vec<OutlinedRegion<'_>> = regions
            .into_iter()
            .map(|outline| OutlinedRegion {
                outline,
                body: match map {
                    Some(map) => BodyPath::Transmission(map),
                    None => BodyPath::Thickness {
                        body: Millimetre::new(self.thicknesses[0][&outline.name]),
                        relative_uncertainty: Some(0.03),
                    },
                },
                thickness: self.thicknesses[1].get(&outline.name).copied().map(Millimetre::new),
            })
            .collect();
        let backgrounds: Vec<OutlinedBackground<'_>> = backgrounds
            .into_iter()
            .map(|outline| OutlinedBackground {
                outline,
                body: self.thicknesses[0].get(&outline.name).copied().map(Millimetre::new),
            })
            .collect();
        let scan = OutlinedScan {
            rates,
            regions: &regions,
            backgrounds: &backgrounds,
            cps_per_mbq: camera(self.patient).unwrap().cps_per_mbq,
            attenuation_per_cm: self.attenuation(self.kev),
        };
        Ok(scan.activities()?.regions)
    }

    /// Found over true activity, less 1.
    fn error(&self, session: usize, found: &Outlined) -> f64 {
        let at = begins(self.patient, session).value();
        let all = self.patient.truth.iter();
        let true_mbq: f64 = all
            .filter(|region| found.name == WHOLE_BODY || found.name == region.name)
            .map(|region| {
                let rate = region.effective_half_life.half_life_to_rate().value();
                region.initial_activity.mbq() * (-rate * at).exp()
            })
            .sum();
        found.activity.value.mbq() / true_mbq - 1.0
    }
}

fn patient(nuclide: &str) -> DigitalPatient {
    let options = PhantomOptions {
        views: Views::Outlined,
        administered: Becquerel::from_gbq(7.4),
        ..PhantomOptions::new(Nuclide::parse(nuclide).unwrap())
    };
    DigitalPatient::new(&options).unwrap()
}

/// Found over true, less 1, of every outlined region, by stated thickness and by transmission scan.
fn errors(case: &Case<'_>, session: usize, random: &mut Option<Random>) -> [Vec<(String, f64)>; 2] {
    let rates = case.rates(session, random);
    let map = case.transmission(random);
    [None, Some(&map)].map(|map| {
        let found = case.found(&rates, map).unwrap_or_else(|error| panic!("{session}: {error}"));
        found.iter().map(|one| (one.name.clone(), case.error(session, one))).collect()
    })
}

#[test]
fn activities_by_views_alone_are_as_near_the_truth_as_the_docs_say() {
    // Largest errors by thickness and by transmission, those of counting included.
    let bounds = BTreeMap::from([
        ("Kidney Left", [0.16, 0.05]),
        ("Kidney Right", [0.13, 0.09]),
        ("Spleen", [0.02, 0.05]),
        ("Liver", [0.03, 0.08]),
        ("Lesion 1", [0.09, 0.08]),
        (WHOLE_BODY, [0.015, 0.015]),
    ]);
    for nuclide in ["Lu-177", "I-131"] {
        let patient = patient(nuclide);
        let case = Case::of(&patient);
        for noise in [None, Some(Random::new(5, 5))] {
            for (way, found) in errors(&case, 1, &mut noise.clone()).iter().enumerate() {
                assert_eq!(found.len(), bounds.len(), "{found:?}");
                for (name, error) in found {
                    let bound = bounds[name.as_str()][way];
                    assert!(error.abs() < bound, "{nuclide} {way} {name}: {error}");
                }
            }
        }
    }
}

#[test]
fn every_course_by_views_alone_is_measured_and_keeps_its_whole_body() {
    let protocols = crate::config::Protocols::load(None).unwrap();
    for name in ["i131-tositumomab-wb", "i131-mibg-azedra", "i131-dtc-blood", "sm153-edtmp-2tp"] {
        let usual = PhantomOptions::new(Nuclide::parse("I-131").unwrap());
        let options = PhantomOptions { views: Views::Outlined, ..usual };
        let protocol = protocols.find(name).unwrap();
        let mut course = SimulatedCourse::new(protocol, &options).unwrap();
        course.complete().unwrap();
        let patient = &course.cycles()[0];
        let case = Case::of(patient);
        for session in 0..patient.times().len() {
            for (way, found) in errors(&case, session, &mut None).iter().enumerate() {
                let (last, error) = found.last().unwrap();
                assert_eq!(last, WHOLE_BODY);
                let bound = [0.11, 0.05][way];
                assert!(error.abs() < bound, "{name} {session} {way}: {error}");
            }
        }
    }
}

#[test]
fn outlines_leave_backgrounds_clear_and_lie_mirrored_on_the_posterior_view() {
    let patient = patient("Lu-177");
    let drawn = super::outlines(&patient).unwrap();
    let (backgrounds, regions): (Vec<&Drawn>, Vec<&Drawn>) =
        drawn.iter().partition(|drawn| drawn.name.ends_with(BACKGROUND));
    assert_eq!(backgrounds.len(), regions.len() - 1);
    for background in &backgrounds {
        let own = background.name.strip_suffix(BACKGROUND).unwrap();
        let region = regions.iter().find(|region| region.name == own).unwrap();
        for other in regions.iter().filter(|other| other.name != WHOLE_BODY) {
            if !within(&region.mask, &other.mask) {
                assert_eq!(
                    count(&both(&background.mask, &other.mask)),
                    0.0,
                    "{own} {}",
                    other.name
                );
            }
        }
    }
    let kidney = regions.iter().find(|drawn| drawn.name == "Kidney Left").unwrap();
    let (rows, columns) = kidney.mask.dim();
    let stored = segment(&patient, kidney).voxels;
    assert_eq!(stored.len(), 2 * count(&kidney.mask) as usize);
    for voxel in stored {
        let (view, row, column) = (voxel / columns / rows, voxel / columns % rows, voxel % columns);
        let seen = if view == 0 { column } else { columns - 1 - column };
        assert!(kidney.mask[[row, seen]]);
        // The patient's left is on the right of the anterior view.
        assert_eq!(view == 0, column > columns / 2);
    }
}
