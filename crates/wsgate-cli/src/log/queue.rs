//! Between those who log and a reader that may be slow.
//!
//! Writing to a pipe blocks when nobody reads it, and so does a terminal in which somebody has selected
//! text. A worker that waits for that stops all its WebSockets, and the clients take the gateway for
//! dead. So events are written by a thread of their own, and lost when it cannot keep up, or when they
//! cannot be written, as on a full disk: the number is logged as soon as there is room for many.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Takes events, and never blocks.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// Without a bound of its own: `waiting` is that.
    messages: Sender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The bytes that are not written yet. A line is let in while they are fewer than [`ROOM`].
    waiting: AtomicUsize,
    /// How many events there was no room for, or could not be written, since it was last told.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Dropped when all before it is written.
    Written {
        _told: Sender<()>,
    },
}

/// Keeps lines apart, also where one could be written in part only.
struct Lines<W> {
    sink: W,
    is_torn: bool,
}

// ===== impl Queue =====

impl Queue {
    /// Starts the thread that writes to `sink`, and has `tell` called with the number of events lost.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start<W, F>(sink: W, tell: F) -> io::Result<Self>
    where
        W: Write + Send + 'static,
        F: Fn(u64) + Send + 'static,
    {
        let (messages, queue) = mpsc::channel();
        let shared = Arc::default();
        let this = Self {
            messages,
            shared: Arc::clone(&shared),
        };
        // Ends with the last queue; in the program, with the process.
        thread::Builder::new()
            .name("wsgate-log".to_owned())
            .spawn(move || write(&queue, &shared, sink, tell))?;
        Ok(this)
    }

    /// Waits until all is written, or for as long as `patience`. Blocks.
    pub(crate) fn flush(&self, patience: Duration) {
        let (written, all) = mpsc::channel();
        let _ = self.messages.send(Message::Written { _told: written });
        // Either way: nothing is ever sent.
        let _ = all.recv_timeout(patience);
    }
}

/// An event comes in one call, and leaves as one.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Shared { waiting, lost } = &*self.shared;
        if waiting.load(Ordering::Relaxed) >= ROOM {
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            waiting.fetch_add(line.len(), Ordering::Relaxed);
            // Its thread is there as long as the queue.
            let _ = self.messages.send(Message::Line(line.to_vec()));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// What the thread does.
fn write<W, F>(queue: &Receiver<Message>, shared: &Shared, sink: W, tell: F)
where
    W: Write,
    F: Fn(u64),
{
    let mut sink = Lines {
        sink,
        is_torn: false,
    };
    while let Ok(message) = queue.recv() {
        let Message::Line(line) = message else {
            continue;
        };
        // Whoever closed it does not want to know, and there is nobody else to tell; a disk that is full
        // may have room again.
        let written = sink.write(&line);
        if written.is_err() {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        let waiting = shared.waiting.fetch_sub(line.len(), Ordering::Relaxed) - line.len();
        // What is told is a line like any other: where others would take the last of the room before
        // it, it would be lost itself, and the number with it. And where none can be written, it would be
        // one more to tell of, and then another.
        if written.is_ok() && waiting <= ROOM / 2 {
            let lost = shared.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                tell(lost);
            }
        }
    }
}

// ===== impl Lines =====

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.sink.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Some five thousand events: the ends of as many WebSockets may come at once.
const ROOM: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Writes a line for each permission, and then all.
    struct Slow {
        permissions: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.permissions.recv();
            self.written.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_slow_reader_leaves_no_room_for_is_lost_and_told() {
        let (permit, permissions) = mpsc::channel();
        let written = Arc::default();
        let slow = Slow {
            permissions,
            written: Arc::clone(&written),
        };
        let (tell, told) = mpsc::channel();
        let queue = Queue::start(slow, move |lost| tell.send(lost).unwrap()).unwrap();
        let line = [b'a'; 1024];

        // None of it blocks, and nothing is written yet.
        for _ in 0..2000 {
            (&queue).write_all(&line).unwrap();
        }
        queue.flush(Duration::from_millis(10));
        assert!(written.lock().unwrap().is_empty());

        // Not while there is room for one line and no more.
        permit.send(()).unwrap();
        queue.flush(Duration::from_millis(10));
        assert!(told.try_recv().is_err());

        drop(permit);
        queue.flush(PATIENCE);
        assert_eq!(written.lock().unwrap().len(), ROOM);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(2000 - 1024));

        (&queue).write_all(b"there is room again").unwrap();
        queue.flush(PATIENCE);
        assert!(written.lock().unwrap().ends_with(b"room again"));
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn events_keep_their_order() {
        let (permit, permissions) = mpsc::channel();
        drop(permit);
        let written = Arc::default();
        let sink = Slow {
            permissions,
            written: Arc::clone(&written),
        };
        let queue = Queue::start(sink, |_| {}).unwrap();
        let lines: Vec<_> = (0..1000).map(|number| format!("{number}\n")).collect();
        for line in &lines {
            (&queue).write_all(line.as_bytes()).unwrap();
        }
        queue.flush(PATIENCE);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(written, lines.concat());
    }

    /// A disk with room for so many bytes, until it is emptied.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Disk {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let (room, written) = &mut *self.0.lock().unwrap();
            let taken = line.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= taken;
            written.extend_from_slice(&line[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_on_the_disk_is_lost_and_told_when_there_is_room() {
        let disk = Disk::default();
        disk.0.lock().unwrap().0 = 10;
        let (tell, told) = mpsc::channel();
        let queue = Queue::start(disk.clone(), move |lost| tell.send(lost).unwrap()).unwrap();
        for line in ["first\n", "second\n", "third\n", "fourth\n"] {
            (&queue).write_all(line.as_bytes()).unwrap();
        }
        queue.flush(PATIENCE);
        // Nor is it told where nothing can be written: that would be another line, and so on.
        assert!(told.try_recv().is_err());

        disk.0.lock().unwrap().0 = 1000;
        (&queue).write_all(b"last\n").unwrap();
        queue.flush(PATIENCE);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(3));
        let written = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
        assert_eq!(written, "first\nseco\nlast\n");
    }
}
