//! A static web viewer beside the node's DICOMweb, on an address of its own: such viewers are built to live
//! at the root of one. Files of one folder, anything else is the viewer's own page.

use super::{Failure, Shared};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::path::{Path, PathBuf};

/// What a viewer needs beyond pages of ours: WebAssembly, workers made of its own code, inline style.
/// It still talks to nobody but this node.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; \
    worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
    font-src 'self' data:; connect-src 'self' blob: data:; frame-ancestors 'none'";

/// OHIF's configuration: this node, nothing else.
const APP_CONFIG: &str = include_str!("templates/app-config.js");

pub(super) async fn file(State(web): State<Shared>, uri: Uri) -> Response {
    let mut response = match answer(&web, uri.path()).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Shared memory between workers wants both.
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer(web: &Shared, path: &str) -> Result<Response, Failure> {
    let none = || Failure(StatusCode::NOT_FOUND, "no such file of the viewer".into());
    let viewer = web.service.loaded.config.web.viewer.as_ref().ok_or_else(none)?;
    if path == "/app-config.js" {
        return Ok(([(header::CONTENT_TYPE, "text/javascript")], APP_CONFIG).into_response());
    }
    let wanted =
        below(&viewer.directory, path).unwrap_or_else(|| viewer.directory.join("index.html"));
    let file = tokio::fs::File::open(&wanted).await.map_err(|_| none())?;
    let body = Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 1 << 16));
    Ok(([(header::CONTENT_TYPE, media(&wanted))], body).into_response())
}

/// The file of that name below the folder; nothing else, whatever the name says.
fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut file = folder.to_owned();
    for piece in path.split('/').filter(|piece| !piece.is_empty()) {
        let plain = piece.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@+~".contains(&b));
        if !plain || piece.starts_with('.') {
            return None;
        }
        file.push(piece);
    }
    let real = file.canonicalize().ok()?;
    (real.is_file() && real.starts_with(folder.canonicalize().ok()?)).then_some(real)
}

fn media(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_given() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("viewer");
        std::fs::create_dir_all(folder.join("assets")).unwrap();
        for file in ["secret", "viewer/app.js", "viewer/assets/a-1.css", "viewer/.hidden"] {
            std::fs::write(outside.path().join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        assert!(
            below(&folder, "/app.js").is_some() && below(&folder, "//assets/a-1.css").is_some()
        );
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/link",
            "/.hidden",
            "/assets",
            "/",
            "/a\\..\\secret",
            "/app.js\0",
        ] {
            assert_eq!(below(&folder, path), None, "{path:?}");
        }
        assert_eq!(media(Path::new("a.wasm")), "application/wasm");
    }
}
