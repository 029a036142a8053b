"""python-tuf, the reference implementation, on the tree of `cargo xtask bench trust`.

    peers.py sign TREE OUT              writes what the live snapshot of TREE names anew, signed with a key of its own
    peers.py client ROOT STATE URL TARGET...   refreshes from the mirror at URL and downloads targets
"""

import json
import os
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path


def sign(tree, out):
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import (
        DelegatedRole,
        Delegations,
        Metadata,
        MetaFile,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )

    tuf = Path(tree) / "tuf"
    read = lambda name: json.loads((tuf / name).read_bytes())["signed"]
    timestamp = read("timestamp.json")
    snapshot = read("%d.snapshot.json" % timestamp["meta"]["snapshot.json"]["version"])
    bins = read("%d.bins.json" % snapshot["meta"]["bins.json"]["version"])
    signer = CryptoSigner.generate_ed25519()
    expires = datetime.now(timezone.utc) + timedelta(days=14)
    out = Path(out)
    spent = 0.0
    count = 0

    def write(name, signed):
        metadata = Metadata(signed)
        metadata.sign(signer)
        metadata.to_file(str(out / ("%d.%s.json" % (signed.version, name))))

    pins, roles = {}, {}
    for role in bins["delegations"]["roles"]:
        name = role["name"]
        # What is to be signed comes out of our own files; reading them is not counted.
        ours = read("%d.%s.json" % (snapshot["meta"][name + ".json"]["version"], name))
        started = time.perf_counter()
        targets = {
            path: TargetFile(target["length"], target["hashes"], path)
            for path, target in ours["targets"].items()
        }
        write(name, Targets(version=1, expires=expires, targets=targets))
        pins[name + ".json"] = MetaFile(version=1)
        roles[name] = DelegatedRole(
            name, [signer.public_key.keyid], 1, True, path_hash_prefixes=role["path_hash_prefixes"]
        )
        spent += time.perf_counter() - started
        count += len(targets)
    started = time.perf_counter()
    delegations = Delegations({signer.public_key.keyid: signer.public_key}, roles)
    write("bins", Targets(version=1, expires=expires, delegations=delegations))
    pins["bins.json"] = MetaFile(version=1)
    write("snapshot", Snapshot(version=1, expires=expires, meta=pins))
    write("timestamp", Timestamp(version=1, expires=expires, snapshot_meta=MetaFile(version=1)))
    os.sync()
    spent += time.perf_counter() - started
    print(json.dumps({"targets": count, "bins": len(roles), "seconds": spent}))


def client(root, state, url, targets):
    from tuf.ngclient import Updater, UpdaterConfig

    state = Path(state)
    downloads = state / "targets"
    downloads.mkdir(parents=True, exist_ok=True)
    # Its limits are made for small repositories: our `bins` role has 1.7 MB.
    config = UpdaterConfig(targets_max_length=50_000_000, snapshot_max_length=50_000_000)
    updater = Updater(
        metadata_dir=str(state / "metadata"),
        metadata_base_url=url + "tuf/",
        target_base_url=url,
        target_dir=str(downloads),
        config=config,
        bootstrap=Path(root).read_bytes(),
    )
    updater.refresh()
    for target in targets:
        found = updater.get_targetinfo(target)
        if found is None:
            sys.exit("there is no target " + target)
        updater.download_target(found)


if __name__ == "__main__":
    if sys.argv[1] == "sign":
        sign(*sys.argv[2:])
    else:
        client(*sys.argv[2:5], sys.argv[5:])
