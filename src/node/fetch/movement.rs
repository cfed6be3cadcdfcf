//! C-MOVE as SCU, to ourselves: objects come on associations of the peer's.

use super::find::identifier;
use super::get::{Keys, requests};
use super::{FetchError, Lacking, ended};
use crate::dicom::Uid;
use crate::node::association::seconds;
use crate::node::command::{Command, field};
use crate::node::identifier;
use crate::node::local::LocalAe;
use crate::node::send::{self, Client, is_answer};
use crate::node::settings::Peer;
use crate::node::tls::Stream;
use dicom_dictionary_std::uids;
use std::time::Duration;

const MODEL: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE;

/// Has what is lacking moved here. What came is seen in the archive.
pub(super) async fn bring(
    peer: &Peer,
    local: &LocalAe,
    lacking: &[Lacking],
) -> Result<(), FetchError> {
    let Some((mut client, syntax)) = Client::for_class(peer, local, MODEL, &[]).await? else {
        let what = "retrieval by C-MOVE (Study Root); set it up there, or choose `retrieve: get`";
        return Err(FetchError::NotOffered(what));
    };
    let patience = seconds(local.limits.idle_s).max(client.answer);
    let mut moved = Ok(());
    let all = lacking.iter().flat_map(requests);
    for (number, keys) in all.enumerate() {
        let request = Command {
            destination: Some(local.title.as_str().to_owned()),
            ..Command::request(
                field::C_MOVE_RQ,
                send::message_id(number),
                Uid::parse(MODEL).expect("the dictionary's UIDs are UIDs"),
            )
        };
        moved = ask(&mut client, &request, keys, &syntax, patience).await;
        if moved.is_err() {
            break;
        }
    }
    match &moved {
        Ok(()) | Err(FetchError::Refused { .. }) => client.release(&peer.name).await,
        Err(_) => client.association.abort().await,
    }
    moved
}

async fn ask(
    client: &mut Client<Stream>,
    request: &Command,
    (level, keys): Keys,
    syntax: &Uid,
    patience: Duration,
) -> Result<(), FetchError> {
    let data = identifier::encode(&identifier(level, &keys), syntax);
    client.request(1, request, &data).await?;
    loop {
        let Some((context, response)) = client.next_command(patience).await? else {
            return Err(FetchError::Unreadable("a release amid a retrieval"));
        };
        if context != 1 || !is_answer(&response, request) {
            return Err(FetchError::Unreadable("an answer to something else"));
        }
        if response.has_data_set {
            client.data_set(context).await?;
        }
        if ended("C-MOVE", &response)? {
            return Ok(());
        }
    }
}
