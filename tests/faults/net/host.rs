//! A network namespace with a thread in it.

use std::fs::{self, File};
use std::io;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};
use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A host of its own: a network namespace, and a runtime whose sockets are in it. Dropped, both are gone.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    handle: Handle,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

// ===== impl Host =====

impl Host {
    /// Makes the namespace, as `ip netns` calls it, and enters it.
    ///
    /// # Panics
    ///
    /// When the kernel refuses; [`missing`](super::missing) tells so before.
    pub(crate) fn new(name: String) -> Self {
        ip(&["netns", "add", &name]);
        let stop = CancellationToken::new();
        let (stopped, inside) = (stop.clone(), name.clone());
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            enter(&inside).expect("the namespace was just made");
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            tell.send(runtime.handle().clone())
                .expect("it is waited for");
            runtime.block_on(stopped.cancelled());
        });
        Self {
            name,
            handle: told.recv().expect("the thread enters"),
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs something whose sockets are to be this host's, and waits for it.
    pub(crate) async fn run<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self.start(future).await {
            Ok(output) => output,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }

    /// The same in the background, for as long as the handle is kept.
    pub(crate) fn start<F>(&self, future: F) -> AbortOnDropHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        AbortOnDropHandle::new(self.handle.spawn(future))
    }

    /// A command that runs here. It keeps the number of its process.
    pub(crate) fn command(&self, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Sets one of the options of its network, as `sysctl` does: `ipv4/tcp_wmem`, say.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub(crate) async fn set(&self, option: &str, value: &'static str) {
        let file = format!("/proc/sys/net/{option}");
        // The folder is that of the thread's own namespace.
        let written = self.run(async move { fs::write(file, value) }).await;
        written.unwrap_or_else(|error| panic!("{option}: {error}"));
    }

    /// `ip`, about the interfaces of this host.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub(crate) fn ip(&self, args: &str) {
        let args: Vec<_> = ["-n", &self.name]
            .into_iter()
            .chain(args.split(' '))
            .collect();
        ip(&args);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It has told of its panic itself.
            let _ = thread.join();
        }
        // Nobody is left to tell of a failure; the next run clears up what this one could not.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

/// Moves this thread into a namespace.
fn enter(name: &str) -> io::Result<()> {
    setns(
        File::open(format!("{FOLDER}/{name}"))?,
        CloneFlags::CLONE_NEWNET,
    )?;
    // Its search for routers and neighbours would only be noise; there may be no IPv6 at all.
    let _ = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    Ok(())
}

/// Runs `ip`.
///
/// # Panics
///
/// When it fails; what it complains of is in the message.
pub(super) fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output();
    let output = output.expect("iproute2 is installed");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "ip {}: {complaint}",
        args.join(" ")
    );
}

/// Where `ip netns` keeps them.
pub(super) const FOLDER: &str = "/run/netns";
