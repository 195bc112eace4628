use super::*;

/// `mov eax, VALUE; ret`.
fn returns(value: u32) -> [u8; 6] {
    let mut code = [0xb8, 0, 0, 0, 0, 0xc3];
    code[1..5].copy_from_slice(&value.to_le_bytes());
    code
}

fn call(block: &Block) -> u32 {
    let code = ptr::with_exposed_provenance::<()>(block.address() as usize);
    // SAFETY: the block holds the code that `returns` makes.
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(code) };
    function()
}

fn arena() -> &'static Arena {
    Arena::get().expect("an arena")
}

fn code(value: u32) -> Block {
    let block = arena().alloc(Kind::Code, 6, 16).unwrap();
    block.write(0, &returns(value)).unwrap();
    block
}

#[test]
fn code_runs_and_traps_when_freed() {
    let block = code(4711);
    assert!(block.address() < HIGHEST);
    assert_eq!(call(&block), 4711);
    let keep = code(1);
    let at = block.address();
    drop(block);
    if keep.address() > at {
        // SAFETY: below a live block the region is backed.
        let bytes = unsafe { slice_at(at, 6) };
        // Another test may have taken the place meanwhile; it is never what was there.
        assert_ne!(bytes, returns(4711));
    }
    assert_eq!(call(&keep), 1);
}

/// # Safety
/// The range is mapped and backed.
unsafe fn slice_at(at: u64, len: usize) -> Vec<u8> {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance(at as usize), len) }.to_vec()
}

#[test]
fn data_is_zeroed_and_bounds_are_kept() {
    for size in [1, 64, 5000, FRESH, FRESH + 70_000] {
        for _ in 0..2 {
            let block = arena().alloc(Kind::Data, size, 64).unwrap();
            let mut bytes = vec![1; size as usize];
            assert!(block.read(0, &mut bytes));
            assert!(bytes.iter().all(|byte| *byte == 0), "{size}");
            block.write(0, &vec![0xff; size as usize]).unwrap();
            assert!(block.write(1, &vec![0xff; size as usize]).is_err());
            assert!(block.write(u64::MAX, &[1]).is_err());
            assert!(!block.read(size, &mut [0]));
        }
    }
}

#[test]
fn absurd_sizes_are_refused() {
    for kind in Kind::ALL {
        for size in [u64::MAX, u64::MAX - 63, 1 << 40, SIZES[kind as usize] + 1] {
            assert_eq!(
                arena().alloc(kind, size, 64).err(),
                Some(NoRoom { kind, size })
            );
        }
    }
}

/// W^X: no mapping of this process is writable and executable, and no file that is mapped
/// executable is mapped writable elsewhere.
#[test]
fn nothing_is_writable_and_executable() {
    let blocks: Vec<Block> = (0..100).map(code).collect();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let arena_lines: Vec<&str> = maps.lines().filter(|l| l.contains("modfs-")).collect();
    assert!(arena_lines.iter().any(|l| l.contains(" r-xs ")), "{maps}");
    for line in maps.lines() {
        let protection = line.split(' ').nth(1).unwrap();
        assert!(
            !(protection.contains('w') && protection.contains('x')),
            "{line}"
        );
        assert!(
            !(line.contains("modfs-") && protection.contains('w')),
            "{line}"
        );
    }
    assert!(blocks.iter().enumerate().all(|(i, b)| call(b) == i as u32));
}

#[test]
fn memory_comes_back() {
    let file = arena().regions[Kind::Code as usize].file.as_ref().unwrap();
    let size = || rustix::fs::fstat(file).unwrap().st_size as u64;
    {
        let block = arena().alloc(Kind::Code, 8 << 20, 4096).unwrap();
        block.write(0, &vec![0x90; 8 << 20]).unwrap();
        assert!(size() >= 8 << 20);
    }
    assert!(size() < (8 << 20), "{} bytes of code are kept", size());
}

/// The parent unloads and reuses the memory; the child's code is as it was at fork.
#[test]
fn a_forked_child_keeps_its_code() {
    let block = code(7);
    let (go_reader, go_writer) = rustix::pipe::pipe().unwrap();
    // SAFETY: the child only calls the block, reads a pipe and exits.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut byte = [0u8; 1];
        let read = rustix::io::read(&go_reader, &mut byte);
        let fine = read == Ok(1) && call(&block) == 7 && {
            let more = code(9);
            call(&more) == 9
        };
        // SAFETY: _exit has no preconditions.
        unsafe { libc::_exit(i32::from(!fine)) }
    }
    drop(block);
    let _others: Vec<Block> = (100..200).map(code).collect();
    rustix::io::write(&go_writer, b"x").unwrap();
    let mut status = 0;
    // SAFETY: waits for the child that was just made.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0, "the child's code changed under it");
}
