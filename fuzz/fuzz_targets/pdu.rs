//! Any bytes of a peer against the acceptor: framing, items, state table, negotiation, fragments
//! and command sets. They may be refused; nothing may panic, hang or grow.
#![no_main]

use dicom_ul::pdu::{PDataValue, PDataValueType};
use grayd::node::association::{AssociationError, Indication, receive_request};
use grayd::node::settings::{Limits, Peer};
use grayd::node::{accept, command::Command};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;

/// Holds whatever one input can make the acceptor say.
const PIPE_BYTES: usize = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime on this thread");
    runtime.block_on(async {
        let (mut peer, node) = tokio::io::duplex(PIPE_BYTES);
        if bytes.len() > PIPE_BYTES || peer.write_all(bytes).await.is_err() {
            return;
        }
        // The end of the stream ends every wait: no input can hang.
        peer.shutdown().await.expect("an open pipe");
        if let Err(error) = converse(node).await {
            assert!(!error.to_string().is_empty());
        }
    });
});

async fn converse(node: tokio::io::DuplexStream) -> Result<(), AssociationError> {
    let limits = Limits::default();
    let proposal = receive_request(node, &limits).await?;
    if let Some(rejection) = proposal.provider_rejection() {
        return proposal.reject(rejection).await;
    }
    // A peer that may ask for everything.
    let peer = Peer {
        name: "fuzz".into(),
        ae_title: "FUZZ".into(),
        host: "127.0.0.1".into(),
        port: 104,
        commitment: true,
        ..Peer::default()
    };
    let mut association = proposal.accept(|proposed| accept::negotiate(proposed, &peer)).await?;
    let idle = std::time::Duration::from_secs(60);
    loop {
        match association.next(idle).await? {
            Indication::Release => return association.confirm_release().await,
            Indication::Data(values) => values.iter().for_each(decode),
        }
    }
}

/// What is understood of a command set has to be written back alike.
fn decode(value: &PDataValue) {
    if value.value_type == PDataValueType::Command
        && let Ok(command) = Command::decode(&value.data)
    {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
}
