//! Parameters of a module that runs.

use crate::common::{self, function, host, init, load, logged, map, refused, unload};
use modfs_core::Errno;

const MODULE: &str = r#"
    static int number = 7;
    module_param(number, int, 0644);
    static unsigned char small;
    module_param(small, byte, 0600);
    static char *text = "first";
    module_param(text, charp, 0644);
    static int fixed = 3;
    module_param(fixed, int, 0444);
    static int early __initdata = 9;
    module_param(early, int, 0644);
    static int list[3];
    static int length;
    module_param_array(list, int, &length, 0644);
    long seen(long what);
    long seen(long what)
    {
        switch (what) {
        case 0: return number;
        case 1: return small;
        case 2: return text[0];
        case 3: return length * 1000 + list[0] * 100 + list[1] * 10 + list[2];
        }
        return -1;
    }
    EXPORT_SYMBOL(seen);
    int init_module(void) { return early == 9 || early == 10 ? 0 : -EINVAL; }
"#;

#[test]
fn read_and_written_while_it_runs() {
    let host = host();
    let kernel = host.kernel();
    let get = |name: &str| kernel.parameter("module", name);
    let set = |name: &str, value: &str| kernel.set_parameter("module", name, value);
    map(&host, "module", &common::module(MODULE)).expect("map");
    refused(
        set("number", "1"),
        Errno::EBUSY,
        "give the parameter to init",
    );
    init(&host, "module", &["number=0x10", "early=10"]).expect("init");
    let seen = function(&host, "seen");

    assert_eq!(get("number").as_deref(), Ok("16"));
    set("number", "-5").expect("set");
    assert_eq!((get("number").as_deref(), seen(0)), (Ok("-5"), -5));
    refused(set("number", "2147483648"), Errno::ERANGE, "not between");
    refused(set("number", "five"), Errno::EINVAL, "not a number");
    assert_eq!(seen(0), -5);

    set("small", "255").expect("set");
    refused(set("small", "256"), Errno::ERANGE, "not between 0 and 255");
    assert_eq!(seen(1), 255);

    assert_eq!(get("text").as_deref(), Ok("first"));
    for word in ["second", "", "a longer one, with commas"] {
        set("text", word).expect("set");
        assert_eq!(get("text").as_deref(), Ok(word));
        let first = word.bytes().next().unwrap_or(0);
        assert_eq!(seen(2), i64::from(first));
    }
    refused(set("text", "a\0b"), Errno::EINVAL, "NUL");

    set("list", "1,2").expect("set");
    assert_eq!((get("list").as_deref(), seen(3)), (Ok("1,2"), 2120));
    refused(set("list", "1,2,3,4"), Errno::EINVAL, "at most 3");
    refused(set("list", "1,x"), Errno::EINVAL, "not a number");
    assert_eq!(seen(3), 2120);

    refused(set("fixed", "4"), Errno::EPERM, "cannot be changed");
    assert_eq!(get("fixed").as_deref(), Ok("3"));
    refused(get("early"), Errno::ENOENT, "for init only");
    refused(set("early", "1"), Errno::ENOENT, "for init only");
    refused(get("none"), Errno::ENOENT, "no parameter none");
    refused(
        kernel.parameter("nobody", "number"),
        Errno::ENOENT,
        "no parameter",
    );
    let modes: Vec<(String, u32)> = kernel
        .parameters("module")
        .into_iter()
        .map(|parameter| (parameter.name, parameter.mode))
        .collect();
    assert!(modes.contains(&("small".into(), 0o600)), "{modes:?}");
    unload(&host, "module");
}

#[test]
fn given_to_init() {
    let host = host();
    let object = common::module(MODULE);
    map(&host, "module", &object).expect("map");
    let wrong = init(&host, "module", &["number=x", "small=300", "list=1,2,3,4"]);
    for text in ["number", "small", "list"] {
        let text = format!("parameter {text}:");
        refused(wrong.clone(), wrong.clone().unwrap_err().errno, &text);
    }
    refused(
        init(&host, "module", &["number"]),
        Errno::EINVAL,
        "needs a value",
    );
    // Nothing has run: the same init can be tried again.
    init(&host, "module", &["number=1", "number=2", "unknown=3"]).expect("init");
    assert_eq!(function(&host, "seen")(0), 2);
    assert!(logged(&host, "unknown parameter 'unknown' ignored"));
    unload(&host, "module");
    load(&host, "module", &object, &[]);
    assert_eq!(function(&host, "seen")(0), 7);
    unload(&host, "module");
}
