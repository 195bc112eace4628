//! Where there is next to nothing: as the kernel starts its helper.

mod common;

use common::{MODFS, PATIENCE, need, need_root, run};
use std::process::Command;

#[test]
fn nothing_open_and_no_dev() {
    need_root("it hides /dev from itself");
    need("unshare", "util-linux");
    let empty = tempfile::tempdir().expect("a directory");
    let script = "mount --bind \"$2\" /dev || exit 3
        \"$1\" --version <&- >&- 2>&- || exit 4
        # Nothing that is opened later is taken for standard output.
        \"$1\" headers \"$2/headers\" <&- >&- 2>&- || exit 5
        [ -s \"$2/headers/linux/module.h\" ] || exit 6
        \"$1\" no-such-command <&- >&- 2>&-
        [ $? = 1 ] || exit 7";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh", MODFS]);
    command.arg(empty.path());
    let ran = run(command, PATIENCE);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}
