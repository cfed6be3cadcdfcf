//! YAML with a position for every fault, and all faults of a file in one go.
//!
//! serde stops at the first fault. Here a file is first read into a tree whose nodes know their
//! line and column; [`Document::read`] then reads a value from that tree, and on a fault notes
//! it, takes the faulty node out and reads again, until nothing is left to complain about.
//! Checks that go beyond types ask [`Document::fault_at`] for the position of a key.

mod de;

use serde::de::DeserializeOwned;
use std::collections::HashSet;

/// The most faults that are reported of one file: more is not a slip but the wrong file.
const FAULTS_MAX: usize = 100;

/// The largest file that is read, bytes: plans and configuration are small.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is wrong in a file, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    pub file: String,
    /// 1-based; 0 where the file as a whole is meant.
    pub line: u64,
    /// 1-based; 0 where the file as a whole is meant.
    pub column: u64,
    pub message: String,
}

impl Fault {
    /// A fault of the whole file: it cannot be opened, it is too long.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, message: message.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    line: u64,
    column: u64,
    origin: Origin,
}

/// The file that a node stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The document's own.
    Own,
    /// The one that was laid over it.
    Over,
}

/// One YAML node. `id` is its name within the document.
#[derive(Debug, Clone)]
struct Node {
    id: usize,
    position: Position,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Null,
    /// A scalar as YAML's core schema resolves it, and as it stands in the file.
    Scalar(Scalar, String),
    Sequence(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text,
}

#[derive(Debug, Clone)]
struct Entry {
    key_id: usize,
    key: String,
    key_position: Position,
    value: Node,
}

/// One step into a document: a key of a map or the index in a list.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A YAML file as a tree of nodes that know where they stand.
#[derive(Debug, Clone)]
pub struct Document {
    file: String,
    /// The file of what was laid over.
    over: Option<String>,
    root: Node,
    whole: bool,
}

/// `steps!["peers", 0, "port"]`
macro_rules! steps {
    ($($step:expr),* $(,)?) => { &[$($crate::config::yaml::Step::from($step)),*][..] };
}
pub(crate) use steps;

impl Document {
    /// Reads a file of at most [`FILE_BYTES_MAX`].
    pub fn open(path: &std::path::Path) -> Result<Self, Fault> {
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            Fault::of_file(&file, format!("cannot be read ({error}); check path and rights"))
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > FILE_BYTES_MAX {
            return Err(Fault::of_file(&file, "is longer than 1 MiB; is this the right file?"));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&file, &text)
    }

    /// Parses `text`; `file` is what faults call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Fault> {
        let root = de::tree(text).map_err(|(position, message)| Fault {
            file: file.to_owned(),
            line: position.line,
            column: position.column,
            message,
        })?;
        Ok(Self { file: file.to_owned(), over: None, root, whole: true })
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// The value, if one can be read without the faulty parts, and every fault. The faulty parts
    /// are taken out of the document, so that its indices are those of the value.
    pub fn read<T: DeserializeOwned>(&mut self) -> (Option<T>, Vec<Fault>) {
        let mut faults = Vec::new();
        // Keys that were taken out because of their value: not also reported as missing.
        let mut taken: HashSet<(usize, String)> = HashSet::new();
        while faults.len() < FAULTS_MAX {
            let error = match T::deserialize(de::NodeDeserializer(&self.root)) {
                Ok(value) => return (Some(value), faults),
                Err(error) => error,
            };
            let (id, position) = error.at.unwrap_or((self.root.id, self.root.position));
            let known = error.missing.is_some_and(|key| taken.contains(&(id, key.to_owned())));
            if !known {
                faults.push(self.fault(position, error.message));
            }
            self.whole = false;
            if !self.root.take(id, &mut taken) {
                break;
            }
        }
        (None, faults)
    }

    /// A fault at the value that `path` leads to, or at what is there of the way to it.
    pub fn fault_at(&self, path: &[Step<'_>], message: impl Into<String>) -> Fault {
        self.fault(self.position_of(path), message.into())
    }

    /// Nothing faulty was taken out: what is not here was not written.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Is something written at `path`?
    pub fn has(&self, path: &[Step<'_>]) -> bool {
        path.iter().try_fold(&self.root, |node, step| node.child(step)).is_some()
    }

    /// Takes these keys of the outermost map into a document of their own.
    pub fn split_off(&mut self, keys: &[&str]) -> Self {
        let mut other = self.clone();
        let named = |entry: &Entry| keys.contains(&entry.key.as_str());
        if let (Kind::Map(own), Kind::Map(others)) = (&mut self.root.kind, &mut other.root.kind) {
            own.retain(|entry| !named(entry));
            others.retain(named);
        }
        other
    }

    /// Lays the section `key` of another document over this one: what is written there counts
    /// instead of what is written here, maps key by key. Faults of it name the other file.
    pub fn lay_over(&mut self, other: &Self, key: &str) {
        self.over = Some(other.file.clone());
        let Some(section) = other.root.child(&key.into()) else { return };
        let mut section = section.clone();
        section.move_in(self.root.id_max());
        self.root.lay_over(section);
    }

    pub fn is_laid_over(&self) -> bool {
        self.over.is_some()
    }

    /// The dotted path of every constant `{ value, provenance, source }` with this provenance.
    pub fn with_provenance(&self, provenance: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.root.with_provenance(provenance, "", &mut found);
        found
    }

    fn position_of(&self, path: &[Step<'_>]) -> Position {
        let mut node = &self.root;
        for step in path {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.position
    }

    fn fault(&self, position: Position, message: String) -> Fault {
        let file = match (position.origin, &self.over) {
            (Origin::Over, Some(over)) => over,
            _ => &self.file,
        };
        Fault { file: file.clone(), line: position.line, column: position.column, message }
    }
}

impl Node {
    fn child(&self, step: &Step<'_>) -> Option<&Node> {
        match (&self.kind, step) {
            (Kind::Map(entries), Step::Key(key)) => {
                entries.iter().find(|e| e.key == *key).map(|e| &e.value)
            }
            (Kind::Sequence(items), Step::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    /// A constant with its source.
    fn is_sourced(&self) -> bool {
        ["value", "provenance"].iter().all(|key| self.child(&(*key).into()).is_some())
    }

    fn id_max(&self) -> usize {
        let below = match &self.kind {
            Kind::Map(entries) => {
                entries.iter().map(|entry| entry.key_id.max(entry.value.id_max())).max()
            }
            Kind::Sequence(items) => items.iter().map(Self::id_max).max(),
            Kind::Null | Kind::Scalar(..) => None,
        };
        self.id.max(below.unwrap_or(0))
    }

    /// Makes this node one of another document whose ids end at `offset`.
    fn move_in(&mut self, offset: usize) {
        self.id += offset;
        self.position.origin = Origin::Over;
        match &mut self.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    entry.key_id += offset;
                    entry.key_position.origin = Origin::Over;
                    entry.value.move_in(offset);
                }
            }
            Kind::Sequence(items) => items.iter_mut().for_each(|item| item.move_in(offset)),
            Kind::Null | Kind::Scalar(..) => {}
        }
    }

    fn lay_over(&mut self, over: Self) {
        if matches!(over.kind, Kind::Null) {
            return;
        }
        let sourced = self.is_sourced();
        match (&mut self.kind, over) {
            (Kind::Map(entries), Self { kind: Kind::Map(others), .. }) if !sourced => {
                for other in others {
                    match entries.iter_mut().find(|entry| entry.key == other.key) {
                        Some(entry) => entry.value.lay_over(other.value),
                        None => entries.push(other),
                    }
                }
            }
            (_, over) => *self = over,
        }
    }

    fn with_provenance(&self, provenance: &str, path: &str, found: &mut Vec<String>) {
        if self.is_sourced() {
            let tag = self.child(&"provenance".into());
            let is = |tag: &Self| matches!(&tag.kind, Kind::Scalar(_, text) if text == provenance);
            found.extend(tag.filter(|tag| is(tag)).map(|_| path.to_owned()));
        }
        let below = |step: &str| match path {
            "" => step.to_owned(),
            path => format!("{path}.{step}"),
        };
        match &self.kind {
            Kind::Map(entries) => entries
                .iter()
                .for_each(|e| e.value.with_provenance(provenance, &below(&e.key), found)),
            Kind::Sequence(items) => items.iter().enumerate().for_each(|(index, item)| {
                item.with_provenance(provenance, &below(&index.to_string()), found);
            }),
            Kind::Null | Kind::Scalar(..) => {}
        }
    }

    /// Takes the node (or the entry whose key) `id` names out of the tree.
    fn take(&mut self, id: usize, taken: &mut HashSet<(usize, String)>) -> bool {
        match &mut self.kind {
            Kind::Map(entries) => {
                let found = entries.iter().position(|e| e.key_id == id || e.value.id == id);
                if let Some(index) = found {
                    let entry = entries.remove(index);
                    taken.insert((self.id, entry.key));
                    return true;
                }
                entries.iter_mut().any(|e| e.value.take(id, taken))
            }
            Kind::Sequence(items) => {
                if let Some(index) = items.iter().position(|item| item.id == id) {
                    items.remove(index);
                    return true;
                }
                items.iter_mut().any(|item| item.take(id, taken))
            }
            Kind::Null | Kind::Scalar(..) => false,
        }
    }
}

#[cfg(test)]
mod tests;
