//! The place of views that state none: found on the CT by their counts, or refused.

use super::super::error::parked;
use super::super::inputs::Inputs;
use super::super::placement;
use super::super::space::Space;
use super::super::tissue;
use super::super::{PipelineError, Request};
use super::geometry::{Scene, Seat};
use super::templates;
use crate::config::camera::PlanarSettings;
use crate::dicom::read::Planar;
use crate::quantify::CONSTANTS;
use crate::quantify::planar::{Located, NetRate, Raster, Template, locate};
use crate::quantity::{KiloElectronvolt, Warning};
use crate::volume::{Grid, Transform, dot};
use ndarray::Axis;

/// What the views hold beside their place.
pub struct Views<'a> {
    pub scan: &'a Planar,
    pub rates: &'a [NetRate; 2],
    pub settings: &'a PlanarSettings,
    pub photopeak: KiloElectronvolt,
    pub attenuation_ratio: f64,
}

/// The scan in the frame of reference of a CT that the regions reach, where its counts lie on it, and
/// what to say of that.
///
/// # Errors
/// No CT; counts that the regions over the CT explain too little of, or elsewhere nearly as much of.
pub fn find(
    inputs: &Inputs,
    views: &Views<'_>,
    request: &Request,
) -> Result<(Planar, Seat, Warning), PipelineError> {
    let scan = views.scan;
    let (index, frame) = ct(inputs, scan)?;
    let ct = &inputs.cts[index];
    let mut placed = scan.with_image(scan.image.clone());
    placed.frame_of_reference = Some(frame);
    // A raster of the same pixels that covers the whole CT, whatever the views hold of it.
    placed.image.raster = covering(&scan.image.raster, ct.hu.grid())?;
    let seat = Seat { ct: index, to_ct: Transform::Identity };
    let scene = Scene::of(inputs, &placed, &seat, views.photopeak, views.attenuation_ratio)?;
    let space = Space::of_ct(ct);
    let order = &request.plan.parameters.regions.order;
    let mut regions = placement::shares_on(inputs, order, &space, &scene.grid)?;
    if let Some(rest) = regions.last_mut() {
        rest.own = tissue::of_rest(&rest.own, &scene.tissue);
    }
    let projector = crate::quantify::planar::Projector::new(&scene.attenuation);
    let templates = templates(&projector, &regions, views.settings)?;
    let templates: Vec<Template> = templates.into_iter().map(|t| scene.by_rows(t)).collect();
    let bin = scene.bin();
    let rates = [binned(&views.rates[0], bin), binned(&views.rates[1], bin)];
    let spacing = scan.image.raster.spacing_mm;
    let pixel_mm = [spacing[1] * bin as f64, spacing[0] * bin as f64];
    let found = locate(&rates, &templates, pixel_mm, CONSTANTS.view_elsewhere.value);
    let found = found.ok_or_else(|| {
        PipelineError::Parked("the views hold no counts, or less of the CT than half".into())
    })?;
    judge(&found)?;
    let first = origin(&scan.image.raster, &scene, &found, bin);
    placed.image.raster = Raster { origin_lps_mm: Some(first), ..scan.image.raster.clone() };
    let text = format!(
        "planar series {} states no place on a CT and was placed on CT series {} by its counts: the \
         regions explain {:.1} % of their variance there, and {:.1} % at the best place elsewhere; the first \
         pixel lies at x {:.1} mm, z {:.1} mm; look at the views over the CT",
        scan.series,
        ct.series,
        100.0 * found.explained,
        100.0 * found.elsewhere,
        first[0],
        first[2]
    );
    Ok((placed, seat, Warning::new("views-placed-by-counts", text)))
}

/// The largest CT, of the views' study before another's, that every region can be carried to.
fn ct(inputs: &Inputs, scan: &Planar) -> Result<(usize, crate::dicom::Uid), PipelineError> {
    let mut best: Option<((bool, f64), usize, crate::dicom::Uid)> = None;
    for (index, ct) in inputs.cts.iter().enumerate() {
        let Some(frame) = ct.frame_of_reference.clone() else { continue };
        if !placement::reached(inputs, &Space::of_ct(ct))? {
            continue;
        }
        let grid = ct.hu.grid();
        let size = grid.voxel_volume().value() * grid.len() as f64;
        let rank = (ct.study.study == scan.study.study, size);
        if best.as_ref().is_none_or(|(other, ..)| rank > *other) {
            best = Some((rank, index, frame));
        }
    }
    best.map(|(_, index, frame)| (index, frame)).ok_or_else(|| {
        PipelineError::Parked(
            "no CT lies in the frame of reference of the views, so attenuation is not known; send the CT \
             of the course that the regions lie on, or a Spatial Registration object"
                .into(),
        )
    })
}

fn judge(found: &Located) -> Result<(), PipelineError> {
    let (least, apart) =
        (CONSTANTS.view_explained_min.value, CONSTANTS.view_elsewhere_ratio_min.value);
    let ratio = (1.0 - found.elsewhere) / (1.0 - found.explained).max(f64::EPSILON);
    if found.explained >= least && ratio >= apart {
        return Ok(());
    }
    Err(PipelineError::Parked(format!(
        "Image Position (Patient) (0020,0032) or the frame of reference of the CT is missing, and the \
         counts do not say where the views lie: the regions explain {:.1} % of their variance at the best \
         place (at least {:.0} % are asked for) and {:.1} % elsewhere (what is left must be {apart} times \
         as much); draw the regions that take up activity, or send the views with position and Frame of \
         Reference UID (0020,0052) of the CT or of a registration",
        100.0 * found.explained,
        100.0 * least,
        100.0 * found.elsewhere
    )))
}

/// The views' pixels over a whole CT.
fn covering(raster: &Raster, ct: &Grid) -> Result<Raster, PipelineError> {
    let axes = raster.axes;
    let mut ends = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
    for corner in 0..8 {
        let ijk = std::array::from_fn(|a| {
            if corner >> a & 1 == 1 { ct.shape()[2 - a] as f64 - 0.5 } else { -0.5 }
        });
        let at = ct.voxel_to_lps(ijk);
        for (ends, axis) in ends.iter_mut().zip(axes) {
            *ends = [ends[0].min(dot(at, axis)), ends[1].max(dot(at, axis))];
        }
    }
    let count = |n: usize| ((ends[n][1] - ends[n][0]) / raster.spacing_mm[n]).floor() as usize;
    let [columns, rows] = [count(0), count(1)];
    if rows == 0 || columns == 0 {
        return Err(parked("the CT of the views", "it is smaller than a pixel of theirs"));
    }
    let first = |n: usize| ends[n][0] + raster.spacing_mm[n] / 2.0;
    let origin = std::array::from_fn(|c| axes[0][c] * first(0) + axes[1][c] * first(1));
    Ok(Raster { rows, columns, origin_lps_mm: Some(origin), ..raster.clone() })
}

/// `bin` × `bin` pixels in one; what is left over at the end is left out.
fn binned(rate: &NetRate, bin: usize) -> NetRate {
    let sum = |all: &ndarray::Array2<f64>| {
        let (rows, columns) = (all.nrows() / bin, all.ncols() / bin);
        let mut out = ndarray::Array2::zeros((rows, columns));
        for ((r, c), value) in out.indexed_iter_mut() {
            let part = ndarray::s![r * bin..(r + 1) * bin, c * bin..(c + 1) * bin];
            *value = all.slice(part).sum();
        }
        out
    };
    NetRate { cps: sum(&rate.cps), variance: sum(&rate.variance) }
}

/// Centre of the views' first pixel, from where the templates lie in them.
fn origin(raster: &Raster, scene: &Scene, found: &Located, bin: usize) -> [f64; 3] {
    let first = scene.first_pixel();
    let middle = (bin as f64 - 1.0) / 2.0;
    let [row, column] = found.shift.map(|shift| shift * bin as f64 + middle);
    let [columns, rows] = raster.axes;
    let [dx, dy] = raster.spacing_mm;
    std::array::from_fn(|c| first[c] - columns[c] * column * dx - rows[c] * row * dy)
}

impl Scene {
    /// A template with its rows in the order of the views'.
    fn by_rows(&self, template: Template) -> Template {
        let turned = template.cps_per_mbq.map(|mut view| {
            if self.is_upward() {
                view.invert_axis(Axis(0));
            }
            view.as_standard_layout().into_owned()
        });
        Template { cps_per_mbq: turned, ..template }
    }

    /// Centre of the pixel of the first row and column.
    fn first_pixel(&self) -> [f64; 3] {
        let last = (self.grid.shape()[0] - 1) as f64;
        self.grid.voxel_to_lps([0.0, 0.0, if self.is_upward() { last } else { 0.0 }])
    }
}
