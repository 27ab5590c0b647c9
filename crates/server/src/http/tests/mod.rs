//! The front door with a toy behind it: everything that clients do wrong gets an answer they can read.

mod broken;
mod refused;
mod routes;
mod slow;
mod support;
