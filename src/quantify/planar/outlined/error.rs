//! Why outlined regions give no activity.

/// A typed refusal, with the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OutlineError {
    #[error("region {region} has no pixel in the {view} view; outline it there, or leave it out")]
    Empty { region: String, view: &'static str },
    #[error(
        "the outline of {region} is of {found:?} rows and columns, the {view} view of {wanted:?}"
    )]
    Raster { region: String, view: &'static str, found: (usize, usize), wanted: (usize, usize) },
    #[error(
        "region {region} has {percent:.0} % of its {view} pixels to itself, at least {least:.0} % are needed: \
         {others} lie over it; leave {region} out, outline them as one region, or send a CT, over which views are \
         unmixed"
    )]
    Covered { region: String, view: &'static str, percent: f64, least: f64, others: String },
    #[error(
        "{background} has no pixel of its own in the {view} view: what it holds lies in regions; outline it where \
         no region lies"
    )]
    BackgroundCovered { background: String, view: &'static str },
    #[error(
        "region {region} is {own_mm:.0} mm thick and the body there {body_mm:.0} mm; correct `quantification: \
         views: region_thickness_mm` or `body_thickness_mm` (both of soft tissue that attenuates as much)"
    )]
    ThickerThanBody { region: String, own_mm: f64, body_mm: f64 },
    #[error(
        "the transmission scan has too few counts behind region {region}; scan longer or with a stronger source, \
         or state `quantification: views: body_thickness_mm` in its place"
    )]
    NoDepth { region: String },
    #[error(
        "region {region} counts {below:.1} standard uncertainties less than its background in the {view} view; \
         outline the background where the tissue before and behind the region lies, without other uptake"
    )]
    BelowBackground { region: String, view: &'static str, below: f64 },
    #[error(
        "region {region} stands out of its background in the {seen} view and not in the {unseen} one, so there is no \
         geometric mean; leave the region out, or send a CT, over which views are unmixed"
    )]
    SeenFromOneSide { region: String, seen: &'static str, unseen: &'static str },
}
