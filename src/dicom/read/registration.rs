//! Spatial and Deformable Spatial Registration (PS3.3 A.39, C.20.2, C.20.3).
//!
//! The two run in opposite directions. A matrix maps source to registered: x_reg = M x_src. A
//! deformation says where to sample: x_src = post (pre x_reg + Δ(x_reg)).

use super::attribute::{
    Object, first_item, fixed, items, malformed, missing, referenced_instances, text, uid,
};
use super::error::ReadError;
use super::instance::Instance;
use crate::dicom::{PatientIdentity, Uid};
use crate::report::InputInstance;
use dicom_dictionary_std::{tags, uids};
use std::path::Path;

/// Row-major; acts on column vectors (x, y, z, 1), mm.
pub type Matrix = [[f64; 4]; 4];

/// Frame of Reference Transformation Matrix Type (0070,030C).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixKind {
    Rigid,
    RigidScale,
    Affine,
}

/// A point of the source goes to `matrix` × point in the registered frame.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixTransform {
    pub source_frame_of_reference: Option<Uid>,
    /// Images whose space is the source, where they are named.
    pub source_images: Vec<Uid>,
    pub kind: MatrixKind,
    pub matrix: Matrix,
}

/// Offsets at the nodes of a grid in the registered frame.
#[derive(Debug, Clone, PartialEq)]
pub struct DeformationGrid {
    /// Centre of the first node, LPS mm.
    pub origin_lps_mm: [f64; 3],
    /// Direction cosines of the grid's x and y; z is their cross product.
    pub axis_i: [f64; 3],
    pub axis_j: [f64; 3],
    /// Nodes along x, y, z.
    pub dimensions: [usize; 3],
    pub resolution_mm: [f64; 3],
    /// x fastest, mm; NaN where undefined.
    pub offsets_mm: Vec<[f32; 3]>,
}

/// One deformable registration: x_src = `post` (`pre` x_reg + offset at x_reg).
#[derive(Debug, Clone, PartialEq)]
pub struct Deformation {
    pub source_frame_of_reference: Option<Uid>,
    pub source_images: Vec<Uid>,
    pub pre: Matrix,
    /// `None`: no offset anywhere.
    pub grid: Option<DeformationGrid>,
    pub post: Matrix,
}

/// A registration instance of either kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    pub sop_instance: Uid,
    pub identity: PatientIdentity,
    pub source: InputInstance,
    /// The registered (target) frame of reference.
    pub registered_frame_of_reference: Uid,
    pub matrices: Vec<MatrixTransform>,
    pub deformations: Vec<Deformation>,
}

pub const IDENTITY: Matrix =
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

/// How far a RIGID matrix may be from a rotation, and two products from each other.
const MATRIX_TOLERANCE: f64 = 1e-3;

/// Most nodes of a deformation grid: 1 GiB of offsets.
const NODE_LIMIT: usize = (1 << 30) / 12;

/// Reads a spatial or deformable spatial registration.
///
/// # Errors
/// Another SOP class; a matrix that is not what its type says; a grid whose data does not fill it.
pub fn registration(path: &Path) -> Result<Registration, ReadError> {
    let instance = Instance::open(path)?;
    let root = instance.data_set();
    let registered = instance.frame_of_reference()?.ok_or_else(|| {
        missing(tags::FRAME_OF_REFERENCE_UID, "the registered frame is not known")
    })?;
    let (mut matrices, mut deformations) = (Vec::new(), Vec::new());
    match instance.sop_class.as_str() {
        uids::SPATIAL_REGISTRATION_STORAGE => {
            for item in items(root, tags::REGISTRATION_SEQUENCE) {
                matrices.push(matrix_item(item)?);
            }
        }
        uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE => {
            for item in items(root, tags::DEFORMABLE_REGISTRATION_SEQUENCE) {
                deformations.push(deformable_item(item)?);
            }
        }
        other => {
            return Err(ReadError::WrongKind {
                found: format!("an instance of SOP class {other}"),
                wanted: "a Spatial or Deformable Spatial Registration is wanted",
            });
        }
    }
    Ok(Registration {
        sop_instance: instance.source.sop_instance.clone(),
        identity: instance.identity(),
        source: instance.source.clone(),
        registered_frame_of_reference: registered,
        matrices,
        deformations,
    })
}

fn matrix_item(item: &Object) -> Result<MatrixTransform, ReadError> {
    let mut found = Vec::new();
    for registration in items(item, tags::MATRIX_REGISTRATION_SEQUENCE) {
        for matrix in items(registration, tags::MATRIX_SEQUENCE) {
            found.push(typed_matrix(matrix)?);
        }
    }
    let Some(&(first_kind, _)) = found.first() else {
        return Err(missing(tags::MATRIX_SEQUENCE, "a source has no transform"));
    };
    let kind = if found.iter().all(|&(kind, _)| kind == first_kind) {
        first_kind
    } else {
        MatrixKind::Affine
    };
    let forward = found.iter().fold(IDENTITY, |product, (_, m)| multiply(&product, m));
    let backward = found.iter().fold(IDENTITY, |product, (_, m)| multiply(m, &product));
    // Readers disagree on which item acts first; where that matters nobody should guess.
    if !near(&forward, &backward) {
        return Err(malformed(
            tags::MATRIX_SEQUENCE,
            "the result depends on the order of its items; write their product as one matrix",
        ));
    }
    Ok(MatrixTransform {
        source_frame_of_reference: uid(item, tags::FRAME_OF_REFERENCE_UID)?,
        source_images: referenced_instances(item, tags::REFERENCED_IMAGE_SEQUENCE)?,
        kind,
        matrix: forward,
    })
}

fn typed_matrix(item: &Object) -> Result<(MatrixKind, Matrix), ReadError> {
    let tag = tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX;
    let flat = fixed::<16>(item, tag)?.ok_or_else(|| missing(tag, "there is no transform"))?;
    let matrix: Matrix = std::array::from_fn(|row| std::array::from_fn(|c| flat[4 * row + c]));
    let kind = match text(item, tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX_TYPE).as_deref() {
        Some("RIGID") => MatrixKind::Rigid,
        Some("RIGID_SCALE") => MatrixKind::RigidScale,
        Some("AFFINE") => MatrixKind::Affine,
        _ => {
            let tag = tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX_TYPE;
            return Err(malformed(tag, "RIGID, RIGID_SCALE or AFFINE is wanted"));
        }
    };
    let last_row = matrix[3];
    let projective = (0..4).any(|c| (last_row[c] - IDENTITY[3][c]).abs() > MATRIX_TOLERANCE);
    if projective || determinant(&matrix) <= 0.0 {
        return Err(malformed(tag, "it mirrors, flattens or is no affine map"));
    }
    if kind == MatrixKind::Rigid && !is_rotation(&matrix) {
        return Err(malformed(tag, "it is called RIGID but is no rotation with translation"));
    }
    Ok((kind, matrix))
}

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|r| std::array::from_fn(|c| (0..4).map(|n| a[r][n] * b[n][c]).sum()))
}

fn near(a: &Matrix, b: &Matrix) -> bool {
    (0..4).all(|r| (0..4).all(|c| (a[r][c] - b[r][c]).abs() <= MATRIX_TOLERANCE))
}

fn determinant(m: &Matrix) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

fn is_rotation(m: &Matrix) -> bool {
    (0..3).all(|a| {
        (0..3).all(|b| {
            let product: f64 = (0..3).map(|n| m[a][n] * m[b][n]).sum();
            (product - f64::from(a == b)).abs() <= MATRIX_TOLERANCE
        })
    })
}

fn deformable_item(item: &Object) -> Result<Deformation, ReadError> {
    let matrix = |sequence| -> Result<Matrix, ReadError> {
        match first_item(item, sequence) {
            Some(item) => typed_matrix(item).map(|(_, matrix)| matrix),
            None => Ok(IDENTITY),
        }
    };
    Ok(Deformation {
        source_frame_of_reference: uid(item, tags::SOURCE_FRAME_OF_REFERENCE_UID)?,
        source_images: referenced_instances(item, tags::REFERENCED_IMAGE_SEQUENCE)?,
        pre: matrix(tags::PRE_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE)?,
        grid: first_item(item, tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE)
            .map(grid)
            .transpose()?,
        post: matrix(tags::POST_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE)?,
    })
}

fn grid(item: &Object) -> Result<DeformationGrid, ReadError> {
    const NEEDED: &str = "the deformation has no grid";
    let need3 = |tag| fixed::<3>(item, tag)?.ok_or_else(|| missing(tag, NEEDED));
    let dimensions = need3(tags::GRID_DIMENSIONS)?.map(|n| n as usize);
    let nodes = dimensions.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let nodes = nodes.filter(|n| (1..=NODE_LIMIT).contains(n)).ok_or_else(|| {
        malformed(tags::GRID_DIMENSIONS, format!("1 to {NODE_LIMIT} nodes are wanted"))
    })?;
    let tag = tags::VECTOR_GRID_DATA;
    let element = item.get(tag).ok_or_else(|| missing(tag, NEEDED))?;
    let bytes = element.to_bytes().map_err(|_| malformed(tag, "it holds no bytes"))?;
    if bytes.len() != nodes * 12 {
        let reason = format!("{} bytes are wanted, not {}", nodes * 12, bytes.len());
        return Err(malformed(tag, reason));
    }
    let offsets_mm = bytes
        .chunks_exact(12)
        .map(|node| {
            std::array::from_fn(|c| {
                f32::from_le_bytes([node[4 * c], node[4 * c + 1], node[4 * c + 2], node[4 * c + 3]])
            })
        })
        .collect();
    let tag = tags::IMAGE_ORIENTATION_PATIENT;
    let axes = fixed::<6>(item, tag)?.ok_or_else(|| missing(tag, NEEDED))?;
    Ok(DeformationGrid {
        origin_lps_mm: need3(tags::IMAGE_POSITION_PATIENT)?,
        axis_i: [axes[0], axes[1], axes[2]],
        axis_j: [axes[3], axes[4], axes[5]],
        dimensions,
        resolution_mm: need3(tags::GRID_RESOLUTION)?,
        offsets_mm,
    })
}
