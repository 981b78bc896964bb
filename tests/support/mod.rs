//! The world of the tests and benches: a server over any store, its users and apps, and the requests
//! that clients send.

mod answer;
mod apps;
mod fan_out;
mod flows;
mod pages;
mod wire;
mod world;

pub(crate) use self::answer::{Answer, Answered, ask};
pub(crate) use self::apps::{
    App, CALLBACK, code_app, code_query, machine_app, new_verifier, public_app, scope,
};
pub(crate) use self::fan_out::fan_out;
pub(crate) use self::flows::{basic, body_of, encode, parameters, redirected, shown};
pub(crate) use self::pages::Lines;
pub(crate) use self::wire::Wire;
pub(crate) use self::world::{ISSUER, ROOT, START, Server, World, ann, new_key, subject};
