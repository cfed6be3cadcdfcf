//! Who may do what: the walk of all routes, log-in, roles, tokens, forms of other people's pages, TLS.

use crate::http::{Answer, ask, get};
use crate::site::Site;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

const GRAYD: &str = env!("CARGO_BIN_EXE_grayd");

/// Runs `grayd user`; what it printed.
fn user(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(GRAYD)
        .arg("user")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Guarded {
    site: Site,
    _folder: tempfile::TempDir,
    file: String,
    reader: String,
    writer: String,
}

const PASSWORD: &str = "correct horse battery";

/// A node with a viewer `vera`, a physicist `phil`, an admin `adam` and two tokens.
fn guarded(more: &str) -> Guarded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml").display().to_string();
    for (name, role) in [("vera", "viewer"), ("phil", "physicist"), ("adam", "admin")] {
        user(&["add", name, "--role", role, "--password-stdin", "--file", &file], PASSWORD);
    }
    let reader = user(&["token", "reader", "--scope", "read", "--file", &file], "");
    let writer = user(&["token", "writer", "--scope", "write", "--file", &file], "");
    let site = Site::start_web(&format!("users: \"{file}\"{more}"));
    Guarded { site, _folder: folder, file, reader, writer }
}

fn log_in(web: SocketAddr, name: &str, password: &str) -> Answer {
    let form = format!("user={name}&password={}&next=/", password.replace(' ', "+"));
    let origin = format!("http://{web}");
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", origin.as_str())];
    ask(web, "POST", "/login", &headers, &form)
}

fn session(web: SocketAddr, name: &str) -> String {
    let answer = log_in(web, name, PASSWORD);
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// The token that forms of the session carry.
fn csrf(web: SocketAddr, cookie: &str) -> String {
    let page = ask(web, "GET", "/", &[("Cookie", cookie)], "");
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn without_a_session_only_log_in_style_and_health_answer() {
    let guarded = guarded("");
    let web = guarded.site.web;
    let bearer = format!("Bearer {}", guarded.reader);
    let described = ask(web, "GET", "/api/openapi.json", &[("Authorization", &bearer)], "").json();
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{}", paths.len());
    let mut open = Vec::new();
    for (path, operations) in paths {
        // Any value: whether something is there is nobody's business without a session.
        let concrete: String =
            path.split('{').enumerate().fold(String::new(), |text, (n, piece)| {
                if n == 0 {
                    piece.to_owned()
                } else {
                    text + "1.2.3" + piece.split_once('}').unwrap().1
                }
            });
        for method in operations.as_object().unwrap().keys() {
            let answer = ask(web, &method.to_uppercase(), &concrete, &[], "");
            match operations[method]["x-right"].as_str().unwrap() {
                "open" => open.push(format!("{method} {path}")),
                _ => {
                    let led = answer.header("location").is_some_and(|to| to.starts_with("/login"));
                    assert!(
                        answer.status == 401 || (answer.status == 303 && led),
                        "{path}: {answer:?}"
                    );
                }
            }
            for header in ["content-security-policy", "x-content-type-options", "x-frame-options"] {
                assert!(answer.header(header).is_some(), "{method} {path} lacks {header}");
            }
        }
    }
    open.sort();
    assert_eq!(
        open,
        ["get /healthz", "get /login", "get /readyz", "get /style.css", "post /login"]
    );
}

#[test]
fn roles_and_tokens_open_what_they_say_and_nothing_else() {
    let guarded = guarded("");
    let web = guarded.site.web;
    let status = |headers: &[(&str, &str)], method: &str, path: &str| {
        ask(web, method, path, headers, "").status
    };
    for (name, audit) in [("vera", 403), ("phil", 403), ("adam", 200)] {
        let cookie = session(web, name);
        let headers = [("Cookie", cookie.as_str())];
        assert_eq!(status(&headers, "GET", "/"), 200, "{name}");
        assert_eq!(status(&headers, "GET", "/dicom-web/studies"), 200, "{name}");
        assert_eq!(status(&headers, "GET", "/api/audit"), audit, "{name}");
        let origin = format!("http://{web}");
        let post = [("Cookie", cookie.as_str()), ("Origin", origin.as_str())];
        let stow = if name == "vera" { 403 } else { 415 };
        assert_eq!(status(&post, "POST", "/dicom-web/studies"), stow, "{name}");
    }
    let bearer = |token: &str| format!("Bearer {token}");
    for (token, studies, store) in [
        (bearer(&guarded.reader), 200, 403),
        (bearer(&guarded.writer), 200, 415),
        (bearer("guessed"), 401, 401),
        ("Basic dmVyYTp2ZXJh".to_owned(), 401, 401),
    ] {
        let headers = [("Authorization", token.as_str())];
        assert_eq!(status(&headers, "GET", "/dicom-web/studies"), studies);
        assert_eq!(status(&headers, "POST", "/dicom-web/studies"), store);
        assert_ne!(status(&headers, "POST", "/courses/x/sign"), 404, "no token signs");
    }
    // Who is taken out of the file is out at once.
    let cookie = session(web, "vera");
    user(&["remove", "vera", "--file", &guarded.file], "");
    assert_eq!(status(&[("Cookie", &cookie)], "GET", "/api/jobs"), 401);
    assert_eq!(log_in(web, "vera", PASSWORD).status, 401);
    let trail = ask(web, "GET", "/api/audit", &[("Cookie", &session(web, "adam"))], "").body;
    for event in ["\"login\"", "\"login-refused\"", "\"query\""] {
        assert!(trail.contains(event), "{event} is not in {trail}");
    }
    assert!(!trail.contains(PASSWORD));
}

#[test]
fn wrong_passwords_make_the_next_attempt_wait() {
    let guarded = guarded("");
    let web = guarded.site.web;
    let wrong = || log_in(web, "phil", "wrong password");
    assert_eq!([wrong().status, wrong().status], [401, 401], "a slip or two is free");
    crate::site::wait_for("a wait that outlasts a slow machine", || {
        let answer = wrong();
        let wait = answer.header("retry-after").map(|wait| wait.parse::<u64>().unwrap());
        assert_eq!(answer.status, if wait.is_some() { 429 } else { 401 });
        wait.filter(|wait| *wait >= 5)
    });
    assert_eq!(log_in(web, "phil", PASSWORD).status, 429, "even the right one");
    // A name that nobody has gives nothing away.
    let nobody = log_in(web, "nobody", "wrong password");
    assert!(matches!(nobody.status, 401 | 429));
}

#[test]
fn what_other_pages_send_changes_nothing() {
    let guarded = guarded(", cors: [\"https://viewer.hospital\"]");
    let web = guarded.site.web;
    let cookie = session(web, "phil");
    let (form, origin) = ("application/x-www-form-urlencoded", format!("http://{web}"));
    let sign = |origin: Option<&str>, csrf: &str| {
        let mut headers = vec![("Cookie", cookie.as_str()), ("Content-Type", form)];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        ask(web, "POST", "/logout", &headers, &format!("csrf={csrf}"))
    };
    let token = csrf(web, &cookie);
    for (origin, csrf) in [
        (Some("https://evil.example"), token.as_str()),
        (Some("null"), &token),
        (None, &token),
        (Some(&origin), "guessed"),
        (Some(&origin), ""),
    ] {
        assert_eq!(sign(origin, csrf).status, 403, "{origin:?} {csrf}");
    }
    assert_eq!(ask(web, "GET", "/", &[("Cookie", &cookie)], "").status, 200, "still logged in");
    assert_eq!(sign(Some(&origin), &token).status, 303);
    assert_eq!(ask(web, "GET", "/api/jobs", &[("Cookie", &cookie)], "").status, 401);

    let bearer = format!("Bearer {}", guarded.reader);
    let from = |origin| {
        let headers = [("Origin", origin), ("Authorization", bearer.as_str())];
        ask(web, "GET", "/dicom-web/studies", &headers, "")
    };
    let allowed = from("https://viewer.hospital");
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://viewer.hospital"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert_eq!(from("https://evil.example").header("access-control-allow-origin"), None);
    let preflight =
        [("Origin", "https://viewer.hospital"), ("Access-Control-Request-Method", "GET")];
    assert_eq!(ask(web, "OPTIONS", "/dicom-web/studies", &preflight, "").status, 204);
}

#[test]
fn beyond_loopback_a_node_without_log_in_and_encryption_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    let file = folder.path().join("grayd.yaml");
    let check = |web: &str| {
        let text = format!("storage: {{ directory: store }}\nplans: plans\nweb: {{ {web} }}\n");
        std::fs::write(&file, text).unwrap();
        let output = Command::new(GRAYD).args(["check", "--config"]).arg(&file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check("listen: \"0.0.0.0:8042\"");
    assert_eq!(code, Some(2));
    assert!(said.contains("grayd.yaml:3:") && said.contains("web.users"), "{said}");
    assert_eq!(check("listen: \"0.0.0.0:8042\", behind_proxy: true").0, Some(0));
    assert_eq!(check("listen: \"127.0.0.1:8042\"").0, Some(0));
}

#[test]
fn pages_are_served_over_tls_and_cookies_then_stay_there() {
    if !crate::site::have("openssl") || !crate::site::have("curl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success());
    let tls = format!(
        ", tls: {{ certificate: \"{}\", key: \"{}\" }}",
        certificate.display(),
        key.display()
    );
    let guarded = guarded(&tls);
    let url = format!("https://localhost:{}/login", guarded.site.web.port());
    let curl = |more: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "-i", "--max-time", "30", "--cacert"])
            .arg(&certificate)
            .args(more)
            .arg(&url)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let page = curl(&[]);
    assert!(
        page.contains("200 OK") && page.to_lowercase().contains("strict-transport-security"),
        "{page}"
    );
    let form = format!("user=phil&password={}", PASSWORD.replace(' ', "+"));
    let entered = curl(&["-d", &form]);
    assert!(entered.contains("; Secure"), "{entered}");
    assert_eq!(curl(&["--tls-max", "1.1"]), "", "TLS 1.1 is refused");
    let plain = crate::http::raw(guarded.site.web, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(plain.is_none(), "no plain text on the encrypted port");
}

#[test]
fn metrics_count_what_happens_and_health_says_so() {
    let site = Site::start(&Site::peers(None));
    assert_eq!(get(site.web, "/healthz").status, 200);
    crate::site::wait_for("readiness", || (get(site.web, "/readyz").status == 200).then_some(()));
    let text = get(site.web, "/metrics").body;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("grayd_") && value.parse::<f64>().is_ok(), "{line}");
    }
    for wanted in [
        "grayd_associations_open 0",
        "grayd_instances_received_total{became=\"stored\"} 0",
        "grayd_jobs{state=\"parked\"} 0",
        "grayd_http_request_seconds_bucket{le=\"+Inf\"}",
        "grayd_disk_free_bytes",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    if crate::site::have("echoscu") {
        assert!(site.echo());
        let counted = || {
            let text = get(site.web, "/metrics").body;
            text.contains("grayd_associations_total{met=\"accepted\"} 1").then_some(())
        };
        crate::site::wait_for("the association to be counted", counted);
    }
}
