//! Logging in and out.

use super::{COOKIE, Identity, OwnForm, Peer, cookie};
use crate::archive::AuditEvent;
use crate::config::credentials::{User, is_name};
use crate::web::{Failure, Shared, ask, page};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::time::Instant;

/// What is hashed for a name that nobody has, so that time does not tell.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, Default, Deserialize)]
pub(in crate::web) struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct Login {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// Where to go after the log-in: a path of ours, whatever was asked for.
fn own_path(path: &str) -> &str {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if plain && path.starts_with('/') && !path.starts_with("//") { path } else { "/" }
}

pub(in crate::web) async fn login_page(
    State(web): State<Shared>,
    Query(Next { next }): Query<Next>,
) -> Response {
    if !web.access.has_users() {
        return Redirect::to("/").into_response();
    }
    page::login(&web, StatusCode::OK, own_path(next.as_deref().unwrap_or("/")), None)
}

pub(in crate::web) async fn log_in(
    State(web): State<Shared>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    axum::Form(login): axum::Form<Login>,
) -> Result<Response, Failure> {
    let next = own_path(&login.next).to_owned();
    let from = web.access.client(peer, &headers);
    if let Some(wait) = web.access.lockout.wait(&login.user, from, Instant::now()) {
        let seconds = wait.as_secs() + 1;
        let why = format!("too many wrong passwords; try again in {seconds} s");
        let mut response = page::login(&web, StatusCode::TOO_MANY_REQUESTS, &next, Some(&why));
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        return Ok(response);
    }
    // Counted before it is looked at: attempts at the same moment are not free.
    web.access.lockout.failed(&login.user, from, Instant::now());
    let user = web.access.credentials().users.iter().find(|user| user.name == login.user).cloned();
    let name = user.as_ref().map_or("unknown", |user| user.name.as_str()).to_owned();
    let is_right = verify(&web, user, login.password).await?;
    let outcome = if is_right { "success" } else { "refused: wrong name or password" };
    record(
        &web,
        if is_right { "login" } else { "login-refused" },
        &name,
        from.to_string(),
        outcome,
    )
    .await?;
    if !is_right {
        let why = "wrong name or password";
        return Ok(page::login(&web, StatusCode::UNAUTHORIZED, &next, Some(why)));
    }
    web.access.lockout.succeeded(&login.user, from);
    let session = web.access.sessions.begin(name, Instant::now());
    let mut response = Redirect::to(&next).into_response();
    set_cookie(&web, &headers, &session, &mut response);
    Ok(response)
}

/// Checks the password where blocking is allowed, a few at a time.
async fn verify(web: &Shared, user: Option<User>, password: String) -> Result<bool, Failure> {
    let busy = || Failure(StatusCode::SERVICE_UNAVAILABLE, "log-in is busy; try again".into());
    let _place = web.access.hashing.acquire().await.map_err(|_| busy())?;
    let checked = tokio::task::spawn_blocking(move || match user {
        Some(user) => user.has_password(&password),
        None => {
            let role = crate::config::credentials::Role::Viewer;
            let nobody = User { name: String::new(), role, password: NOBODY.into() };
            nobody.has_password(&password);
            false
        }
    });
    checked.await.map_err(|_| busy())
}

pub(in crate::web) async fn log_out(
    State(web): State<Shared>,
    who: Identity,
    headers: HeaderMap,
    OwnForm(()): OwnForm<()>,
) -> Result<Response, Failure> {
    if let Some(session) = cookie(&headers) {
        web.access.sessions.end(session);
    }
    record(&web, "logout", &who.name, String::new(), "success").await?;
    let mut response = Redirect::to("/login").into_response();
    set_cookie(&web, &headers, "", &mut response);
    Ok(response)
}

async fn record(
    web: &Shared,
    event: &'static str,
    name: &str,
    from: String,
    outcome: &'static str,
) -> Result<(), Failure> {
    let event = AuditEvent {
        at: jiff::Timestamp::now(),
        event: event.into(),
        actor: if is_name(name) { name.to_owned() } else { "unknown".into() },
        object: (!from.is_empty()).then_some(from),
        outcome: outcome.into(),
    };
    ask(web, move |service| service.archive.audit(event)).await
}

fn set_cookie(web: &Shared, headers: &HeaderMap, value: &str, response: &mut Response) {
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    let secure = if web.is_encrypted(headers) { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_log_in_one_stays_here() {
        for (asked, goes) in [
            ("/courses/ab?cycle=2", "/courses/ab?cycle=2"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(own_path(asked), goes, "{asked:?}");
        }
    }

    #[test]
    fn the_name_that_nobody_has_takes_as_long_as_any_other() {
        assert!(argon2::password_hash::phc::PasswordHash::new(NOBODY).is_ok());
    }
}
