//! The upper layer's state machine as data: PS3.8 table 9-10, 19 events by 13 states.
//!
//! The machine knows no socket: an event goes in, the action of the cell comes out, and every
//! action names the state it leads to. A cell that the standard leaves empty is an error of the
//! caller or of the peer and ends the association; it never panics.

/// States of PS3.8 section 9.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Idle.
    Sta1 = 1,
    /// Transport open, awaiting A-ASSOCIATE-RQ.
    Sta2,
    /// Awaiting the local A-ASSOCIATE response.
    Sta3,
    /// Awaiting the transport to open.
    Sta4,
    /// Awaiting A-ASSOCIATE-AC or -RJ.
    Sta5,
    /// Established.
    Sta6,
    /// Awaiting A-RELEASE-RP.
    Sta7,
    /// Awaiting the local A-RELEASE response.
    Sta8,
    /// Release collision, requestor: awaiting the local response.
    Sta9,
    /// Release collision, acceptor: awaiting A-RELEASE-RP.
    Sta10,
    /// Release collision, requestor: awaiting A-RELEASE-RP.
    Sta11,
    /// Release collision, acceptor: awaiting the local response.
    Sta12,
    /// Awaiting the transport to close.
    Sta13,
}

/// Events of PS3.8 table 9-10, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    AssociateRequest = 1,
    TransportConfirmed,
    AcceptPdu,
    RejectPdu,
    TransportIndicated,
    RequestPdu,
    AcceptResponse,
    RejectResponse,
    DataRequest,
    DataPdu,
    ReleaseRequest,
    ReleaseRqPdu,
    ReleaseRpPdu,
    ReleaseResponse,
    AbortRequest,
    AbortPdu,
    TransportClosed,
    ArtimExpired,
    InvalidPdu,
}

/// Actions of PS3.8 tables 9-6 to 9-9, and `Undefined` for the empty cells of table 9-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    AE1,
    AE2,
    AE3,
    AE4,
    AE5,
    AE6,
    AE7,
    AE8,
    DT1,
    DT2,
    AR1,
    AR2,
    AR3,
    AR4,
    AR5,
    AR6,
    AR7,
    AR8,
    AR9,
    AR10,
    AA1,
    AA2,
    AA3,
    AA4,
    AA5,
    AA6,
    AA7,
    AA8,
    Undefined,
}

use Action::*;
use State::*;

const __: Action = Action::Undefined;

/// Row = event in the order of [`Event`], column = state Sta1 to Sta13.
#[rustfmt::skip]
const TABLE: [[Action; 13]; 19] = [
    [AE1, __,  __,  __,  __,  __,  __,  __,  __,  __,   __,  __,  __ ],
    [__,  __,  __,  AE2, __,  __,  __,  __,  __,  __,   __,  __,  __ ],
    [__,  AA1, AA8, __,  AE3, AA8, AA8, AA8, AA8, AA8,  AA8, AA8, AA6],
    [__,  AA1, AA8, __,  AE4, AA8, AA8, AA8, AA8, AA8,  AA8, AA8, AA6],
    [AE5, __,  __,  __,  __,  __,  __,  __,  __,  __,   __,  __,  __ ],
    [__,  AE6, AA8, __,  AA8, AA8, AA8, AA8, AA8, AA8,  AA8, AA8, AA7],
    [__,  __,  AE7, __,  __,  __,  __,  __,  __,  __,   __,  __,  __ ],
    [__,  __,  AE8, __,  __,  __,  __,  __,  __,  __,   __,  __,  __ ],
    [__,  __,  __,  __,  __,  DT1, __,  AR7, __,  __,   __,  __,  __ ],
    [__,  AA1, AA8, __,  AA8, DT2, AR6, AA8, AA8, AA8,  AA8, AA8, AA6],
    [__,  __,  __,  __,  __,  AR1, __,  __,  __,  __,   __,  __,  __ ],
    [__,  AA1, AA8, __,  AA8, AR2, AR8, AA8, AA8, AA8,  AA8, AA8, AA6],
    [__,  AA1, AA8, __,  AA8, AA8, AR3, AA8, AA8, AR10, AR3, AA8, AA6],
    [__,  __,  __,  __,  __,  __,  __,  AR4, AR9, __,   __,  AR4, __ ],
    [__,  __,  AA1, AA2, AA1, AA1, AA1, AA1, AA1, AA1,  AA1, AA1, __ ],
    [__,  AA2, AA3, __,  AA3, AA3, AA3, AA3, AA3, AA3,  AA3, AA3, AA2],
    [__,  AA5, AA4, AA4, AA4, AA4, AA4, AA4, AA4, AA4,  AA4, AA4, AR5],
    [__,  AA2, __,  __,  __,  __,  __,  __,  __,  __,   __,  __,  AA2],
    [__,  AA1, AA8, __,  AA8, AA8, AA8, AA8, AA8, AA8,  AA8, AA8, AA7],
];

impl Action {
    /// The state that the action leads to. AE-6 is taken as "acceptable so far"; a refusal by the
    /// provider afterwards goes through AE-8. AR-8 depends on who requested the association.
    fn next_state(self, requestor: bool) -> Option<State> {
        Some(match self {
            AE1 => Sta4,
            AE2 => Sta5,
            AE3 | AE7 | DT1 | DT2 => Sta6,
            AE5 => Sta2,
            AE6 => Sta3,
            AR1 | AR6 => Sta7,
            AR2 | AR7 => Sta8,
            AR8 if requestor => Sta9,
            AR8 => Sta10,
            AR9 => Sta11,
            AR10 => Sta12,
            AE4 | AR3 | AR5 | AA2 | AA3 | AA4 | AA5 => Sta1,
            AE8 | AR4 | AA1 | AA6 | AA7 | AA8 => Sta13,
            Undefined => return None,
        })
    }
}

/// An event that the table does not foresee in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {event:?} is not foreseen in state {state:?} (PS3.8 table 9-10)")]
pub struct Unforeseen {
    pub state: State,
    pub event: Event,
}

/// Where one association stands.
#[derive(Debug, Clone)]
pub struct Machine {
    state: State,
    requestor: bool,
}

impl Machine {
    /// Idle, in the role of the requestor or of the acceptor.
    pub fn new(requestor: bool) -> Self {
        Self { state: Sta1, requestor }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Moves on by one event; says what is to be done. An unforeseen event changes nothing.
    pub fn step(&mut self, event: Event) -> Result<Action, Unforeseen> {
        let action = TABLE[event as usize - 1][self.state as usize - 1];
        match action.next_state(self.requestor) {
            Some(next) => {
                self.state = next;
                Ok(action)
            }
            None => Err(Unforeseen { state: self.state, event }),
        }
    }
}

#[cfg(test)]
mod tests;
