//! grayd: nuclear-medicine images in, absorbed dose out, as DICOM, without a click.
//!
//! The modules stand in the order in which one study passes through the house. A newcomer can
//! read them from top to bottom; `ARCHITECTURE.md` says what each may and may not know.

// The words everything else is said in.
pub mod config;
pub mod count;
pub mod nnls;
pub mod quantity;
pub mod volume;

// Bytes in: untrusted until the gate and the readers have turned them into values.
pub mod dicom;
pub mod node;
pub mod archive;
pub mod intake;
pub mod worklist;

// The chain: pure functions of typed values. No socket, file, clock or DICOM below this line ...
pub mod quantify;
pub mod register;
pub mod segment;
pub mod kinetics;
pub mod dose;
pub mod biology;
pub mod uncertainty;
pub mod prescribe;

// ... until the results are written down again and shown.
pub mod report;
pub mod pipeline;
pub mod phantom;
pub mod web;
pub mod service;
pub mod cli;
