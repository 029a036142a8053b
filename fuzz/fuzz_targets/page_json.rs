//! See [`heliostat_fuzz::targets::page_json`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::targets::page_json(bytes));
