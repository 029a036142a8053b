//! See [`heliostat_fuzz::targets::bundle_archive`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::targets::bundle_archive(bytes));
