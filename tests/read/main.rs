//! Readers and quantification against real data (where it is at hand) and against images built
//! here, whose activity is known in closed form.

#![allow(clippy::unwrap_used, reason = "these are tests, their builders too")]

mod build;
mod codecs;
mod ct;
mod nm;
mod outlines;
#[path = "../report/peer.rs"]
#[allow(dead_code, reason = "other tests ask more of peers")]
mod peer;
mod pet;
mod planar;
mod real;
mod regions;
mod transmission;
