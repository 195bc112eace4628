//! The sweep over modules that were loaded on demand.

use crate::common::{self, device, host, map};
use modfs_core::InitArgs;
use modfs_host::Host;

const LIBRARY: &str = "
    int of_library = 1;
    EXPORT_SYMBOL(of_library);
";

const USER: &str = r#"
    #include <linux/fs.h>
    extern int of_library;
    static const struct file_operations fops = { .owner = THIS_MODULE };
    static int major;
    int init_module(void)
    {
        major = register_chrdev(0, "swept", &fops);
        return of_library && major > 0 ? 0 : -EIO;
    }
    void cleanup_module(void) { unregister_chrdev(major, "swept"); }
"#;

fn on_demand(host: &Host, name: &str, text: &str) {
    map(host, name, &common::module(text)).expect("map");
    let args = InitArgs {
        autoclean: true,
        ..InitArgs::default()
    };
    host.kernel().init(name, name, &args).expect("init");
}

#[test]
fn takes_what_was_used_and_is_no_longer() {
    let host = host();
    let kernel = host.kernel();
    on_demand(&host, "library", LIBRARY);
    on_demand(&host, "user", USER);
    // Never used yet, and not on demand.
    on_demand(&host, "unused", "int unused;");
    common::load(&host, "asked_for", &common::module("int asked_for;"), &[]);
    assert_eq!(kernel.autoclean(), [""; 0]);
    let open = device::open(&host, "swept").expect("open");
    assert_eq!(kernel.autoclean(), [""; 0]);
    drop(open);
    // Used since the last sweep: this one lets it be.
    assert_eq!(kernel.autoclean(), [""; 0]);
    // The library goes with its last user.
    assert_eq!(kernel.autoclean(), ["user", "library"]);
    assert_eq!(kernel.autoclean(), [""; 0]);
    assert_eq!(host.names(), ["asked_for", "unused"]);
}
