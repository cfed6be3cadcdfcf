//! Pages and API over HTTP: plain server-rendered HTML, no external asset, nothing that changes
//! anything.
//!
//! Every answer carries a content security policy of `'self'` alone; a request under a host name
//! that is not ours is refused (DNS rebinding); templates escape everything that came from
//! outside. Patient names are nowhere, patient IDs in no address.

mod api;
mod page;
mod plot;

use crate::service::{Service, until_shutdown};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What handlers share.
pub(crate) struct Web {
    service: Arc<Service>,
    pages: minijinja::Environment<'static>,
    /// Host names, lower case, without port.
    hosts: Vec<String>,
}

type Shared = Arc<Web>;

/// Serves until `shutdown`; open requests are answered first.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let router = router(service, address);
    axum::serve(listener, router).with_graceful_shutdown(until_shutdown(shutdown)).await
}

fn router(service: Arc<Service>, address: SocketAddr) -> Router {
    let mut hosts: Vec<String> =
        ["localhost", "127.0.0.1", "[::1]"].into_iter().map(str::to_owned).collect();
    hosts.push(match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    });
    hosts.extend(service.loaded.config.web.hosts.iter().map(|host| host.to_lowercase()));
    let web = Arc::new(Web { service, pages: page::environment(), hosts });
    Router::new()
        .route("/", get(page::home))
        .route("/courses/{course}", get(page::course))
        .route("/style.css", get(page::style))
        .route("/api/courses", get(api::courses))
        .route("/api/courses/{course}/results", get(api::results))
        .route("/api/waiting", get(api::waiting))
        .route("/api/plans", get(api::plans))
        .route("/api/jobs", get(api::jobs))
        .route("/api/deliveries", get(api::deliveries))
        .route("/objects/{uid}", get(api::object))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .fallback(page::not_found)
        .layer(from_fn_with_state(web.clone(), guard))
        .with_state(web)
}

/// Refuses foreign host names; adds the headers that bound what a page may do.
async fn guard(State(web): State<Shared>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if host.is_some_and(|host| web.hosts.contains(&without_port(host))) {
        next.run(request).await
    } else {
        let reason = "this host name is not served here; add it to web.hosts\n";
        (StatusCode::MISDIRECTED_REQUEST, reason).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `Host` without its port, lower case; brackets of IPv6 stay.
fn without_port(host: &str) -> String {
    let end = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => colon,
        _ => host.len(),
    };
    host[..end].to_lowercase()
}

/// What goes wrong in a handler, as a status and a sentence.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, axum::Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

impl From<crate::archive::ArchiveError> for Failure {
    fn from(error: crate::archive::ArchiveError) -> Self {
        let status = match error {
            crate::archive::ArchiveError::NotFound(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

/// Asks the archive where blocking is allowed.
async fn ask<T: Send + 'static>(
    web: &Shared,
    question: impl FnOnce(&Service) -> Result<T, crate::archive::ArchiveError> + Send + 'static,
) -> Result<T, Failure> {
    let service = web.service.clone();
    let answer = tokio::task::spawn_blocking(move || question(&service)).await;
    let failed = |_| Failure(StatusCode::INTERNAL_SERVER_ERROR, "the question failed".into());
    Ok(answer.map_err(failed)??)
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn a_host_is_compared_without_its_port() {
        for (host, name) in [
            ("LocalHost:8042", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("evil.example:8042", "evil.example"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
