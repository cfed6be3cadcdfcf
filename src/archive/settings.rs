//! What can be set about storage: the `storage:` section of the configuration.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `storage:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// Holds index, objects, quarantine and what is on its way in. Made where it is missing.
    pub directory: PathBuf,
    /// Free space that is never filled with instances, MiB; below it senders get status A700.
    pub reserve_mb: u64,
    /// Largest instance, MiB; 1 to 16,384.
    pub instance_limit_mb: u64,
    /// How long quarantined objects are kept, days; 0 keeps them for good.
    pub quarantine_days: u32,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            directory: "/var/lib/grayd".into(),
            reserve_mb: 1024,
            instance_limit_mb: 4096,
            quarantine_days: 90,
        }
    }
}
