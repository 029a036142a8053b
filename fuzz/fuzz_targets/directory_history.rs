//! See [`heliostat_fuzz::directory::directory_history`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::directory::directory_history(bytes));
