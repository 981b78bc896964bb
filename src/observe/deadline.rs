//! A limit for calls in the background whose answer may never come.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// The time after which a call in the background is dropped.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The call was dropped.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", DEADLINE.as_secs())]
pub(crate) struct NoAnswer;

/// Awaits `call`, and drops it when `deadline` comes first.
///
/// # Errors
///
/// [`NoAnswer`].
pub(crate) async fn within<T>(
    call: impl Future<Output = T>,
    deadline: impl Future<Output = ()>,
) -> Result<T, NoAnswer> {
    let (mut call, mut deadline) = (pin!(call), pin!(deadline));
    poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => deadline.as_mut().poll(context).map(|()| Err(NoAnswer)),
    })
    .await
}
