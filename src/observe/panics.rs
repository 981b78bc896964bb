//! Panics of the host's code beside a request: its logs, its callbacks and its background stores. They end
//! neither the request nor the task.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The message of a caught panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked: {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("without a message").to_owned())
    }
}

/// Calls `call`, and returns its panic as an error.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panicked::new(&*payload))
}

/// Awaits `future`, and returns its panic as an error. `future` is dropped then.
pub(crate) async fn caught_in<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(Panicked::new(&*payload))),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        assert_eq!(caught(|| ()), Ok(()));
        assert_eq!(caught(|| panic!("plain")).unwrap_err().to_string(), "it panicked: plain");
        let number = 7;
        let formatted = caught(|| panic!("number {number}")).unwrap_err();
        assert_eq!(formatted.to_string(), "it panicked: number 7");
        let other = caught(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(other.to_string(), "it panicked: without a message");
    }

    #[test]
    fn a_future_may_panic_at_any_await() {
        assert_eq!(pollster::block_on(caught_in(async { 7 })), Ok(7));
        let late = caught_in(async {
            let mut polled = false;
            poll_fn(|context| {
                assert!(!polled, "polled again");
                polled = true;
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        });
        let error = pollster::block_on(late).unwrap_err();
        assert_eq!(error.to_string(), "it panicked: polled again");
    }
}
