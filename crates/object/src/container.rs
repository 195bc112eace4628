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

/// An xz file of one block with a CRC-32, as the kernel wants them. liblzma's checksum, without the
/// processor's instructions for it, takes a twentieth of the time of unpacking; so it is left out,
/// and made here. Of what looks any different liblzma checks everything itself.
struct Single {
    /// How large it is when unpacked; not more than fits such a file.
    size: usize,
    crc: u32,
}

impl Single {
    /// The file ends with the checksum, the index of blocks, and the footer, which says how long
    /// the index is (xz-file-format.txt, 2.1.2 and 4). Whether that is true is of no matter: what
    /// is unpacked has to have the checksum that is found here.
    fn of(file: &[u8]) -> Option<Single> {
        const CRC32: [u8; 2] = [0, 1];
        let header = file.first_chunk::<12>()?;
        let (rest, footer) = file.split_last_chunk::<12>()?;
        if header[6..8] != CRC32 || footer[8..] != [CRC32[0], CRC32[1], b'Y', b'Z'] {
            return None;
        }
        let backward = u32::from_le_bytes(*footer[4..].first_chunk()?);
        let index_len = (backward as usize).checked_add(1)?.checked_mul(4)?;
        let (blocks, index) = rest.split_at_checked(rest.len().checked_sub(index_len)?)?;
        // The mark of an index, and the number of its records.
        let mut records = index.strip_prefix(&[0, 1])?;
        let unpadded = number(&mut records)?;
        let size = number(&mut records)?;
        let block = unpadded.checked_next_multiple_of(4)?;
        // xz does not do better than about 7000; what says so may want too much memory.
        let sound = block.checked_add(12)? == blocks.len() as u64
            && size <= LIMIT as u64
            && size <= unpadded.saturating_mul(10_000);
        sound.then_some(Single {
            size: usize::try_from(size).ok()?,
            crc: u32::from_le_bytes(*blocks.last_chunk()?),
        })
    }
}

/// A number as xz writes it: seven bits in a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
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
        let len = match Container::of(file) {
            Container::Plain => return Ok(file),
            Container::Gzip => self.gzip(file)?,
            Container::Xz => self.xz(file)?,
            Container::Zstd => self.zstd(file)?,
        };
        Ok(&self.buffer[..len])
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

    fn xz(&mut self, file: &[u8]) -> Result<usize, UnpackError> {
        const NAME: &str = "xz";
        self.buffer.clear();
        let damaged = |error: liblzma::stream::Error| match error {
            liblzma::stream::Error::Mem => UnpackError::NoMemory,
            liblzma::stream::Error::MemLimit => {
                UnpackError::Damaged(NAME, "it needs more than 256 MiB of memory")
            }
            liblzma::stream::Error::Data => UnpackError::Damaged(NAME, "a checksum is wrong"),
            _ => UnpackError::Damaged(NAME, "its header is not one of xz"),
        };
        let single = Single::of(file);
        let mut flags = liblzma::stream::CONCATENATED;
        if let Some(single) = &single {
            flags |= liblzma::stream::IGNORE_CHECK;
            // One more, for the decoder to see the end without asking for room.
            self.buffer
                .try_reserve_exact(single.size + 1)
                .map_err(|_| UnpackError::NoMemory)?;
        }
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
                Status::StreamEnd => {
                    let wrong = |single: Single| single.crc != crc32fast::hash(&self.buffer);
                    return match single.is_some_and(wrong) {
                        true => Err(damaged(liblzma::stream::Error::Data)),
                        false => Ok(self.buffer.len()),
                    };
                }
                _ if room && (stream.total_in(), stream.total_out()) == before => {
                    return Err(UnpackError::Truncated(NAME));
                }
                _ => {}
            }
        }
    }

    fn zstd(&mut self, file: &[u8]) -> Result<usize, UnpackError> {
        const NAME: &str = "zstd";
        self.buffer.clear();
        // With room for all of it the decoder needs no buffer of its own. What is not written to
        // takes no memory, whatever the file says.
        if let Ok(Some(size)) = zstd_safe::get_frame_content_size(file)
            && size <= LIMIT as u64
        {
            let reserved = self.buffer.try_reserve_exact(size as usize);
            reserved.map_err(|_| UnpackError::NoMemory)?;
        }
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
        Ok(self.buffer.len())
    }

    fn gzip(&mut self, file: &[u8]) -> Result<usize, UnpackError> {
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
        // What is in it is written over: clearing all of it each time takes longer than reading.
        if let Some(more) = size.checked_sub(self.buffer.len()) {
            let reserved = self.buffer.try_reserve_exact(more);
            reserved.map_err(|_| UnpackError::NoMemory)?;
            self.buffer.resize(size, 0);
        }
        let decoder = self.gzip.get_or_insert_with(libdeflater::Decompressor::new);
        match decoder.gzip_decompress(file, &mut self.buffer[..size]) {
            Ok(len) => Ok(len),
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

#[cfg(test)]
mod tests {
    use super::*;
    use liblzma::stream::Check;

    fn xz(bytes: &[u8], check: Check) -> Vec<u8> {
        let mut packed = Vec::with_capacity(bytes.len() + 4096);
        let mut stream = Stream::new_easy_encoder(6, check).unwrap();
        let status = stream.process_vec(bytes, &mut packed, Action::Finish);
        assert_eq!(status, Ok(Status::StreamEnd));
        packed
    }

    /// Bytes that are packed a little.
    fn sample(len: usize) -> Vec<u8> {
        let byte = |n: usize| (n.wrapping_mul(0x9e37_79b9) >> 20) as u8 & 0x3f;
        (0..len).map(byte).collect()
    }

    fn unpack(file: &[u8]) -> Result<Vec<u8>, UnpackError> {
        Unpacker::new().unpack(file).map(<[u8]>::to_vec)
    }

    #[test]
    fn xz_with_each_checksum_and_size() {
        for len in [0, 1, 127, 128, 5_000, 1 << 20] {
            let bytes = sample(len);
            for check in [Check::None, Check::Crc32, Check::Crc64, Check::Sha256] {
                let packed = xz(&bytes, check);
                // Of nothing there is no block.
                let single = matches!(check, Check::Crc32) && len > 0;
                assert_eq!(Single::of(&packed).is_some(), single, "{check:?} {len}");
                assert!(unpack(&packed).unwrap() == bytes, "{check:?} {len}");
            }
            // Several streams, and what may be between them.
            let packed = xz(&bytes, Check::Crc32);
            let twice = [&packed[..], &packed].concat();
            assert!(unpack(&twice).unwrap() == [&bytes[..], &bytes].concat());
            let padded = [&packed[..], &[0; 4]].concat();
            assert!(unpack(&padded).unwrap() == bytes);
        }
    }

    #[test]
    fn every_changed_byte_of_xz_is_noticed() {
        let packed = xz(&sample(600), Check::Crc32);
        assert!(Single::of(&packed).is_some());
        for at in 0..packed.len() {
            for bit in [1, 0x10, 0x80] {
                let mut other = packed.clone();
                other[at] ^= bit;
                if Container::of(&other) == Container::Xz {
                    assert!(unpack(&other).is_err(), "byte {at}");
                }
            }
            let cut = unpack(&packed[..at]);
            assert!(cut.is_err() || at < 6, "{at} bytes");
        }
    }

    #[test]
    fn a_wrong_checksum_is_called_that() {
        let mut packed = xz(&sample(600), Check::Crc32);
        let footer = packed.len() - 12;
        let index = footer - 4 * (1 + usize::from(packed[footer + 4]));
        packed[index - 2] ^= 1;
        let why = unpack(&packed).unwrap_err();
        assert_eq!(why, UnpackError::Damaged("xz", "a checksum is wrong"));
    }

    #[test]
    fn the_end_of_a_gzip_file_is_missed() {
        // `printf 'a module' | gzip -n`, and without its end.
        let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x54\xc8\xcd\x4f\x29\
                       \xcd\x49\x05\0\x5b\xc1\x38\x0b\x08\0\0\0";
        assert_eq!(unpack(packed).as_deref(), Ok(&b"a module"[..]));
        for len in 2..packed.len() {
            let why = unpack(&packed[..len]).unwrap_err();
            assert_ne!(why, UnpackError::TooLarge, "{len} bytes");
        }
    }
}
