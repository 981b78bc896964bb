//! Every row of the list of behaviours that applies is shown by a test that names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rows that apply now: a letter, and the numbers from first to last.
const APPLY: &[(char, u32, u32)] = &[
    ('A', 1, 28),
    ('A', 30, 35),
    ('P', 1, 12),
    ('T', 1, 14),
    ('C', 1, 29),
    ('C', 31, 33),
    ('G', 1, 19),
    ('R', 1, 21),
    ('R', 23, 23),
    ('J', 1, 31),
    ('M', 3, 5),
    ('S', 1, 7),
    ('X', 1, 2),
    ('V', 1, 9),
    ('I', 1, 5),
    ('I', 7, 8),
    ('M', 1, 5),
];

/// The rows that do not apply yet, or never, and why.
const DO_NOT_APPLY: &[(&str, &str)] = &[
    ("A29", "the least length of a state is a policy that RFC 6749 does not ask for"),
    ("C30", "keys are registered, never fetched from a jwks_uri"),
    ("R22", "sender-constrained tokens are not offered"),
    ("I6", "no bearer token authorises to introspect: an app does it with its own credentials"),
    ("J32", "the ID-JAG profile is not offered"),
];

/// The other rows of the list: of what is not offered, or not yet. A test may name one already.
const OTHERS: &[(char, u32, u32)] =
    &[('X', 3, 10), ('D', 1, 6), ('Q', 1, 7), ('K', 1, 5), ('L', 1, 4), ('Y', 1, 3)];

fn rows(ranges: &[(char, u32, u32)]) -> BTreeSet<String> {
    let numbered = ranges.iter().flat_map(|(letter, first, last)| {
        (*first..=*last).map(move |number| format!("{letter}{number}"))
    });
    numbered.collect()
}

/// The rows that the doc line of a test names: `/// A31: …`, `/// A10, A11: …`, `/// C18 to C23: …`.
fn named_in(line: &str) -> Vec<String> {
    let Some(text) = line.trim_start().strip_prefix("/// ") else { return Vec::new() };
    let Some((rows, _)) = text.split_once(": ") else { return Vec::new() };
    let mut named = Vec::new();
    for part in rows.split(", ").flat_map(|part| part.split(" and ")) {
        let Some((first, last)) = part.split_once(" to ").or(Some((part, part))) else { continue };
        let (Some((letter, first)), Some((_, last))) = (row(first), row(last)) else {
            return Vec::new();
        };
        named.extend((first..=last).map(|number| format!("{letter}{number}")));
    }
    named
}

/// `A31` as its letter and its number.
fn row(text: &str) -> Option<(char, u32)> {
    let letter = text.chars().next().filter(char::is_ascii_uppercase)?;
    let number = text[1..].parse().ok()?;
    text[1..].starts_with(|first: char| first != '0' && first != '+').then_some((letter, number))
}

/// The rows that tests name, and where.
fn named(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut pending = Vec::new();
            // Rows count when the doc comment that begins with them belongs to a test.
            for line in text.lines().map(str::trim_start) {
                if line.starts_with("///") {
                    pending.extend(named_in(line));
                } else if line.starts_with("#[test]") || line.starts_with("#[cfg(") {
                    for row in std::mem::take(&mut pending) {
                        found.entry(row).or_insert_with(|| path.display().to_string());
                    }
                } else if !line.starts_with("#[") {
                    pending.clear();
                }
            }
        }
    }
}

#[test]
fn every_row_that_applies_is_named_by_a_test() {
    let mut found = BTreeMap::new();
    for folder in ["src", "tests"] {
        named(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let (apply, others) = (rows(APPLY), rows(OTHERS));
    let mut missing: Vec<_> = apply.iter().filter(|row| !found.contains_key(*row)).collect();
    missing.sort_by_key(|row| self::row(row));
    assert!(missing.is_empty(), "no test names {missing:?}");
    for (row, why) in DO_NOT_APPLY {
        assert!(!apply.contains(*row) && !why.is_empty(), "{row}");
    }
    let apart = |row: &str| DO_NOT_APPLY.iter().any(|(other, _)| *other == row);
    let known = |row: &str| apply.contains(row) || others.contains(row) || apart(row);
    let unknown: Vec<_> = found.iter().filter(|(row, _)| !known(row.as_str())).collect();
    assert!(unknown.is_empty(), "rows that are not in the list: {unknown:#?}");
}

#[test]
fn the_names_of_rows_are_read_as_they_are_written() {
    let read = |line: &str| named_in(line).join(" ");
    assert_eq!(read("/// A31: the issuer."), "A31");
    assert_eq!(read("    /// A10, A11: loopback."), "A10 A11");
    assert_eq!(read("/// C18 to C20, J3 and J9 to J10: each claim."), "C18 C19 C20 J3 J9 J10");
    for line in
        ["/// A test: it.", "// A1: no doc.", "/// See A1.", "/// RFC 8725: x", "/// A01: x"]
    {
        assert_eq!(read(line), "", "{line}");
    }
}
