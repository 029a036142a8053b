//! See [`heliostat_fuzz::directory::directory_import`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::directory::directory_import(bytes));
