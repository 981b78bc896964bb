//! Runs the commands that the server prints.

use std::process::Output;

use tokio::process::Command;

use crate::BoxError;
use crate::tries::Tries;

/// Runs each command in a shell and prints the result.
///
/// # Errors
///
/// The number of commands that failed.
pub(crate) async fn check(tries: &Tries) -> Result<(), BoxError> {
    let mut failed = 0;
    for one in tries.iter() {
        let run = Command::new("sh").arg("-c").arg(one.commands()).kill_on_drop(true).output();
        let Output { stdout, stderr, .. } = run.await?;
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if stdout.contains(one.expected()) {
            println!("ok      {}", one.title());
        } else {
            failed += 1;
            let expected = one.expected();
            println!("FAILED  {}: no {expected} in\n{stdout}{stderr}", one.title());
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} commands failed").into()) }
}
