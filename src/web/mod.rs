//! Pages, API and DICOMweb over HTTP: plain server-rendered HTML, no external asset.
//!
//! `routes` says what each address wants to be allowed; `access` who is who. Every answer carries a
//! content security policy of `'self'` alone; a request under a host name that is not ours is refused
//! (DNS rebinding), and so is one that changes something and comes from a page of somebody else's;
//! templates escape everything that came from outside. Patient names are on no page, patient IDs in no
//! address of ours.

mod access;
mod api;
mod dicomweb;
mod metrics;
mod page;
pub mod plot;
mod routes;
mod server;
mod sign;
mod viewer;

pub use dicomweb::decode_frames;

use crate::service::Service;
use access::{Access, Right};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use routes::Routes;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// What handlers share.
pub(crate) struct Web {
    service: Arc<Service>,
    pages: minijinja::Environment<'static>,
    /// Host names, lower case, without port.
    hosts: Vec<String>,
    access: Access,
    /// Whether our own connections are encrypted.
    tls: bool,
    /// Where we are asked, unless a proxy in front is.
    port: Option<u16>,
    /// Places for answers that hold a thread.
    streams: Arc<Semaphore>,
    /// What has been written to the audit trail of late.
    accessed: access::Accessed,
    /// Filled once the routes are known.
    description: std::sync::OnceLock<serde_json::Value>,
}

type Shared = Arc<Web>;

impl Web {
    fn new(service: Arc<Service>, addresses: &[SocketAddr]) -> Shared {
        let mut hosts: Vec<String> =
            ["localhost", "127.0.0.1", "[::1]"].into_iter().map(str::to_owned).collect();
        hosts.extend(addresses.iter().map(|address| match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        }));
        let settings = &service.loaded.config.web;
        hosts.extend(settings.hosts.iter().map(|host| host.to_lowercase()));
        Arc::new(Self {
            hosts,
            pages: page::environment(),
            access: Access::new(settings),
            tls: settings.tls.is_some(),
            port: addresses.first().map(SocketAddr::port).filter(|_| !settings.behind_proxy),
            streams: Arc::new(Semaphore::new(dicomweb::STREAMS)),
            accessed: access::Accessed::default(),
            description: std::sync::OnceLock::new(),
            service,
        })
    }

    /// Whether the client's side of the way is encrypted, by us or by a proxy in front.
    fn is_encrypted(&self, headers: &HeaderMap) -> bool {
        let behind = self.service.loaded.config.web.behind_proxy;
        let forwarded = headers.get("x-forwarded-proto").is_some_and(|value| value == "https");
        self.tls || (behind && forwarded)
    }
}

/// Serves pages, and the viewer where there is one, until `shutdown`; open requests are answered
/// first.
pub async fn serve(
    listener: TcpListener,
    viewer: Option<TcpListener>,
    service: Arc<Service>,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let listeners = || std::iter::once(&listener).chain(&viewer);
    let addresses: Vec<SocketAddr> =
        listeners().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?;
    let tls = service.loaded.config.web.tls.as_ref().map(|files| files.server());
    let tls = tls.transpose().map_err(std::io::Error::other)?;
    let web = Web::new(service, &addresses);
    let pages = server::run(listener, router(&web), tls.clone(), shutdown.clone());
    let Some(viewer) = viewer else { return pages.await };
    let viewer = server::run(viewer, viewer_router(&web), tls, shutdown);
    tokio::try_join!(pages, viewer).map(drop)
}

fn router(web: &Shared) -> Router {
    let routes = Routes::new(web.clone())
        .get("/", Right::Read, "Courses, what waits and why, jobs, deliveries", page::home)
        .get("/courses/{course}", Right::Read, "One course and its result", page::course)
        .post("/courses/{course}/sign", Right::Sign, "Put one's name under a result", sign::sign)
        .get("/style.css", Right::Open, "Style of the pages", page::style)
        .get("/login", Right::Open, "The log-in", access::login_page)
        .post("/login", Right::Open, "Log in", access::log_in)
        .post("/logout", Right::Read, "Log out", access::log_out)
        .get("/api/openapi.json", Right::Read, "This description", api::openapi)
        .get("/api/courses", Right::Read, "Courses in force", api::courses)
        .get("/api/courses/{course}/results", Right::Read, "results.json of a cycle", api::results)
        .get("/api/courses/{course}/signature", Right::Read, "Who signed it", sign::signature)
        .get("/api/waiting", Right::Read, "What waits, why, and what would help", api::waiting)
        .get("/api/plans", Right::Read, "Faults of plans", api::plans)
        .get("/api/jobs", Right::Read, "Jobs, newest first", api::jobs)
        .get("/api/deliveries", Right::Read, "Deliveries to peers, newest first", api::deliveries)
        .get(
            "/api/announcements",
            Right::Read,
            "Who is told of results that are stored at a peer, newest first",
            api::announcements,
        )
        .get("/api/audit", Right::Manage, "The newest lines of the audit trail", api::audit)
        .get("/objects/{uid}", Right::Read, "One object as a Part 10 file", api::object)
        .get("/healthz", Right::Open, "The process answers", api::healthz)
        .get("/readyz", Right::Open, "It can receive and compute", api::readyz)
        .get("/metrics", Right::Read, "Counters and states for Prometheus", metrics::metrics);
    let (router, description) = dicomweb::routes(routes).build();
    // One router describes itself; a second one would say the same.
    let _ = web.description.set(description);
    finish(router.fallback(page::not_found), web)
}

/// The viewer's own address: its files, log-in and DICOMweb.
fn viewer_router(web: &Shared) -> Router {
    let routes = Routes::new(web.clone())
        .get("/login", Right::Open, "The log-in", access::login_page)
        .post("/login", Right::Open, "Log in", access::log_in)
        .get("/style.css", Right::Open, "Style of the log-in", page::style);
    let routes = dicomweb::routes(routes).get("/", Right::Read, "The viewer", viewer::file).get(
        "/{*path}",
        Right::Read,
        "Files of the viewer",
        viewer::file,
    );
    finish(routes.build().0.layer(axum::Extension(dicomweb::ForViewer)), web)
}

fn finish(router: Router<Shared>, web: &Shared) -> Router {
    router.layer(from_fn_with_state(web.clone(), guard)).with_state(web.clone())
}

/// Refuses foreign host names and what other people's pages send; adds the headers that bound what a page
/// may do.
async fn guard(State(web): State<Shared>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let is_ours = host.is_some_and(|host| web.hosts.contains(&without_port(host)));
    let origin = allowed_origin(&web, request.headers());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let mut response = if !is_ours {
        let reason = "this host name is not served here; add it to web.hosts\n";
        (StatusCode::MISDIRECTED_REQUEST, reason).into_response()
    } else if origin.is_some() && request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else if changes && origin.is_none() && !access::is_of_same_origin(&request) {
        let reason = "sent by a page of another origin; add it to web.cors\n";
        (StatusCode::FORBIDDEN, reason).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; form-action 'self'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if web.tls {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if let Some(origin) = origin {
        allow(headers, origin);
    }
    response
}

/// The page's origin, where `web.cors` names it.
fn allowed_origin(web: &Web, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let allowed = &web.service.loaded.config.web.cors;
    allowed.iter().any(|allowed| origin == allowed.as_str()).then(|| origin.clone())
}

/// What another page may send: a token, never our cookie.
fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (header::VARY, "Origin"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Type, Warning"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
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
