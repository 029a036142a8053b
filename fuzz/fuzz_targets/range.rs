//! See [`heliostat_fuzz::serve::range`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::serve::range(bytes));
