//! The real program `wsgate` under mixed traffic, while clients, upstreams and its configuration come and go:
//! `cargo xtask soak`.
//!
//! ```text
//! slots, of clients ══ TLS, HTTP/1.1 and HTTP/2 ══▶ wsgate ──▶ upstreams, processes of this program
//!   vandals: leave at any point                    ▲ ▲   the chaos: SIGKILL, and a new start
//!   of a handshake                                 │ └── the file of endpoints, edited
//!                                                  └──── SIGHUP with new certificates
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`run`] | the course: a warm-up, then rounds, and after each the gateway at rest is looked at |
//! | [`slot`], [`session`], [`plan`] | clients: connections, what one tunnel does, and how it ends |
//! | [`vandal`] | clients that never get as far as a tunnel |
//! | [`upstream`], [`fleet`] | the process behind the gateway, and all of them with their file |
//! | [`chaos`] | who kills upstreams and edits the file |
//! | [`gateway`] | the program, its log, descriptors and memory |
//! | [`message`], [`wire`] | numbered messages with a checksum, and the frames that carry them |
//! | [`tally`], [`random`] | what happened, and by what chance |
//!
//! ```text
//! soak crew WSGATE DIR SECONDS SEED TUNNELS
//! soak upstream PORT NAME
//! ```
//!
//! The crew ends with a table on stdout, and fails when anything was lost, came twice, out of order or damaged, ended
//! without a reason, or is still there at the end.

mod chaos;
mod fleet;
mod gateway;
mod message;
mod plan;
mod random;
mod run;
mod session;
mod slot;
mod tally;
mod upstream;
mod vandal;
mod wire;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime;

use self::run::Course;

fn main() -> ExitCode {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let args: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["upstream", port, name] => {
            let port = port.parse().expect("a port");
            runtime.block_on(upstream::serve(port, name));
            ExitCode::SUCCESS
        }
        ["crew", wsgate, dir, seconds, seed, tunnels] => {
            let course = Course {
                wsgate: Path::new(wsgate).to_owned(),
                dir: Path::new(dir).to_owned(),
                time: Duration::from_secs(seconds.parse().expect("seconds")),
                seed: seed.parse().expect("a seed, a number"),
                tunnels: tunnels.parse().expect("how many tunnels"),
            };
            match runtime.block_on(course.run()) {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        _ => {
            eprintln!("to soak the gateway: cargo xtask soak");
            ExitCode::FAILURE
        }
    }
}
