//! A scripted peer: raw bytes over a socket, built here by hand from PS3.8 and PS3.7 so that
//! nothing of the node's own encoding is used to test the node.

pub mod archive;
pub mod certificates;
pub mod fixtures;
pub mod node;
pub mod tools;

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const VERIFICATION: &str = "1.2.840.10008.1.1";
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// No test waits longer than this for anything; reaching it is a failure, never a pass.
pub const HANG: Duration = Duration::from_secs(60);

pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

pub fn context(id: u8, sop_class: &str, syntaxes: &[&str]) -> Vec<u8> {
    let mut value = vec![id, 0, 0, 0];
    value.extend(item(0x30, sop_class.as_bytes()));
    for syntax in syntaxes {
        value.extend(item(0x40, syntax.as_bytes()));
    }
    item(0x20, &value)
}

pub fn max_length(bytes: u32) -> Vec<u8> {
    item(0x51, &bytes.to_be_bytes())
}

/// A-ASSOCIATE-RQ from AE titles as bytes (padded to 16), context items and user sub-items.
pub fn associate_rq(called: &[u8], calling: &[u8], contexts: &[u8], user: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    for title in [called, calling] {
        let mut field = title.to_vec();
        field.resize(16, b' ');
        body.extend(field);
    }
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    body.extend_from_slice(contexts);
    body.extend(item(0x50, user));
    pdu(0x01, &body)
}

/// The usual request: Verification in context 1, CT in context 3.
pub fn usual_rq() -> Vec<u8> {
    let mut contexts = context(1, VERIFICATION, &[IMPLICIT]);
    contexts.extend(context(3, CT, &[EXPLICIT, IMPLICIT]));
    associate_rq(b"GRAYD", b"PEER", &contexts, &max_length(16384))
}

pub const COMMAND: u8 = 1;
pub const LAST: u8 = 2;

pub fn pdv(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = (data.len() as u32 + 2).to_be_bytes().to_vec();
    bytes.extend([context, control]);
    bytes.extend_from_slice(data);
    bytes
}

pub fn p_data(values: &[Vec<u8>]) -> Vec<u8> {
    pdu(0x04, &values.concat())
}

/// A command set from (element, value) in ascending order, group length put before.
pub fn command_set(elements: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let encode = |element: u16, value: &[u8]| {
        let mut bytes = vec![0, 0];
        bytes.extend(element.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(value);
        bytes
    };
    let body: Vec<u8> = elements.iter().flat_map(|(tag, value)| encode(*tag, value)).collect();
    let mut bytes = encode(0x0000, &(body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes
}

pub fn us(value: u16) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub fn ui(uid: &str) -> Vec<u8> {
    let mut value = uid.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(0);
    }
    value
}

pub fn echo_rq(message_id: u16) -> Vec<u8> {
    command_set(&[
        (0x0002, ui(VERIFICATION)),
        (0x0100, us(0x0030)),
        (0x0110, us(message_id)),
        (0x0800, us(0x0101)),
    ])
}

pub fn store_rq(message_id: u16, sop_class: &str, sop_instance: &str) -> Vec<u8> {
    command_set(&[
        (0x0002, ui(sop_class)),
        (0x0100, us(0x0001)),
        (0x0110, us(message_id)),
        (0x0700, us(0)),
        (0x0800, us(0)),
        (0x1000, ui(sop_instance)),
    ])
}

/// A small CT data set, explicit little endian, with `payload` bytes of pixel data.
pub fn ct_data_set(sop_instance: &str, payload: &[u8]) -> Vec<u8> {
    data_set(CT, sop_instance, payload)
}

pub fn data_set(sop_class: &str, sop_instance: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut short = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend(vr);
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend_from_slice(value);
    };
    short(0x0008, 0x0016, b"UI", &ui(sop_class));
    short(0x0008, 0x0018, b"UI", &ui(sop_instance));
    short(0x0010, 0x0020, b"LO", b"P-1 ");
    short(0x0020, 0x000D, b"UI", &ui("1.2.3.1"));
    short(0x0020, 0x000E, b"UI", &ui("1.2.3.1.1"));
    let mut payload = payload.to_vec();
    if payload.len() % 2 == 1 {
        payload.push(0);
    }
    bytes.extend([0xE0, 0x7F, 0x10, 0x00]);
    bytes.extend(b"OW\0\0");
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// A Part 10 file of a data set.
pub fn part10(sop_class: &str, sop_instance: &str, syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut meta = vec![2, 0, 1, 0, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1];
    for (element, uid) in [(2u8, sop_class), (3, sop_instance), (0x10, syntax), (0x12, "1.2.3.9")] {
        let value = ui(uid);
        meta.extend([2, 0, element, 0, b'U', b'I']);
        meta.extend((value.len() as u16).to_le_bytes());
        meta.extend(value);
    }
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend([2, 0, 0, 0, b'U', b'L', 4, 0]);
    bytes.extend((meta.len() as u32).to_le_bytes());
    bytes.extend(meta);
    bytes.extend_from_slice(data_set);
    bytes
}

/// What the node did.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Pdu(u8, Vec<u8>),
    Closed,
}

pub struct RawPeer {
    pub stream: TcpStream,
}

impl RawPeer {
    pub async fn connect(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the node listens");
        stream.set_nodelay(true).expect("TCP");
        Self { stream }
    }

    /// Connects and associates in the usual way.
    pub async fn associated(address: std::net::SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        peer.send(&usual_rq()).await;
        assert!(matches!(peer.answer().await, Answer::Pdu(0x02, _)), "A-ASSOCIATE-AC");
        peer
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the node reads");
    }

    /// As `send`, where the node may have closed already.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub async fn answer(&mut self) -> Answer {
        let read = async {
            let mut header = [0; 6];
            if self.stream.read_exact(&mut header).await.is_err() {
                return Answer::Closed;
            }
            let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
            let mut body = vec![0; length as usize];
            match self.stream.read_exact(&mut body).await {
                Ok(_) => Answer::Pdu(header[0], body),
                Err(_) => Answer::Closed,
            }
        };
        timeout(HANG, read).await.expect("the node answers or closes")
    }

    /// Expects an A-ABORT; gives source and reason.
    pub async fn abort(&mut self) -> (u8, u8) {
        match self.answer().await {
            Answer::Pdu(0x07, body) => (body[2], body[3]),
            other => panic!("A-ABORT expected, not {other:?}"),
        }
    }

    /// Expects an A-ASSOCIATE-RJ; gives result, source and reason.
    pub async fn rejection(&mut self) -> (u8, u8, u8) {
        match self.answer().await {
            Answer::Pdu(0x03, body) => (body[1], body[2], body[3]),
            other => panic!("A-ASSOCIATE-RJ expected, not {other:?}"),
        }
    }

    pub async fn closed(&mut self) {
        assert_eq!(self.answer().await, Answer::Closed);
    }

    /// Expects a response in one PDU; gives its status and error comment.
    pub async fn status(&mut self) -> (u16, Option<String>) {
        let Answer::Pdu(0x04, body) = self.answer().await else { panic!("P-DATA-TF expected") };
        assert_eq!(body[5], COMMAND | LAST);
        let mut rest = &body[6..];
        let (mut status, mut comment) = (None, None);
        while rest.len() >= 8 {
            let element = u16::from_le_bytes([rest[2], rest[3]]);
            let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
            let value = &rest[8..8 + length];
            match element {
                0x0900 => status = Some(u16::from_le_bytes([value[0], value[1]])),
                0x0902 => comment = Some(String::from_utf8(value.to_vec()).expect("ASCII")),
                _ => {}
            }
            rest = &rest[8 + length..];
        }
        assert!(comment.as_ref().is_none_or(|text: &String| text.len() <= 64));
        (status.expect("a response has a status"), comment)
    }

    pub async fn echo(&mut self) -> u16 {
        self.send(&p_data(&[pdv(1, COMMAND | LAST, &echo_rq(1))])).await;
        self.status().await.0
    }

    /// Stores a data set in context 3 in one go.
    pub async fn store(&mut self, sop_instance: &str, data: &[u8]) -> u16 {
        self.begin_store(sop_instance).await;
        self.send(&p_data(&[pdv(3, LAST, data)])).await;
        self.status().await.0
    }

    /// As `store`, in pieces that a PDU can hold.
    pub async fn store_in_pieces(&mut self, sop_instance: &str, data: &[u8]) -> u16 {
        self.begin_store(sop_instance).await;
        let pieces: Vec<&[u8]> = data.chunks(16_000).collect();
        for (n, piece) in pieces.iter().enumerate() {
            let control = if n + 1 == pieces.len() { LAST } else { 0 };
            self.send(&p_data(&[pdv(3, control, piece)])).await;
        }
        self.status().await.0
    }

    pub async fn begin_store(&mut self, sop_instance: &str) {
        let command = store_rq(1, CT, sop_instance);
        self.send(&p_data(&[pdv(3, COMMAND | LAST, &command)])).await;
    }

    pub async fn release(mut self) {
        self.send(&pdu(0x05, &[0; 4])).await;
        assert_eq!(self.answer().await, Answer::Pdu(0x06, vec![0; 4]));
    }
}
