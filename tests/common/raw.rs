//! Calls with messages as they are on the wire, whatever the call.

use prost::bytes::{Buf, BufMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// The largest answer that is taken.
const MOST_BYTES: usize = 256 << 20;

/// Messages as they are on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length).to_vec()))
    }
}

/// All that came back from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub code: Code,
    pub text: String,
    pub details: Vec<u8>,
    pub messages: Vec<Vec<u8>>,
}

impl Answered {
    fn of(status: &Status, messages: Vec<Vec<u8>>) -> Self {
        Self {
            code: status.code(),
            text: status.message().to_owned(),
            details: status.details().to_vec(),
            messages,
        }
    }
}

/// Makes a call with what stands in `authorization`; reads the answer to its end.
pub async fn call(channel: &Channel, path: &str, body: Vec<u8>, shown: Option<&str>) -> Answered {
    send(channel, path, body, shown, false).await
}

/// The same with the message packed by gzip.
pub async fn call_packed(channel: &Channel, path: &str, body: Vec<u8>) -> Answered {
    send(channel, path, body, None, true).await
}

async fn send(
    channel: &Channel,
    path: &str,
    body: Vec<u8>,
    shown: Option<&str>,
    packed: bool,
) -> Answered {
    let mut request = Request::new(tokio_stream::iter([body]));
    if let Some(shown) = shown {
        request
            .metadata_mut()
            .insert("authorization", shown.parse().unwrap());
    }
    let mut client =
        tonic::client::Grpc::new(channel.clone()).max_decoding_message_size(MOST_BYTES);
    if packed {
        client = client.send_compressed(CompressionEncoding::Gzip);
    }
    if let Err(error) = client.ready().await {
        return Answered::of(&Status::unavailable(error.to_string()), Vec::new());
    }
    let path = path.parse().unwrap();
    let mut answers = match client.streaming(request, path, Raw).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Answered::of(&status, Vec::new()),
    };
    let mut messages = Vec::new();
    loop {
        match answers.message().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return Answered::of(&Status::new(Code::Ok, ""), messages),
            Err(status) => return Answered::of(&status, messages),
        }
    }
}

/// Sends the bytes of a gRPC frame as they are, packed as `encoding` says.
pub async fn frame(endpoint: &str, path: &str, encoding: &str, frame: Vec<u8>) -> Answered {
    let address = endpoint.trim_start_matches("http://");
    // HTTP/1 and gRPC-web frame messages alike.
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/grpc-web+proto\r\n\
         grpc-encoding: {encoding}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        frame.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses before it has read all may close: what it said counts.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&frame).await;
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let code = text.split("grpc-status:").nth(1).and_then(|rest| {
        rest.trim_start()
            .split(['\r', '\n'])
            .next()?
            .parse::<i32>()
            .ok()
    });
    Answered {
        code: code.map_or(Code::Unknown, Code::from_i32),
        text,
        details: Vec::new(),
        messages: Vec::new(),
    }
}
