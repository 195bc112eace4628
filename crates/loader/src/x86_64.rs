//! Code that calls functions one after the other (System V ABI, x86_64).

/// Bytes of one call.
const CALL: usize = 12;

/// How long [`calls`] is.
pub(crate) fn length(functions: usize) -> usize {
    4 + functions * CALL + 2 + 5
}

/// A function that calls these, which take nothing, and returns what the last one does; 0 where `value` is
/// not set.
pub(crate) fn calls(functions: &[u64], value: bool) -> Vec<u8> {
    // sub rsp, 8
    let mut code = vec![0x48, 0x83, 0xec, 0x08];
    for function in functions {
        // mov rax, function; call rax
        code.extend_from_slice(&[0x48, 0xb8]);
        code.extend_from_slice(&function.to_le_bytes());
        code.extend_from_slice(&[0xff, 0xd0]);
    }
    if !value {
        // xor eax, eax
        code.extend_from_slice(&[0x31, 0xc0]);
    }
    // add rsp, 8; ret
    code.extend_from_slice(&[0x48, 0x83, 0xc4, 0x08, 0xc3]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_it_says_at_most() {
        for functions in [&[][..], &[1], &[1, 2, 3]] {
            assert_eq!(calls(functions, false).len(), length(functions.len()));
            assert_eq!(calls(functions, true).len(), length(functions.len()) - 2);
        }
    }
}
