//! Is a series complete? By its declared count, by its geometry and by a quiet time: no transfer
//! says that it was the last (PS3.4 knows no end of series).

use super::{Series, SeriesKind, Why};
use jiff::{SignedDuration, Timestamp};

/// A gap between neighbouring slices this many times the usual one means that some are missing.
const GAP_RATIO: f64 = 1.5;

/// Whether a series can be used now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Completion {
    Complete,
    /// Instances may still be on their way until this instant.
    Settling(Timestamp),
    /// Only more instances help; what is so.
    Missing(String),
}

impl Completion {
    pub(super) fn why(&self) -> Why {
        match self {
            Self::Missing(_) => Why::InstancesMissing,
            Self::Complete | Self::Settling(_) => Why::Settling,
        }
    }
}

/// A multi-frame object is complete as it comes; single slices by declared count, else by
/// geometry after the quiet time.
pub(super) fn of(series: &Series<'_>, now: Timestamp, settle_seconds: u32) -> Completion {
    let header = &series.first().header;
    let slices = matches!(header.modality.as_str(), "CT" | "PT")
        && matches!(series.kind, SeriesKind::Emission | SeriesKind::Companion(_))
        && series.instances.iter().all(|instance| instance.header.frames <= 1);
    if !slices {
        return Completion::Complete;
    }
    let declared = header.declared_slices.map(|slices| {
        u64::from(slices) * u64::from(header.declared_time_slices.unwrap_or(1).max(1))
    });
    let count = series.instances.len() as u64;
    if declared == Some(count) && missing_slice(series).is_none() {
        return Completion::Complete;
    }
    let settled = series
        .received()
        .checked_add(SignedDuration::from_secs(settle_seconds.into()))
        .unwrap_or(Timestamp::MAX);
    if now < settled {
        return Completion::Settling(settled);
    }
    if let Some(declared) = declared
        && count < declared
    {
        return Completion::Missing(format!("{count} of {declared} slices have come"));
    }
    match missing_slice(series) {
        Some(position_mm) => Completion::Missing(format!(
            "{count} slices have come, but some are missing near {position_mm:.1} mm along the \
             slice axis"
        )),
        None => Completion::Complete,
    }
}

/// Where the distance between neighbours is out of line, mm. Slices without a position say
/// nothing here: the reader refuses them with its own reason.
fn missing_slice(series: &Series<'_>) -> Option<f64> {
    let mut positions: Vec<f64> = series
        .instances
        .iter()
        .filter_map(|instance| instance.header.slice_position_mm)
        .filter(|position| position.is_finite())
        .collect();
    positions.sort_by(f64::total_cmp);
    // Repeated positions are time slices or beds that overlap, not gaps.
    positions.dedup_by(|a, b| (*a - *b).abs() < 1e-3);
    let mut gaps: Vec<f64> = positions.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let widest = positions.windows(2).max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])))?;
    gaps.sort_by(f64::total_cmp);
    let usual = gaps[gaps.len() / 2];
    // Two slices have one gap: nothing to compare with.
    (gaps.len() > 1 && widest[1] - widest[0] > GAP_RATIO * usual)
        .then(|| (widest[0] + widest[1]) / 2.0)
}
