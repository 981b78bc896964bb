//! Unit tests in the parts of the example server. `cargo test` builds an example either as a program or as
//! a test, and other tests need the program, so the parts are mounted here.
#![expect(dead_code, reason = "the rest of the example uses them")]

#[path = "../examples/server/args.rs"]
mod args;
#[path = "../examples/server/device_pages.rs"]
mod device_pages;
#[path = "../examples/server/digests.rs"]
mod digests;
#[path = "../examples/server/admin_api/offered.rs"]
mod offered;
#[path = "../examples/server/pages.rs"]
mod pages;
#[path = "../examples/server/seed.rs"]
mod seed;
#[path = "../examples/server/sessions.rs"]
mod sessions;
#[path = "../examples/server/shell.rs"]
mod shell;
#[path = "../examples/server/sign.rs"]
mod sign;
#[path = "../examples/server/site.rs"]
mod site;
#[path = "../examples/server/tries.rs"]
mod tries;
#[path = "../examples/server/users.rs"]
mod users;
#[path = "../examples/server/web.rs"]
mod web;
