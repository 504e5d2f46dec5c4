//! The threads of the program.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream, closed, hear},
};

/// The names of its threads, sorted.
fn threads(wsgate: &Program) -> Vec<String> {
    let tasks = format!("/proc/{}/task", wsgate.pid());
    let mut names: Vec<_> = std::fs::read_dir(tasks)
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap())
        .map(|name| name.trim_end().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn there_are_as_many_as_are_asked_for_and_else_one_a_core() {
    let cores = std::thread::available_parallelism().unwrap().get();
    for (option, workers) in [("", cores), ("--workers 1", 1), ("--workers 3", 3)] {
        let mut wsgate = Program::start(&format!(
            "--listen {ANYWHERE} --plain --route /a=http://127.0.0.1:9 {option}"
        ));
        wsgate.address().await;
        let mut expected = vec!["wsgate".to_owned(), "wsgate-log".to_owned()];
        expected.extend((0..workers).map(|number| format!("wsgate-{number}")));
        expected.sort();
        // A thread names itself when it first runs, which may be after the program listens.
        for _ in 0..500 {
            if threads(&wsgate) == expected {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(threads(&wsgate), expected, "{option}");
        wsgate.stop().await;
    }
}

#[tokio::test]
async fn tunnels_of_all_are_served_and_drained() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    for workers in [1, 4] {
        let mut wsgate = Program::start(&format!(
            "--listen {ANYWHERE} {} --route /a={} --workers {workers}",
            identity.args(),
            upstream.url()
        ));
        let client = Client::new(wsgate.address().await, "localhost", &identity.der);
        let mut sockets = Vec::new();
        for _ in 0..40 {
            let mut socket = client.open("/a", None).await.unwrap();
            hear(&mut socket).await;
            sockets.push(socket);
        }
        wsgate.signal("-TERM").await;
        for socket in &mut sockets {
            assert_eq!(closed(socket).await.0, 1001);
        }
        drop(sockets);
        assert_eq!(wsgate.ended().await.code(), Some(0));
        wsgate.logs("closed 40 of 40").await;
        let ends = wsgate.stderr().matches("tunnel closed").count();
        assert_eq!(ends, 40, "{}", wsgate.stderr());
    }
}

/// Each of the two would let others in, but not one that is there before them.
#[tokio::test]
async fn a_second_program_on_the_port_is_refused() {
    let route = "--plain --route /a=http://127.0.0.1:9 --workers 2";
    let mut first = Program::start(&format!("--listen {ANYWHERE} {route}"));
    let address = first.address().await;

    let mut second = Program::start(&format!("--listen {address} {route}"));
    assert_eq!(second.line().await, None);
    assert_eq!(second.ended().await.code(), Some(2));
    let said = second.stderr();
    assert!(
        said.contains("the port is in use by another program"),
        "{said}"
    );
    first.stop().await;
}

#[tokio::test]
async fn workers_that_cannot_be_had_are_an_error() {
    let line = format!("--listen {ANYWHERE} --plain --route /a=http://127.0.0.1:9 --workers 60");
    let mut wsgate = Program::start_with_files(&line, 100);
    assert_eq!(wsgate.line().await, None);
    assert_eq!(wsgate.ended().await.code(), Some(2));
    let said = wsgate.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("ulimit -n"), "{said}");
}

/// What they log on the way is not lost.
#[tokio::test]
async fn told_twice_each_tunnel_still_tells_its_end() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /a={} --workers 2 --drain-spread 0s",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    let mut sockets = Vec::new();
    for _ in 0..200 {
        let mut socket = client.open("/a", None).await.unwrap();
        hear(&mut socket).await;
        sockets.push(socket);
    }
    wsgate.signal("-TERM").await;
    wsgate.logs("shutting down").await;
    // Nobody answers the Closes.
    wsgate.signal("-TERM").await;
    assert_eq!(wsgate.ended().await.code(), Some(0));
    let ends = wsgate.stderr().matches("tunnel closed").count();
    assert_eq!(ends, 200, "{}", wsgate.stderr());
    drop(sockets);
}
