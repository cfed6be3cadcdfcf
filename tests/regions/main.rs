//! Regions from files to results: made here, measured by others, written for others.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[path = "../report/peer.rs"]
#[allow(dead_code)] // its validator is for reports
mod peer;

mod counts;
mod deformed;
mod effects;
mod made;
mod measured;
mod pairs;
mod quantitative;
mod registered;
mod written;
