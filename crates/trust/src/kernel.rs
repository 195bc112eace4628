//! The list of certificates in a kernel's image.

use modfs_object::{Container, Unpacker};
use std::borrow::Cow;
use std::ops::Range;

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

/// No list is longer.
const LIST: usize = 1 << 20;
/// So far behind the list its length may be: there can be room for one more certificate in between
/// (`CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE`, 4096 by default).
const BEHIND: usize = 16 << 10;
/// How the symbols are aligned, on all machines.
const ALIGNED: usize = 8;
/// More than from where a certificate begins to the first word behind it.
const WINDOW: usize = 128 << 10;
/// The kernel's own certificate can have those of its issuers with it, but not more.
const OWN: usize = 8;

/// The certificates of `system_certificate_list`; `None` when there is none.
///
/// Symbols are stripped from what is booted, so the list is found by what it is
/// (certs/system_certificates.S): certificates one after the other, and then, as numbers, the length of
/// all and of the first, which is the one that the kernel's own modules are signed with. Other
/// certificates in the image, those that are for something else, look different.
///
/// Before Linux 5.13 there is only the first number. From then on that is how the list of those that are
/// revoked looks (certs/revocation_certificates.S), so one number is enough only where there is no such
/// list, and when it is clear which one is meant.
pub(crate) fn certificates(image: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = None;
    let (mut only_one, mut several) = (None::<Range<usize>>, false);
    each_run(image, |run, word| {
        // Behind the list there are zeros: the room for one more, which belongs to the list when it is
        // used.
        let zeros = word.checked_sub(run.end);
        let Some(zeros) = zeros.filter(|zeros| *zeros <= BEHIND && run.len() <= LIST) else {
            return;
        };
        // Behind the room there is how much of it is used.
        let behind = (zeros >= ALIGNED).then_some(word + ALIGNED);
        for at in [Some(word), behind].into_iter().flatten() {
            if !number(image, at, run.len()) {
                continue;
            }
            let list = &image[run.clone()];
            if own(list).any(|own| number(image, at + ALIGNED, own)) {
                // What is found last is the first one in the image, and the longest.
                found = Some(list);
            } else {
                // A shorter one with the same end is a part of this one.
                several |= only_one.as_ref().is_some_and(|one| one.end != run.end);
                only_one = Some(run.clone());
            }
        }
    });
    let list = found.or_else(|| {
        let one = only_one.filter(|_| !several)?;
        nothing_revoked(image).then(|| &image[one])
    })?;
    Some(split(list).collect())
}

/// All runs of certificates that begin where a symbol can be, the last first; and where the first word
/// that is not zero begins behind each (0: there is none).
///
/// A run ends where the run ends that begins at its second certificate. So that each is known when it
/// is asked for, this goes from the image's end to its beginning. It takes a time that is linear in the
/// size, whatever the image is, and no run is missed because of what is before it.
fn each_run(image: &[u8], mut each: impl FnMut(Range<usize>, usize)) {
    // Only what is nearer than a window is asked for.
    let mut runs = vec![(0, 0); WINDOW];
    let mut words = vec![0; WINDOW / ALIGNED];
    let mut word = 0;
    for (index, bytes) in image.chunks(ALIGNED).enumerate().rev() {
        let start = index * ALIGNED;
        let zero = *bytes == [0; ALIGNED][..bytes.len()];
        if !zero {
            word = start;
        }
        words[index % (WINDOW / ALIGNED)] = word;
        if zero {
            continue;
        }
        for at in (start..start + bytes.len()).rev() {
            let Some(next) = next(image, at) else {
                continue;
            };
            let run = match self::next(image, next) {
                Some(_) => runs[next % WINDOW],
                None => (next, words[next.div_ceil(ALIGNED) % (WINDOW / ALIGNED)]),
            };
            runs[at % WINDOW] = run;
            if at == start && is_certificate(&image[at..]) {
                each(at..run.0, run.1);
            }
        }
    }
}

/// Where the SEQUENCE ends that begins here; `None`: there is none, or it is cut off.
fn next(image: &[u8], at: usize) -> Option<usize> {
    let rest = image.get(at..)?;
    let len = sequence(rest).filter(|len| *len <= rest.len())?;
    Some(at + len)
}

/// What of the list the kernel's own certificate can be: how long its beginnings are.
fn own(list: &[u8]) -> impl Iterator<Item = usize> {
    split(list).take(OWN).scan(0, |len, certificate| {
        *len += certificate.len();
        Some(*len)
    })
}

/// The certificates of a list.
fn split(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (certificate, rest) = list.split_at_checked(sequence(list)?)?;
        list = rest;
        Some(certificate)
    })
}

/// Whether this is a kernel that has no list of certificates that are revoked: it is older than Linux
/// 5.13, and its distributor added nothing that reads one.
fn nothing_revoked(image: &[u8]) -> bool {
    const VERSION: &[u8] = b"Linux version ";
    const REVOCATIONS: &[u8] = b"Loading compiled-in revocation X.509 certificates";
    let texts = places(image, VERSION).map(|at| &image[at + VERSION.len()..]);
    // There is also the format that /proc/version is printed with.
    let mut versions = texts
        .filter(|text| text.first().is_some_and(u8::is_ascii_digit))
        .map(version)
        .peekable();
    // An image that is of several versions, or of one that cannot be read, can have such a list.
    versions.peek().is_some()
        && versions.all(|version| version.is_some_and(|version| version < (5, 13)))
        && places(image, REVOCATIONS).next().is_none()
}

fn places(image: &[u8], text: &[u8]) -> impl Iterator<Item = usize> {
    let windows = image.windows(text.len()).enumerate();
    windows.filter_map(move |(at, bytes)| (bytes == text).then_some(at))
}

/// The first two numbers of a version.
fn version(text: &[u8]) -> Option<(u32, u32)> {
    const ENOUGH: usize = 16;
    let text = String::from_utf8_lossy(&text[..text.len().min(ENOUGH)]);
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
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
