//! Moving off a retired host: find every reference, tell what kind it is, rewrite it without touching another byte.
//!
//! Pure over bytes: walking, reading and writing files is the program's work, HTTP is `heliostat-serve`'s.
