//! The messages and services of `proto/`, as generated. Nothing here is written by hand, and nobody but the client and the service uses it.

#![allow(missing_docs, clippy::all)]

tonic::include_proto!("podway.topology.v1");
