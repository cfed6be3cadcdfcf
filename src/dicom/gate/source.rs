//! Bytes by position, through one small buffer.

use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};

const BUFFER_BYTES: usize = 8192;

/// A reader that knows where it is, relative to where it began.
pub(super) struct Source<'r, R> {
    reader: BufReader<&'r mut R>,
    position: u64,
    end: u64,
}

impl<'r, R: Read + Seek> Source<'r, R> {
    /// Everything from the reader's position to its end.
    pub(super) fn new(reader: &'r mut R) -> Result<Self> {
        let start = reader.stream_position()?;
        let end = reader.seek(SeekFrom::End(0))?.saturating_sub(start);
        reader.seek(SeekFrom::Start(start))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), position: 0, end })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<()> {
        let step = i64::try_from(length).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
        self.reader.seek_relative(step)?;
        self.position += length;
        Ok(())
    }
}
