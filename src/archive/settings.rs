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
    /// Every object is read back and compared with its hash once in so many days; 0 never does.
    pub scrub_days: u32,
    pub retention: RetentionSettings,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            directory: "/var/lib/grayd".into(),
            reserve_mb: 1024,
            instance_limit_mb: 4096,
            quarantine_days: 90,
            scrub_days: 7,
            retention: RetentionSettings::default(),
        }
    }
}

/// `storage.retention:` what may be deleted, and when. Whatever is set, nothing goes of a patient with
/// a plan in the folder of plans, nor what a job waits for, nor a result that a peer has not confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    pub delete: Delete,
    /// Nothing goes before so many days have passed since the last instance of its study came.
    pub keep_days: u32,
    /// `when-full`: begins when so much of the disk is used, percent; 1 to 99.
    pub above_percent: u8,
    /// `when-full`: ends when no more than so much is used, percent; below `above_percent`.
    pub down_to_percent: u8,
    /// Also what others sent, who have it still. Without it only the node's own results go.
    pub received: bool,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            delete: Delete::Never,
            keep_days: 365,
            above_percent: 85,
            down_to_percent: 75,
            received: false,
        }
    }
}

/// When anything is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delete {
    Never,
    /// Oldest studies first, while the disk is fuller than it may be.
    WhenFull,
    /// As soon as `keep_days` are over.
    ByAge,
}
