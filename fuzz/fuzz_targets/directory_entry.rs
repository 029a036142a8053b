//! See [`heliostat_fuzz::directory::directory_entry`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::directory::directory_entry(bytes));
