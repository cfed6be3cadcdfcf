//! What we write, read by others: DCMTK, dicom3tools, pydicom, highdicom, plastimatch, SimpleITK.

mod peer;
mod phantom;
mod results;
