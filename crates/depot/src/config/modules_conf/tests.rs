use super::*;
use std::fmt::Write as _;
use std::fs;

fn around() -> Surroundings {
    Surroundings {
        version: "2.4.35-modfs".into(),
        autoclean: false,
        commands: true,
        root: "/".into(),
    }
}

fn read(text: &str) -> Result<Config, String> {
    read_with(text, &around())
}

fn read_with(text: &str, around: &Surroundings) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("modules.conf");
    fs::write(&file, text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
    for (name, text) in [
        ("one.inc", "alias one first\n"),
        ("two.inc", "alias two second\n"),
        ("self.inc", "include DIR/self.inc\n"),
    ] {
        let text = text.replace("DIR", dir.path().to_str().unwrap());
        fs::write(dir.path().join(name), text).unwrap();
    }
    Config::read_modules_conf(&file, around)
        .map_err(|e| e.to_string().replace(dir.path().to_str().unwrap(), "DIR"))
}

/// The lines that are not built in.
fn own(text: &str) -> Vec<String> {
    lines_of(&read(text).unwrap())
}

fn lines_of(config: &Config) -> Vec<String> {
    let own = config.rules.iter().filter(|r| r.origin.file.is_absolute());
    own.map(|rule| rule.line.to_string()).collect()
}

fn end(config: &Config, name: &str) -> End {
    config.chain(name).unwrap().end
}

#[test]
fn what_modutils_knew() {
    let config = read("").unwrap();
    let count = |is_one: fn(&Line) -> bool| {
        config
            .rules
            .iter()
            .filter(|rule| is_one(&rule.line))
            .count()
    };
    assert_eq!(count(|l| matches!(l, Line::Alias { .. })), 142);
    assert_eq!(count(|l| matches!(l, Line::Path { .. })), 21);
    assert_eq!(count(|l| matches!(l, Line::Prune(_))), 18);
    assert_eq!(count(|l| matches!(l, Line::Above { .. })), 3);
    assert_eq!(count(|l| matches!(l, Line::Options { .. })), 3);
    assert_eq!(end(&config, "block_major_7"), End::Name("loop".into()));
    assert_eq!(end(&config, "net_pf_3"), End::Off);
    let paths: Vec<_> = config.paths().take(3).collect();
    let wanted = [
        "/lib/modules/boot",
        "/lib/modules/2.4.35-modfs",
        "/lib/modules/2.4",
    ];
    assert_eq!(paths, wanted.map(Path::new));
    assert_eq!(config.depfile(), None);
    let config = read("depfile=/x/modules.dep\n").unwrap();
    assert_eq!(config.depfile(), Some(Path::new("/x/modules.dep")));
}

#[test]
fn each_directive() {
    let text = "alias eth0 8139too # a card\noptions 8139too debug=1  media=2\n\
                add options 8139too more=3\noptions -k loop max=4\nabove a b c\nadd above a d\n\
                below e f\nprobe cd ide-cd sr_mod\nprobeall hosts h1 h2\nprune .junk\n\
                pre-install a echo one\ninstall b echo two\npost-install a true\n\
                pre-remove a true\nremove b true\npost-remove a true\n\
                persistdir= /var/x\npath[net]=/opt/net\npath=/opt/misc\ndefine W word\n\
                addalias lp0 lp\nalias q \"$W\"\n";
    let wanted = [
        "alias eth0 8139too",
        "options 8139too debug=1 media=2",
        "options 8139too more=3",
        "options -k loop",
        "options loop max=4",
        "above a b c",
        "above a d",
        "below e f",
        "probe cd ide_cd sr_mod",
        "probeall hosts h1 h2",
        "prune .junk",
        "pre-install a echo one",
        "install b echo two",
        "post-install a true",
        "pre-remove a true",
        "remove b true",
        "post-remove a true",
        "persistdir=/var/x",
        "path[net]=/opt/net",
        "path[misc]=/opt/misc",
        "define W word",
        "alias lp0 lp",
        "alias q word",
    ];
    assert_eq!(own(text), wanted);
    let config = read(text).unwrap();
    assert_eq!(config.paths().count(), 2, "the built-in paths are gone");
    assert_eq!(config.above("a"), ["b", "c", "d"]);
    assert!(config.keeps("loop") && !config.keeps("a"));
}

#[test]
fn a_later_line_replaces_an_earlier_one_unless_it_is_added() {
    assert_eq!(own("alias a b\nalias a c\n"), ["alias a c"]);
    assert_eq!(own("options a x=1\noptions a y=2\n"), ["options a y=2"]);
    assert_eq!(
        own("install a one\nremove a one\ninstall a two\n"),
        ["remove a one", "install a two"]
    );
    let config = read("alias eth0 mine\n").unwrap();
    assert_eq!(end(&config, "eth0"), End::Name("mine".into()));
}

#[test]
fn keep_keeps_the_paths() {
    assert_eq!(read("keep\npath=/x\n").unwrap().paths().count(), 22);
    assert_eq!(read("path=/x\nkeep\npath=/y\n").unwrap().paths().count(), 2);
}

#[test]
fn conditions() {
    for (condition, truth) in [
        ("1", true),
        ("0", false),
        ("\"\"", false),
        ("! 0", true),
        ("a == a", true),
        ("a = b", false),
        ("a != b", true),
        ("a < b", true),
        ("10 < 9", true),
        ("-n 10 < 9", false),
        ("-n 0x10 == 16", true),
        ("-n `kernelversion` >= 2.4", true),
        ("-n `kernelversion` < 2.10", true),
        ("`uname -r` == 2.4.35-modfs", true),
        ("! a == a", false),
        ("-f DIR/one.inc", true),
        ("! -f DIR/none", true),
        ("-k", false),
        ("! -k", true),
        ("$NOT_SET_ANYWHERE == \"\"", true),
        ("`echo x` == x", true),
        ("\"a b\" == 'a b'", true),
    ] {
        let lines = own(&format!(
            "if {condition}\nalias yes x\nelse\nalias no x\nendif\n"
        ));
        let wanted = if truth { "alias yes x" } else { "alias no x" };
        assert_eq!(lines, [wanted], "{condition}");
    }
    let by_kernel = Surroundings {
        autoclean: true,
        ..around()
    };
    let config = read_with(
        "if ! -k\nalias no x\nelse\nalias yes x\nendif\n",
        &by_kernel,
    )
    .unwrap();
    assert_eq!(lines_of(&config), ["alias yes x"]);
}

#[test]
fn branches() {
    let text = "if 0\nalias a x\nif 1\nalias b x\nendif\nelseif 1\nalias c x\nif 0\nelse\nalias d x\nendif\n\
                elseif 1\nalias e x\nelse\nalias f x\nendif\nalias g x\n";
    assert_eq!(own(text), ["alias c x", "alias d x", "alias g x"]);
    // What is not read is not asked about either.
    assert_eq!(own("if 0\nif `false`\nfoo\nendif\nendif\n"), [""; 0]);
}

#[test]
fn lines_and_words() {
    let text = "alias a \\\n   b\nalias c \\\nd\n  alias e f # alias g h\n# alias i j\n\noptions k \"x\"=1\ninstall l m\\\\\n";
    assert_eq!(
        own(text),
        [
            "alias a b",
            "alias c d",
            "alias e f",
            "options k \"x\"=1",
            "install l m\\"
        ]
    );
    assert_eq!(
        own("define A 'b c'\nprobe x $A ${A}d '$A'\n"),
        ["define A b c", "probe x b c b cd $A"]
    );
}

#[test]
fn include() {
    assert_eq!(
        own("include DIR/one.inc DIR/t*.inc\n"),
        ["alias one first", "alias two second"]
    );
    let no = read("alias a b\ninclude DIR/none\n").unwrap_err();
    assert!(
        no.starts_with("DIR/modules.conf line 2: cannot read DIR/none: "),
        "{no}"
    );
    let no = read("include DIR/self.inc\n").unwrap_err();
    assert!(no.contains("more than 64 levels deep"), "{no}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, why) in [
        (
            "\nfoo bar\n",
            "line 2: 'foo' is no directive of modules.conf",
        ),
        (
            "alias a\n",
            "line 1: 'alias' needs a module's name after the alias",
        ),
        (
            "options a\n",
            "line 1: 'options' needs options after the name",
        ),
        (
            "install a\n",
            "line 1: 'install' needs a command after the name",
        ),
        ("above\n", "line 1: 'above' needs a name"),
        ("if 1\n\nif 0\nendif\n", "line 1: this 'if' has no 'endif'"),
        ("endif\n", "line 1: 'endif' without 'if'"),
        ("if 1\nelse\nelse\nendif\n", "line 3: 'else' after 'else'"),
        ("if a ~ b\nendif\n", "line 1: '~' does not compare"),
        ("if a b\nendif\n", "line 1: 'a b' is no condition"),
        (
            "foo=bar\n",
            "line 1: 'foo=' is no directive of modules.conf",
        ),
        (
            "path[x=y\n",
            "line 1: 'path[x=' is no directive of modules.conf",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), format!("DIR/modules.conf {why}"));
    }
    let no = read("define X `(`\n").unwrap_err();
    assert!(
        no.starts_with("DIR/modules.conf line 1: `(` failed ("),
        "{no}"
    );
    let mut deep = String::new();
    for _ in 0..21 {
        let _ = writeln!(deep, "if 1");
    }
    assert!(read(&deep).unwrap_err().contains("more than 20 levels"));
    let quiet = Surroundings {
        commands: false,
        ..around()
    };
    let no = read_with("define X `date`\n", &quiet).unwrap_err();
    assert!(no.ends_with("commands are not run here: `date`"), "{no}");
}

#[test]
fn aliases_lead_to_aliases() {
    let config = read("alias a b\nalias b c\nalias x y\nalias y x\nalias n null\n").unwrap();
    let chain = config.chain("a").unwrap();
    let names: Vec<_> = chain.passed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, chain.end), (vec!["a", "b"], End::Name("c".into())));
    assert_eq!(config.chain("x").unwrap_err(), "x");
    assert_eq!(config.chain("n").unwrap().end, End::Null);
}
