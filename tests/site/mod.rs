//! A hospital in a temporary folder: the real `grayd serve`, a plan folder, Orthanc as PACS.
#![allow(dead_code)] // every integration test uses another part of it

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything that must happen may take before the test says it did not.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The folder of real series, where this machine has it.
pub fn shared_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("passed over: ../shared/data is not on this machine");
    None
}

/// Is the program installed? Says in one line where not.
pub fn have(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("passed over: {program} is not installed (tests/run installs it)");
    }
    found
}

/// The Python that has pydicom, pynetdicom and highdicom.
pub fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/bin/python");
    [
        std::env::var_os("GRAYD_PYTHON").map(PathBuf::from),
        Some(own),
        Some("/opt/grayd-peers/bin/python".into()),
    ]
    .into_iter()
    .flatten()
    .find(|path| path.exists())
    .unwrap_or_else(|| "python3".into())
}

/// Runs the calling test again in a network of its own, where Orthanc's DICOM port, which listens on
/// every address, reaches nobody. `true`: we are inside, go on; `false`: done or passed over.
pub fn in_private_network(test: &str) -> bool {
    if std::env::var_os("GRAYD_PRIVATE_NETWORK").is_some() {
        return true;
    }
    let possible = Command::new("unshare")
        .args(["-rn", "sh", "-c", "ip link set lo up"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !possible {
        println!("passed over: no private network can be made here (unshare -rn)");
        return false;
    }
    let own = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["-rn", "sh", "-c", "ip link set lo up; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(own)
        .arg(test)
        .env("GRAYD_PRIVATE_NETWORK", "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its private network");
    false
}

/// A port that nobody holds now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is there.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One GET; the body, whatever the status.
pub fn http_get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

pub fn http_json(address: SocketAddr, path: &str) -> Option<serde_json::Value> {
    serde_json::from_str(&http_get(address, path)?).ok()
}

/// The real node over a temporary folder. Killed when dropped.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub dicom: SocketAddr,
    pub web: SocketAddr,
    child: Child,
}

/// AE title that every test calls with.
pub const CALLING_AE: &str = "TESTSCU";

impl Site {
    /// Starts a node whose configuration ends in `more` (YAML).
    pub fn start(more: &str) -> Self {
        Self::start_web_with("", more)
    }

    /// The same with more keys of `web:`, as they stand in a YAML flow map.
    pub fn start_web(web: &str) -> Self {
        Self::start_web_with(web, "")
    }

    pub fn start_web_with(web: &str, more: &str) -> Self {
        let comma = if web.is_empty() { "" } else { ", " };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        let config = format!(
            "node: {{ ae_title: GRAYD, listen: \"127.0.0.1:0\" }}\n\
             web: {{ listen: \"127.0.0.1:0\"{comma}{web} }}\n\
             storage: {{ directory: store, reserve_mb: 64 }}\n\
             plans: plans\n{more}\n"
        );
        std::fs::write(folder.path().join("grayd.yaml"), config).unwrap();
        let (child, dicom, web) = spawn(folder.path());
        Self { folder, dicom, web, child }
    }

    /// `peers:` with the test's own AE and, where given, a PACS.
    pub fn peers(pacs_port: Option<u16>) -> String {
        let mut text = format!(
            "peers:\n  - {{ name: test, ae_title: {CALLING_AE}, host: 127.0.0.1, port: 104 }}\n"
        );
        if let Some(port) = pacs_port {
            text += &format!(
                "  - {{ name: pacs, ae_title: ORTHANC, host: 127.0.0.1, port: {port} }}\n\
                 results: {{ send_to: [pacs] }}\n"
            );
        }
        text
    }

    pub fn plan(&self, name: &str, text: &str) {
        let plans = self.folder.path().join("plans");
        // Written aside and renamed, as a careful hospital system does.
        std::fs::write(plans.join(".new"), text).unwrap();
        std::fs::rename(plans.join(".new"), plans.join(name)).unwrap();
    }

    /// SIGKILL, as a power cut would look from inside.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may be dead already, which is what is wanted
        self.child.wait().unwrap();
    }

    /// Starts the node again over the same folder.
    pub fn restart(&mut self) {
        self.kill();
        (self.child, self.dicom, self.web) = spawn(self.folder.path());
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Process that runs the node.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends with DCMTK; what it printed, and whether it was content.
    pub fn dcmsend(&self, files: &[PathBuf]) -> bool {
        Command::new("dcmsend")
            .args(["-aet", CALLING_AE, "-aec", "GRAYD", "127.0.0.1"])
            .arg(self.dicom.port().to_string())
            .args(files)
            .env("TCP_NODELAY", "1")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Sends every DICOM file below a folder.
    pub fn dcmsend_folder(&self, folder: &Path) -> bool {
        Command::new("dcmsend")
            .args(["-aet", CALLING_AE, "-aec", "GRAYD", "--no-halt", "--scan-directories"])
            .args(["--recurse", "127.0.0.1"])
            .arg(self.dicom.port().to_string())
            .arg(folder)
            .env("TCP_NODELAY", "1")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    pub fn echo(&self) -> bool {
        Command::new("echoscu")
            .args(["-aet", CALLING_AE, "-aec", "GRAYD", "127.0.0.1"])
            .arg(self.dicom.port().to_string())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["serve", "--config"])
        .arg(folder.join("grayd.yaml"))
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let address = |key: &str| -> Option<SocketAddr> {
        ready.split_whitespace().find_map(|word| word.strip_prefix(key))?.parse().ok()
    };
    let (dicom, web) =
        address("dicom=").zip(address("web=")).expect("grayd serve did not say that it is ready");
    (child, dicom, web)
}

/// Orthanc as PACS. Only within a private network.
pub struct Orthanc {
    _folder: tempfile::TempDir,
    child: Child,
    pub dicom_port: u16,
    pub http: SocketAddr,
}

/// Where Debian puts Orthanc's DICOMweb plugin.
const DICOMWEB_PLUGIN: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";

impl Orthanc {
    pub fn start() -> Self {
        Self::start_with(&[], 1)
    }

    /// That knows under which port the node is called.
    pub fn start_knowing(node_port: u16) -> Self {
        Self::start_with(&[], node_port)
    }

    /// With its DICOMweb plugin, where that is installed.
    pub fn start_with_dicomweb() -> Option<Self> {
        Path::new(DICOMWEB_PLUGIN).exists().then(|| Self::start_with(&[DICOMWEB_PLUGIN], 1))
    }

    fn start_with(plugins: &[&str], node_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dicom_port, http_port) = (free_port(), free_port());
        let config = serde_json::json!({
            "Name": "PACS", "StorageDirectory": folder.path().join("db"),
            "IndexDirectory": folder.path().join("db"), "DicomAet": "ORTHANC",
            "DicomPort": dicom_port, "HttpPort": http_port, "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false, "Plugins": plugins,
            "DicomModalities": { "grayd": ["GRAYD", "127.0.0.1", node_port] }
        });
        let file = folder.path().join("orthanc.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let child = Command::new("Orthanc")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let http = SocketAddr::from(([127, 0, 0, 1], http_port));
        let pacs = Self { _folder: folder, child, dicom_port, http };
        wait_for("Orthanc to answer", || http_json(pacs.http, "/system"));
        pacs
    }

    /// Modalities of everything it holds, sorted.
    pub fn modalities(&self) -> Vec<String> {
        let series = http_json(self.http, "/series?expand").unwrap_or_default();
        let mut found: Vec<String> = series
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| s["MainDicomTags"]["Modality"].as_str().map(str::to_owned))
            .collect();
        found.sort();
        found
    }

    /// Writes every instance of a modality to `folder`; the paths.
    pub fn download(&self, modality: &str, folder: &Path) -> Vec<PathBuf> {
        let series = http_json(self.http, "/series?expand").unwrap_or_default();
        let mut files = Vec::new();
        for one in series.as_array().into_iter().flatten() {
            if one["MainDicomTags"]["Modality"].as_str() != Some(modality) {
                continue;
            }
            for instance in one["Instances"].as_array().into_iter().flatten() {
                let id = instance.as_str().unwrap();
                let path = folder.join(format!("{modality}-{id}.dcm"));
                let bytes = http_bytes(self.http, &format!("/instances/{id}/file"));
                std::fs::write(&path, bytes).unwrap();
                files.push(path);
            }
        }
        files
    }
}

/// The body of one GET, as bytes.
pub fn http_bytes(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    answer.split_off(end)
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have gone with its network
        let _ = self.child.wait();
    }
}
