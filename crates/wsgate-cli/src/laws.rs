//! What holds for any command line. A plain function, which a fuzz target calls as well.

use clap::Parser;
use tokio::runtime;

use crate::{args::Args, files::OpenFiles, plan::Plan};

/// The words of a command line, one a line: whatever makes a plan can be served.
pub(crate) fn a_plan_can_be_served(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let opens_files = |word: &str| FILES.iter().any(|file| word.contains(file));
    if text.lines().any(opens_files) {
        return;
    }
    let Ok(args) = Args::try_parse_from(["wsgate"].into_iter().chain(text.lines())) else {
        return;
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    if let Ok(plan) = Plan::new(args, OpenFiles::of(1 << 20)) {
        // Neither listens yet, and neither may have anything to say against it.
        let _ = plan.server();
        let _ = plan.app();
    }
}

/// What is in words by which files would be read: those that any text may name, and with `https://` the
/// system's certificates, which takes as long as a thousand cases.
const FILES: &[&str] = &[
    "-ca", "-cert", "-key", "file:", "dev", "https", "HTTPS", "wss", "WSS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_came_upon() {
        wsgate_seeds::replay("config", a_plan_can_be_served);
    }
}
