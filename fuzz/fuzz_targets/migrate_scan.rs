//! See [`heliostat_fuzz::migrate::migrate_scan`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::migrate::migrate_scan(bytes));
