//! The folder of plans, as it changes: a broken plan is reported and the last good one of that
//! file stays in force; a plan whose file is gone is no longer matched.

use super::plan::{Plan, Table, beside};
use super::protocol::Protocols;
use super::yaml::Fault;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the last look at the folder found.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    /// By file name; for a file with a fault, its last good version.
    pub in_force: Vec<Plan>,
    pub faults: Vec<Fault>,
    /// Files whose fault leaves an older version in force.
    pub stale: Vec<String>,
    /// What changed since the look before, one sentence each, without patient data.
    pub notes: Vec<String>,
}

/// A folder of plans and what was last known of each file.
#[derive(Debug)]
pub struct PlanFolder {
    folder: PathBuf,
    known: BTreeMap<PathBuf, Known>,
}

#[derive(Debug)]
struct Known {
    text: String,
    /// What lies beside it, or why that cannot be read.
    table: Result<Option<Table>, Fault>,
    good: Option<Plan>,
    faults: Vec<Fault>,
}

impl PlanFolder {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: BTreeMap::new() }
    }

    /// Reads what has changed and says what is in force now.
    pub fn rescan(&mut self, protocols: &Protocols) -> Plans {
        let mut plans = Plans::default();
        match super::yaml_files(&self.folder) {
            Ok(files) => {
                self.forget_removed(&files, &mut plans);
                for path in &files {
                    self.reread(path, protocols, &mut plans);
                }
            }
            // A folder that is away for a moment (a remounted share) ends no course.
            Err(fault) => plans.faults.push(fault),
        }
        self.collect(&mut plans);
        plans
    }

    fn forget_removed(&mut self, files: &[PathBuf], plans: &mut Plans) {
        self.known.retain(|path, _| {
            let stays = files.binary_search(path).is_ok();
            if !stays {
                plans.notes.push(format!("plan {} is gone: no longer matched", path.display()));
            }
            stays
        });
    }

    fn reread(&mut self, path: &Path, protocols: &Protocols, plans: &mut Plans) {
        let name = path.display().to_string();
        let text = match super::read_text(path) {
            Ok(text) => text,
            Err(fault) => {
                let known = self.known.entry(path.to_owned()).or_insert_with(Known::nothing);
                known.faults = vec![fault];
                // Whatever can be read next time is new.
                known.text.clear();
                return;
            }
        };
        let table = beside(path, &text);
        let before = self.known.get(path);
        if before.is_some_and(|known| known.text == text && known.table == table) {
            return;
        }
        let good = self.known.remove(path).and_then(|known| known.good);
        let read = match &table {
            Ok(table) => Plan::with_table(&name, &text, table.clone(), protocols),
            Err(fault) => Err(vec![fault.clone()]),
        };
        let known = match read {
            Ok(plan) => {
                let verb = if good.is_some() { "changed" } else { "taken up" };
                plans.notes.push(format!("plan {name} {verb}: course {}", plan.course_id()));
                Known { text, table, good: Some(plan), faults: Vec::new() }
            }
            Err(faults) => Known { text, table, good, faults },
        };
        self.known.insert(path.to_owned(), known);
    }

    fn collect(&self, plans: &mut Plans) {
        let mut courses: BTreeMap<String, String> = BTreeMap::new();
        for (path, known) in &self.known {
            plans.faults.extend(known.faults.iter().cloned());
            let Some(plan) = &known.good else { continue };
            let file = path.display().to_string();
            if let Some(other) = courses.get(&plan.course_id()) {
                plans.faults.push(Fault::of_file(
                    &file,
                    format!(
                        "is the same course (patient, protocol, radiopharmaceutical) as {other}; \
                         put all cycles into one file"
                    ),
                ));
                continue;
            }
            courses.insert(plan.course_id(), file.clone());
            if !known.faults.is_empty() {
                plans.stale.push(file);
            }
            plans.in_force.push(plan.clone());
        }
    }
}

impl Known {
    fn nothing() -> Self {
        Self { text: String::new(), table: Ok(None), good: None, faults: Vec::new() }
    }
}

/// Calls `changed` whenever something in the folder does; drop the watcher to stop.
///
/// Not every file system tells (network shares do not): rescan from time to time as well.
pub fn watch(
    folder: &Path,
    changed: impl Fn() + Send + 'static,
) -> Result<RecommendedWatcher, notify::Error> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an access, not a change.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "patient: { id: P-1 }\nprotocol: multi-time-point\n\
        radiopharmaceutical: 177Lu-DOTATATE\ncycles:\n  - number: 1\n    administered: \
        { activity_mbq: 7400, at: 2026-03-02T10:15:00+01:00 }\n";

    #[test]
    fn a_broken_plan_leaves_the_last_good_one_in_force_and_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let protocols = Protocols::load(None).unwrap();
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, PLAN).unwrap();
        let mut plans = PlanFolder::new(folder.path().to_owned());
        assert_eq!(plans.rescan(&protocols).in_force.len(), 1);

        std::fs::write(&file, PLAN.replace("7400", "0")).unwrap();
        let now = plans.rescan(&protocols);
        assert_eq!(now.in_force[0].cycles[0].administered.activity.mbq(), 7400.0);
        assert_eq!(now.stale, [file.display().to_string()]);
        let text = now.faults[0].to_string();
        assert!(text.starts_with(&format!("{}:6:35: 0 MBq cannot", file.display())), "{text}");
        assert_eq!(plans.rescan(&protocols).faults, now.faults, "reported until it is mended");

        std::fs::write(&file, PLAN.replace("7400", "7300")).unwrap();
        let now = plans.rescan(&protocols);
        assert_eq!(now.in_force[0].cycles[0].administered.activity.mbq(), 7300.0);
        assert!(now.faults.is_empty() && now.stale.is_empty());
    }

    #[test]
    fn a_table_beside_a_plan_is_watched_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let protocols = Protocols::load(None).unwrap();
        std::fs::write(folder.path().join("a.yaml"), PLAN).unwrap();
        let mut plans = PlanFolder::new(folder.path().to_owned());
        assert_eq!(plans.rescan(&protocols).in_force[0].patient_facts.haematocrit, None);

        let table = folder.path().join("a.csv");
        std::fs::write(&table, "quantity,value,date\nhaematocrit,0.41,2026-02-27\n").unwrap();
        let now = plans.rescan(&protocols);
        assert_eq!(now.in_force[0].patient_facts.haematocrit, Some(0.41));
        assert_eq!(now.in_force[0].facts_on["haematocrit"], jiff::civil::date(2026, 2, 27));
        assert!(now.notes[0].contains("changed"), "{:?}", now.notes);
        assert!(plans.rescan(&protocols).notes.is_empty(), "nothing changed");

        std::fs::write(&table, "quantity,value\nhaematocrit,41\n").unwrap();
        let now = plans.rescan(&protocols);
        assert_eq!(now.in_force[0].patient_facts.haematocrit, Some(0.41), "the last good one");
        let text = now.faults[0].to_string();
        assert!(text.starts_with(&format!("{}:2:13: 41 is not", table.display())), "{text}");

        // A table of another name, which the plan has to say, and only one of this folder.
        let named = |name: &str| format!("{PLAN}measured_csv: {name}\n");
        std::fs::rename(&table, folder.path().join("b.csv")).unwrap();
        std::fs::write(folder.path().join("b.csv"), "quantity,value\nhaematocrit,0.3\n").unwrap();
        std::fs::write(folder.path().join("a.yaml"), named("b.csv")).unwrap();
        assert_eq!(plans.rescan(&protocols).in_force[0].patient_facts.haematocrit, Some(0.3));
        for wrong in ["../b.csv", "/etc/passwd", "c.csv"] {
            std::fs::write(folder.path().join("a.yaml"), named(wrong)).unwrap();
            assert_eq!(plans.rescan(&protocols).faults.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn a_removed_plan_is_no_longer_matched_and_a_missing_folder_ends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let protocols = Protocols::load(None).unwrap();
        let inner = folder.path().join("plans");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("a.yaml"), PLAN).unwrap();
        let mut plans = PlanFolder::new(inner.clone());
        assert_eq!(plans.rescan(&protocols).in_force.len(), 1);
        std::fs::rename(&inner, folder.path().join("away")).unwrap();
        let now = plans.rescan(&protocols);
        assert_eq!((now.in_force.len(), now.faults.len()), (1, 1));
        std::fs::create_dir(&inner).unwrap();
        let now = plans.rescan(&protocols);
        assert!(now.in_force.is_empty());
        assert!(now.notes[0].contains("is gone"));
    }

    #[test]
    fn two_files_for_one_course_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let protocols = Protocols::load(None).unwrap();
        std::fs::write(folder.path().join("a.yaml"), PLAN).unwrap();
        std::fs::write(folder.path().join("b.yaml"), PLAN.replace("7400", "7000")).unwrap();
        let now = PlanFolder::new(folder.path().to_owned()).rescan(&protocols);
        assert_eq!(now.in_force.len(), 1);
        assert!(now.faults[0].to_string().contains("the same course"));
    }

    #[test]
    fn a_change_in_the_folder_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let watcher = watch(folder.path(), move || {
            // The receiver is gone once the test is over.
            let _ = sender.send(());
        });
        let Ok(_watcher) = watcher else {
            println!("passed over: this system has no file notifications left");
            return;
        };
        std::fs::write(folder.path().join("a.yaml"), PLAN).unwrap();
        receiver.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    }
}
