//! A session with 2.4's tools, as one was seen: what insmod, lsmod, ksyms and rmmod ask of the kernel, call by
//! call, for modules of the sizes and with the symbols that they had.

use super::answers;

/// insmod t1.o: what is there, what the kernel exports; then its own module.
const INSERT_T1: &str = "\
query NULL 0
query NULL 1 256
create t1 656
layout 300 320 400 0 200
image t1 656 0
symbol t1_func @184
symbol t1_shared @528
symbol __insmod_t1_Ot/t1.o_M000000006B0252FD_V397868 @0
symbol __insmod_t1_S.text_L79 @184
symbol __insmod_t1_S.data_L20 @528
init t1
";
/// insmod t2.o, which uses t1: first all that is asked of each module there is.
const INSERT_T2: &str = "\
query NULL 1 256
query t1 5 32
query t1 4 1024
create t2 384
layout 184 216 272 248 192
image t2 384 0
set 88 0
symbol __insmod_t2_Ot/t2.o_M000000006B0252FD_V397868 @0
symbol __insmod_t2_S.text_L45 @184
dep t1
init t2
";
/// lsmod, ksyms -m.
const LIST: &str = "\
query NULL 1 256
query t2 5 32
query t2 3 256
query t2 4 1024
query t1 5 32
query t1 3 256
query t1 4 1024
cat /proc/modules
";
/// insmod -o other t1.o; rmmod t1; rmmod -r t2, which takes what it used along; rmmod nosuch; rmmod -a.
const THE_REST: &str = "\
create t1 656
create other 656
layout 300 320 400 0 200
image other 656 0
symbol t1_func @184
init other
query t1 3 256
delete t1
query t2 2 256
delete t2
delete t1
delete nosuch
delete NULL
query NULL 1 256
query other 5 32
cat /proc/modules
delete other
";

#[test]
fn two_modules_come_and_go() {
    let script = [INSERT_T1, INSERT_T2, LIST, THE_REST].concat();
    answers(
        &script,
        "\
query NULL 0: 0
query NULL 1: 0
create: @0
init: 0
query NULL 1: 1 t1
query t1 5: 32 address @0 size 656 flags 1 usecount 0
query t1 4: 5 t1_func@184 t1_shared@528 __insmod_t1_Ot/t1.o_M000000006B0252FD_V397868@0 \
__insmod_t1_S.text_L79@184 __insmod_t1_S.data_L20@528
create: @0
init: 0
query NULL 1: 2 t2 t1
query t2 5: 32 address @0 size 384 flags 1 usecount 0
query t2 3: 0
query t2 4: 2 __insmod_t2_Ot/t2.o_M000000006B0252FD_V397868@0 __insmod_t2_S.text_L45@184
query t1 5: 32 address other size 656 flags 17 usecount 0
query t1 3: 1 t2
query t1 4: 5 t1_func t1_shared __insmod_t1_Ot/t1.o_M000000006B0252FD_V397868 \
__insmod_t1_S.text_L79 __insmod_t1_S.data_L20
t2                       384   0 (unused)
t1                       656   0 [t2]
create: EEXIST
create: @0
init: 0
query t1 3: 1 t2
delete: EBUSY
query t2 2: 1 t1
delete: 0
delete: 0
delete: ENOENT
delete: 0
query NULL 1: 1 other
query other 5: 32 address @0 size 656 flags 1 usecount 0
other                    656   0 (unused)
delete: 0
",
    );
}
