//! Taking from mirrors that nobody trusts: the TUF client workflow over several mirrors, racing, evidence, and a cache
//! in which every byte is checked when it is read.
//!
//! Does not sign, and knows nothing of catalogs and trees; it serves nobody (`heliostat-serve` does).
