//! Trust: TUF roles and their signing, the client's state machine, keys, attestations. Values in, values out.
//!
//! Does no I/O and reads no clock: bytes and the time are parameters (`heliostat-client` fetches, `heliostat-store`
//! writes).
