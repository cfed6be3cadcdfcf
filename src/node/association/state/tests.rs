use super::*;
use proptest::prelude::*;
use std::process::Command;

const EVENTS: [Event; 19] = [
    Event::AssociateRequest,
    Event::TransportConfirmed,
    Event::AcceptPdu,
    Event::RejectPdu,
    Event::TransportIndicated,
    Event::RequestPdu,
    Event::AcceptResponse,
    Event::RejectResponse,
    Event::DataRequest,
    Event::DataPdu,
    Event::ReleaseRequest,
    Event::ReleaseRqPdu,
    Event::ReleaseRpPdu,
    Event::ReleaseResponse,
    Event::AbortRequest,
    Event::AbortPdu,
    Event::TransportClosed,
    Event::ArtimExpired,
    Event::InvalidPdu,
];

const STATES: [State; 13] =
    [Sta1, Sta2, Sta3, Sta4, Sta5, Sta6, Sta7, Sta8, Sta9, Sta10, Sta11, Sta12, Sta13];

/// The cell as `Evt-Sta action next`, with next for (requestor, acceptor).
fn cell(event: Event, state: State) -> Option<(Action, State, State)> {
    let mut as_requestor = Machine { state, requestor: true };
    let mut as_acceptor = Machine { state, requestor: false };
    match (as_requestor.step(event), as_acceptor.step(event)) {
        (Ok(action), Ok(same)) => {
            assert_eq!(action, same);
            Some((action, as_requestor.state, as_acceptor.state))
        }
        (Err(_), Err(_)) => {
            assert_eq!((as_requestor.state, as_acceptor.state), (state, state));
            None
        }
        mixed => panic!("the role must not decide whether a cell exists: {mixed:?}"),
    }
}

/// The standard's own statements about whole rows and columns, said independently of the table.
#[test]
fn all_247_cells_follow_the_standard_s_rules() {
    let mut defined = 0;
    for event in EVENTS {
        for state in STATES {
            let found = cell(event, state);
            defined += usize::from(found.is_some());
            let received = matches!(
                event,
                Event::AcceptPdu
                    | Event::RejectPdu
                    | Event::RequestPdu
                    | Event::DataPdu
                    | Event::ReleaseRqPdu
                    | Event::ReleaseRpPdu
                    | Event::AbortPdu
                    | Event::InvalidPdu
            );
            // A PDU cannot come before a transport connection is there, and always can after.
            if received {
                assert_eq!(found.is_none(), matches!(state, Sta1 | Sta4), "{event:?} {state:?}");
            }
            let Some((_, next_r, next_a)) = found else { continue };
            match event {
                // Losing the transport or an abort always ends idle.
                Event::TransportClosed | Event::AbortPdu | Event::ArtimExpired => {
                    assert_eq!((next_r, next_a), (Sta1, Sta1), "{event:?} {state:?}");
                }
                // Rubbish never leaves an association standing.
                Event::InvalidPdu => assert_eq!((next_r, next_a), (Sta13, Sta13), "{state:?}"),
                _ => {}
            }
            // Who awaits the close sends nothing but aborts and leaves only to idle.
            if state == Sta13 {
                assert!(matches!(next_r, Sta1 | Sta13));
            }
        }
    }
    assert_eq!(defined, 123);
}

/// The same table as written down by an independent implementation.
#[test]
fn all_247_cells_agree_with_pynetdicom() {
    let script = "from pynetdicom.fsm import TRANSITION_TABLE as t, ACTIONS as a\n\
                  for (e, s), x in t.items(): print(e[3:], s[3:], x.replace('-', ''), a[x][2])";
    let Some(listing) = python(script) else {
        println!("passed over: pynetdicom is not installed (tests/run installs it)");
        return;
    };
    let theirs: std::collections::BTreeMap<(usize, usize), (String, String)> = listing
        .lines()
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().expect("four columns");
            let key = (word().parse().expect("event"), word().parse().expect("state"));
            (key, (word().to_owned(), word().to_owned()))
        })
        .collect();
    assert_eq!(theirs.len(), 123);
    for event in EVENTS {
        for state in STATES {
            let their_cell = theirs.get(&(event as usize, state as usize));
            match (cell(event, state), their_cell) {
                (None, None) => {}
                (Some((action, next_r, next_a)), Some((their_action, their_next))) => {
                    assert_eq!(&format!("{action:?}"), their_action, "{event:?} {state:?}");
                    for next in [next_r, next_a] {
                        assert!(their_next.contains(&format!("{next:?}")), "{action:?}");
                    }
                }
                (ours, theirs) => panic!("{event:?} {state:?}: {ours:?} but {theirs:?}"),
            }
        }
    }
}

/// Runs Python with the peers' packages; `None` where they are not installed.
fn python(script: &str) -> Option<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let candidates = [
        std::env::var("GRAYD_PYTHON").unwrap_or_default(),
        format!("{root}/.peers/bin/python"),
        "/opt/grayd-peers/bin/python".to_owned(),
        "python3".to_owned(),
    ];
    candidates.iter().filter(|python| !python.is_empty()).find_map(|python| {
        let done = Command::new(python).args(["-c", script]).output().ok()?;
        done.status.success().then(|| String::from_utf8(done.stdout).expect("ASCII"))
    })
}

proptest! {
    /// Any string of events: no panic, and an unforeseen event leaves the state as it was.
    #[test]
    fn any_string_of_events_keeps_the_machine_in_the_table(
        requestor: bool,
        events in proptest::collection::vec(0usize..19, 0..64),
    ) {
        let mut machine = Machine::new(requestor);
        for index in events {
            let before = machine.state();
            if machine.step(EVENTS[index]).is_err() {
                prop_assert_eq!(machine.state(), before);
            }
        }
    }
}
