//! Requests that lie, stall or grow without end (rows A12, A21, B12 of the catalogue).

use crate::http::{ask, get, raw};
use crate::site::Site;
use std::io::Write;
use std::net::TcpStream;

/// Peak resident memory of the node, kB.
fn peak_kb(site: &Site) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_heads_are_refused_and_the_node_goes_on() {
    let site = Site::start("");
    let web = site.web;
    let host = format!("Host: {web}\r\n");
    let many = format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X-A: b\r\n".repeat(100_000));
    let long = format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(300_000));
    let query =
        format!("GET /dicom-web/studies?PatientID={} HTTP/1.1\r\n{host}\r\n", "a".repeat(50_000));
    let lie = format!(
        "POST /dicom-web/studies HTTP/1.1\r\n{host}Content-Type: text/plain\r\nContent-Length: 4294967296\r\n\r\n"
    );
    let gzip = format!(
        "POST /dicom-web/studies HTTP/1.1\r\n{host}Connection: close\r\nContent-Encoding: gzip\r\n\
         Content-Type: application/gzip\r\nContent-Length: 2\r\n\r\n\x1f\u{7f}"
    );
    let two = format!(
        "POST /dicom-web/studies HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"
    );
    for (name, request, statuses) in [
        ("100,000 headers", many, &[431][..]),
        ("a path of 300 kB", long, &[414, 431]),
        ("a value of 50 kB", query, &[400]),
        ("4 GiB announced", lie, &[415]),
        ("gzip", gzip, &[415]),
        ("two lengths", two, &[400]),
        ("no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".into(), &[421]),
        ("no HTTP", "\u{16}\u{3}\u{1}\r\n\r\n".into(), &[400]),
    ] {
        let answer = raw(web, request.as_bytes());
        // A connection that is reset before all was sent is a refusal as well.
        let fits = answer.as_ref().is_none_or(|answer| statuses.contains(&answer.status));
        assert!(fits, "{name}: {answer:?}");
        assert_eq!(get(web, "/healthz").status, 200, "{name}");
    }
    let foreign = ask(web, "GET", "/", &[("Host", "evil.example")], "");
    assert_eq!(foreign.status, 421);
}

#[test]
fn a_body_without_end_or_memory_of_it_is_bounded() {
    let site = Site::start("");
    let before = peak_kb(&site);
    let mut stream = TcpStream::connect(site.web).unwrap();
    let head = format!(
        "POST /dicom-web/studies HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: multipart/related; type=\"application/dicom\"; boundary=b\r\n\r\n",
        site.web
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b'-'; 65_536], b"\r\n".to_vec()].concat();
    // 64 MiB that are no part; the node passes over them or ends the connection.
    for _ in 0..1024 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    drop(stream);
    assert_eq!(get(site.web, "/healthz").status, 200);
    let grown = peak_kb(&site).saturating_sub(before);
    assert!(grown < 32 * 1024, "the node grew by {grown} kB");
}

#[test]
fn no_path_leads_out_of_what_is_served() {
    let site = Site::start("");
    std::fs::write(site.folder.path().join("secret"), "canary").unwrap();
    for path in [
        "/../secret",
        "/objects/..%2f..%2fsecret",
        "/objects/%2e%2e/%2e%2e/secret",
        "/objects/1.2.3%00.dcm",
        "/dicom-web/studies/../../secret",
        "/dicom-web/studies/..%2f..%2fsecret",
        "/dicom-web/studies/1.2/series/1.2/instances/1.2/bulkdata/../../../../../../secret",
        "/dicom-web/studies/1.2/series/1.2/instances/1.2/bulkdata/%2e%2e%2fsecret",
        "/dicom-web/studies/1.2/series/1.2/instances/1.2/frames/99999999999999999999",
        "/dicom-web/studies/abc/metadata",
        "/dicom-web/studies?limit=-1",
        "/dicom-web/studies?nonsense=1",
        "/courses/..%2f..%2fsecret",
        "/api/courses/%3Cscript%3E/results",
    ] {
        let answer = get(site.web, path);
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.body.contains("canary") && !answer.body.contains("<script>"), "{path}");
    }
    let many = (0..100).map(|n| format!("PatientID={n}")).collect::<Vec<_>>().join("&");
    assert_eq!(get(site.web, &format!("/dicom-web/studies?{many}")).status, 400);
}

#[test]
fn a_hundred_stalled_clients_keep_nobody_waiting() {
    let site = Site::start("");
    let stalled: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(site.web).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
            stream
        })
        .collect();
    assert_eq!(get(site.web, "/healthz").status, 200);
    assert_eq!(get(site.web, "/dicom-web/studies").body, "[]");
    drop(stalled);
}
