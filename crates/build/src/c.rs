//! Modules in C.

use crate::cc::{self, Compiler};
use crate::job::{self, Job, Source};
use crate::output::{self, Parts};
use crate::{Built, Error, Options};
use std::path::PathBuf;

/// Builds one module of a directory, or of files.
pub(crate) fn build(sources: &[PathBuf], options: &Options) -> Result<Built, Error> {
    let job = Job::plan(sources, options)?;
    let compiler = Compiler::find(options)?;
    let scratch = output::scratch()?;
    let include = scratch.path().join("include");
    let mut objects = Vec::new();
    for (i, source) in job.files.iter().enumerate() {
        if job::source(source) == Some(Source::Object) {
            objects.push(cc::dashed(source).into());
            continue;
        }
        let object = scratch.path().join(format!("{i}.o"));
        compiler.compile(&job.name, source, &include, &object)?;
        objects.push(object.into());
    }
    let object = scratch.path().join("module.o");
    compiler.link(&objects, &object)?;
    let parts = Parts {
        name: &job.name,
        object: &object,
        flags: Vec::new(),
        more: String::new(),
        output: &job.output,
    };
    output::finish(&compiler, options, scratch.path(), parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const HELLO: &str = "#include <linux/module.h>\n\
        int init_module(void) { return 0; }\n\
        MODULE_LICENSE(\"GPL\");\n";

    fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn contains(path: &Path, text: &str) -> bool {
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    }

    fn told(result: Result<Built, Error>) -> String {
        match result {
            Err(Error::Told(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_of_several_files() {
        let dir = dir_with(&[
            ("a.c", HELLO),
            (
                "b.c",
                "#include \"own.h\"\nconst char *b = KBUILD_MODNAME;\nint c = OWN;\n",
            ),
            ("own.h", "#define OWN 3\n"),
            ("notes.txt", "not C"),
        ]);
        let options = Options {
            name: Some("two-files".into()),
            ..Options::default()
        };
        let made = build(&[dir.path().into()], &options).unwrap().module;
        assert_eq!(made, dir.path().join("two-files.ko"));
        for text in [
            "license=GPL\0",
            "name=two-files\0",
            &format!("vermagic={}\0", modfs_module::VERMAGIC),
            "\0init_module\0",
        ] {
            assert!(contains(&made, text), "{text}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
    }

    #[test]
    fn objects_and_assembler_are_linked_in() {
        let dir = dir_with(&[
            (
                "a.c",
                "extern int seven(void), eight(void);\nint init_module(void) { return seven() - eight(); }\n",
            ),
            (
                "b.S",
                ".globl seven\n.text\nseven: mov $7, %eax\n ret\n.section .note.GNU-stack,\"\"\n",
            ),
            ("c.c", "int eight(void) { return 8; }\n"),
        ]);
        let at = |name: &str| dir.path().join(name);
        let compiled = std::process::Command::new("cc")
            .args(["-c", "-fPIC", "-o"])
            .args([at("c.o"), at("c.c")])
            .status();
        assert!(compiled.unwrap().success());
        let options = Options {
            output: Some(at("m.ko")),
            ..Options::default()
        };
        let made = build(&[at("a.c"), at("b.S"), at("c.o")], &options)
            .unwrap()
            .module;
        let bytes = fs::read(made).unwrap();
        let object = modfs_object::Object::parse(&bytes, modfs_object::EM_X86_64).unwrap();
        let imports: Vec<&str> = object.imports().map(|(_, symbol)| symbol.name).collect();
        assert!(
            !imports.contains(&"seven") && !imports.contains(&"eight"),
            "{imports:?}"
        );
    }

    #[test]
    fn names_come_from_the_sources() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("hello");
        fs::create_dir(&sub).unwrap();
        fs::write(sub.join("x.c"), HELLO).unwrap();
        let options = Options::default();
        let job = Job::plan(&[sub.join(".")], &options).unwrap();
        assert_eq!(job.name, "hello");
        let job = Job::plan(&[sub.join("x.c")], &options).unwrap();
        assert_eq!((job.name.as_str(), job.output), ("x", "x.ko".into()));
    }

    #[test]
    fn a_refused_source_leaves_the_old_module() {
        let dir = dir_with(&[("bad.c", "int x = ;\n"), ("bad.ko", "old")]);
        let output = dir.path().join("bad.ko");
        let options = Options {
            output: Some(output.clone()),
            ..Options::default()
        };
        let result = build(&[dir.path().join("bad.c")], &options);
        assert!(matches!(result, Err(Error::Compiler)), "{result:?}");
        assert_eq!(fs::read_to_string(output).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let dir = dir_with(&[("x.txt", "")]);
        let options = Options::default();
        assert!(told(build(&[dir.path().into()], &options)).contains("no .c file"));
        let file = dir.path().join("x.txt");
        assert!(told(build(&[file], &options)).contains("no source"));
        let file = dir.path().join("missing.c");
        assert!(told(build(&[file], &options)).contains("No such file"));

        let dir = dir_with(&[("x.c", HELLO)]);
        let named = Options {
            name: Some("a\"b".into()),
            ..Options::default()
        };
        assert!(told(build(&[dir.path().into()], &named)).contains("--name"));
        let with = Options {
            name: Some("x".into()),
            cc: Some("no-such-compiler -m64".into()),
            ..Options::default()
        };
        assert!(told(build(&[dir.path().into()], &with)).contains("no-such-compiler"));
    }
}
