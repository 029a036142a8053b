//! See [`heliostat_fuzz::trust_targets::receipt`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::trust_targets::receipt(bytes));
