//! Outlines on the raster of one scan.

use super::super::attribute::{Code, malformed};
use super::super::error::ReadError;
use super::super::planar::{Planar, StoredView};
use super::{OutlinedFrame, OutlinedSegment, ViewOutlines};
use crate::quantify::planar::{View, ViewOutline};
use dicom_dictionary_std::tags;
use ndarray::Array2;

/// A region as it was outlined on a scan, with what its segments say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlinedRegion {
    pub outline: ViewOutline,
    pub anatomy: Option<Code>,
    pub laterality: Option<Code>,
    /// On which of [`View::BOTH`] it was outlined; the other's mask is the same where it was on one.
    pub outlined: [bool; 2],
}

impl ViewOutlines {
    /// The outlines of this object alone: see [`outlines_on`].
    ///
    /// # Errors
    /// As of [`outlines_on`].
    pub fn on(&self, scan: &Planar) -> Result<Vec<OutlinedRegion>, ReadError> {
        outlines_on(std::slice::from_ref(self), scan)
    }
}

/// The regions that were outlined on a scan's views, in the order of objects and segments; none where no
/// object was drawn on it. A region may be outlined in several objects, one a view: it is known by its label.
///
/// # Errors
/// A frame that leaves open which view it was drawn on, or has other pixels; a region that has two outlines on
/// one view, or two anatomies.
pub fn outlines_on(
    objects: &[ViewOutlines],
    scan: &Planar,
) -> Result<Vec<OutlinedRegion>, ReadError> {
    let mut objects: Vec<&ViewOutlines> = objects.iter().collect();
    objects.sort_by(|a, b| a.sop_instance.cmp(&b.sop_instance));
    let mut found: Vec<Drawn<'_>> = Vec::new();
    for object in objects {
        for segment in &object.segments {
            for frame in &segment.frames {
                let Some(view) = view_of(frame, scan, segment)? else { continue };
                let mask = mask(object, segment, frame, view, scan)?;
                let at = match found.iter().position(|region| region.label == segment.label) {
                    Some(at) => at,
                    None => {
                        found.push(Drawn::of(segment));
                        found.len() - 1
                    }
                };
                found[at].add(segment, view.view, mask)?;
            }
        }
    }
    Ok(found.into_iter().filter_map(Drawn::finish).collect())
}

/// A region in the making.
struct Drawn<'a> {
    label: &'a str,
    anatomy: Option<&'a Code>,
    laterality: Option<&'a Code>,
    masks: [Option<Array2<bool>>; 2],
}

impl<'a> Drawn<'a> {
    fn of(segment: &'a OutlinedSegment) -> Self {
        Self {
            label: &segment.label,
            anatomy: segment.anatomy.as_ref(),
            laterality: segment.laterality.as_ref(),
            masks: [None, None],
        }
    }

    fn add(
        &mut self,
        segment: &OutlinedSegment,
        view: View,
        mask: Array2<bool>,
    ) -> Result<(), ReadError> {
        let codes = (segment.anatomy.as_ref(), segment.laterality.as_ref());
        if codes != (self.anatomy, self.laterality) {
            return Err(ReadError::Contradiction(format!(
                "segments labelled {} name two anatomies; rename one",
                self.label
            )));
        }
        let place = View::BOTH.iter().position(|one| *one == view).unwrap_or_default();
        match &self.masks[place] {
            Some(other) if *other != mask => Err(ReadError::Contradiction(format!(
                "region {} has two different outlines on the {} view of one scan; send one",
                self.label,
                view.name()
            ))),
            _ => {
                self.masks[place] = Some(mask);
                Ok(())
            }
        }
    }

    fn finish(self) -> Option<OutlinedRegion> {
        let outlined = self.masks.each_ref().map(Option::is_some);
        let masks = match self.masks {
            [Some(front), Some(back)] => [front, back],
            [Some(one), None] | [None, Some(one)] => [one.clone(), one],
            [None, None] => return None,
        };
        Some(OutlinedRegion {
            outline: ViewOutline { name: self.label.to_owned(), masks },
            anatomy: self.anatomy.cloned(),
            laterality: self.laterality.cloned(),
            outlined,
        })
    }
}

/// The scan's view that a frame was drawn on, whichever of its energy windows was shown; `None` where it was
/// drawn on none of this scan.
fn view_of<'s>(
    frame: &OutlinedFrame,
    scan: &'s Planar,
    segment: &OutlinedSegment,
) -> Result<Option<&'s StoredView>, ReadError> {
    let mut found: Option<&StoredView> = None;
    for source in &frame.drawn_on {
        let mut own = scan.stored.iter().filter(|view| view.instance == source.instance).peekable();
        if own.peek().is_none() {
            continue;
        }
        let mut named = own.filter(|v| source.frame.is_none_or(|n| n == v.frame)).peekable();
        if named.peek().is_none() {
            return Err(malformed(
                tags::REFERENCED_FRAME_NUMBER,
                format!(
                    "instance {} has no frame {}, which segment {} names",
                    source.instance,
                    source.frame.unwrap_or_default(),
                    segment.label
                ),
            ));
        }
        for view in named {
            match found {
                Some(other) if (other.view, other.mirrored) != (view.view, view.mirrored) => {
                    return Err(malformed(
                        tags::REFERENCED_FRAME_NUMBER,
                        format!(
                            "segment {} has a frame for several views at once, which do not have the \
                             same pixels; name the frames of one view",
                            segment.label
                        ),
                    ));
                }
                _ => found = Some(view),
            }
        }
    }
    Ok(found)
}

/// The pixels of a frame on the scan's raster.
fn mask(
    object: &ViewOutlines,
    segment: &OutlinedSegment,
    frame: &OutlinedFrame,
    view: &StoredView,
    scan: &Planar,
) -> Result<Array2<bool>, ReadError> {
    let raster = &scan.image.raster;
    let (rows, columns) = object.size;
    if (rows, columns) != (raster.rows, raster.columns) {
        return Err(ReadError::Geometry(format!(
            "segment {} has {rows} rows and {columns} columns, the {} view of series {} has {} and {}; \
             draw on the view as it is stored",
            segment.label,
            view.view.name(),
            scan.series,
            raster.rows,
            raster.columns
        )));
    }
    let mut mask = Array2::from_elem(object.size, false);
    for &at in &frame.pixels {
        let at = at as usize;
        mask[[at / columns, at % columns]] = true;
    }
    Ok(view.on_raster(mask))
}
