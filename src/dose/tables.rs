//! Whether the tables of physics in this program are those that were validated.
//!
//! `config/SHA256SUMS` holds the sum of each. Whoever changes a table, or makes it anew, changes its
//! sum too, and so says that the numbers of `docs/methods` were measured again.

use super::{atomic, kernel};
use crate::quantity::nuclide;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Sums in the form of `sha256sum`, by name below `config/`.
const SUMS: &str = include_str!("../../config/SHA256SUMS");

/// A table that cannot be relied on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TableFault {
    #[error(
        "config/{table} is not the table that was validated: its SHA-256 is {found}, config/SHA256SUMS \
         says {stated}; restore the table, or validate the new one (docs/methods) and write its sum"
    )]
    Hash { table: String, stated: String, found: String },
    #[error(
        "config/SHA256SUMS has no sum of config/{table}; validate the table (docs/methods) and write its sum"
    )]
    NoSum { table: String },
}

/// Decay data, cross-sections, tissues and kernels of this program against their sums.
///
/// # Errors
/// The first table, by name, that has another sum or none.
pub fn verify() -> Result<(), TableFault> {
    let nuclides = nuclide::TABLES.iter();
    let tables = nuclides.chain(&kernel::TABLES).chain(&atomic::TABLES);
    verify_against(SUMS, tables.copied())
}

fn verify_against<'a>(
    sums: &str,
    tables: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), TableFault> {
    let sums: BTreeMap<&str, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name, sum))
        .collect();
    for (table, text) in tables.collect::<BTreeMap<_, _>>() {
        let stated =
            sums.get(table).ok_or_else(|| TableFault::NoSum { table: table.to_owned() })?;
        let found = Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        if found != *stated {
            let (table, stated) = (table.to_owned(), (*stated).to_owned());
            return Err(TableFault::Hash { table, stated, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_whose_sums_are_stated_and_no_sum_is_left_over() {
        assert_eq!(verify(), Ok(()));
        let tables = nuclide::TABLES.len() + kernel::TABLES.len() + atomic::TABLES.len();
        assert_eq!(SUMS.lines().count(), tables);
    }

    #[test]
    fn a_table_with_a_wrong_hash_or_none_is_named_with_what_to_do() {
        // FIPS 180-4's example: SHA-256 of "abc".
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sums = format!("{sum}  kernels/a.yaml\n");
        let verify = |name, text| verify_against(&sums, [(name, text)].into_iter());
        assert_eq!(verify("kernels/a.yaml", "abc"), Ok(()));
        let fault = verify("kernels/a.yaml", "abd").unwrap_err().to_string();
        assert!(
            fault.starts_with("config/kernels/a.yaml is not the table that was validated"),
            "{fault}"
        );
        assert!(fault.contains(sum) && fault.contains("restore the table"), "{fault}");
        let fault = verify("kernels/b.yaml", "abc").unwrap_err();
        assert_eq!(fault, TableFault::NoSum { table: "kernels/b.yaml".into() });
    }
}
