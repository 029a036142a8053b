//! See [`heliostat_fuzz::client::client_metadata`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::client::client_metadata(bytes));
