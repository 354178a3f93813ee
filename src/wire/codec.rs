//! How messages travel: as Protobuf, each request weighed before it is unfolded.

use std::marker::PhantomData;

use prost::bytes::Buf;
use prost::{Message, Name};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::weight;

/// The codec of the generated code.
#[derive(Debug, Clone, Copy)]
pub struct Weighed<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Weighed<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Weighed<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = WeighedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        WeighedDecoder(PhantomData)
    }
}

/// Decodes messages; those that are requests are weighed first.
#[derive(Debug, Clone, Copy)]
pub struct WeighedDecoder<U>(PhantomData<U>);

impl<U: Message + Name + Default> Decoder for WeighedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // Moves the bytes out, without a copy.
        let bytes = from.copy_to_bytes(from.remaining());
        read(&bytes).map(Some)
    }
}

/// A message of its bytes.
pub fn read<U: Message + Name + Default>(bytes: &[u8]) -> Result<U, Status> {
    weight::check(U::NAME, bytes)?;
    // What gRPC says of a message that cannot be parsed.
    U::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}
