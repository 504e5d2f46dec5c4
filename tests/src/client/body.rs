//! The body of an HTTP/1.1 answer (RFC 9112, 6).

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::ResponseHead;
use crate::io::{Io, read_until};

pub(super) async fn read(
    io: &mut Box<dyn Io>,
    buffer: &mut BytesMut,
    head: &ResponseHead,
) -> Bytes {
    if head
        .fields
        .get("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        return chunks(io, buffer).await;
    }
    match head
        .fields
        .get("content-length")
        .map(|length| length.parse().expect("a length"))
    {
        Some(length) => exactly(io, buffer, length).await.freeze(),
        None if matches!(head.status, 204 | 304) => Bytes::new(),
        None => {
            // It ends with the connection, whether that ends well or not.
            while io.read_buf(buffer).await.is_ok_and(|read| read > 0) {}
            buffer.split().freeze()
        }
    }
}

async fn chunks(io: &mut Box<dyn Io>, buffer: &mut BytesMut) -> Bytes {
    let mut body = BytesMut::new();
    loop {
        let size = read_until(io, buffer, b"\r\n")
            .await
            .expect("the size of a chunk");
        let size = String::from_utf8_lossy(&size);
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a size in hexadecimal");
        let chunk = exactly(io, buffer, size).await;
        read_until(io, buffer, b"\r\n")
            .await
            .expect("the end of a chunk");
        if size == 0 {
            return body.freeze();
        }
        body.extend(chunk);
    }
}

async fn exactly(io: &mut Box<dyn Io>, buffer: &mut BytesMut, length: usize) -> BytesMut {
    while buffer.len() < length {
        let read = io.read_buf(buffer).await.expect("a body");
        assert_ne!(
            read,
            0,
            "the body ends after {} bytes of {length}",
            buffer.len()
        );
    }
    buffer.split_to(length)
}
