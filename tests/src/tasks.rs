//! The tasks of a test, to see that nothing is left of what it has started.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::io::within;

/// How many tasks the runtime of a test had at some time: all that runs in the process of the test is on
/// that one.
#[derive(Clone, Copy, Debug)]
pub struct Tasks(usize);

// ===== impl Tasks =====

impl Tasks {
    /// Those of this moment.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn now() -> Self {
        Self(count())
    }

    /// Waits until there are no more than there were.
    ///
    /// # Panics
    ///
    /// When some stay.
    pub async fn settle(self) {
        within("the end of the tasks", async {
            while count() > self.0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

fn count() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
