//! An export of another server is an error or a declaration that can be written and read again. The first
//! byte chooses the format.
#![no_main]

use grantor::admin::DeclaredApps;
use grantor::migrate::{self, ExportFormat};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Some((choice, text)) = text.split_at_checked(1) else { return };
    let format = ExportFormat::ALL[usize::from(choice.as_bytes()[0]) % ExportFormat::ALL.len()];
    let Ok(migration) = migrate::read(format, text) else { return };
    let written = migration.declared.to_json();
    let read = DeclaredApps::from_json(&written, |_| Err("no reference is written".to_owned()));
    assert_eq!(read.unwrap().to_json(), written);
    let _ = migration.report.to_string();
});
