//! To wait for the end of things that end by themselves, from any number of places.

use tokio::sync::watch;

/// Held by whatever is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Alive {
    _sender: watch::Sender<()>,
}

/// Tells when all that was held is gone.
#[derive(Clone, Debug)]
pub(crate) struct Ended(watch::Receiver<()>);

/// Something alive, and its end. More of it are clones.
pub(crate) fn alive() -> (Alive, Ended) {
    let (sender, receiver) = watch::channel(());
    (Alive { _sender: sender }, Ended(receiver))
}

// ===== impl Ended =====

impl Ended {
    /// Waits for the last [`Alive`] to go.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again.
    pub(crate) async fn wait(&mut self) {
        // Nothing is ever sent: the only change is the end.
        while self.0.changed().await.is_ok() {}
    }
}
