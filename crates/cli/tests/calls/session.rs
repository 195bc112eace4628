//! A session with 2.4's insmod, lsmod, ksyms and rmmod, call by call.

use super::{kernel, made};
use crate::common::program;

/// What insmod does for t1 and t2, which uses it; what the listings say; and how all goes again.
#[test]
fn two_modules_come_and_go() {
    let kernel = kernel(&[]);
    let script = "\
        query NULL 0\nquery NULL 1 256\n\
        create t1 656\nimage t1 1024 0\nset 24 656\nset 80 @600\nset 88 @616\ncode 600 31c0c3\ncode 616 c3\n\
        symbol t1_func @184\nsymbol t1_shared @528\ninit t1\n\
        query NULL 1 256\nquery t1 5 32\nquery t1 4 1024\n\
        create t2 384\nimage t2 1024 0\nset 24 384\nset 80 @376\nset 88 @380\ncode 376 31c0c3\ncode 380 c3\n\
        set 64 @344\nint 52 0\nset 344 0\n\
        query t1 5 32\n";
    let said = made(&kernel, &program("calls"), script).ok();
    assert_eq!(
        said,
        "query NULL 0: 0\nquery NULL 1: 0\ncreate: @0\ninit: 0\nquery NULL 1: 1 t1\n\
         query t1 5: 32 address @0 size 656 flags 1 usecount 0\n\
         query t1 4: 2 t1_func@184 t1_shared@528\ncreate: @0\n\
         query t1 5: 32 address other size 656 flags 1 usecount 0\n"
    );
    // t2's image has its table of references where it has room.
    let script = "\
        query NULL 0\ndelete t2\ncreate t2 1024\nimage t2 1024 0\ndep t1\ninit t2\n\
        cat /proc/modules\nquery NULL 1 256\nquery t2 5 32\nquery t1 3 256\nquery t2 2 256\n\
        create t1 656\ndelete t1\ndelete t2\ndelete nosuch\ndelete NULL\ncat /proc/modules\n\
        create other 1024\nimage other 1024 0\ninit other\ncat /proc/modules\n\
        delete other\ndelete t1\n";
    let said = made(&kernel, &program("calls"), script).ok();
    assert_eq!(
        said,
        "query NULL 0: 0\ndelete: 0\ncreate: @0\ninit: 0\n\
         t2                      1024   0 (unused)\n\
         t1                       656   0 [t2]\n\
         query NULL 1: 2 t2 t1\n\
         query t2 5: 32 address @0 size 1024 flags 1 usecount 0\n\
         query t1 3: 1 t2\nquery t2 2: 1 t1\n\
         create: EEXIST\ndelete: EBUSY\ndelete: 0\ndelete: ENOENT\ndelete: 0\n\
         t1                       656   0\n\
         create: @0\ninit: 0\n\
         other                   1024   0 (unused)\nt1                       656   0\n\
         delete: 0\ndelete: 0\n"
    );
}
