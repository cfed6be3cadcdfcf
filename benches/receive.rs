//! Receiving 400 CT slices of 512 x 512 x 16 bits from 1 and 4 senders: grayd beside DCMTK's
//! storescp and Orthanc, with default clients and with `TCP_NODELAY=1` on both ends.
//!
//!     cargo bench --bench receive            # or -- ROUNDS (default 3)
//!
//! Programs take turns within each round and every run starts with an empty store, so that noise
//! of the machine falls on all alike; medians are printed, with ratios to storescp and Orthanc. The
//! senders are DCMTK's storescu; start-up of its processes is part of the time for everybody. Beside
//! it: what the disk itself allows, and grayd with an archive that keeps nothing, which tells the
//! cost of the protocol from the cost of durability.
//!
//! storescp and Orthanc listen on all addresses: everything runs in a network namespace of its own.

use grayd::archive::Archive;
use grayd::node::LocalAe;
use grayd::node::settings::{NodeSettings, Peer};
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;

#[path = "receive/discard.rs"]
mod discard;
#[path = "receive/slices.rs"]
mod slices;

const SLICES: usize = 400;
const SENDERS: [usize; 2] = [1, 4];
/// Set in the process that runs inside the namespace.
const INSIDE: &str = "GRAYD_BENCH_INSIDE";

/// The archive under test; the only place that says which it is.
fn durable_archive(directory: &Path) -> Arc<dyn Archive> {
    let settings = grayd::archive::StorageSettings {
        directory: directory.to_owned(),
        ..grayd::archive::StorageSettings::default()
    };
    let archive = grayd::archive::LocalArchive::open(&settings, jiff::tz::TimeZone::UTC);
    Arc::new(archive.expect("an archive in a new directory"))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Server {
    Grayd,
    GraydDiscarding,
    Storescp,
    StorescpBitPreserving,
    Orthanc,
}

impl Server {
    const ALL: [Self; 5] = [
        Self::Grayd,
        Self::GraydDiscarding,
        Self::Storescp,
        Self::StorescpBitPreserving,
        Self::Orthanc,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Grayd => "grayd, fsynced and indexed",
            Self::GraydDiscarding => "grayd, keeping nothing",
            Self::Storescp => "storescp --fork",
            Self::StorescpBitPreserving => "storescp --fork +B",
            Self::Orthanc => "Orthanc",
        }
    }

    /// What has to be installed for it.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Grayd | Self::GraydDiscarding => None,
            Self::Storescp | Self::StorescpBitPreserving => Some("storescp"),
            Self::Orthanc => Some("Orthanc"),
        }
    }
}

fn main() {
    // `cargo test --benches` passes no --bench: nothing to measure then.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    if std::env::var_os(INSIDE).is_none() {
        enter_namespace(&arguments);
    }
    let rounds = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(3);
    let work = tempfile::Builder::new()
        .prefix("receive-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a directory on the disk under test");
    // Four folders, so that four senders can share them.
    let folders = slices::write(work.path(), 4, 0..SLICES);
    println!(
        "\n{} UTC, load {}\n{SLICES} CT slices of 512 x 512 x 16 bits; images/s, median of {rounds} \
         rounds; in brackets times storescp --fork and times Orthanc\n",
        jiff::Timestamp::now().strftime("%F %H:%M"),
        load()
    );
    for writers in SENDERS {
        let rate = median((0..rounds).map(|_| disk_limit(work.path(), writers)).collect());
        println!(
            "the disk's own limit (write, fdatasync, rename, directory fsync), \
             {writers} writers: {rate:.0}/s"
        );
    }
    for (nodelay, label) in [(true, "TCP_NODELAY=1 on both ends"), (false, "default clients")] {
        // Without TCP_NODELAY a run of the others takes 20 s for the same number each time.
        let rounds = if nodelay { rounds } else { 1 };
        compare(label, nodelay, rounds, work.path(), &folders);
    }
}

/// Starts this program again where no packet can leave, and does not come back.
fn enter_namespace(arguments: &[String]) {
    let own = std::env::current_exe().expect("a running program has a path");
    let error = Command::new("unshare")
        .args(["-Urn", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(own)
        .args(arguments)
        .env(INSIDE, "1")
        .exec();
    println!("passed over: unshare cannot be run ({error}); tests/run installs util-linux");
    std::process::exit(0);
}

fn compare(label: &str, nodelay: bool, rounds: usize, work: &Path, folders: &[PathBuf]) {
    let installed: Vec<Server> = Server::ALL.into_iter().filter(|s| is_installed(*s)).collect();
    let mut rates = vec![[Vec::new(), Vec::new()]; installed.len()];
    for round in 0..rounds {
        for (index, server) in installed.iter().enumerate() {
            for (column, senders) in SENDERS.into_iter().enumerate() {
                let store = work.join(format!("store-{round}-{index}-{senders}-{nodelay}"));
                std::fs::create_dir(&store).expect("a new directory");
                rates[index][column].push(run(*server, senders, nodelay, &store, folders));
                std::fs::remove_dir_all(&store).expect("our own directory");
            }
        }
    }
    println!("\n{label}\n{:<28} {:>22} {:>22}", "", "1 sender", "4 senders");
    let medians: Vec<[f64; 2]> = rates.into_iter().map(|columns| columns.map(median)).collect();
    let rate_of = |wanted: Server, column: usize| {
        let index = installed.iter().position(|server| *server == wanted)?;
        Some(medians[index][column])
    };
    for (server, row) in installed.iter().zip(&medians) {
        let cell = |column: usize| {
            let ratios: Vec<String> = [Server::Storescp, Server::Orthanc]
                .into_iter()
                .map(|other| match rate_of(other, column) {
                    Some(rate) => format!("{:.2}", row[column] / rate),
                    None => "-".to_owned(),
                })
                .collect();
            format!("{:.0} ({})", row[column], ratios.join(", "))
        };
        println!("{:<28} {:>22} {:>22}", server.name(), cell(0), cell(1));
    }
    for (column, senders) in SENDERS.into_iter().enumerate() {
        let kept = rate_of(Server::Grayd, column).zip(rate_of(Server::GraydDiscarding, column));
        if let Some((durable, discarding)) = kept {
            let cost_ms = 1e3 * (1.0 / durable - 1.0 / discarding);
            println!("durability costs {cost_ms:.2} ms an image with {senders} sender(s)");
        }
    }
    println!("load {}", load());
}

/// Who else is running: processes that wanted to run, over 1, 5 and 15 minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// One run: an empty server, all senders at once, images per second until the last has its answer.
fn run(server: Server, senders: usize, nodelay: bool, store: &Path, folders: &[PathBuf]) -> f64 {
    let running = Running::start(server, nodelay, store);
    let each = folders.len() / senders;
    let began = Instant::now();
    let children: Vec<Child> = folders
        .chunks(each)
        .map(|share| {
            client("storescu", nodelay)
                .args(["-aet", "SENDER", "-aec", "GRAYD", "+sd", "127.0.0.1"])
                .arg(running.port.to_string())
                .args(share)
                .spawn()
                .expect("storescu is installed with DCMTK")
        })
        .collect();
    for mut child in children {
        let status = child.wait().expect("our own child");
        assert!(status.success(), "{}: storescu failed", server.name());
    }
    SLICES as f64 / began.elapsed().as_secs_f64()
}

fn client(program: &str, nodelay: bool) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null()).stderr(Stdio::null()).env_remove("TCP_NODELAY");
    if nodelay {
        command.env("TCP_NODELAY", "1");
    }
    command
}

/// A server that is listening; stopped when dropped.
struct Running {
    port: u16,
    child: Option<Child>,
    node: Option<(watch::Sender<bool>, Runtime)>,
}

impl Running {
    fn start(server: Server, nodelay: bool, store: &Path) -> Self {
        let port = free_port();
        let port_text = port.to_string();
        let child = match server {
            Server::Grayd => return Self::grayd(durable_archive(store)),
            Server::GraydDiscarding => return Self::grayd(Arc::new(discard::Discard)),
            Server::Storescp | Server::StorescpBitPreserving => {
                let mut command = client("storescp", nodelay);
                command.args(["--fork", "-pdu", "131072", "-od"]).arg(store);
                if server == Server::StorescpBitPreserving {
                    command.arg("+B");
                }
                command.arg(port_text).spawn()
            }
            Server::Orthanc => {
                let config = store.join("orthanc.json");
                std::fs::write(&config, orthanc_configuration(store, port)).expect("a file");
                client("Orthanc", nodelay).arg(config).spawn()
            }
        };
        let child = child.expect("it was found to be installed");
        wait_for(port);
        Self { port, child: Some(child), node: None }
    }

    fn grayd(archive: Arc<dyn Archive>) -> Self {
        let runtime = Runtime::new().expect("threads");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let (shutdown, stopped) = watch::channel(false);
        let sender = Peer {
            name: "sender".to_owned(),
            ae_title: "SENDER".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 104,
            ..Peer::default()
        };
        let local = LocalAe::open(&NodeSettings::default()).expect("defaults");
        let serving = grayd::node::serve(listener, local.into(), [sender].into(), archive, stopped);
        runtime.spawn(serving);
        Self { port, child: None, node: Some((shutdown, runtime)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((shutdown, runtime)) = self.node.take() {
            // The receiver is gone only if serving has ended already.
            shutdown.send(true).ok();
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
    }
}

fn orthanc_configuration(store: &Path, port: u16) -> String {
    serde_json::json!({
        "Name": "bench",
        "StorageDirectory": store,
        "IndexDirectory": store,
        "HttpServerEnabled": false,
        "DicomServerEnabled": true,
        "DicomAet": "GRAYD",
        "DicomPort": port,
        "DicomAlwaysAllowStore": true,
        "DicomAlwaysAllowEcho": true,
        "Plugins": [],
    })
    .to_string()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    listener.local_addr().expect("bound").port()
}

fn wait_for(port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the server does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_installed(server: Server) -> bool {
    let Some(program) = server.program() else { return true };
    let found = client(program, true).arg("--version").status().is_ok();
    if !found {
        println!("passed over: {program} is not installed (tests/run installs it)");
    }
    found
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Files per second that can be written durably, each as the archive writes it.
fn disk_limit(work: &Path, writers: usize) -> f64 {
    let folder = work.join("disk");
    std::fs::create_dir(&folder).expect("a new directory");
    let bytes = vec![7u8; 512 * 512 * 2 + 2048];
    let began = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (folder, bytes) = (&folder, &bytes);
            scope.spawn(move || {
                for n in 0..SLICES / writers {
                    let part = folder.join(format!("{writer}-{n}.part"));
                    let mut file = File::create(&part).expect("a new file");
                    file.write_all(bytes).expect("room");
                    file.sync_data().expect("a disk");
                    std::fs::rename(&part, part.with_extension("dcm")).expect("the same folder");
                    File::open(folder).and_then(|f| f.sync_all()).expect("a disk");
                }
            });
        }
    });
    let rate = SLICES as f64 / began.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder).expect("our own directory");
    rate
}
