//! Apps that no administrator registered.

mod powers;
