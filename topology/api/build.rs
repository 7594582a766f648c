//! Makes Rust of the contract in `proto/`, without a protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let files = ["proto/topology.proto", "proto/peer.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let contract = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(contract)?;
    Ok(())
}
