//! See [`heliostat_fuzz::targets::bundle`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::targets::bundle(bytes));
