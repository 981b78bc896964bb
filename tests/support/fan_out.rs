//! Many refreshes of one token at once, as a page sends them that fans out.

use std::sync::Barrier;
use std::thread;

use super::Answer;

/// Sends a refresh token `callers` times at once, and its successor likewise, `rounds` times in all.
/// Returns the last successor. Every caller must get the same one.
pub(crate) fn fan_out(
    (callers, rounds): (usize, usize),
    first: &str,
    refresh: impl Fn(&str) -> Answer + Sync,
) -> String {
    let mut token = first.to_owned();
    for round in 0..rounds {
        let start = Barrier::new(callers);
        let (start, presented, refresh) = (&start, token.as_str(), &refresh);
        let call = move || {
            start.wait();
            refresh(presented)
        };
        let answers: Vec<Answer> = thread::scope(|scope| {
            let threads: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let next = answers[0].text("refresh_token").to_owned();
        for answer in &answers {
            assert_eq!((answer.status, answer.text("refresh_token")), (200, &*next), "{round}");
        }
        assert_ne!(next, token);
        token = next;
    }
    token
}
