//! What the host does with text: parameters of every type, and printf's formats.
//!
//! ```text
//! p FLAGS MAX TYPE:VALUE       a parameter is set; without the colon, only named
//! f FORMAT NUL ARGUMENTS       any format; the arguments are 8 bytes each
//! c FLAGS WIDTH PRECISION LENGTH CONVERSION ARGUMENT
//!                              one conversion, compared with that of the C library
//! ```

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use modfs_host::fuzz;

/// No variable of a module in the tests is larger; larger ones only take longer.
const VARIABLE: u64 = 1 << 16;
/// Each conversion may print a megabyte.
const FORMAT: usize = 200;

fuzz_target!(|data: &[u8]| -> Corpus {
    match data {
        [b'p', flags, max, rest @ ..] => {
            let Ok(text) = std::str::from_utf8(rest) else {
                return Corpus::Reject;
            };
            let (type_name, value) = match text.split_once(':') {
                Some((type_name, value)) => (type_name, Some(value)),
                None => (text, None),
            };
            let max = match max {
                255 => u32::MAX,
                240..255 => 1 << (max & 31),
                max => u32::from(*max),
            };
            fuzz::parameter(type_name, u16::from(*flags), max, VARIABLE, value);
        }
        [b'f', rest @ ..] => {
            let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            let format = &rest[..end.min(FORMAT)];
            let arguments = rest.get(end + 1..).unwrap_or_default();
            let mut len = 0;
            let told = fuzz::format(format, arguments, &mut |piece| len += piece.len());
            assert_eq!(told, len);
        }
        [
            b'c',
            flags,
            width,
            precision,
            length,
            conversion,
            argument @ ..,
        ] => {
            let Ok(argument) = argument.try_into() else {
                return Corpus::Reject;
            };
            let format = format_of([*flags, *width, *precision, *length, *conversion]);
            compare(&format, argument);
        }
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

/// One conversion, of those that the C library does alike.
fn format_of([flags, width, precision, length, conversion]: [u8; 5]) -> String {
    let mut format = "[%".to_owned();
    for (bit, flag) in ["-", "+", " ", "#", "0"].iter().enumerate() {
        if flags >> bit & 1 != 0 {
            format += flag;
        }
    }
    if width > 0 {
        format += &width.to_string();
    }
    // 0: none. 101: a point alone.
    match precision % 102 {
        0 => {}
        101 => format += ".",
        precision => format += &format!(".{}", precision - 1),
    }
    let letters = b"diuoxXeEfFgG";
    let conversion = char::from(letters[usize::from(conversion) % letters.len()]);
    let lengths: &[&str] = match conversion {
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => &["", "hh", "h", "l", "ll", "z", "j", "t"],
        _ => &["", "l"],
    };
    format += lengths[usize::from(length) % lengths.len()];
    format.push(conversion);
    format + "]"
}

fn compare(format: &str, argument: [u8; 8]) {
    let mut ours = Vec::new();
    let mut put = |piece: &[u8]| ours.extend_from_slice(piece);
    fuzz::format(format.as_bytes(), &argument, &mut put);

    let terminated = format!("{format}\0");
    let number = u64::from_le_bytes(argument);
    let mut buffer = [0_u8; 1024];
    // SAFETY: the buffer has the length given, the format is NUL-terminated, and of its one
    // conversion the argument is there both as an integer and as a double, which are passed in
    // registers of their own.
    let len = unsafe {
        libc::snprintf(
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            terminated.as_ptr().cast(),
            number,
            f64::from_bits(number),
        )
    };
    let theirs = usize::try_from(len).ok().and_then(|len| buffer.get(..len));
    let theirs = theirs.expect("the C library's text fits");
    assert!(
        ours == theirs,
        "{format} of {number:#x}: {:?} here, {:?} in C",
        String::from_utf8_lossy(&ours),
        String::from_utf8_lossy(theirs)
    );
}
