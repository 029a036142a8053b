//! See [`heliostat_fuzz::migrate::migrate_lock`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heliostat_fuzz::migrate::migrate_lock(bytes));
