//! `grayd phantom`: the digital patient as files.

use super::{Failure, print_all};
use crate::config::Protocols;
use crate::phantom::{
    Body, DigitalPatient, PhantomError, PhantomOptions, SimulatedCourse, SliceOrder, SpectStorage,
    Views,
};
use crate::quantity::nuclide::Nuclide;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Write a digital patient with known truth: DICOM files, plan, truth.json.
///
/// SPECT/CT at several time points, an RTSTRUCT and a SEG of the regions, the treatment plan, and the dose
/// of every region in closed form.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  grayd phantom --output patient\n  \
    grayd phantom --output patient --nuclide I-131 --seed 7 --storage pet\n  \
    grayd phantom --output course --protocol lu177-quebec\n  \
    grayd phantom --output tracer --protocol y90-zevalin-liver\n  \
    grayd phantom --output views --protocol i131-tositumomab-wb --views-only")]
pub struct Phantom {
    /// Folder to write to; made where it is missing
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// What was administered
    #[arg(long, default_value = "Lu-177", conflicts_with = "protocol")]
    nuclide: String,
    /// A whole course by this protocol: every cycle with the images that it asks for, by its own rule
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,
    /// Another seed is another patient: uptakes, half-lives, UIDs, noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the activity images are stored
    #[arg(long, value_enum, default_value_t = Storage::Nm)]
    storage: Storage,
    /// In which order slices are stored; the patient is the same
    #[arg(long, value_enum, default_value_t = Order::Ascending)]
    order: Order,
    /// A patient, or a phantom for `grayd calibrate`
    #[arg(long, value_enum, default_value_t = Imaged::Patient, conflicts_with = "protocol")]
    body: Imaged,
    /// What the gamma camera acquires
    #[arg(long, value_enum, default_value_t = Acquired::Spect, conflicts_with = "protocol")]
    views: Acquired,
    /// Whole-body views alone: no CT, regions outlined on the views, a transmission scan and its blank; of a protocol
    /// that has such views
    #[arg(long, conflicts_with = "views")]
    views_only: bool,
    /// Poisson noise: counts in the first image; without it there is none
    #[arg(long, value_name = "COUNTS")]
    noise: Option<f64>,
    /// Resolution (FWHM) of the SPECT; the plan then corrects it by region, and a config.yaml knows it
    #[arg(long, value_name = "MM", conflicts_with = "protocol")]
    resolution_mm: Option<f64>,
    /// Place the patient anew for every session: frames of reference of their own, shifted by up to 12 mm and
    /// turned by up to 3 degrees along each axis, which the plan has registered
    #[arg(long, conflicts_with = "protocol")]
    moved: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Storage {
    /// NM Image, RECON TOMO
    Nm,
    /// PET Image, one instance a slice
    Pet,
    /// The first image as PET, the others as NM Image in counts of a camera without a calibration
    PetThenCounts,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Imaged {
    /// Organs and lesions with their kinetics
    Patient,
    /// A uniform cylinder: one SPECT in counts, and phantom.yaml in place of the plan
    Cylinder,
    /// Six hot spheres in a warm body, likewise
    Nema,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Acquired {
    /// SPECT/CT in every session
    Spect,
    /// Whole-body views in every session, one CT, and a config.yaml that knows the camera
    Planar,
    /// Whole-body views in every session, SPECT/CT in the second one
    Hybrid,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    /// Feet to head
    Ascending,
    /// Head to feet, negative spacing
    Descending,
    /// Head to feet, and the slice vector says so
    ReversedVector,
}

impl Phantom {
    pub fn run(self) -> Result<(), Failure> {
        let nuclide = Nuclide::parse(&self.nuclide)
            .map_err(|error| Failure::usage_of(&self.nuclide, &error))?;
        let body = match self.body {
            Imaged::Patient => Body::Patient,
            Imaged::Cylinder => Body::Cylinder,
            Imaged::Nema => Body::Nema,
        };
        let usual = PhantomOptions::of_body(nuclide, body);
        let options = PhantomOptions {
            // Room for what moves.
            spect_shape: if self.moved { [64; 3] } else { usual.spect_shape },
            resolution_mm: self.resolution_mm,
            moved: self.moved,
            seed: self.seed,
            storage: match self.storage {
                Storage::Nm => SpectStorage::NmReconTomo,
                Storage::Pet => SpectStorage::Pet,
                Storage::PetThenCounts => SpectStorage::PetThenCounts,
            },
            slice_order: match self.order {
                Order::Ascending => SliceOrder::Ascending,
                Order::Descending => SliceOrder::Descending,
                Order::ReversedVector => SliceOrder::ReversedVector,
            },
            views: match self.views {
                _ if self.views_only => Views::Outlined,
                Acquired::Spect => Views::Spect,
                Acquired::Planar => Views::Planar,
                Acquired::Hybrid => Views::Hybrid,
            },
            noise_counts: self.noise,
            ..usual
        };
        let usage = |error: PhantomError| Failure::Usage(error.to_string());
        let failed = |error: PhantomError| Failure::Failed(error.to_string());
        let paths = match &self.protocol {
            None => DigitalPatient::new(&options).map_err(usage)?.write(&self.output),
            Some(name) => course(name, &options)?.write(&self.output),
        };
        let paths = paths.map_err(failed)?;
        print_all(&format!("{} files below {}", paths.len(), self.output.display()))
    }
}

/// A course of a built-in protocol, to its end.
fn course(name: &str, options: &PhantomOptions) -> Result<SimulatedCourse, Failure> {
    let protocols = Protocols::load(None).map_err(Failure::Faults)?;
    let protocol = protocols.find(name).ok_or_else(|| {
        Failure::Usage(format!(
            "there is no protocol {name}; write one of {}",
            protocols.names().join(", ")
        ))
    })?;
    let usage = |error: PhantomError| Failure::Usage(error.to_string());
    let mut course = SimulatedCourse::new(protocol, options).map_err(usage)?;
    course.complete().map_err(usage)?;
    Ok(course)
}
