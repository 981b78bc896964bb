//! Internals for benches and fuzz targets. Not under semver.

#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(feature = "test-kit")]
pub mod measure;
