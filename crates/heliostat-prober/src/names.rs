//! Where names lead: by what was given, else by the resolver; and whether any name beside one leads there too.

use std::io;
use std::net::IpAddr;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::options::ProberOptions;

/// What follows the first label where any such label is meant.
const ANY: &str = "*.";

/// The addresses of a host; an error of kind `TimedOut` where nobody says in time.
pub(crate) async fn addresses_of(
    (host, port): (&str, u16),
    options: &ProberOptions,
) -> io::Result<Vec<IpAddr>> {
    if let Some(given) = given(host, options) {
        return Ok(given.to_vec());
    }
    let limit = options.limits.connect_timeout;
    let found = timeout(limit, lookup_host((host, port))).await;
    let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(found.map(|address| address.ip()).collect())
}

/// Whether a name that nobody can have given leads where this one does: under such a domain every name is there, and a
/// network that answers for all names makes every domain such a one. What is seen behind such a name is no proof that
/// the name was meant.
pub(crate) async fn is_wildcard(
    (host, port): (&str, u16),
    options: &ProberOptions,
    drawn: u64,
) -> bool {
    let Some((_, parent)) = host
        .split_once('.')
        .filter(|(_, parent)| parent.contains('.'))
    else {
        return false;
    };
    if host.parse::<IpAddr>().is_ok() {
        return false;
    }
    let sibling = format!("heliostat-probe-{drawn:016x}.{parent}");
    // What was given of a name is all that is asked of it.
    let siblings = if given(host, options).is_some() {
        given(&sibling, options).map(<[_]>::to_vec)
    } else {
        addresses_of((&sibling, port), options).await.ok()
    };
    let Some(siblings) = siblings else {
        return false;
    };
    let own = addresses_of((host, port), options).await;
    own.is_ok_and(|own| own.iter().any(|address| siblings.contains(address)))
}

/// The addresses that were given for a host, or for any name beside it.
fn given<'o>(host: &str, options: &'o ProberOptions) -> Option<&'o [IpAddr]> {
    let resolve = &options.resolve;
    let beside = || {
        let (_, parent) = host.split_once('.')?;
        resolve.get(&format!("{ANY}{parent}"))
    };
    resolve.get(host).or_else(beside).map(Vec::as_slice)
}
