//! HTTP/1.1 in front of everything: limits, routes, signatures, request ids, and errors turned into answers.
//!
//! Start at [`serve`]; one connection lives in `connection`, one request in `request`. What an operation does is
//! behind [`Api`]; nothing here reads the store or knows the engine.

mod answer;
mod body;
mod call;
mod connection;
mod events;
mod life;
mod limits;
mod listen;
mod refusal;
mod request;
mod route;
mod watched;

pub use call::{Api, Call, Operation};
pub use limits::Limits;
pub use listen::{Drained, Http, bind, serve};

#[cfg(test)]
mod tests;
