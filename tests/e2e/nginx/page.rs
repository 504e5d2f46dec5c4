//! `docs/nginx.md` says nothing that is not so. Its Rust is compiled with the harness's doc tests.

use std::process::Command;

use wsgate_tests::program;

const PAGE: &str = include_str!("../../../docs/nginx.md");

#[test]
fn every_difference_names_tests_that_exist() {
    let modules = [
        ("answers", include_str!("answers.rs")),
        ("ends", include_str!("ends.rs")),
        ("limits", include_str!("limits.rs")),
        ("paths", include_str!("paths.rs")),
        ("requests", include_str!("requests.rs")),
        ("silence", include_str!("silence.rs")),
        ("tunnels", include_str!("tunnels.rs")),
        ("upstreams", include_str!("upstreams.rs")),
    ];
    let (_, differences) = PAGE.split_once("\n## What differs").unwrap();
    let (differences, _) = differences.split_once("\n## ").unwrap();
    let rows = differences.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<_> = rows.skip(1).collect();
    assert!(
        rows.len() > 20,
        "the table has another form than this test looks for"
    );
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let (module, test) = shown_by
            .trim_matches('`')
            .split_once("::")
            .unwrap_or_else(|| panic!("no test in {row}"));
        let source = modules.iter().find(|(name, _)| *name == module);
        let (_, source) = source.unwrap_or_else(|| panic!("no module {module} in {row}"));
        let function = format!("#[tokio::test]\nasync fn {test}() {{");
        assert!(source.contains(&function), "no test {shown_by}");
    }
}

#[test]
fn every_flag_is_one_of_the_program() {
    let help = Command::new(program::built("wsgate"))
        .arg("--help")
        .output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    let flags: Vec<_> = PAGE
        .split(|c| !is_flag(c))
        .filter(|word| word.starts_with("--") && word.len() > 4)
        .collect();
    assert!(flags.len() > 15, "{flags:?}");
    for flag in flags {
        let known = help.split(|c| !is_flag(c)).any(|word| word == flag);
        assert!(known, "{flag} is not in the help of the program");
    }
}
