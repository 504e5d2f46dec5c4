//! The gateway program: `wss://` in front of WebSocket upstreams, from one command line.
//!
//! ```text
//! wsgate --listen 0.0.0.0:443 --cert example.com.pem --key example.com.key \
//!     --route /websocket=http://127.0.0.1:9000
//! ```
//!
//! ```text
//! Args, as written ──► Plan, which cannot be wrong ──► Server and Router, until SIGTERM
//! args.rs              plan.rs, route.rs               app.rs, wsgate
//! ```

mod app;
mod args;
mod files;
#[cfg(test)]
mod laws;
mod log;
mod plan;
mod route;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use wsgate::server::{DevelopmentCa, Running};

use crate::{args::Args, files::OpenFiles, plan::Plan};

/// The signals that end the program.
#[derive(Debug)]
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsgate: {}", with_causes(&*error));
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let _log = log::init(args.log())?;
    if let Some(ca) = args.how_to_trust() {
        let ca = ca?;
        // Makes it if need be: the file is there when its reader comes to use the commands.
        ca.pem()?;
        say(&ca.trust_instructions());
        return Ok(());
    }
    let files = OpenFiles::raise();
    // The workers serve. Here is what belongs to all: signals, and what groups of endpoints do by
    // themselves.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let plan = {
        let _inside = runtime.enter();
        Plan::new(args, files)?
    };
    let served = runtime.block_on(serve(plan));
    // Reading a file cannot be cancelled, and is nothing to wait for.
    runtime.shutdown_background();
    served
}

/// Serves until it is told to stop. Told twice, it stops at once.
async fn serve(plan: Plan) -> Result<(), Box<dyn Error>> {
    // Before anything is announced: a signal that comes right then is not to be lost.
    let mut stop = Stop::listen()?;
    let server = plan.server().start(plan.app()).await?;
    say(&announcement(&plan, &server));

    let gone = server.gone();
    let served = until_told(server, &mut stop).await;
    // Told twice, the workers still have their tunnels to end, and those a last word to log. Looking up a
    // name cannot be cancelled, and is nothing to wait for.
    let _ = timeout(LEAVE, gone).await;
    served
}

async fn until_told(mut server: Running, stop: &mut Stop) -> Result<(), Box<dyn Error>> {
    tokio::select! {
        ended = server.wait() => return Ok(ended?),
        () = stop.asked() => {}
    }
    tokio::select! {
        ended = server.shutdown(GRACE) => Ok(ended?),
        () = stop.asked() => Ok(()),
    }
}

// ===== impl Stop =====

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

// ===== what the program says =====

fn announcement(plan: &Plan, server: &Running) -> String {
    let mut text = format!("listening     {}", server.url());
    if let Some(address) = server.redirect_addr() {
        text += &format!("\nredirecting   http://{address}");
    }
    for route in plan.routes() {
        text += &format!("\nroute         {} -> {}", route.path, route.upstream);
    }
    if let Some(ca) = plan.development() {
        text += &format!("\n{}", how_to_trust(ca));
    }
    text
}

/// The file to trust, and the command for the browser that most will come with.
fn how_to_trust(ca: &DevelopmentCa) -> String {
    format!(
        "certificate   from a CA of your own, {}\n\
         \x20             Browsers warn until they trust it: go past the warning, or\n\
         \x20             {}\n\
         \x20             (wsgate dev --how-to-trust tells more)",
        ca.location().display(),
        ca.trust_command(),
    )
}

/// Tells the user, and the script that waits for it. That nobody reads any more, as behind `head`,
/// is no reason to stop serving.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// An error and what led to it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some libraries say the cause themselves.
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

/// How long requests under way may take when the program is asked to stop: `docker stop` kills
/// after ten seconds.
const GRACE: Duration = Duration::from_secs(8);

/// How long what then is left may take.
const LEAVE: Duration = Duration::from_secs(1);
