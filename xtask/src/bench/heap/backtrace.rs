//! A backtrace in one line: who allocated, and on whose behalf.

/// The first frame that is not the allocator's or the standard library's, and then each first frame of
/// another crate, with ` < ` between: callee, caller.
///
/// valgrind gives the frames of inlined functions too, but often without a name. They come as a group
/// with one address, the last being the function that is really there: its name is taken, and the
/// first line of source that is not the standard library's.
pub(super) fn shorten(frames: &[&str]) -> String {
    let frames: Vec<_> = frames
        .iter()
        .filter_map(|frame| Frame::parse(frame))
        .collect();
    let groups = frames.chunk_by(|a, b| a.address == b.address);
    let mut shown: Vec<String> = Vec::new();
    let mut last_crate = String::new();
    for group in groups {
        let Some(function) = group.last() else {
            continue;
        };
        if THREAD_START.contains(&function.name) {
            break;
        }
        let name = without_generics(function.name);
        let is_allocator = function.place.starts_with("in /") || ALLOCATORS.contains(&&*name);
        if is_allocator || STANDARD.iter().any(|s| name.starts_with(s)) {
            continue;
        }
        let crate_name = name.split("::").next().unwrap_or_default();
        let is_known = crate_name == last_crate || PASSES_ON.iter().any(|p| name.starts_with(p));
        if !shown.is_empty() && is_known {
            continue;
        }
        crate_name.clone_into(&mut last_crate);
        let mut places = group.iter().map(|frame| frame.place);
        let place = places.find(|place| !place.is_empty() && !place.starts_with("library/"));
        shown.push(match place {
            Some(place) => format!("{name} ({place})"),
            None => name,
        });
        if shown.len() == MOST {
            break;
        }
    }
    if shown.is_empty() {
        return "the standard library alone".to_owned();
    }
    shown.join(" < ")
}

/// `0x68E88B: prepare_read (buffers.rs:245)`
struct Frame<'a> {
    address: &'a str,
    name: &'a str,
    place: &'a str,
}

// ===== impl Frame =====

impl<'a> Frame<'a> {
    fn parse(frame: &'a str) -> Option<Self> {
        let (address, rest) = frame.split_once(": ")?;
        let (name, place) = match rest.rsplit_once(" (") {
            Some((name, place)) => (name, place.trim_end_matches(')')),
            None => (rest, ""),
        };
        Some(Self {
            address,
            name,
            place,
        })
    }
}

/// `<a::B<C> as d::E>::f` is `a::B::f`.
fn without_generics(name: &str) -> String {
    let mut plain = String::new();
    let name = match name.strip_prefix('<') {
        Some(rest) => {
            let (inner, method) = split_at_closing(rest);
            let owner = split_at_as(inner);
            format!("{owner}{method}")
        }
        None => name.to_owned(),
    };
    let mut depth = 0_usize;
    let mut before = ' ';
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
        before = c;
    }
    for closure in ["::{{closure}}", "::{closure#0}", "{{vtable.shim}}"] {
        plain = plain.replace(closure, "");
    }
    plain
        .replace("::::", "::")
        .trim_end_matches("::")
        .to_owned()
}

/// Splits what follows a `<` at the `>` that belongs to it.
fn split_at_closing(rest: &str) -> (&str, &str) {
    let mut depth = 1_usize;
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&rest[..at], &rest[at + 1..]);
        }
        before = c;
    }
    (rest, "")
}

/// What stands before the ` as ` of a trait, if there is one outside of all brackets.
fn split_at_as(inner: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in inner.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && inner[at..].starts_with(" as ") => return &inner[..at],
            _ => {}
        }
    }
    inner
}

/// Frames in a line.
const MOST: usize = 4;

/// Who asks an allocator for somebody else.
const STANDARD: [&str; 4] = ["__rust", "alloc::", "core::", "std::"];

const ALLOCATORS: [&str; 7] = [
    "malloc",
    "calloc",
    "realloc",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "UnknownInlinedFun",
];

/// Crates and modules that stand between all others, and tell nothing.
const PASSES_ON: [&str; 10] = [
    "axum::",
    "futures",
    "hyper_util::service",
    "tokio::loom",
    "tokio::macros",
    "tokio::runtime",
    "tokio::task",
    "tokio::time",
    "tower",
    "tracing::instrument",
];

/// Below these there is nothing of ours.
const THREAD_START: [&str; 2] = ["start_thread", "(below main)"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frames: &[&str], expected: &str) {
        assert_eq!(shorten(frames), expected);
    }

    #[test]
    fn inlined_frames_give_the_line_and_the_real_one_the_name() {
        check(
            &[
                "0x48417B4: malloc (in /usr/libexec/valgrind/vgpreload_dhat-amd64-linux.so)",
                "0x68B3AC: alloc (library/alloc/src/alloc.rs:95)",
                "0x68B3AC: alloc::raw_vec::RawVecInner<A>::finish_grow (library/alloc/src/raw_vec/mod.rs:558)",
                "0x68E88B: UnknownInlinedFun (library/alloc/src/vec/mod.rs:3469)",
                "0x68E88B: prepare_read (buffers.rs:245)",
                "0x68E88B: rustls::msgs::deframer::buffers::DeframerVecBuffer::read (buffers.rs:200)",
                "0x4AF13E: UnknownInlinedFun (src/conn.rs:798)",
                "0x4AF13E: tokio_rustls::common::Stream<IO,C>::read_io (src/common/mod.rs:103)",
            ],
            "rustls::msgs::deframer::buffers::DeframerVecBuffer::read (buffers.rs:245) \
             < tokio_rustls::common::Stream::read_io (src/conn.rs:798)",
        );
    }

    #[test]
    fn of_each_crate_the_innermost_frame_is_shown() {
        check(
            &[
                "0x1: h2::a (src/a.rs:1)",
                "0x2: h2::b (src/b.rs:1)",
                "0x3: <tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll (src/time/timeout.rs:216)",
                "0x4: wsgate_proxy::proxy::answer::{{closure}} (proxy.rs:289)",
                "0x5: start_thread (pthread_create.c:442)",
                "0x6: clone (clone.S:100)",
            ],
            "h2::a (src/a.rs:1) < wsgate_proxy::proxy::answer (proxy.rs:289)",
        );
    }

    #[test]
    fn who_passes_on_is_shown_when_it_allocates() {
        check(
            &[
                "0x0: __rustc::__rdl_alloc (unix.rs:83)",
                "0x1: tokio::runtime::task::core::Cell<T,S>::new (task/core.rs:261)",
                "0x2: wsgate_proxy::tunnel::spawn (mod.rs:54)",
            ],
            "tokio::runtime::task::core::Cell::new (task/core.rs:261) < wsgate_proxy::tunnel::spawn (mod.rs:54)",
        );
    }

    #[test]
    fn a_line_does_not_grow_without_end() {
        let frames = [
            "0x1: a::f",
            "0x2: b::f",
            "0x3: c::f",
            "0x4: d::f",
            "0x5: e::f",
        ];
        check(&frames, "a::f < b::f < c::f < d::f");
    }

    #[test]
    fn nobody_to_name() {
        check(
            &["0x1: std::rt::init (library/std/src/rt.rs:1)"],
            "the standard library alone",
        );
    }

    #[test]
    fn generics_are_left_out() {
        #[track_caller]
        fn check(name: &str, expected: &str) {
            assert_eq!(without_generics(name), expected);
        }
        check("a::B<C<D>>::f", "a::B::f");
        check("a::B<fn() -> C>::f::<D>", "a::B::f");
        check("<a::B<C> as d::E<F>>::f", "a::B::f");
        check("<a::B<<C as D>::E> as d::E>::f", "a::B::f");
        check("<a::B>::f::{{closure}}", "a::B::f");
        check("<unclosed", "unclosed");
    }
}
