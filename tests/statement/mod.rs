//! Tables within a document that a person wrote: each stands between `<!-- table: NAME -->` and
//! `<!-- end -->`, and has to be what the code says. `GRAYD_BLESS=1` writes them.

use std::path::{Path, PathBuf};

pub fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// A table in Markdown.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows = rows.into_iter().map(|row| {
        assert_eq!(row.len(), head.len(), "{row:?}");
        line(&row)
    });
    line(&head) + &rule + &rows.collect::<String>()
}

/// The parts before, within and after a block.
pub fn block<'t>(text: &'t str, begin: &str) -> (&'t str, &'t str, &'t str) {
    let begin = format!("<!-- {begin} -->\n");
    let start = text.find(&begin).unwrap_or_else(|| panic!("{begin} is missing")) + begin.len();
    let length = text[start..].find("<!-- end -->").expect("a block ends");
    (&text[..start], &text[start..start + length], &text[start + length..])
}

/// Compares every table with its block; with GRAYD_BLESS=1 writes those that differ.
pub fn renew(file: &Path, tables: &[(&str, String)]) {
    let mut text = std::fs::read_to_string(file).unwrap();
    for (name, table) in tables {
        let (before, within, after) = block(&text, &format!("table: {name}"));
        if within == table {
            continue;
        }
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (old, new) = (lines(within), lines(table));
        let differs = (0..).find(|n| old.get(*n) != new.get(*n)).unwrap();
        assert!(
            std::env::var_os("GRAYD_BLESS").is_some(),
            "{}: table `{name}` is not what the code says (GRAYD_BLESS=1 writes it)\nwritten: {:?}\ncode:    {:?}",
            file.display(),
            old.get(differs),
            new.get(differs),
        );
        text = format!("{before}{table}{after}");
    }
    if std::env::var_os("GRAYD_BLESS").is_some() {
        std::fs::write(file, text).unwrap();
    }
}
