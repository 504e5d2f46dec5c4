//! How many files the process may have open, and so how many WebSockets.

use tracing::{debug, info, warn};

/// The limit of open files. Each socket is one, so a WebSocket over HTTP/1.1 is two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    limit: usize,
}

// ===== impl OpenFiles =====

impl OpenFiles {
    /// Raises the limit to what the process may raise it to by itself.
    ///
    /// The low one that a shell or a service begins with, often 1024, is for programs that still wait by
    /// `select`, which knows no more. We are none, and start none.
    pub(crate) fn raise() -> Self {
        let before = rlimit::getrlimit(rlimit::Resource::NOFILE).map(|(soft, _)| soft);
        let limit = match rlimit::increase_nofile_limit(u64::MAX) {
            Ok(limit) => limit,
            Err(error) => {
                warn!(%error, "cannot raise the limit of open files");
                before.as_ref().map_or(FEW, |limit| *limit)
            }
        };
        if let Ok(before) = before
            && before < limit
        {
            info!(limit, before, "raised the limit of open files");
        }
        Self::of(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    pub(crate) const fn of(limit: usize) -> Self {
        Self { limit }
    }

    /// For how many tunnels there is room: two files each, and an eighth of all, but 64 at least, for
    /// what else there is. Those are connections that have not asked for a WebSocket yet, lookups, health
    /// checks, and the listeners. So whoever comes when all places are taken is told so, where the
    /// operating system would let nobody in.
    pub(crate) fn tunnels(self) -> usize {
        let rest = self.limit.saturating_sub(self.reserve());
        (rest / FILES_PER_TUNNEL).max(1)
    }

    /// Warns when this number of tunnels, which somebody asked for, is not to be had.
    pub(crate) fn check(self, tunnels: usize) {
        let needed = tunnels
            .saturating_mul(FILES_PER_TUNNEL)
            .saturating_add(self.reserve());
        if tunnels > self.tunnels() {
            warn!(
                tunnels,
                needed,
                limit = self.limit,
                "--max-tunnels needs more open files than there may be: raise the limit (`ulimit -n`, or \
                 LimitNOFILE= in the systemd unit)"
            );
        }
    }

    /// The number of tunnels where nobody has asked for one.
    pub(crate) fn default_tunnels(self) -> usize {
        let tunnels = self.tunnels();
        debug!(
            tunnels,
            limit = self.limit,
            "as many WebSockets as open files have room for"
        );
        tunnels
    }

    fn reserve(self) -> usize {
        (self.limit / 8).max(FEW_OTHERS)
    }
}

/// The client's connection and the upstream's.
const FILES_PER_TUNNEL: usize = 2;

/// Eight workers have 40 files of their own, idle.
const FEW_OTHERS: usize = 64;

/// What every system lets a process have, where nothing can be found out.
const FEW: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_fewer_than_half_as_many_tunnels_as_files() {
        #[track_caller]
        fn check(limit: usize, tunnels: usize) {
            assert_eq!(OpenFiles::of(limit).tunnels(), tunnels);
        }
        check(0, 1);
        check(64, 1);
        check(100, 18);
        check(256, 96);
        check(1024, 448);
        check(65_536, 28_672);
        check(1 << 20, 458_752);
        assert!(OpenFiles::of(usize::MAX).tunnels() > 1 << 50);
    }
}
