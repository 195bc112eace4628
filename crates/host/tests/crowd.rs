//! A thousand modules at once.
//!
//! The only test of its program: others would change what is counted.

mod common;

use common::elf::Patched;
use common::memory::{Counting, Held, allocated, held};
use common::{Random, function, host, load, unload};
use modfs_host::Host;

#[global_allocator]
static COUNTING: Counting = Counting;

const MODULES: usize = 1000;

/// Made into different modules by changing the name and the number.
const TEMPLATE: &str = r#"
    static volatile long number = 0x5a5a5a5a;
    static long zeros[16];
    long crowd_0000(long n);
    long crowd_0000(long n) { return number * n + zeros[n & 15]++; }
    EXPORT_SYMBOL(crowd_0000);
    int init_module(void) { return THIS_MODULE->name[0] == 'm' ? 0 : -EINVAL; }
    void cleanup_module(void) { number = 0; }
    MODULE_LICENSE("GPL");
"#;

fn symbol(number: usize) -> String {
    format!("crowd_{number:04}")
}

fn name(number: usize) -> String {
    format!("m{number}")
}

#[test]
fn a_thousand_modules_add_no_mapping() {
    let template = Patched(common::module(TEMPLATE));
    let objects: Vec<Vec<u8>> = (0..MODULES)
        .map(|number| {
            let mut object = template.clone();
            object.replace(b"crowd_0000", symbol(number).as_bytes());
            object.replace(&[0x5a; 4], &(number as u32).to_le_bytes());
            object.0
        })
        .collect();
    let host = host();
    let mut order: Vec<usize> = (0..MODULES).collect();
    let mut random = Random(4);
    // In the first round the host's tables get their room for a thousand modules.
    round(&host, &objects, &order);
    for _ in 0..2 {
        random.shuffle(&mut order);
        let before = (held(), allocated());
        let loaded = round(&host, &objects, &order);
        assert_eq!(loaded.mappings, before.0.mappings, "mappings added");
        assert_eq!(loaded.files, before.0.files);
        let after = (held(), allocated());
        assert_eq!(after.0.arena, before.0.arena);
        assert_eq!(after.0.mappings, before.0.mappings);
        assert_eq!(after.1, before.1, "bytes allocated and not freed");
    }
}

/// Loads all, calls each, unloads all in the order given; returns what was held in between.
fn round(host: &Host, objects: &[Vec<u8>], order: &[usize]) -> Held {
    for (number, object) in objects.iter().enumerate() {
        load(host, &name(number), object, &[]);
    }
    assert_eq!(host.names().len(), MODULES);
    let loaded = held();
    for number in 0..MODULES {
        let call = function(host, &symbol(number));
        let first = (number * 3) as i64;
        assert_eq!((call(3), call(3)), (first, first + 1));
    }
    for number in order {
        unload(host, &name(*number));
    }
    assert_eq!(host.names(), [""; 0]);
    loaded
}
