//! How fields are said (RFC 7541).

use wsgate_tests::client::Http2Frame;
use wsgate_tests::client::frames::{Outcome, block, code, put_string};

use super::{Case, GET, WHOLE, Want, act, check_all, headers, outcome, send};

/// A GET in other words, or followed by these bytes.
fn saying(block: Vec<u8>) -> [Http2Frame; 1] {
    [headers(WHOLE, 1, block)]
}

fn then(more: &[u8]) -> [Http2Frame; 1] {
    saying([&block(GET), more].concat())
}

/// A literal with its name in full, behind this first byte.
fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut said = vec![first];
    put_string(&mut said, name.as_bytes());
    put_string(&mut said, value.as_bytes());
    said
}

#[tokio::test]
async fn every_way_to_say_a_field() {
    // GET, https, / by the static table, and "localhost" as Huffman has it.
    let static_table = vec![
        0x82, 0x87, 0x84, 0x41, 0x86, 0xa0, 0xe4, 0x1d, 0x13, 0x9d, 0x09,
    ];
    check_all(vec![
        send(
            "6.1",
            "by the static table",
            &saying(static_table),
            Want::Status(200),
        ),
        send(
            "6.2.1",
            "to be indexed",
            &then(&literal(0x40, "x-test", "1")),
            Want::Status(200),
        ),
        send(
            "6.2.1",
            "to be indexed, by its index",
            &then(&[0x7a, 1, b'1']),
            Want::Status(200),
        ),
        send(
            "6.2.2",
            "not to be indexed",
            &then(&literal(0x00, "x-test", "1")),
            Want::Status(200),
        ),
        send(
            "6.2.2",
            "not to be indexed, by its index",
            &then(&[0x0f, 0x2b, 1, b'1']),
            Want::Status(200),
        ),
        send(
            "6.2.3",
            "never to be indexed",
            &then(&literal(0x10, "x-test", "1")),
            Want::Status(200),
        ),
        send(
            "6.2.3",
            "never to be indexed, by its index",
            &then(&[0x1f, 0x2b, 1, b'1']),
            Want::Status(200),
        ),
        act(
            "6.1",
            "by the dynamic table, in the next request",
            |client| {
                Box::pin(async move {
                    let put = [block(GET), literal(0x40, "x-test", "1")].concat();
                    client.send(&[headers(WHOLE, 1, put)]).await;
                    client.answer(1).await;
                    client
                        .send(&[headers(WHOLE, 3, [block(GET), vec![0xbe]].concat())])
                        .await;
                    client.answer(3).await
                })
            },
            Want::Status(200),
        ),
        send(
            "6.3",
            "a smaller table first",
            &saying([&[0x20][..], &block(GET)].concat()),
            Want::Status(200),
        ),
        send(
            "4.2",
            "two sizes, the smaller one first",
            &saying([&[0x20, 0x3f, 0xe1, 0x1f][..], &block(GET)].concat()),
            Want::Status(200),
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_cannot_be_understood() {
    let compression = Want::Connection(code::COMPRESSION_ERROR);
    // h2 has another code for all of them.
    let other = |case: Case| case.but(Outcome::GoneAway(code::PROTOCOL_ERROR));
    let cases = vec![
        send(
            "4.3",
            "a block that breaks off",
            &then(&[0x00, 5, b'x']),
            compression,
        ),
        send(
            "2.3.3",
            "an index that is not there",
            &then(&[0xff, 0x00]),
            compression,
        ),
        send(
            "2.3.3",
            "the name of one that is not there",
            &then(&[0x7f, 0x0f, 1, b'1']),
            compression,
        ),
        send("4.2", "a size at the end", &then(&[0x20]), compression),
        send(
            "5.1",
            "a number without end",
            &then(&[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ]),
            compression,
        ),
        send(
            "5.2",
            "Huffman's padding of 8 bits",
            &then(&[0x00, 0x81, 0xf3, 0x82, 0x1f, 0xff]),
            compression,
        ),
        send(
            "5.2",
            "Huffman's padding with zeros",
            &then(&[0x00, 1, b'x', 0x81, 0x18]),
            compression,
        ),
        send(
            "5.2",
            "Huffman's end of all",
            &then(&[0x00, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]),
            compression,
        ),
        send("6.1", "index 0", &then(&[0x80]), compression),
        send(
            "6.3",
            "a larger table than there may be",
            &saying([&[0x3f, 0xe2, 0x1f][..], &block(GET)].concat()),
            compression,
        ),
        act(
            "4.3",
            "and no request after it is understood",
            |client| {
                Box::pin(async move {
                    client.send(&then(&[0x80])).await;
                    outcome(client, 1).await
                })
            },
            compression,
        ),
    ];
    check_all(cases.into_iter().map(other).collect()).await;
}
