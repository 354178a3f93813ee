//! Generates the gRPC code from `proto/`, without a `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const FILES: [&str; 12] = [
    "carteira/v1/portfolio.proto",
    "carteira/v1/catalog.proto",
    "carteira/v1/ticket.proto",
    "carteira/v1/client.proto",
    "carteira/v1/offer.proto",
    "carteira/v1/capacity.proto",
    "carteira/v1/recommendation.proto",
    "carteira/v1/model.proto",
    "carteira/v1/outcome.proto",
    "carteira/v1/objective.proto",
    "carteira/v1/ideal.proto",
    "carteira/v1/insight.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("carteira.binpb"), descriptors.encode_to_vec())?;
    // A request is looked up by its name before it is decoded: `wire::weight`.
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .btree_map(".")
        .codec_path("crate::wire::codec::Weighed")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
