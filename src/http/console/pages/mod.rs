//! The pages, one file each.

mod apps;
mod overview;
