//! Our own application entity: under which title, within which limits and with which certificate we
//! speak with peers, whoever has called whom.

use super::ae_title::{AeTitle, AeTitleError};
use super::settings::{Limits, NodeSettings};
use super::tls::Tls;

#[derive(Clone)]
pub struct LocalAe {
    pub title: AeTitle,
    pub limits: Limits,
    /// What connections are secured with, where that is configured.
    pub tls: Option<Tls>,
}

impl LocalAe {
    /// Without TLS.
    ///
    /// # Errors
    /// A title that is none.
    pub fn plain(title: &str, limits: Limits) -> Result<Self, AeTitleError> {
        Ok(Self { title: AeTitle::parse(title)?, limits, tls: None })
    }

    /// Of the configuration; reads the files of `node.tls`.
    ///
    /// # Errors
    /// A title that is none, or a file that cannot be used.
    pub fn open(settings: &NodeSettings) -> Result<Self, String> {
        let plain = Self::plain(&settings.ae_title, settings.limits.clone())
            .map_err(|error| format!("ae_title: {error}"))?;
        Ok(Self { tls: settings.tls.as_ref().map(Tls::load).transpose()?, ..plain })
    }
}
