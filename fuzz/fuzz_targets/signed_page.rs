//! See [`heliostat_fuzz::targets::signed_page`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::targets::signed_page(bytes));
