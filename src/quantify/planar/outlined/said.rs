//! What a reader must know of outlined regions, by kind.

use super::pixels::{Area, Background};
use super::{OutlinedRegion, OutlinedScan, covers_body, names};
use crate::quantify::planar::View;
use crate::quantity::Warning;

/// What a reader must know, by region.
#[derive(Default)]
pub(super) struct Said {
    shared: Vec<String>,
    within: Vec<String>,
    bare: Vec<String>,
    thin: Vec<String>,
    pub cleared: Vec<String>,
    unused: Vec<String>,
}

impl Said {
    pub fn of_areas(&mut self, scan: &OutlinedScan<'_>, name: &str, areas: &[Area; 2]) {
        let names = |indices: &[usize]| {
            let names = indices.iter().map(|&n| scan.regions[n].outline.name.as_str());
            names.collect::<Vec<_>>().join(" and ")
        };
        for (view, area) in View::BOTH.into_iter().zip(areas) {
            let percent = |part: usize| 100.0 * part as f64 / area.outlined as f64;
            if !area.shared_with.is_empty() {
                self.shared.push(format!(
                    "{name} with {} ({}, {:.0} %)",
                    names(&area.shared_with),
                    view.name(),
                    percent(area.shared)
                ));
            }
            if !area.inner.is_empty() {
                self.within.push(format!("{} in {name} ({})", names(&area.inner), view.name()));
            }
        }
    }

    pub fn of_region(&mut self, region: &OutlinedRegion<'_>, background: Option<&Background>) {
        let name = &region.outline.name;
        if background.is_none() {
            self.bare.push(name.clone());
        }
        if region.thickness.is_none() && !covers_body(name) {
            self.thin.push(name.clone());
        }
    }

    pub fn unused(&mut self, scan: &OutlinedScan<'_>) {
        let regions: Vec<&str> = scan.regions.iter().map(|r| r.outline.name.as_str()).collect();
        let unused = scan
            .backgrounds
            .iter()
            .filter(|b| !names::is_background_of_any(&b.outline.name, &regions));
        self.unused.extend(unused.map(|b| b.outline.name.clone()));
    }

    pub fn warnings(self) -> Vec<Warning> {
        let all = [
            (
                "views-overlap",
                self.shared,
                "regions share pixels of a view, which are counted in neither: the rest of each was scaled to \
                 its whole outline",
            ),
            (
                "views-within",
                self.within,
                "an outline lies within another: its pixels are not counted in the outer region, whose rate is \
                 that of the others scaled to its whole outline",
            ),
            (
                "views-no-background",
                self.bare,
                "no background was subtracted: activity before and behind the region is counted as its own; outline \
                 `X background` beside region X, or one `background`",
            ),
            (
                "views-thin-source",
                self.thin,
                "no thickness of the region is stated: it was taken as thin, without self-attenuation and with \
                 the whole background before and behind it; state `quantification: views: region_thickness_mm`",
            ),
            (
                "views-nothing-above-background",
                self.cleared,
                "the net rate is not above zero: the activity is taken as 0, and its uncertainty is not known",
            ),
            (
                "views-background-unused",
                self.unused,
                "a background of a region that is not outlined was not used; correct its name",
            ),
        ];
        let said = all.into_iter().filter(|(_, of, _)| !of.is_empty());
        said.map(|(code, of, text)| Warning::new(code, format!("{}: {text}", of.join(", "))))
            .collect()
    }
}
