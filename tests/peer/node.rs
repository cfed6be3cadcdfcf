//! The real node on a free loopback port, over an archive in memory.

use super::archive::MemoryArchive;
use grayd::node::LocalAe;
use grayd::node::settings::{Limits, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct RunningNode {
    pub address: SocketAddr,
    pub archive: Arc<MemoryArchive>,
    pub shutdown: watch::Sender<bool>,
    pub task: JoinHandle<std::io::Result<()>>,
}

/// Limits that let a peer that does not answer be noticed soon.
pub fn impatient() -> Limits {
    Limits { artim_s: 1, idle_s: 1, pdu_s: 1, peer_answer_s: 1, ..Limits::default() }
}

/// Limits that no test runs into by being slow; only the wait for a peer's close is short.
pub fn patient() -> Limits {
    Limits { artim_s: 2, ..Limits::default() }
}

pub fn peer(name: &str, ae_title: &str, host: &str, port: u16) -> Peer {
    let (name, ae_title, host) = (name.to_owned(), ae_title.to_owned(), host.to_owned());
    Peer { name, ae_title, host, port, ..Peer::default() }
}

impl RunningNode {
    pub async fn start(limits: Limits) -> Self {
        let peers = vec![
            peer("peer", "PEER", "127.0.0.1", 104),
            peer("own", "GRAYD", "127.0.0.1", 104),
            peer("named", "NAMED", "localhost", 104),
            peer("elsewhere", "ELSEWHERE", "192.0.2.7", 104),
        ];
        Self::start_with(limits, peers).await
    }

    pub async fn start_with(limits: Limits, peers: Vec<Peer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let archive = Arc::new(MemoryArchive::default());
        let local = Arc::new(LocalAe::plain("GRAYD", limits).unwrap());
        let (shutdown, stop) = watch::channel(false);
        let serving = grayd::node::serve(listener, local, peers.into(), archive.clone(), stop);
        Self { address, archive, shutdown, task: tokio::spawn(serving) }
    }
}
