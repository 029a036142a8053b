//! See [`heliostat_fuzz::targets::client_config`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::targets::client_config(bytes));
