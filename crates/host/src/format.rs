//! printf's formatting, for `printk` and the functions of its family.
//!
//! The engine allocates nothing and holds nothing: a wrong `%s` of a module faults in the middle
//! of it, and whoever catches that fault may simply drop it. Reading the arguments of a C call is
//! left to the caller, by [`Args`].
//!
//! All of C's conversions but `%a` (shown as `%e`) are there, for hosts where `long` has 64 bits;
//! of the kernel's own there is `%p` with one of the letters `S s K x`, which is a plain pointer.

#![forbid(unsafe_code)]

use std::fmt::Write;

/// The arguments of a call, in order.
pub(crate) trait Args {
    /// The next argument of an integer or pointer type. Bits above its type's width may be
    /// anything.
    fn int(&mut self) -> u64;

    /// The next argument of type double.
    fn double(&mut self) -> f64;

    /// The next argument of type long double.
    fn long_double(&mut self) -> f64;

    /// The string at `addr`, which is not 0: up to its NUL, but no byte at or beyond `max`
    /// is read.
    fn str_at(&mut self, addr: u64, max: Option<usize>) -> &[u8];
}

/// Widths and precisions above this are taken as this: no message fills a disk.
const FIELD_MAX: usize = 1 << 20;
/// Decimals of a floating-point number; the longest integral part has 309 digits.
const DECIMALS_MAX: usize = 100;

/// Formats as printf: hands the text to `out` in pieces and returns its length.
///
/// `%n` takes its argument and does nothing. What is no conversion is copied as it is, and takes
/// no argument.
pub(crate) fn format(fmt: &[u8], args: &mut dyn Args, out: &mut dyn FnMut(&[u8])) -> usize {
    let mut sink = Sink { out, written: 0 };
    let mut rest = fmt;
    while let Some(at) = rest.iter().position(|&b| b == b'%') {
        sink.put(&rest[..at]);
        rest = &rest[at..];
        let mut cursor = Cursor { text: rest, at: 1 };
        let spec = Spec::parse(&mut cursor, args);
        let known = cursor
            .next()
            .is_some_and(|conversion| convert(conversion, &spec, &mut cursor, args, &mut sink));
        let (seen, after) = rest.split_at(cursor.at);
        if !known {
            sink.put(seen);
        }
        rest = after;
    }
    sink.put(rest);
    sink.written
}

/// Does one conversion; `false` if there is none of this letter.
fn convert(
    conversion: u8,
    spec: &Spec,
    cursor: &mut Cursor<'_>,
    args: &mut dyn Args,
    sink: &mut Sink<'_>,
) -> bool {
    match conversion {
        b'%' => sink.put(b"%"),
        b'n' => {
            args.int();
        }
        b'c' => sink.padded(spec, &[args.int() as u8]),
        b's' => string(spec, args, sink),
        b'p' => {
            if cursor.peek().is_some_and(|b| b"SsKx".contains(&b)) {
                cursor.at += 1;
            }
            pointer(spec, args.int(), sink);
        }
        b'd' | b'i' => {
            let value = spec.length.signed(args.int());
            let sign: &[u8] = match value {
                ..0 => b"-",
                _ if spec.plus => b"+",
                _ if spec.space => b" ",
                _ => b"",
            };
            integer(spec, sign, value.unsigned_abs(), 10, false, sink);
        }
        b'u' => integer(spec, b"", spec.length.unsigned(args.int()), 10, false, sink),
        b'o' => integer(spec, b"", spec.length.unsigned(args.int()), 8, false, sink),
        b'x' | b'X' => {
            let value = spec.length.unsigned(args.int());
            let prefix: &[u8] = match (spec.alternate && value != 0, conversion) {
                (false, _) => b"",
                (true, b'x') => b"0x",
                (true, _) => b"0X",
            };
            integer(spec, prefix, value, 16, conversion == b'X', sink);
        }
        b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => {
            let value = match spec.length {
                Length::Long64 => args.long_double(),
                _ => args.double(),
            };
            float(spec, conversion, value, sink);
        }
        _ => return false,
    }
    true
}

fn string(spec: &Spec, args: &mut dyn Args, sink: &mut Sink<'_>) {
    let addr = args.int();
    let text = if addr == 0 {
        b"(null)"
    } else {
        args.str_at(addr, spec.precision)
    };
    let len = spec.precision.map_or(text.len(), |max| max.min(text.len()));
    sink.padded(spec, &text[..len]);
}

fn pointer(spec: &Spec, value: u64, sink: &mut Sink<'_>) {
    if value == 0 {
        sink.padded(spec, b"(null)");
    } else {
        integer(spec, b"0x", value, 16, false, sink);
    }
}

fn integer(spec: &Spec, prefix: &[u8], value: u64, base: u64, upper: bool, sink: &mut Sink<'_>) {
    // 22 octal digits hold any value.
    let mut buffer = [0; 22];
    let mut start = buffer.len();
    let mut left = value;
    while left != 0 {
        let digit = (left % base) as u8;
        left /= base;
        start -= 1;
        buffer[start] = match digit {
            0..10 => b'0' + digit,
            _ if upper => b'A' + digit - 10,
            _ => b'a' + digit - 10,
        };
    }
    let digits = &buffer[start..];
    let mut wanted = spec.precision.unwrap_or(1);
    if base == 8 && spec.alternate {
        wanted = wanted.max(digits.len() + 1);
    }
    let mut zeros = wanted.saturating_sub(digits.len());
    let bare = prefix.len() + zeros + digits.len();
    let mut pad = spec.width.saturating_sub(bare);
    if spec.zero && !spec.left && spec.precision.is_none() {
        zeros += pad;
        pad = 0;
    }
    sink.justified(spec, pad, |sink| {
        sink.put(prefix);
        sink.fill(b'0', zeros);
        sink.put(digits);
    });
}

fn float(spec: &Spec, conversion: u8, value: f64, sink: &mut Sink<'_>) {
    let upper = conversion.is_ascii_uppercase();
    let sign: &[u8] = match value.is_sign_negative() {
        true => b"-",
        false if spec.plus => b"+",
        false if spec.space => b" ",
        false => b"",
    };
    let mut text = Text::new();
    let value = value.abs();
    if value.is_nan() {
        text.push_str("nan");
    } else if value.is_infinite() {
        text.push_str("inf");
    } else {
        let decimals = spec.precision.unwrap_or(6).min(DECIMALS_MAX);
        match conversion.to_ascii_lowercase() {
            b'f' => text.fixed(value, decimals, spec.alternate),
            b'g' => text.shortest(value, decimals.max(1), spec.alternate),
            _ => text.exponential(value, decimals, spec.alternate),
        }
    }
    if upper {
        text.bytes_mut().make_ascii_uppercase();
    }
    let mut pad = spec.width.saturating_sub(sign.len() + text.bytes().len());
    let mut zeros = 0;
    if spec.zero && !spec.left && value.is_finite() {
        zeros = pad;
        pad = 0;
    }
    sink.justified(spec, pad, |sink| {
        sink.put(sign);
        sink.fill(b'0', zeros);
        sink.put(text.bytes());
    });
}

/// The text of a floating-point number, on the stack.
struct Text {
    buffer: [u8; 309 + DECIMALS_MAX + 8],
    len: usize,
}

impl Text {
    fn new() -> Text {
        Text {
            buffer: [0; 309 + DECIMALS_MAX + 8],
            len: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// Adds what fits; by the buffer's size all does.
    fn push_str(&mut self, text: &str) {
        let room = &mut self.buffer[self.len..];
        let n = text.len().min(room.len());
        room[..n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
    }

    fn print(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Our write_str never fails.
        let _ = self.write_fmt(arguments);
    }

    fn fixed(&mut self, value: f64, decimals: usize, point: bool) {
        self.print(format_args!("{value:.decimals$}"));
        if point && decimals == 0 {
            self.push_str(".");
        }
    }

    /// C writes an exponent with a sign and at least two digits.
    fn exponential(&mut self, value: f64, decimals: usize, point: bool) {
        let exponent = self.mantissa(value, decimals);
        if point && decimals == 0 {
            self.push_str(".");
        }
        self.exponent(exponent);
    }

    /// Puts the mantissa and returns the exponent, as rounding to `decimals` makes it.
    fn mantissa(&mut self, value: f64, decimals: usize) -> i32 {
        self.print(format_args!("{value:.decimals$e}"));
        let Some(e) = self.bytes().iter().position(|&b| b == b'e') else {
            return 0;
        };
        let digits = std::str::from_utf8(&self.bytes()[e + 1..]).unwrap_or_default();
        let exponent = digits.parse().unwrap_or(0);
        self.len = e;
        exponent
    }

    fn exponent(&mut self, exponent: i32) {
        let sign = if exponent < 0 { '-' } else { '+' };
        self.print(format_args!("e{sign}{:02}", exponent.unsigned_abs()));
    }

    /// `%g`: whichever of the two is shorter, without trailing zeros unless they are `kept`.
    fn shortest(&mut self, value: f64, digits: usize, kept: bool) {
        let exponent = self.mantissa(value, digits - 1);
        let fixed = exponent >= -4 && i64::from(exponent) < digits as i64;
        if fixed {
            self.len = 0;
            let decimals = digits as i64 - 1 - i64::from(exponent);
            self.fixed(value, decimals as usize, kept);
        } else if kept && digits == 1 {
            self.push_str(".");
        }
        if !kept && self.bytes().contains(&b'.') {
            while self.bytes().last() == Some(&b'0') {
                self.len -= 1;
            }
            if self.bytes().last() == Some(&b'.') {
                self.len -= 1;
            }
        }
        if !fixed {
            self.exponent(exponent);
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

/// How wide an integer argument is; for a floating-point one `Long64` is long double.
#[derive(Clone, Copy)]
enum Length {
    Char,
    Short,
    Int,
    Long,
    Long64,
}

impl Length {
    fn signed(self, raw: u64) -> i64 {
        match self {
            Length::Char => i64::from(raw as i8),
            Length::Short => i64::from(raw as i16),
            Length::Int => i64::from(raw as i32),
            Length::Long | Length::Long64 => raw as i64,
        }
    }

    fn unsigned(self, raw: u64) -> u64 {
        match self {
            Length::Char => u64::from(raw as u8),
            Length::Short => u64::from(raw as u16),
            Length::Int => u64::from(raw as u32),
            Length::Long | Length::Long64 => raw,
        }
    }
}

/// What stands between `%` and the conversion's letter.
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    length: Length,
}

impl Spec {
    fn parse(cursor: &mut Cursor<'_>, args: &mut dyn Args) -> Spec {
        let mut spec = Spec {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: 0,
            precision: None,
            length: Length::Int,
        };
        while let Some(flag) = cursor.peek() {
            match flag {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            cursor.at += 1;
        }
        if cursor.take(b'*') {
            let width = args.int() as i32;
            spec.left |= width < 0;
            spec.width = (width.unsigned_abs() as usize).min(FIELD_MAX);
        } else {
            spec.width = cursor.number();
        }
        if cursor.take(b'.') {
            spec.precision = if cursor.take(b'*') {
                // A negative one is none.
                usize::try_from(args.int() as i32)
                    .ok()
                    .map(|p| p.min(FIELD_MAX))
            } else {
                Some(cursor.number())
            };
        }
        spec.length = cursor.length();
        spec
    }
}

/// A place in the format.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn number(&mut self) -> usize {
        let mut number = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = (number * 10 + usize::from(digit - b'0')).min(FIELD_MAX);
            self.at += 1;
        }
        number
    }

    fn length(&mut self) -> Length {
        if self.take(b'h') {
            return if self.take(b'h') {
                Length::Char
            } else {
                Length::Short
            };
        }
        if self.take(b'l') {
            return if self.take(b'l') {
                Length::Long64
            } else {
                Length::Long
            };
        }
        match self.peek() {
            Some(b'z' | b'j' | b't') => {
                self.at += 1;
                Length::Long
            }
            Some(b'L') => {
                self.at += 1;
                Length::Long64
            }
            _ => Length::Int,
        }
    }
}

/// Where the text goes, and how much of it there was.
struct Sink<'a> {
    out: &'a mut dyn FnMut(&[u8]),
    written: usize,
}

impl Sink<'_> {
    fn put(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.written += text.len();
            (self.out)(text);
        }
    }

    fn fill(&mut self, byte: u8, mut n: usize) {
        let chunk = [byte; 32];
        while n > 0 {
            let now = n.min(chunk.len());
            self.put(&chunk[..now]);
            n -= now;
        }
    }

    fn padded(&mut self, spec: &Spec, text: &[u8]) {
        let pad = spec.width.saturating_sub(text.len());
        self.justified(spec, pad, |sink| sink.put(text));
    }

    /// Puts `pad` spaces on the side that the spec says.
    fn justified(&mut self, spec: &Spec, pad: usize, body: impl FnOnce(&mut Self)) {
        if spec.left {
            body(self);
            self.fill(b' ', pad);
        } else {
            self.fill(b' ', pad);
            body(self);
        }
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
