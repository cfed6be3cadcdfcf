//! The state machine (PS3.4 table CC.1.1-2): which request is granted in which state.

use super::refusal::{self, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum State {
    Scheduled,
    InProgress,
    Completed,
    Canceled,
}

impl State {
    const ALL: [Self; 4] = [Self::Scheduled, Self::InProgress, Self::Completed, Self::Canceled];

    /// As Procedure Step State (0074,1000) has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::InProgress => "IN PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text.trim())
    }

    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }

    /// Whether a step goes from this state to another at the request of somebody who gives a
    /// Transaction UID; `is_right`: it is that of the step, or there is none yet and it may become it.
    pub(super) fn change(self, to: Self, is_right: bool) -> Result<(), Refusal> {
        match (to, self) {
            (Self::Scheduled, _) => Err(refusal::ONLY_BY_CREATION),
            _ if !is_right => Err(refusal::WRONG_TRANSACTION),
            (Self::InProgress, Self::Scheduled) => Ok(()),
            (Self::InProgress, Self::InProgress) => Err(refusal::IN_PROGRESS),
            (Self::InProgress, _) => Err(refusal::ENDED),
            (_, Self::Scheduled) => Err(refusal::NOT_IN_PROGRESS),
            (_, Self::InProgress) => Ok(()),
            (Self::Completed, Self::Completed) => Err(refusal::ALREADY_COMPLETED),
            (Self::Canceled, Self::Canceled) => Err(refusal::ALREADY_CANCELED),
            _ => Err(refusal::ENDED),
        }
    }

    /// Whether its attributes may be set.
    pub(super) fn set(self, is_right: bool) -> Result<(), Refusal> {
        match self {
            Self::Completed | Self::Canceled => Err(refusal::ENDED),
            Self::Scheduled => Err(refusal::NOT_IN_PROGRESS),
            Self::InProgress if !is_right => Err(refusal::WRONG_TRANSACTION),
            Self::InProgress => Ok(()),
        }
    }

    /// Whether it can be called off by somebody who has it not in hand.
    pub(super) fn call_off(self, is_ours: bool) -> Result<(), Refusal> {
        match self {
            Self::Scheduled => Ok(()),
            Self::InProgress if is_ours => Ok(()),
            Self::InProgress => Err(refusal::UNREACHABLE),
            Self::Completed => Err(refusal::COMPLETED),
            Self::Canceled => Err(refusal::ALREADY_CANCELED),
        }
    }
}
