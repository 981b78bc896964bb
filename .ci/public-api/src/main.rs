//! Lists the public API of a crate from its rustdoc JSON, one item a line, without the
//! implementations that the compiler and the standard library add.

use std::{env, error, io};

fn main() -> Result<(), Box<dyn error::Error>> {
    let json = env::args_os().nth(1).ok_or("usage: public-api-listing RUSTDOC_JSON")?;
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let lines: Vec<_> = api.items().map(ToString::to_string).collect();
    io::Write::write_all(&mut io::stdout(), (lines.join("\n") + "\n").as_bytes())?;
    Ok(())
}
