//! See [`heliostat_fuzz::targets::tree_path`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::targets::tree_path(bytes));
