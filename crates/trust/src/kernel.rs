//! The list of certificates in a kernel's image.

use modfs_object::{Container, Unpacker};
use std::borrow::Cow;

/// What an image is when it is unpacked; one that is not packed is borrowed.
///
/// # Errors
/// Why it cannot be unpacked.
pub(crate) fn unpacked(file: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let Some(payload) = payload(file) else {
        // A vmlinux, perhaps packed.
        return match Container::of(file) {
            Container::Plain => Ok(Cow::Borrowed(file)),
            _ => unpack(file).map(Cow::Owned),
        };
    };
    // After what is packed there are four bytes with its size, but with gzip, which has them itself.
    let packed = match payload {
        [0x1f, 0x8b, ..] => payload,
        [.., _, _, _, _] => &payload[..payload.len() - 4],
        _ => payload,
    };
    if payload.starts_with(b"\x7fELF") {
        return Ok(Cow::Borrowed(payload));
    }
    if let Some(blocks) = packed.strip_prefix(&LZ4) {
        return lz4(blocks).map(Cow::Owned);
    }
    if Container::of(packed) == Container::Plain {
        let name = match packed {
            [0x5d, 0, 0, ..] => "lzma",
            [b'B', b'Z', b'h', ..] => "bzip2",
            [0x89, b'L', b'Z', b'O', ..] => "lzo",
            _ => "something unknown",
        };
        return Err(format!("it is packed by {name}"));
    }
    unpack(packed).map(Cow::Owned)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacker = Unpacker::new();
    let unpacked = unpacker.unpack(packed).map_err(|e| e.to_string())?;
    Ok(unpacked.to_vec())
}

/// What is packed in a bzImage (Linux, Documentation/arch/x86/boot.rst); `None`: it is none.
fn payload(file: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?) as usize);
    if file.get(0x202..0x206)? != b"HdrS" || word(0x206)? & 0xffff < 0x208 {
        return None;
    }
    let sectors = match file.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(*sectors),
    };
    let start = ((sectors + 1) * 512).checked_add(word(0x248)?)?;
    file.get(start..start.checked_add(word(0x24c)?)?)
}

/// The frame that `lz4 -l` writes: the magic, and blocks that each unpack to 8 MiB at most.
const LZ4: [u8; 4] = 0x184c_2102_u32.to_le_bytes();
const LZ4_BLOCK: usize = 8 << 20;
/// No kernel is larger.
const LIMIT: usize = 1 << 30;

fn lz4(mut blocks: &[u8]) -> Result<Vec<u8>, String> {
    let mut image = Vec::new();
    let mut block = vec![0; LZ4_BLOCK];
    while let Some((len, rest)) = blocks.split_first_chunk() {
        let len = u32::from_le_bytes(*len) as usize;
        let Some((packed, rest)) = rest.split_at_checked(len) else {
            return Err("truncated: the lz4 data ends too early".into());
        };
        let unpacked = lz4_flex::block::decompress_into(packed, &mut block);
        let len = unpacked.map_err(|e| format!("damaged: the lz4 data ({e})"))?;
        if image.len() + len > LIMIT {
            return Err("more than 1 GiB when unpacked".into());
        }
        image.extend_from_slice(&block[..len]);
        blocks = rest;
    }
    Ok(image)
}

/// So many places where a list could begin are looked at; a real kernel has few.
const PLACES: usize = 10_000;
/// No list is longer.
const LIST: usize = 1 << 20;
/// So far behind the list its length may be: there can be room for one more certificate in between
/// (`CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE`, 4096 by default).
const BEHIND: usize = 16 << 10;
/// How the symbols are aligned, on all machines.
const ALIGNED: usize = 8;

/// The certificates of `system_certificate_list`; `None` when there is none.
///
/// Symbols are stripped from what is booted, so the list is found by what it is
/// (certs/system_certificates.S): certificates one after the other, and then, as numbers, the length of
/// all and of the first, which is the one that the kernel's own modules are signed with. Other
/// certificates in the image, those that are revoked or are for something else, look different.
/// Before Linux 5.13 there is only the first number.
pub(crate) fn certificates(image: &[u8]) -> Option<Vec<&[u8]>> {
    let mut only_one = None;
    let places = (0..image.len()).step_by(ALIGNED);
    for at in places
        .filter(|at| is_certificate(&image[*at..]))
        .take(PLACES)
    {
        let (list, end) = list(image, at);
        let Some(first) = list.first().map(|first| first.len()) else {
            continue;
        };
        let sizes = end.next_multiple_of(ALIGNED);
        for at in (sizes..sizes + BEHIND).step_by(ALIGNED) {
            if number(image, at, list_len(&list)) {
                if number(image, at + ALIGNED, first) {
                    return Some(list);
                }
                only_one.get_or_insert(list);
                break;
            }
        }
    }
    only_one
}

fn list_len(list: &[&[u8]]) -> usize {
    list.iter().map(|certificate| certificate.len()).sum()
}

/// The certificates from here on, and where the last ends.
fn list(image: &[u8], start: usize) -> (Vec<&[u8]>, usize) {
    let (mut list, mut at) = (Vec::new(), start);
    while let Some(rest) = image.get(at..)
        && let Some(len) = sequence(rest)
        && let Some(certificate) = rest.get(..len)
        && at + len - start <= LIST
    {
        list.push(certificate);
        at += len;
    }
    (list, at)
}

/// Whether a number is here: of 4 or 8 bytes, of either order.
fn number(image: &[u8], at: usize, number: usize) -> bool {
    let Some(bytes) = image.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
        return false;
    };
    let [a, b, c, d, ..] = *bytes;
    let number = number as u64;
    u64::from_be_bytes(*bytes) == number
        || u64::from(u32::from_be_bytes([a, b, c, d])) == number
        || u64::from(u32::from_le_bytes([a, b, c, d])) == number
}

/// Whether a certificate of version 3 begins here: a sequence in which there is one that begins with
/// the version.
fn is_certificate(bytes: &[u8]) -> bool {
    const VERSION_3: [u8; 5] = [0xa0, 3, 2, 1, 2];
    let inner = |bytes: &[u8]| {
        let body = bytes.get(head(bytes)?..)?;
        Some(body.get(head(body)?..)?.starts_with(&VERSION_3))
    };
    // Most places are something else.
    bytes.first() == Some(&0x30)
        && sequence(bytes).is_some_and(|len| len <= bytes.len())
        && inner(bytes) == Some(true)
}

/// How long the SEQUENCE is that begins here, its head included; `None`: there is none of more than
/// 127 and less than 65536 bytes.
pub(crate) fn sequence(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x30, 0x81, len, ..] if *len > 0x7f => Some(3 + usize::from(*len)),
        [0x30, 0x82, high, low, ..] if *high > 0 => {
            Some(4 + usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// How long the head of a SEQUENCE is.
fn head(bytes: &[u8]) -> Option<usize> {
    sequence(bytes).map(|_| if bytes[1] == 0x81 { 3 } else { 4 })
}
