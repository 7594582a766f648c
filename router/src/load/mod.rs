//! Files of LOAD DATA, cut into records as MySQL cuts them. Pure: bytes in, places in them out. Never converts text, never knows a table.
//!
//! Reading order: [`charset`], which bytes are one character; [`records`], where records and fields end and what their values are.

mod charset;
mod records;

pub use charset::FileCharset;
pub use records::{FileFormat, Next, Record};
