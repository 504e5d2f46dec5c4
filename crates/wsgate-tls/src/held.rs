//! A buffer that exists only while there is something in it.

use std::fmt;

/// Bytes that wait for somebody to take them. Taking the last one frees the memory.
///
/// A connection has three, which are empty nearly all of the time: then each costs a pointer.
#[derive(Default)]
pub(crate) struct Held(Option<Box<Bytes>>);

/// At least one byte.
#[derive(Default)]
struct Bytes {
    all: Vec<u8>,
    /// How many of them were taken. Less than there are.
    taken: usize,
}

// ===== impl Held =====

impl Held {
    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Some(bytes) => &bytes.all[bytes.taken..],
            None => &[],
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Some(bytes) => &mut bytes.all[bytes.taken..],
            None => &mut [],
        }
    }

    pub(crate) fn append(&mut self, more: &[u8]) {
        if !more.is_empty() {
            let bytes = self.0.get_or_insert_default();
            bytes.all.extend_from_slice(more);
        }
    }

    /// Appends `len` zeros, for somebody to write over.
    pub(crate) fn append_room(&mut self, len: usize) -> &mut [u8] {
        if len == 0 {
            return &mut [];
        }
        let all = &mut self.0.get_or_insert_default().all;
        let end = all.len();
        all.resize(end + len, 0);
        &mut all[end..]
    }

    /// Takes bytes off the front.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub(crate) fn take(&mut self, count: usize) {
        assert!(count <= self.len(), "no more can be taken than is held");
        if let Some(bytes) = &mut self.0 {
            bytes.taken += count;
            if bytes.taken == bytes.all.len() {
                self.clear();
            }
        }
    }

    /// Holds these bytes in place of what it held.
    pub(crate) fn replace(&mut self, with: &[u8]) {
        if with.is_empty() {
            self.clear();
        } else {
            let bytes = self.0.get_or_insert_default();
            bytes.taken = 0;
            bytes.all.clear();
            bytes.all.extend_from_slice(with);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

impl fmt::Debug for Held {
    /// How much, never what: it may be anybody's secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(held: &Held, bytes: &[u8]) {
        assert_eq!(held.as_slice(), bytes);
        assert_eq!(held.0.is_none(), bytes.is_empty(), "{held:?}");
    }

    #[test]
    fn memory_lasts_as_long_as_the_bytes_do() {
        let mut held = Held::default();
        held.append(b"");
        held.append_room(0);
        held.take(0);
        holds(&held, b"");

        held.append(b"abc");
        held.take(2);
        held.append(b"d");
        holds(&held, b"cd");
        held.take(2);
        holds(&held, b"");

        held.append_room(2).copy_from_slice(b"ef");
        held.take(1);
        held.replace(b"gh");
        holds(&held, b"gh");
        held.as_mut_slice()[0] = b'G';
        holds(&held, b"Gh");
        held.replace(b"");
        holds(&held, b"");
    }
}
