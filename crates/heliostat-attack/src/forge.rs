//! Metadata that the notary would never write: documents of its own, changed and signed again with keys that a thief
//! may have, or with keys that nobody trusts. A function of bytes.

use heliostat_pypi::Sha256;
use heliostat_trust::TrustError;
use heliostat_trust::keys::SigningKey;
use heliostat_trust::metadata::{Authority, Metadata as _, Root, Signed, Targets};
use serde_json::{Value, json};

use crate::answer::Shared;
use crate::error::AttackError;
use crate::script::Tree;
use crate::world::{World, file_of};

/// Changes what a metadata file says and signs it with these keys in place of the old signatures.
pub(crate) fn resign(
    file: &[u8],
    keys: &[&SigningKey],
    change: impl FnOnce(&mut Value),
) -> Result<Shared, AttackError> {
    let mut document: Value = serde_json::from_slice(file)
        .map_err(|error| AttackError::MakeTree(format!("metadata that is no JSON: {error}")))?;
    change(&mut document["signed"]);
    let signed = sigstore_tuf::canonical_json::to_canonical_bytes(&document["signed"])
        .map_err(|error| AttackError::MakeTree(error.to_string()))?;
    document["signatures"] = keys
        .iter()
        .map(|key| json!({"keyid": key.id().to_string(), "sig": key.sign(&signed).to_string()}))
        .collect();
    Ok(Shared::from(document.to_string().into_bytes()))
}

/// Changes a file without signing it again.
pub(crate) fn edit(file: &[u8], change: impl FnOnce(&mut Value)) -> Result<Shared, AttackError> {
    let mut document: Value = serde_json::from_slice(file)
        .map_err(|error| AttackError::MakeTree(format!("a page that is no JSON: {error}")))?;
    change(&mut document);
    Ok(Shared::from(document.to_string().into_bytes()))
}

/// How a timestamp pins a snapshot.
pub(crate) fn exact_pin(version: u64, file: &[u8]) -> Value {
    json!({
        "version": version,
        "length": file.len(),
        "hashes": {"sha256": Sha256::of(file).to_hex()},
    })
}

/// The keys of a notary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'k> {
    /// Signs roots and `bins`.
    pub(crate) offline: &'k SigningKey,
    /// Sign everything else; all of them are asked for.
    pub(crate) online: &'k [&'k SigningKey],
}

impl Keys<'_> {
    /// What the notary publishes after people have given the online roles to these keys: root 2, and the same pages
    /// under it.
    pub(crate) fn take_over(self, tree: &Tree) -> Result<Tree, AttackError> {
        let refused = |error: TrustError| AttackError::MakeTree(error.to_string());
        let mut tree = tree.clone();
        let online = self.online.iter().map(|key| key.public().clone());
        let threshold = u32::try_from(self.online.len()).unwrap_or(u32::MAX);
        let online = Authority::new(online, threshold).map_err(refused)?;
        let mut root = Signed::<Root>::read(file_of(&tree, "tuf/1.root.json")?)
            .map_err(refused)?
            .value;
        root.version = root.version.next();
        root.snapshot = online.clone();
        root.timestamp = online.clone();
        put(
            &mut tree,
            &root.file(),
            root.unsigned().sign(self.offline).to_file(),
        );
        let (_, path) = World::newest(&tree, "bins")?;
        let mut bins = Signed::<Targets>::read(file_of(&tree, &path)?)
            .map_err(refused)?
            .value;
        bins.version = bins.version.next();
        let mut moved = vec![("bins".to_owned(), bins.version.get())];
        // One version for all of them, as where a notary signs them all at once.
        let mut next = 1;
        for bin in &bins.delegations {
            next = next.max(World::newest(&tree, bin.name.as_str())?.0 + 1);
        }
        for bin in &mut bins.delegations {
            bin.authority = online.clone();
            let name = bin.name.to_string();
            self.sign(&mut tree, (&name, next), |_| {})?;
            moved.push((name, next));
        }
        put(
            &mut tree,
            &bins.file(),
            bins.unsigned().sign(self.offline).to_file(),
        );
        let version = World::newest(&tree, "snapshot")?.0 + 1;
        self.sign(&mut tree, ("snapshot", version), |snapshot| {
            for (role, version) in &moved {
                snapshot["meta"][format!("{role}.json")]["version"] = json!(version);
            }
        })?;
        let pin = exact_pin(
            version,
            file_of(&tree, &format!("tuf/{version}.snapshot.json"))?,
        );
        let timestamp = resign(
            file_of(&tree, "tuf/timestamp.json")?,
            self.online,
            |timestamp| {
                timestamp["version"] = json!(timestamp["version"].as_u64().unwrap_or(1) + 1);
                timestamp["meta"]["snapshot.json"] = pin;
            },
        )?;
        tree.insert("tuf/timestamp.json".to_owned(), timestamp);
        Ok(tree)
    }

    /// Signs a version of an online role.
    fn sign(
        self,
        tree: &mut Tree,
        (role, version): (&str, u64),
        change: impl FnOnce(&mut Value),
    ) -> Result<(), AttackError> {
        let (_, path) = World::newest(tree, role)?;
        let file = resign(file_of(tree, &path)?, self.online, |signed| {
            signed["version"] = json!(version);
            change(signed);
        })?;
        tree.insert(format!("tuf/{version}.{role}.json"), file);
        Ok(())
    }
}

fn put(tree: &mut Tree, name: &str, file: Vec<u8>) {
    tree.insert(format!("tuf/{name}"), Shared::from(file));
}
