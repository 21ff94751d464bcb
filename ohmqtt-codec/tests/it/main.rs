//! The codec from outside: bytes in, packets out, and back. The tables in `spec/` are the oracle where there is one.

mod blocks;
mod decode_example;
mod encode_buf;
mod generate;
mod hostile;
mod properties;
mod reason_codes;
mod rejections;
mod round_trip;
mod setters;
mod stream;
mod tables;
mod values;
mod wire;
