//! A `tower` layer that checks bearer tokens, for any host that uses `http` 1.x.

use std::fmt;
use std::future::{Ready, ready};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::resource_server::{BearerRequest, BearerVerifier, Challenge};

/// A layer that passes requests with a valid token, with the claims in the request's extensions,
/// and answers others with a challenge (RFC 6750 section 3).
///
/// [`enforcing`](Self::enforcing) also checks the scope that the catalog requires. Revocation is
/// checked if the verifier has a [`RevocationList`](crate::resource_server::RevocationList). If the keys of
/// a [discovered](BearerVerifier::discover) issuer may be outdated, the request waits while they are fetched.
///
/// # The path
///
/// The catalog decides about the path as the client sent it. In an axum router (with feature `axum`)
/// that holds at any depth of nesting. Another service that changes the URI, such as one that strips
/// a prefix, must run inside this layer: the layer cannot know the part that is gone, and `/users`
/// may have been `/admin/users`.
///
/// ```
/// use std::sync::Arc;
///
/// use grantor::jwt::AccessTokenClaims;
/// use grantor::resource_server::BearerLayer;
/// # use grantor::ids::Issuer;
/// # use grantor::jwt::{Algorithm, SigningKey, VerifyingKeys};
/// # use grantor::resource_server::BearerVerifier;
///
/// # let key = SigningKey::generate(Algorithm::EdDSA)?;
/// # let keys = VerifyingKeys::new(vec![key.verifying_key()])?;
/// let verifier = BearerVerifier::new(Issuer::new("https://as.example.com")?, keys);
/// let layer = BearerLayer::enforcing(Arc::new(verifier));
/// // `Router::new().route(…).layer(layer)`; in a handler:
/// fn of_request(request: &http::Request<()>) -> Option<&Arc<AccessTokenClaims>> {
///     request.extensions().get()
/// }
/// # let _ = (layer, of_request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BearerLayer {
    verifier: Arc<BearerVerifier>,
    enforcing: bool,
}

impl BearerLayer {
    /// Creates a layer that requires a valid token, with any scope.
    #[must_use]
    pub const fn authenticating(verifier: Arc<BearerVerifier>) -> Self {
        Self { verifier, enforcing: false }
    }

    /// Creates a layer that requires a valid token whose scope allows the request's method and path
    /// by the catalog.
    #[must_use]
    pub const fn enforcing(verifier: Arc<BearerVerifier>) -> Self {
        Self { verifier, enforcing: true }
    }
}

impl<T> Layer<T> for BearerLayer {
    type Service = BearerService<T>;

    fn layer(&self, inner: T) -> Self::Service {
        BearerService { layer: self.clone(), inner }
    }
}

/// The service that [`BearerLayer`] returns.
#[derive(Clone, Debug)]
pub struct BearerService<T> {
    layer: BearerLayer,
    inner: T,
}

impl<T, B, R> Service<Request<B>> for BearerService<T>
where
    T: Service<Request<B>, Response = Response<R>> + Clone,
    R: Default,
{
    type Response = T::Response;
    type Error = T::Error;
    type Future = BearerFuture<T, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        BearerFuture(match admit(&self.layer, &mut request) {
            Ok(()) => Admission::Admitted(Box::pin(self.inner.call(request))),
            Err(challenge) if self.layer.verifier.is_remote() => {
                let verifier = Arc::clone(&self.layer.verifier);
                let refreshed = async move {
                    if verifier.refresh_after(&challenge).await { Ok(()) } else { Err(challenge) }
                };
                // The service that is ready, not its clone.
                let inner = self.inner.clone();
                let inner = mem::replace(&mut self.inner, inner);
                let layer = self.layer.clone();
                let refreshed = Box::pin(refreshed);
                Admission::Waiting(Some(Box::new(Waiting { refreshed, layer, inner, request })))
            }
            Err(challenge) => Admission::Refused(ready(Ok(challenge.to_response()))),
        })
    }
}

/// The response of the inner service `T` to a request with the body `B`, or the challenge.
pub struct BearerFuture<T: Service<Request<B>>, B>(Admission<T, B>);

enum Admission<T: Service<Request<B>>, B> {
    Admitted(Pin<Box<T::Future>>),
    Refused(Ready<Result<T::Response, T::Error>>),
    /// `None` only while it is polled.
    Waiting(Option<Box<Waiting<T, B>>>),
}

/// A refused request that may be admitted with other keys.
struct Waiting<T, B> {
    /// The challenge, unless the request is to be checked again.
    refreshed: Pin<Box<dyn Future<Output = Result<(), Challenge>> + Send>>,
    layer: BearerLayer,
    inner: T,
    request: Request<B>,
}

impl<T, B, R> Future for BearerFuture<T, B>
where
    T: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Output = Result<T::Response, T::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let admission = &mut self.get_mut().0;
        loop {
            match admission {
                Admission::Admitted(inner) => return inner.as_mut().poll(context),
                Admission::Refused(refused) => return Pin::new(refused).poll(context),
                Admission::Waiting(waiting) => {
                    let Some(mut it) = waiting.take() else { return Poll::Pending };
                    *admission = match it.refreshed.as_mut().poll(context) {
                        Poll::Pending => {
                            *waiting = Some(it);
                            return Poll::Pending;
                        }
                        Poll::Ready(Ok(())) => it.admit_again(),
                        Poll::Ready(Err(challenge)) => {
                            Admission::Refused(ready(Ok(challenge.to_response())))
                        }
                    };
                }
            }
        }
    }
}

impl<T, B, R> Waiting<T, B>
where
    T: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    fn admit_again(mut self) -> Admission<T, B> {
        match admit(&self.layer, &mut self.request) {
            Ok(()) => Admission::Admitted(Box::pin(self.inner.call(self.request))),
            Err(challenge) => Admission::Refused(ready(Ok(challenge.to_response()))),
        }
    }
}

impl<T: Service<Request<B>>, B> fmt::Debug for BearerFuture<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            Admission::Admitted(_) => "admitted",
            Admission::Refused(_) => "refused",
            Admission::Waiting(_) => "waiting for keys",
        };
        f.debug_tuple("BearerFuture").field(&state).finish()
    }
}

fn admit<B>(layer: &BearerLayer, request: &mut Request<B>) -> Result<(), Challenge> {
    let uri = sent_uri(request.extensions(), request.uri());
    let bearer = BearerRequest::of(request.headers(), uri);
    let claims = if layer.enforcing {
        layer.verifier.authorize(request.method().as_str(), uri.path(), bearer)?
    } else {
        layer.verifier.check(bearer)?
    };
    request.extensions_mut().insert(claims);
    Ok(())
}

/// Returns the URI as the client sent it. A nested axum router strips its prefix from `uri`.
pub(crate) fn sent_uri<'a>(extensions: &'a http::Extensions, uri: &'a http::Uri) -> &'a http::Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    #[cfg(not(feature = "axum"))]
    let _ = extensions;
    uri
}
