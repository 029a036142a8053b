//! What a client gives to whoever looks at other trees of the same notary, and to whoever must be shown a proof.

use bytes::Bytes;
use heliostat_pypi::ProjectName;

use super::Client;
use crate::ClientError;
use crate::carried::Carried;
use crate::tuf::encoded;

impl Client {
    /// A look at what another tree carries of this notary's state: nothing of it yet.
    pub async fn carried(&self) -> Result<Carried, ClientError> {
        let session = self.session().await?;
        let newest = session.trusted().clone();
        Carried::new(newest, &self.inner.options.limits).map_err(|source| ClientError::PinnedRoot {
            name: self.inner.options.root_name.clone(),
            source,
        })
    }

    /// What proves a page of the state in use that was asked for before: the files from the timestamp down to the role
    /// that names it, by their path in a tree.
    pub async fn proof(&self, name: &ProjectName) -> Result<Vec<(String, Bytes)>, ClientError> {
        let session = self.session().await?;
        let path = format!("simple/{name}/index.v1_json");
        let roles = session.trusted().vouching(&path);
        let mut files = Vec::new();
        for (role, version) in roles {
            if let Some(bytes) = self.inner.directory.role(&role)? {
                let name = encoded(&role);
                let path = version.map_or_else(
                    || format!("tuf/{name}.json"),
                    |version| format!("tuf/{version}.{name}.json"),
                );
                files.push((path, bytes.into()));
            }
        }
        Ok(files)
    }
}
