//! A gateway whose heap is looked at while its tunnels are idle: `cargo xtask bench --heap`.
//!
//! ```text
//! cargo bench -p wsgate-tests --bench heap -- http1 300 /tmp/dhat.json
//! ```
//!
//! The gateway is wsgate's server with TLS and a proxy, in a process of its own under valgrind's DHAT,
//! which sees what C code allocates as well: the keys of aws-lc. Its clients and its upstream are
//! here, so that the profile is the gateway's alone. Each tunnel echoes one message, then all of them
//! rest, then the gateway leaves without cleaning up, and DHAT writes what was live.
//!
//! Without `--bench`, as `cargo test` runs it, it opens a few tunnels of each kind and profiles nothing.

mod gateway;
mod tunnels;

use std::env;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use self::gateway::{Gateway, Kind};
use self::tunnels::Scenario;

fn main() {
    let args: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    let runtime = Runtime::new().expect("a runtime");
    match words[..] {
        ["gateway", kind, upstream, dir] => {
            let kind = Kind::named(kind).expect("bare, layered or shared");
            runtime.block_on(gateway::serve(kind, upstream, Path::new(dir)));
        }
        [scenario, tunnels, out, "--bench"] => {
            let scenario = Scenario::named(scenario).expect("http1, http2, shared or layers");
            let tunnels = tunnels.parse().expect("a number of tunnels");
            let out = PathBuf::from(out);
            runtime.block_on(tunnels::profile(scenario, tunnels, Some(&out)));
        }
        // Plain `cargo bench` has no file for a profile.
        [.., "--bench"] => eprintln!("to profile the heap: cargo xtask bench --heap"),
        _ => {
            for scenario in Scenario::ALL {
                runtime.block_on(tunnels::profile(scenario, FEW, None));
            }
        }
    }
}

/// For `cargo test`.
const FEW: usize = 2;
