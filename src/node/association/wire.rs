//! PDUs on a byte stream: framing with every length checked before a byte of it is buffered, and
//! every wait bounded (PS3.8 section 9.3.1).

use super::items;
use bytes::BytesMut;
use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, MAXIMUM_PDU_SIZE, Pdu};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Bytes of a PDU's type, reserved byte and length.
pub const PDU_HEADER_BYTES: usize = 6;

/// Largest A-ASSOCIATE PDU: 128 contexts of some 20 transfer syntaxes each. Its length is not
/// negotiated, so it has a bound of its own.
pub const MAX_ASSOCIATE_PDU_BYTES: u32 = 262_144;

/// First reservation of the receive buffer; it grows only to what a checked header announces.
const FIRST_BUFFER_BYTES: usize = 4096;

/// A byte stream that associations run over.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// Called before each read.
    fn about_to_receive(&self) {}
}

impl Transport for TcpStream {
    /// Clients with Nagle's algorithm on hold back the rest of a message until their last segment
    /// is acknowledged; a delayed acknowledgement costs them 40 ms an instance. The option is not
    /// sticky, hence before each read. Failing to set it costs time only.
    fn about_to_receive(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(self).set_tcp_quickack(true) {
            tracing::trace!(%error, "TCP_QUICKACK not set");
        }
    }
}

impl Transport for tokio::io::DuplexStream {}

/// Why no PDU could be had or sent.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the connection was closed")]
    Closed,
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("timed out {0}")]
    Timeout(&'static str),
    /// Event 19 of the state table; `reason` goes into our A-ABORT.
    #[error("invalid PDU: {what}")]
    Invalid { reason: Reason, what: &'static str },
    #[error("cannot encode a PDU: {0}")]
    Encode(String),
}

/// How long to wait for a PDU.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until its first byte.
    pub first_byte: Duration,
    /// From the first byte until it is whole.
    pub whole: Duration,
    /// Until here in any case.
    pub end: Instant,
}

/// One connection: the stream, what has been received of the next PDU, and the bound on PDUs.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    buffer: BytesMut,
    encoded: Vec<u8>,
    max_pdu: u32,
    /// When the wait for the current PDU began, and when its first byte was seen. Kept here so
    /// that a receive that is dropped half-way can be taken up again.
    waiting_since: Option<Instant>,
    begun: Option<Instant>,
}

impl<S: Transport> Wire<S> {
    /// `max_pdu`: largest variable field of a P-DATA-TF PDU to accept, bytes.
    pub fn new(stream: S, max_pdu: u32) -> Self {
        Self {
            stream,
            buffer: BytesMut::with_capacity(FIRST_BUFFER_BYTES),
            encoded: Vec::new(),
            max_pdu,
            waiting_since: None,
            begun: None,
        }
    }

    /// Receives one PDU. Safe to drop and call again: no byte is lost and no clock restarts.
    pub async fn receive(&mut self, patience: Patience) -> Result<Pdu, WireError> {
        loop {
            if let Some(pdu) = self.take_pdu()? {
                self.waiting_since = None;
                self.begun = None;
                return Ok(pdu);
            }
            let now = Instant::now();
            let since = *self.waiting_since.get_or_insert(now);
            let (deadline, waiting) = if self.buffer.is_empty() {
                (since + patience.first_byte, "waiting for a PDU")
            } else {
                (*self.begun.get_or_insert(now) + patience.whole, "within a PDU")
            };
            let (deadline, waiting) = if patience.end < deadline {
                (patience.end, "as the whole association lasted too long")
            } else {
                (deadline, waiting)
            };
            self.stream.about_to_receive();
            match timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await {
                Err(_) => return Err(WireError::Timeout(waiting)),
                Ok(Ok(0)) => return Err(WireError::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// The PDU at the front of the buffer if it is whole; otherwise makes room for its rest.
    fn take_pdu(&mut self) -> Result<Option<Pdu>, WireError> {
        let Some(length) = pdu_length(&self.buffer, self.max_pdu)? else {
            self.buffer.reserve(FIRST_BUFFER_BYTES);
            return Ok(None);
        };
        let whole = PDU_HEADER_BYTES + length;
        if self.buffer.len() < whole {
            self.buffer.reserve(whole - self.buffer.len());
            return Ok(None);
        }
        parse_pdu(self.buffer.split_to(whole).freeze()).map(Some)
    }

    /// Sends one PDU in one write.
    pub async fn send(&mut self, pdu: &Pdu, within: Duration) -> Result<(), WireError> {
        self.encoded.clear();
        dicom_ul::pdu::write_pdu(&mut self.encoded, pdu)
            .map_err(|error| WireError::Encode(error.to_string()))?;
        let write = async {
            self.stream.write_all(&self.encoded).await?;
            self.stream.flush().await
        };
        match timeout_at(Instant::now() + within, write).await {
            Err(_) => Err(WireError::Timeout("sending a PDU")),
            Ok(done) => Ok(done?),
        }
    }

    /// Reads and forgets until the peer closes or the time is over. Closing with unread bytes
    /// would reset the connection and could take our last PDU from the peer.
    pub async fn drain(&mut self, until: Instant) {
        self.buffer.clear();
        let discard = async {
            loop {
                self.buffer.clear();
                self.buffer.reserve(FIRST_BUFFER_BYTES);
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        if timeout_at(until, discard).await.is_err() {
            tracing::debug!("the peer did not close in time");
        }
    }

    /// Closes our half, so that a peer that waits for the close sees it.
    pub async fn shutdown(&mut self) {
        if let Err(error) = self.stream.shutdown().await {
            tracing::trace!(%error, "the connection was gone already");
        }
    }
}

/// The announced length of the PDU whose header stands at the front of `bytes`, checked against
/// what its type allows; `None` until the header is there.
fn pdu_length(bytes: &[u8], max_data: u32) -> Result<Option<usize>, WireError> {
    let invalid = |reason, what| Err(WireError::Invalid { reason, what });
    let Some(&pdu_type) = bytes.first() else { return Ok(None) };
    let bounds = match pdu_type {
        // Fixed part of 68 bytes before the items.
        0x01 | 0x02 => 68..=MAX_ASSOCIATE_PDU_BYTES,
        0x03 | 0x05 | 0x06 | 0x07 => 4..=4,
        // At least one presentation data value of two header bytes.
        0x04 => 6..=max_data,
        _ => return invalid(Reason::UnrecognizedPdu, "unknown PDU type"),
    };
    let Some(header) = bytes.first_chunk::<PDU_HEADER_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
    if !bounds.contains(&length) {
        return invalid(Reason::InvalidPduParameter, "length not allowed for its type");
    }
    usize::try_from(length).map(Some).or_else(|_| {
        invalid(Reason::InvalidPduParameter, "length is beyond this machine's addresses")
    })
}

/// Parses one whole PDU, header included. Public for the fuzz target: any bytes give a PDU or an
/// error.
pub fn parse_pdu(bytes: bytes::Bytes) -> Result<Pdu, WireError> {
    let invalid = |what| WireError::Invalid { reason: Reason::InvalidPduParameter, what };
    let length = pdu_length(&bytes, MAXIMUM_PDU_SIZE)?;
    if length.and_then(|length| length.checked_add(PDU_HEADER_BYTES)) != Some(bytes.len()) {
        return Err(invalid("length does not match what is there"));
    }
    if matches!(bytes[0], 0x01 | 0x02) && !items::are_well_formed(&bytes[PDU_HEADER_BYTES..]) {
        return Err(invalid("items or sub-items contradict their lengths"));
    }
    match dicom_ul::pdu::read_pdu(bytes, MAXIMUM_PDU_SIZE, true) {
        Ok(Some(pdu)) => Ok(pdu),
        Ok(None) => Err(invalid("it ends within a field")),
        Err(error) => {
            tracing::debug!(%error, "PDU refused");
            Err(invalid("a field is missing or malformed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        let minute = Duration::from_secs(60);
        Patience { first_byte: minute, whole: minute, end: Instant::now() + minute }
    }

    #[tokio::test]
    async fn a_receive_that_is_dropped_at_any_byte_loses_nothing() {
        let (mut peer, node) = tokio::io::duplex(64);
        let mut wire = Wire::new(node, 1024);
        let abort = [7, 0, 0, 0, 0, 4, 0, 0, 2, 6];
        for byte in &abort[..9] {
            peer.write_all(&[*byte]).await.unwrap();
            let cut = tokio::time::timeout(Duration::ZERO, wire.receive(patience())).await;
            assert!(cut.is_err(), "the PDU is not whole yet");
        }
        peer.write_all(&abort[9..]).await.unwrap();
        assert!(matches!(wire.receive(patience()).await, Ok(Pdu::AbortRQ { .. })));
    }

    #[tokio::test]
    async fn a_length_is_refused_before_anything_is_reserved_for_it() {
        for length in [0u32, 5, 1025, 1 << 31, u32::MAX] {
            let (mut peer, node) = tokio::io::duplex(64);
            let mut wire = Wire::new(node, 1024);
            peer.write_all(&[4, 0]).await.unwrap();
            peer.write_all(&length.to_be_bytes()).await.unwrap();
            let refused = wire.receive(patience()).await;
            assert!(matches!(refused, Err(WireError::Invalid { .. })), "{length}");
            assert!(wire.buffer.capacity() <= FIRST_BUFFER_BYTES, "{length}");
        }
    }
}
