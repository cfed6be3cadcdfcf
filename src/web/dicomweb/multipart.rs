//! `multipart/related` (RFC 2387), written and read. The reader does no I/O: bytes go in as they
//! come, events come out, at most a delimiter's length and one part's head are held.

use std::io::{self, Write};

/// Longest head of a part, bytes.
const HEAD_MAX: usize = 8 * 1024;
/// RFC 2046 5.1.1.
const BOUNDARY_MAX: usize = 70;

/// A boundary that no content can foresee.
pub(super) fn boundary() -> String {
    let mut bytes = [0u8; 16];
    // Reading 16 bytes of the kernel's randomness cannot be interrupted (getrandom(2)).
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format!("grayd-{:032x}", u128::from_be_bytes(bytes))
}

/// Writes parts one after the other.
pub(super) struct Parts<'w> {
    to: &'w mut dyn Write,
    boundary: String,
}

impl<'w> Parts<'w> {
    pub(super) fn new(to: &'w mut dyn Write, boundary: &str) -> Self {
        Self { to, boundary: boundary.to_owned() }
    }

    /// Begins a part; its content goes to the writer that is returned.
    pub(super) fn begin(&mut self, content_type: &str) -> io::Result<&mut dyn Write> {
        write!(self.to, "\r\n--{}\r\nContent-Type: {content_type}\r\n\r\n", self.boundary)?;
        Ok(self.to)
    }

    pub(super) fn end(self) -> io::Result<()> {
        write!(self.to, "\r\n--{}--\r\n", self.boundary)
    }
}

/// What the reader has found.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// A part begins, with its Content-Type, lower case; empty where it names none.
    Begin {
        content_type: String,
    },
    Data(Vec<u8>),
    /// The part that began last is whole.
    End,
}

/// Why a body is no multipart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the multipart body has a part whose head does not end")]
    Head,
    #[error("the multipart body ends within a part")]
    Truncated,
    #[error("what follows a boundary is neither a part nor the end")]
    Delimiter,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// After a boundary: the end, or the rest of its line.
    Delimiter,
    Head,
    Content,
    Epilogue,
}

/// Takes a body apart.
#[derive(Debug)]
pub(super) struct Reader {
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    held: Vec<u8>,
    state: State,
}

impl Reader {
    /// `None` where the boundary cannot be one.
    pub(super) fn new(boundary: &str) -> Option<Self> {
        let legal = (1..=BOUNDARY_MAX).contains(&boundary.len()) && boundary.is_ascii();
        legal.then(|| Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary may come without a line before it.
            held: b"\r\n".to_vec(),
            state: State::Preamble,
        })
    }

    /// Takes bytes; gives what they complete.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<Vec<Event>, Malformed> {
        self.held.extend_from_slice(data);
        let mut events = Vec::new();
        while self.step(&mut events)? {}
        Ok(events)
    }

    /// The body is over: was it whole?
    pub(super) fn finish(&self) -> Result<(), Malformed> {
        if self.state == State::Epilogue { Ok(()) } else { Err(Malformed::Truncated) }
    }

    /// One transition; false when more bytes are needed.
    fn step(&mut self, events: &mut Vec<Event>) -> Result<bool, Malformed> {
        match self.state {
            State::Preamble | State::Content => Ok(self.content(events)),
            State::Delimiter => self.after_delimiter(),
            State::Head => self.head(events),
            State::Epilogue => {
                self.held.clear();
                Ok(false)
            }
        }
    }

    fn content(&mut self, events: &mut Vec<Event>) -> bool {
        let in_part = self.state == State::Content;
        let found = find(&self.held, &self.delimiter);
        // What may be the beginning of a delimiter stays.
        let kept = self.held.len().saturating_sub(self.delimiter.len() - 1);
        let end = found.unwrap_or(kept);
        let data: Vec<u8> = self.held.drain(..end).collect();
        if in_part && !data.is_empty() {
            events.push(Event::Data(data));
        }
        if found.is_some() {
            self.held.drain(..self.delimiter.len());
            if in_part {
                events.push(Event::End);
            }
            self.state = State::Delimiter;
        }
        found.is_some()
    }

    fn after_delimiter(&mut self) -> Result<bool, Malformed> {
        if self.held.starts_with(b"--") {
            self.state = State::Epilogue;
            return Ok(true);
        }
        // Blanks may stand before the end of the line.
        match self.held.iter().position(|byte| !matches!(byte, b' ' | b'\t')) {
            Some(blanks) if self.held[blanks..].starts_with(b"\r\n") => {
                // The line's end stays: a head without lines begins with the empty one.
                self.held.drain(..blanks);
                self.state = State::Head;
                Ok(true)
            }
            Some(blanks) if self.held.len() - blanks >= 2 => Err(Malformed::Delimiter),
            _ if self.held.len() > HEAD_MAX => Err(Malformed::Delimiter),
            _ => Ok(false),
        }
    }

    fn head(&mut self, events: &mut Vec<Event>) -> Result<bool, Malformed> {
        let Some(end) = find(&self.held, b"\r\n\r\n") else {
            return if self.held.len() > HEAD_MAX { Err(Malformed::Head) } else { Ok(false) };
        };
        if end > HEAD_MAX {
            return Err(Malformed::Head);
        }
        let head: Vec<u8> = self.held.drain(..end + 4).collect();
        let content_type = String::from_utf8_lossy(&head)
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-type"))
            .map(|(_, value)| value.trim().to_ascii_lowercase())
            .unwrap_or_default();
        events.push(Event::Begin { content_type });
        self.state = State::Content;
        Ok(true)
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    let (first, rest) = what.split_first()?;
    let mut from = 0;
    loop {
        let at = from + within.get(from..)?.iter().position(|byte| byte == first)?;
        if within[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &[u8], piece: usize) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let mut reader = Reader::new("b").unwrap();
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        let mut open = false;
        for piece in body.chunks(piece.max(1)) {
            for event in reader.push(piece)? {
                match event {
                    Event::Begin { content_type } => {
                        assert!(!std::mem::replace(&mut open, true));
                        parts.push((content_type, Vec::new()));
                    }
                    Event::Data(data) => parts.last_mut().unwrap().1.extend(data),
                    Event::End => assert!(std::mem::replace(&mut open, false)),
                }
            }
        }
        reader.finish()?;
        Ok(parts)
    }

    #[test]
    fn parts_are_found_however_other_programs_write_them() {
        for body in [
            "--b\r\nContent-Type: application/dicom\r\n\r\nX\r\n--b--",
            "\r\n--b\r\ncontent-type:Application/DICOM\r\n\r\nX\r\n--b--\r\n",
            "to be ignored\r\n--b  \r\nA: b\r\nContent-Type: application/dicom\r\n\r\nX\r\n--b--..",
        ] {
            let parts = read(body.as_bytes(), 1).unwrap();
            assert_eq!(parts, [("application/dicom".to_owned(), b"X".to_vec())], "{body:?}");
        }
        let none = read(b"--b\r\n\r\n\r\n--b--", 5).unwrap();
        assert_eq!(none, [(String::new(), Vec::new())]);
    }

    #[test]
    fn what_is_cut_or_has_no_end_is_refused() {
        assert_eq!(read(b"--b\r\n\r\nX", 3), Err(Malformed::Truncated));
        assert_eq!(read(b"", 1), Err(Malformed::Truncated));
        assert_eq!(read(b"--bX\r\n", 1), Err(Malformed::Delimiter));
        let endless = [b"--b\r\nA: ".to_vec(), vec![b'x'; 10_000]].concat();
        assert_eq!(read(&endless, 100), Err(Malformed::Head));
        assert!(Reader::new("").is_none() && Reader::new(&"x".repeat(71)).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_in_any_pieces(
            parts in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..50), 1..4),
            piece in 1usize..40,
        ) {
            prop_assume!(parts.iter().all(|part| find(part, b"\r\n--b").is_none()));
            let mut body = Vec::new();
            let mut writer = Parts::new(&mut body, "b");
            for part in &parts {
                writer.begin("x/y").unwrap().write_all(part).unwrap();
            }
            writer.end().unwrap();
            let back: Vec<Vec<u8>> = read(&body, piece).unwrap().into_iter().map(|p| p.1).collect();
            prop_assert_eq!(back, parts);
        }
    }
}
