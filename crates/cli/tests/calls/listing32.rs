//! A program of 32 bits lists modules; loading says why not.

use super::kernel;
use crate::common::program32;

#[test]
fn a_program_of_32_bits() {
    let kernel = kernel(&["hello"]);
    kernel.sh("insmod --tree k/modules ko/hello.ko").ok();
    let ran = kernel.sh(&format!(
        "modfs run --tree k/modules -- {}",
        program32("listing32").display()
    ));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "0 0 1 hello", "{ran:?}");
    let info: Vec<&str> = lines[1].split(' ').collect();
    assert_eq!((info[0], info[1], info[3], info[4]), ("0", "16", "1", "0"));
    let first = kernel.get("kernel/symbols").unwrap();
    let first = first.lines().next().unwrap().split(' ').nth(2).unwrap();
    assert_eq!(lines[2], format!("0 {first}"));
    assert_eq!(lines[3], "1 #hello");
    // ENOSYS, and of what is not there ENOENT.
    assert_eq!(lines[4], "-38 -38 -38 -2 ");
    assert_eq!(lines[5], "hello               |");
    // Of a directory, a file, and of where it is.
    assert_eq!(lines[6], "0 40755 0 100444 4096 -2 0 -13 -22 0 5 live");
    assert!(
        ran.err
            .contains("a program of 32 bits can list and remove modules"),
        "{ran:?}"
    );
}
