//! The wire of the part of AWS STS that tells a client who it is: types, operation table and limits. All of it is generated.

// Members are named and limited as the model says; its prose is not ours to repeat.
#[allow(missing_docs)]
mod generated;
mod generated_operations;
mod generated_validation;

#[path = "generated_enums.rs"]
pub mod enums;

pub use generated::*;
pub use generated_operations::*;
