//! Running other programs.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The cargo that started us, so that `cargo +toolchain xtask` means what it says.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// Shows the command line and runs it with our own stdin, stdout and stderr.
///
/// # Errors
///
/// When the program cannot be started or does not succeed; the error holds the command line, fit
/// to be pasted into a shell.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    crate::say(&format!("$ {line}"));
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command quietly and returns what it wrote to stdout.
///
/// # Errors
///
/// As [`run`]; the error also holds what the program wrote to stderr.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}): {}", output.status, stderr.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not print UTF-8"))
}

/// Whether the command runs and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Where a program is. Debian keeps servers in `/usr/sbin`, which is not on everybody's `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn command_line(command: &Command) -> String {
    let is_cargo = env::var_os("CARGO").is_some_and(|cargo| cargo == command.get_program());
    let program = if is_cargo {
        OsStr::new("cargo")
    } else {
        command.get_program()
    };
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(|word| quote(&word.to_string_lossy())).collect();
    words.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_as_one_would_type_it() {
        let error = run(Command::new("false").args(["--why", "not this"])).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("`false --why 'not this'` failed"),
            "{message}"
        );
    }

    #[test]
    fn a_failure_of_a_quiet_command_carries_its_stderr() {
        let error = read(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]));
        assert!(error.unwrap_err().to_string().ends_with("no such thing"));
    }

    #[test]
    fn quotes_survive_the_shell() {
        for word in ["plain", "two words", "it's", "", "$HOME", "a\"b"] {
            let printed =
                read(Command::new("sh").args(["-c", &format!("printf %s {}", quote(word))]));
            assert_eq!(printed.unwrap(), word);
        }
    }

    #[test]
    fn finds_programs_on_the_path_only_if_they_are_there() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
