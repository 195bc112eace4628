//! Compressed module files: gzip, xz, zstd, told by their first bytes, not by their names.

use liblzma::stream::{Action, Status, Stream};
use std::vec::Vec;
use zstd_safe::{DCtx, InBuffer, OutBuffer};

/// No module may be larger when unpacked: 1 GiB.
const LIMIT: usize = 1 << 30;
/// No xz decoder may need more memory for itself: 256 MiB. `xz -9` needs 65.
const XZ_MEMORY: u64 = 256 << 20;
/// The first guess of how large a file is when unpacked.
const FIRST: usize = 1 << 20;

/// How a module file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// zstd (RFC 8878).
    Zstd,
}

/// Why a file cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It ends too early.
    #[error("truncated: the {0} data ends too early")]
    Truncated(&'static str),
    /// The decoder does not take it.
    #[error("damaged: the {0} data cannot be unpacked ({1})")]
    Damaged(&'static str, &'static str),
    /// It is larger than any module.
    #[error("more than 1 GiB when unpacked: this is no module")]
    TooLarge,
    /// There is not enough memory.
    #[error("no memory to unpack it")]
    NoMemory,
}

impl Container {
    /// How a file that begins so is packed.
    pub fn of(file: &[u8]) -> Container {
        match file {
            [0x1f, 0x8b, ..] => Container::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Container::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Container::Zstd,
            _ => Container::Plain,
        }
    }

    /// What it is called, as in `/sys/module/compression`.
    pub fn name(self) -> &'static str {
        match self {
            Container::Plain => "none",
            Container::Gzip => "gzip",
            Container::Xz => "xz",
            Container::Zstd => "zstd",
        }
    }
}

/// Unpacks module files, one after the other: buffers and decoders are kept from one to the next.
#[derive(Default)]
pub struct Unpacker {
    buffer: Vec<u8>,
    zstd: Option<DCtx<'static>>,
    gzip: Option<libdeflater::Decompressor>,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// One without buffers yet.
    pub fn new() -> Unpacker {
        Unpacker::default()
    }

    /// The bytes of a module: the file's own when it is not packed.
    ///
    /// # Errors
    /// [`UnpackError`].
    pub fn unpack<'a>(&'a mut self, file: &'a [u8]) -> Result<&'a [u8], UnpackError> {
        self.buffer.clear();
        match Container::of(file) {
            Container::Plain => return Ok(file),
            Container::Gzip => self.gzip(file)?,
            Container::Xz => self.xz(file)?,
            Container::Zstd => self.zstd(file)?,
        }
        Ok(&self.buffer)
    }

    /// Makes room for more, twice as much as there is.
    fn grow(&mut self) -> Result<(), UnpackError> {
        let size = (self.buffer.capacity() * 2).max(FIRST);
        if self.buffer.capacity() >= LIMIT {
            return Err(UnpackError::TooLarge);
        }
        let more = size.min(LIMIT) - self.buffer.len();
        self.buffer
            .try_reserve_exact(more)
            .map_err(|_| UnpackError::NoMemory)
    }

    fn xz(&mut self, file: &[u8]) -> Result<(), UnpackError> {
        const NAME: &str = "xz";
        let damaged = |error: liblzma::stream::Error| match error {
            liblzma::stream::Error::Mem => UnpackError::NoMemory,
            liblzma::stream::Error::MemLimit => {
                UnpackError::Damaged(NAME, "it needs more than 256 MiB of memory")
            }
            liblzma::stream::Error::Data => UnpackError::Damaged(NAME, "a checksum is wrong"),
            _ => UnpackError::Damaged(NAME, "its header is not one of xz"),
        };
        let checksum = only_checksum(file);
        let flags = match checksum {
            Some(_) => liblzma::stream::IGNORE_CHECK,
            None => liblzma::stream::CONCATENATED,
        };
        let mut stream = Stream::new_stream_decoder(XZ_MEMORY, flags).map_err(damaged)?;
        loop {
            if self.buffer.len() == self.buffer.capacity() {
                self.grow()?;
            }
            let before = (stream.total_in(), stream.total_out());
            let rest = &file[before.0 as usize..];
            let status = stream
                .process_vec(rest, &mut self.buffer, Action::Finish)
                .map_err(damaged)?;
            let room = self.buffer.len() < self.buffer.capacity();
            match status {
                Status::StreamEnd
                    if checksum.is_none_or(|sum| sum == crc32fast::hash(&self.buffer)) =>
                {
                    return Ok(());
                }
                Status::StreamEnd => return Err(damaged(liblzma::stream::Error::Data)),
                _ if room && (stream.total_in(), stream.total_out()) == before => {
                    return Err(UnpackError::Truncated(NAME));
                }
                _ => {}
            }
        }
    }

    fn zstd(&mut self, file: &[u8]) -> Result<(), UnpackError> {
        const NAME: &str = "zstd";
        let damaged = |code| UnpackError::Damaged(NAME, zstd_safe::get_error_name(code));
        let mut decoder = match self.zstd.take() {
            Some(decoder) => decoder,
            None => DCtx::try_create().ok_or(UnpackError::NoMemory)?,
        };
        decoder
            .reset(zstd_safe::ResetDirective::SessionOnly)
            .map_err(damaged)?;
        let mut input = InBuffer::around(file);
        // 0: a frame has just ended.
        let mut hint = 1;
        while input.pos < file.len() || hint != 0 {
            if self.buffer.len() == self.buffer.capacity() {
                self.grow()?;
            }
            let (read, written) = (input.pos, self.buffer.len());
            let mut output = OutBuffer::around_pos(&mut self.buffer, written);
            hint = decoder
                .decompress_stream(&mut output, &mut input)
                .map_err(damaged)?;
            if hint != 0 && (input.pos, self.buffer.len()) == (read, written) {
                return Err(UnpackError::Truncated(NAME));
            }
        }
        self.zstd = Some(decoder);
        Ok(())
    }

    fn gzip(&mut self, file: &[u8]) -> Result<(), UnpackError> {
        const NAME: &str = "gzip";
        // The last four bytes say how large it is when unpacked, modulo 2^32.
        let size = file
            .last_chunk::<4>()
            .map_or(0, |size| u32::from_le_bytes(*size)) as usize;
        if file.len() < 18 {
            return Err(UnpackError::Truncated(NAME));
        }
        // A deflate stream is at most about 1032 times as large when unpacked: what says more is
        // not the end of one.
        if size > file.len().saturating_mul(1040) {
            return Err(UnpackError::Truncated(NAME));
        }
        if size > LIMIT {
            return Err(UnpackError::TooLarge);
        }
        self.buffer
            .try_reserve_exact(size)
            .map_err(|_| UnpackError::NoMemory)?;
        self.buffer.resize(size, 0);
        let decoder = self.gzip.get_or_insert_with(libdeflater::Decompressor::new);
        match decoder.gzip_decompress(file, &mut self.buffer) {
            Ok(len) => {
                self.buffer.truncate(len);
                Ok(())
            }
            Err(libdeflater::DecompressionError::InsufficientSpace) => Err(UnpackError::Damaged(
                NAME,
                "it is larger than it says at its end, or ends too early",
            )),
            Err(libdeflater::DecompressionError::BadData) => {
                Err(UnpackError::Damaged(NAME, "bad data, or it ends too early"))
            }
        }
    }
}

/// The CRC-32 of all that an xz file holds, if it is one stream of one block with such a check, as
/// the kernel's build makes them: then the decoder need not compute it, which takes it longer. (The
/// .xz File Format, sections 2.1.2 Stream Footer, 3.4 Check, 4 Index.)
fn only_checksum(file: &[u8]) -> Option<u32> {
    /// Bytes of the stream's header, and of its footer.
    const ENDS: usize = 12;
    /// The check's kind in the stream's flags.
    const CRC32: [u8; 2] = [0, 1];
    let word = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    let footer = file.len().checked_sub(ENDS)?;
    if file[footer + 8..] != [CRC32[0], CRC32[1], b'Y', b'Z'] || file.get(6..8)? != CRC32 {
        return None;
    }
    let index_len = (word(footer + 4)? as usize)
        .checked_add(1)?
        .checked_mul(4)?;
    let index = footer.checked_sub(index_len)?;
    // One record, which begins with how long the block is, padding apart; 7 bits a byte.
    let [0, 1, record @ ..] = &file[index..footer] else {
        return None;
    };
    let (mut block, mut shift) = (0usize, 0);
    for byte in record.iter().take(4) {
        block |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let alone = block.next_multiple_of(4) + ENDS == index;
            return word(index.checked_sub(4)?).filter(|_| alone);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use liblzma::stream::Check;

    fn xz(content: &[u8], check: Check) -> Vec<u8> {
        let mut stream = Stream::new_easy_encoder(1, check).unwrap();
        let mut packed = Vec::with_capacity(content.len() + 1000);
        let end = stream.process_vec(content, &mut packed, Action::Finish);
        assert_eq!(end.unwrap(), Status::StreamEnd);
        packed
    }

    fn content() -> Vec<u8> {
        (0..40_000u32)
            .flat_map(|n| (n * n / 7).to_le_bytes())
            .collect()
    }

    #[test]
    fn the_checksum_of_a_single_block_is_found() {
        let content = content();
        let packed = xz(&content, Check::Crc32);
        assert_eq!(only_checksum(&packed), Some(crc32fast::hash(&content)));
        let mut unpacker = Unpacker::new();
        assert_eq!(unpacker.unpack(&packed).unwrap(), content);
        // Any other file's is the decoder's business.
        let other = xz(&content, Check::Crc64);
        assert_eq!(only_checksum(&other), None);
        assert_eq!(unpacker.unpack(&other).unwrap(), content);
        let twice = [&packed[..], &packed].concat();
        assert_eq!(only_checksum(&twice), None);
        assert_eq!(unpacker.unpack(&twice).unwrap().len(), 2 * content.len());
        for end in 0..packed.len() {
            only_checksum(&packed[..end]);
        }
    }

    /// However a file is damaged, what comes out of it is right or an error.
    #[test]
    fn damage_is_noticed() {
        let content = content();
        let mut packed = xz(&content, Check::Crc32);
        let mut unpacker = Unpacker::new();
        for at in (0..packed.len())
            .step_by(97)
            .chain(packed.len() - 40..packed.len())
        {
            packed[at] ^= 0x10;
            if let Ok(bytes) = unpacker.unpack(&packed) {
                // What begins otherwise is no xz.
                assert!(at < 6 || bytes == content, "byte {at}");
            }
            packed[at] ^= 0x10;
        }
        // It stands before the index, whose length the footer says in words.
        let sum = packed.len() - 12 - (usize::from(packed[packed.len() - 8]) + 1) * 4 - 4;
        packed[sum] ^= 1;
        assert_eq!(
            unpacker.unpack(&packed),
            Err(UnpackError::Damaged("xz", "a checksum is wrong"))
        );
    }
}
