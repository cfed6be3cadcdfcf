//! The power cut, modelled: before each disk operation it is worked out what a disk that keeps only
//! what was synced would hold, and a node is started on that.
//!
//! The model is as unkind as POSIX allows: a file has the bytes of its last fdatasync or none; a
//! folder has the names of its last fsync (or, in the second variant, those that it has now, as if
//! the kernel had written them early); the index is as its last commit left it.

use super::super::disk::Operation;
use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};

/// Names of a folder, and the inode that each stands for.
type Names = BTreeMap<String, u64>;

struct Model {
    store: PathBuf,
    /// By inode, as of the last fdatasync.
    synced: BTreeMap<u64, Vec<u8>>,
    /// By folder, as of the last fsync.
    folders: BTreeMap<PathBuf, Names>,
    /// Index and log as of the last commit.
    index: Vec<(String, Vec<u8>)>,
    /// The operation that is under way: it has had its effect once the next one is about to begin.
    under_way: Option<Done>,
    /// Answered with success, and not asked to go since.
    acknowledged: Vec<Uid>,
    cuts: u32,
}

enum Done {
    File(u64, PathBuf),
    Folder(PathBuf),
    Commit,
}

fn names(folder: &Path) -> Names {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|e| (e.file_name().to_string_lossy().into_owned(), e.metadata().unwrap().ino()))
        .collect()
}

fn leaf_folders(store: &Path) -> Vec<PathBuf> {
    let mut folders = ["incoming", "quarantine", "trash"].map(|name| store.join(name)).to_vec();
    let objects = std::fs::read_dir(store.join("objects")).unwrap();
    folders.extend(objects.map(|entry| entry.unwrap().path()));
    folders
}

impl Model {
    fn new(store: &Path) -> Self {
        let folders = leaf_folders(store).into_iter().map(|f| (f.clone(), names(&f))).collect();
        let mut model = Self {
            store: store.to_owned(),
            synced: BTreeMap::new(),
            folders,
            index: Vec::new(),
            under_way: None,
            acknowledged: Vec::new(),
            cuts: 0,
        };
        model.keep_index();
        model
    }

    fn keep_index(&mut self) {
        let read = |name: &str| Some((name.to_owned(), std::fs::read(self.store.join(name)).ok()?));
        self.index = ["index.sqlite", "index.sqlite-wal"].into_iter().filter_map(read).collect();
    }

    fn about_to(&mut self, operation: Operation<'_>) {
        match self.under_way.take() {
            Some(Done::File(inode, open_file)) => {
                self.synced.insert(inode, std::fs::read(open_file).unwrap());
            }
            Some(Done::Folder(folder)) => {
                let now = names(&folder);
                self.folders.insert(folder, now);
            }
            Some(Done::Commit) => self.keep_index(),
            None => {}
        }
        self.cut(&self.folders);
        let now = leaf_folders(&self.store).into_iter().map(|f| (f.clone(), names(&f))).collect();
        self.cut(&now);
        self.cuts += 2;
        self.under_way = match operation {
            Operation::SyncData(file) => {
                use std::os::fd::AsRawFd;
                let open_file = format!("/proc/self/fd/{}", file.as_raw_fd());
                let path = std::fs::read_link(open_file).unwrap();
                Some(Done::File(file.metadata().unwrap().ino(), path))
            }
            Operation::SyncDirectory(folder) => Some(Done::Folder(folder.to_owned())),
            Operation::Commit => Some(Done::Commit),
            Operation::Other => None,
        };
    }

    /// A disk with these names and what was synced under them; a node starts on it.
    fn cut(&self, folders: &BTreeMap<PathBuf, Names>) {
        let disk = fast_directory();
        for (folder, names) in folders {
            let to = disk.path().join(folder.strip_prefix(&self.store).unwrap());
            std::fs::create_dir_all(&to).unwrap();
            for (name, inode) in names {
                let bytes = self.synced.get(inode).map_or(&[][..], Vec::as_slice);
                std::fs::write(to.join(name), bytes).unwrap();
            }
        }
        for (name, bytes) in &self.index {
            std::fs::write(disk.path().join(name), bytes).unwrap();
        }
        let archive = open(disk.path());
        check_invariants(&archive, &self.acknowledged);
        assert!(files(&disk.path().join("incoming")).is_empty());
        assert!(files(&disk.path().join("trash")).is_empty());
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_before_any_disk_operation() {
    let directory = fast_directory();
    let disk = Disk::default();
    let faults = disk.faults.clone();
    let archive = LocalArchive::open_on(disk, &settings(directory.path()), TimeZone::UTC).unwrap();
    let model = Arc::new(Mutex::new(Model::new(directory.path())));
    let told = model.clone();
    let watcher: Watcher = Box::new(move |operation| told.lock().unwrap().about_to(operation));
    *faults.watcher.lock().unwrap() = Some(watcher);
    // New, again, other bytes, and new ones of another study after a deletion.
    for (n, fill) in [(1, 0), (2, 0), (1, 0), (1, 9), (3, 0)] {
        let receipt = put(&archive, n, fill).unwrap();
        if let Receipt::Stored(instance) | Receipt::Duplicate(instance) = receipt {
            model.lock().unwrap().acknowledged.push(instance.header.sop_instance);
        }
    }
    model.lock().unwrap().acknowledged.retain(|kept| *kept == uid("1.2.9.1.2"));
    assert_eq!(delete_but_one(&archive).unwrap(), 2);
    put(&archive, 4, 0).unwrap();
    model.lock().unwrap().acknowledged.push(uid("1.2.9.1.4"));
    put(&archive, 5, 0).unwrap();
    *faults.watcher.lock().unwrap() = None;
    let cuts = model.lock().unwrap().cuts;
    println!("{cuts} power cuts: nothing that was acknowledged was lost");
    assert!(cuts > 100, "only {cuts} moments were tried");
}
