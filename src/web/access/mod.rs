//! Who asks, and what they may: people by session cookie, programs by bearer token. Without a file of
//! users everybody who reaches the address is `local`, who may all but sign.

mod accessed;
mod lockout;
mod login;
mod sessions;

pub(super) use accessed::{Accessed, record as record_access};
pub(super) use login::{log_in, log_out, login_page};

use super::{Failure, Shared};
use crate::config::credentials::{Credentials, Role, Scope, sha256_hex};
use crate::config::web::WebSettings;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use lockout::Lockout;
use sessions::Sessions;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;

/// Passwords that are hashed at once: each takes 19 MiB and a processor.
const HASHING: usize = 2;
const COOKIE: &str = "grayd";

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// Log-in, health and the style sheet.
    Open,
    Read,
    /// Storing images.
    Store,
    /// Putting one's name under a result.
    Sign,
    /// The audit trail.
    Manage,
}

impl Right {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Store => "store",
            Self::Sign => "sign",
            Self::Manage => "manage",
        }
    }
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) name: String,
    rights: &'static [Right],
    /// What forms of this session carry.
    pub(super) csrf: Option<String>,
}

impl Identity {
    fn of_role(name: String, role: Role, csrf: String) -> Self {
        let rights: &[Right] = match role {
            Role::Viewer => &[Right::Read],
            Role::Physicist => &[Right::Read, Right::Store, Right::Sign],
            Role::Admin => &[Right::Read, Right::Store, Right::Manage],
        };
        Self { name, rights, csrf: Some(csrf) }
    }

    fn of_scope(name: String, scope: Scope) -> Self {
        let rights: &[Right] = match scope {
            Scope::Read => &[Right::Read],
            Scope::Write => &[Right::Read, Right::Store],
        };
        Self { name, rights, csrf: None }
    }

    fn local() -> Self {
        Self {
            name: "local".into(),
            rights: &[Right::Read, Right::Store, Right::Manage],
            csrf: None,
        }
    }

    pub(super) fn may(&self, right: Right) -> bool {
        right == Right::Open || self.rights.contains(&right)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Failure> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Failure(StatusCode::UNAUTHORIZED, "log in first".into()))
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

struct Kept {
    stamp: Option<(SystemTime, u64)>,
    credentials: Arc<Credentials>,
}

pub(super) struct Access {
    users: Option<PathBuf>,
    kept: Mutex<Kept>,
    sessions: Sessions,
    lockout: Lockout,
    hashing: Semaphore,
    behind_proxy: bool,
}

impl Access {
    pub(super) fn new(settings: &WebSettings) -> Self {
        let (idle, longest) = (settings.sessions.idle_minutes, settings.sessions.longest_hours);
        let idle = Duration::from_secs(60 * u64::from(idle));
        let longest = Duration::from_secs(3600 * u64::from(longest));
        Self {
            users: settings.users.clone(),
            kept: Mutex::new(Kept { stamp: None, credentials: Arc::default() }),
            sessions: Sessions::new(idle, longest),
            lockout: Lockout::default(),
            hashing: Semaphore::new(HASHING),
            behind_proxy: settings.behind_proxy,
        }
    }

    pub(super) fn has_users(&self) -> bool {
        self.users.is_some()
    }

    /// The file as it stands; the last good version where it has become faulty.
    fn credentials(&self) -> Arc<Credentials> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.users else { return kept.credentials.clone() };
        let stamp = std::fs::metadata(path).and_then(|m| Ok((m.modified()?, m.len()))).ok();
        if stamp.is_none() || stamp != kept.stamp {
            match Credentials::open(path) {
                Ok(found) => kept.credentials = Arc::new(found),
                Err(faults) if kept.stamp != stamp => {
                    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                    tracing::error!(faults = faults.join("; "), "users stay as they were");
                }
                Err(_) => {}
            }
            kept.stamp = stamp;
        }
        kept.credentials.clone()
    }

    /// Who asks; `None` where that cannot be told.
    pub(super) fn identify(&self, headers: &HeaderMap) -> Option<Identity> {
        if !self.has_users() {
            return Some(Identity::local());
        }
        let credentials = self.credentials();
        if let Some(text) = bearer(headers) {
            let hash = sha256_hex(text.as_bytes());
            let token = credentials.tokens.iter().find(|token| token.sha256 == hash)?;
            return Some(Identity::of_scope(token.name.clone(), token.scope));
        }
        let session = self.sessions.find(cookie(headers)?, Instant::now())?;
        // Who has been taken out of the file, or given another role, feels it at once.
        let user = credentials.users.iter().find(|user| user.name == session.user)?;
        Some(Identity::of_role(session.user, user.role, session.csrf))
    }

    /// The address of the client: the proxy's word for it where there is a proxy.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let last = forwarded.and_then(|text| text.rsplit(',').next()?.trim().parse().ok());
        if self.behind_proxy { last.unwrap_or(peer) } else { peer }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim())
}

/// Lets through who has the right, and leaves their identity with the request.
pub(super) async fn authorise(
    State((web, right)): State<(Shared, Right)>,
    mut request: Request,
    next: Next,
) -> Response {
    let identity = web.access.identify(request.headers());
    match identity {
        Some(identity) if identity.may(right) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Some(identity) => {
            let reason =
                format!("{} may not do that ({} is needed)", identity.name, right.as_str());
            Failure(StatusCode::FORBIDDEN, reason).into_response()
        }
        None if right == Right::Open => next.run(request).await,
        None => challenge(&request),
    }
}

/// A person is led to the log-in, a program is told what to send.
fn challenge(request: &Request) -> Response {
    let path = request.uri().path();
    let for_programs = ["/api/", "/dicom-web", "/metrics", "/objects/"];
    if request.method() == Method::GET && !for_programs.iter().any(|start| path.starts_with(start))
    {
        return Redirect::to(&format!("/login?next={path}")).into_response();
    }
    let failure = Failure(StatusCode::UNAUTHORIZED, "log in, or send a token as bearer".into());
    ([(header::WWW_AUTHENTICATE, "Bearer realm=\"grayd\"")], failure).into_response()
}

/// Whether a request that changes something comes from a page of ours, or from no page at all.
pub(super) fn is_of_same_origin(request: &Request) -> bool {
    let text = |name: &str| request.headers().get(name)?.to_str().ok();
    let Some(origin) = text("origin") else {
        // Browsers name the origin of every POST; who does not is a program, which has no cookie.
        return text("cookie").is_none() || text("sec-fetch-site") == Some("same-origin");
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text("host")
}

/// A form of one of our pages: what it carries proves that the page was ours.
pub(super) struct OwnForm<T>(pub(super) T);

#[derive(serde::Deserialize)]
struct Marked<T> {
    csrf: String,
    #[serde(flatten)]
    form: T,
}

impl<T: serde::de::DeserializeOwned> FromRequest<Shared> for OwnForm<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, web: &Shared) -> Result<Self, Failure> {
        let wanted = request.extensions().get::<Identity>().and_then(|who| who.csrf.clone());
        let refused = || {
            Failure(StatusCode::FORBIDDEN, "the form is out of date; load the page again".into())
        };
        let form = axum::Form::<Marked<T>>::from_request(request, web).await;
        let axum::Form(Marked { csrf, form }) = form.map_err(|_| refused())?;
        // Hashes are compared, so that time tells nothing of the token.
        let same = wanted
            .is_some_and(|wanted| sha256_hex(wanted.as_bytes()) == sha256_hex(csrf.as_bytes()));
        if same { Ok(Self(form)) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        headers
    }

    #[test]
    fn roles_and_scopes_have_the_rights_that_the_manual_says() {
        let role = |role| Identity::of_role("x".into(), role, String::new());
        let all = [Right::Read, Right::Store, Right::Sign, Right::Manage];
        let rights = |who: Identity| all.map(|right| who.may(right));
        assert_eq!(rights(role(Role::Viewer)), [true, false, false, false]);
        assert_eq!(rights(role(Role::Physicist)), [true, true, true, false]);
        assert_eq!(rights(role(Role::Admin)), [true, true, false, true]);
        assert_eq!(
            rights(Identity::of_scope("x".into(), Scope::Read)),
            [true, false, false, false]
        );
        assert_eq!(
            rights(Identity::of_scope("x".into(), Scope::Write)),
            [true, true, false, false]
        );
        assert_eq!(rights(Identity::local()), [true, true, false, true]);
    }

    #[test]
    fn tokens_and_cookies_are_found_among_others() {
        assert_eq!(bearer(&headers(&[("authorization", "Bearer abc ")])), Some("abc"));
        assert_eq!(bearer(&headers(&[("authorization", "Basic abc")])), None);
        let found = headers(&[("cookie", "a=b; grayd=tok"), ("cookie", "grayd=other")]);
        assert_eq!(cookie(&found), Some("tok"));
        assert_eq!(cookie(&headers(&[("cookie", "xgrayd=tok")])), None);
    }

    #[test]
    fn what_other_pages_send_is_told_from_ours() {
        let request = |pairs: &[(&str, &str)]| {
            let mut request = Request::new(axum::body::Body::empty());
            *request.headers_mut() = headers(pairs);
            is_of_same_origin(&request)
        };
        assert!(request(&[("host", "n:1"), ("origin", "http://n:1"), ("cookie", "grayd=x")]));
        assert!(!request(&[("host", "n:1"), ("origin", "http://n:2"), ("cookie", "grayd=x")]));
        assert!(!request(&[("host", "n:1"), ("origin", "null")]));
        assert!(request(&[("host", "n:1")]), "a program without a cookie");
        assert!(!request(&[("host", "n:1"), ("cookie", "grayd=x")]));
    }
}
