//! The node against scripted peers that break every rule, and against DCMTK and pynetdicom that
//! keep them.

// In this binary everything is a test, the scripted peer included.
#![allow(clippy::unwrap_used)]

mod peer;

#[path = "node/abuse.rs"]
mod abuse;
#[path = "node/commitment.rs"]
mod commitment;
#[path = "node/committing.rs"]
mod committing;
#[path = "node/fetching.rs"]
mod fetching;
#[path = "node/interop.rs"]
mod interop;
#[path = "node/retrieval.rs"]
mod retrieval;
#[path = "node/secured.rs"]
mod secured;
#[path = "node/sending.rs"]
mod sending;
#[path = "node/storing.rs"]
mod storing;
#[path = "node/worklist.rs"]
mod worklist;
mod site;
