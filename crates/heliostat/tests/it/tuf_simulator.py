"""Repositories, good and evil, made with python-tuf, and what python-tuf's own client makes of them.

Argument: a new folder. Below it each scenario gets a folder with `root.json`, the root that its client begins with, and
a folder for each state of its repository, `0`, `1`, …, with `tuf/` and the targets. Prints one JSON line for each step
of a scenario: what is asked, and whether the step must end well. python-tuf's client goes through the same steps with a
state of its own; where it decides otherwise than is expected here, the script ends with an error.
"""

import copy
import datetime
import hashlib
import json
import os
import sys

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.ngclient import FetcherInterface, Updater

OUT = sys.argv[1]
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
LATER = NOW + datetime.timedelta(days=30)
PAST = NOW - datetime.timedelta(days=2)
TOP = ("root", "timestamp", "snapshot", "targets")


class Repository:
    """What a notary holds: the roles, who signs them, and the targets."""

    def __init__(self, consistent=True):
        self.signers = {role: [CryptoSigner.generate_ed25519()] for role in TOP}
        self.root = Root(expires=LATER, consistent_snapshot=consistent)
        for role in TOP:
            self.root.add_key(self.signers[role][0].public_key, role)
        self.roots = []
        self.timestamp = Timestamp(expires=LATER)
        self.snapshot = Snapshot(expires=LATER)
        self.targets = {"targets": Targets(expires=LATER)}
        self.content = {}
        # Last words before a file is written: name of the role, and what makes other bytes of it.
        self.twists = {}
        self.add("a.txt", b"the content of a")
        self.sign_root()

    def add(self, path, content, role="targets"):
        self.content[path, hashlib.sha256(content).hexdigest()] = content
        self.targets[role].targets[path] = TargetFile.from_data(path, content)

    def sign_root(self, by=None):
        self.roots.append(self.signed("root", self.root, by))

    def next_root(self, by):
        self.root = copy.deepcopy(self.root)
        self.root.version += 1
        self.sign_root(by)

    def signed(self, role, value, by=None):
        envelope = Metadata(copy.deepcopy(value))
        for signer in by if by is not None else self.signers[role]:
            envelope.sign(signer, append=True)
        data = envelope.to_bytes()
        return self.twists[role](data) if role in self.twists else data

    def delegate(self, to, paths=None, prefixes=None, by="targets", terminating=False):
        """A role below another, with a key of its own."""
        signer = CryptoSigner.generate_ed25519()
        self.signers.setdefault(to, [signer])
        key = self.signers[to][0].public_key
        above = self.targets[by]
        if above.delegations is None:
            above.delegations = Delegations({}, {})
        above.delegations.keys[key.keyid] = key
        above.delegations.roles[to] = DelegatedRole(
            to, [key.keyid], 1, terminating, paths=paths, path_hash_prefixes=prefixes
        )
        self.targets.setdefault(to, Targets(expires=LATER))

    def bump(self, *roles):
        for role in roles or ("targets", "snapshot", "timestamp"):
            value = self.targets.get(role) or getattr(self, role)
            value.version += 1

    def write(self, place):
        """Everything that a mirror has."""
        os.makedirs(f"{place}/tuf")
        consistent = self.root.consistent_snapshot
        for at, data in enumerate(self.roots, 1):
            put(f"{place}/tuf/{at}.root.json", data)
        files = {}
        for role, value in self.targets.items():
            if f"{role}.json" in self.snapshot.meta or role not in self.pins:
                files[role] = (value.version, self.signed(role, value))
        for role, (version, data) in files.items():
            pin = self.pins.get(role, MetaFile(version=version))
            if pin is not None:
                self.snapshot.meta[f"{role}.json"] = pin
            name = f"{version}.{role}" if consistent else role
            put(f"{place}/tuf/{name}.json", data)
        for role, pin in self.pins.items():
            if pin is None:
                self.snapshot.meta.pop(f"{role}.json", None)
        data = self.signed("snapshot", self.snapshot)
        name = f"{self.pinned_snapshot or self.snapshot.version}.snapshot" if consistent else "snapshot"
        put(f"{place}/tuf/{name}.json", data)
        self.timestamp.snapshot_meta = self.pins.get("snapshot") or MetaFile(
            version=self.pinned_snapshot or self.snapshot.version,
            length=len(data),
            hashes={"sha256": hashlib.sha256(data).hexdigest()},
        )
        put(f"{place}/tuf/timestamp.json", self.signed("timestamp", self.timestamp))
        for (path, digest), data in self.content.items():
            folder, _, name = path.rpartition("/")
            name = f"{digest}.{name}" if consistent else name
            put(os.path.join(place, folder, name), data)

    # What snapshot and timestamp say instead of the truth; None takes a role out of the snapshot.
    pins: dict = {}
    pinned_snapshot = None


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


class Folder(FetcherInterface):
    """Fetches from the folder of the present state."""

    place = ""

    def _fetch(self, url):
        path = url.replace("state:/", self.place, 1)
        try:
            with open(path, "rb") as file:
                yield file.read()
        except FileNotFoundError:
            raise DownloadHTTPError("not there", 404) from None


class Scenario:
    """Steps that one client goes through."""

    def __init__(self, name, repository):
        self.name, self.repository, self.states = name, repository, 0
        self.place = f"{OUT}/{name}"
        put(f"{self.place}/root.json", repository.roots[0])
        self.fetcher = Folder()

    def step(self, why, well, target=None, content=None, twist=None):
        """Publishes the repository as it is; `well` is whether the client must be content."""
        state = f"{self.place}/{self.states}"
        self.repository.write(state)
        if twist:
            twist(state)
        self.ask(state, why, well, target, content)
        self.states += 1

    def again(self, state, why, well, target=None, content=None):
        """An earlier state is shown once more."""
        self.ask(f"{self.place}/{state}", why, well, target, content)

    def ask(self, state, why, well, target, content):
        oracle = self.oracle(state, target)
        # What python-tuf does and the specification does not ask for.
        more = oracle is not None and not well and why.startswith("TAP")
        if ((oracle is not None) != well and not more) or (
            content and oracle != content
        ):
            sys.exit(f"{self.name}: {why}: python-tuf's client says {oracle}")
        print(
            json.dumps(
                {
                    "scenario": self.name,
                    "why": why,
                    "state": os.path.relpath(state, self.place),
                    "well": well,
                    "target": target,
                    "content": content and content.decode(),
                }
            )
        )

    def oracle(self, state, target):
        """What python-tuf's client gets, or None where it refuses."""
        self.fetcher.place = state
        kept, into = f"{self.place}/kept", f"{self.place}/into"
        os.makedirs(into, exist_ok=True)
        os.makedirs(kept, exist_ok=True)
        with open(f"{self.place}/root.json", "rb") as file:
            first = file.read()
        try:
            updater = Updater(
                kept, "state://tuf/", into, "state://", self.fetcher, bootstrap=first
            )
            updater.refresh()
            if target is None:
                return b""
            info = updater.get_targetinfo(target)
            if info is None:
                return None
            with open(updater.download_target(info), "rb") as file:
                return file.read()
        except (RepositoryError, DownloadError):
            return None


def expiry():
    for role in TOP:
        repository = Repository()
        scenario = Scenario(f"expired-{role}", repository)
        if role == "root":
            repository.root.expires = PAST
            repository.next_root(repository.signers["root"])
        else:
            (repository.targets.get(role) or getattr(repository, role)).expires = PAST
        scenario.step(f"{role} has expired", False)
    repository = Repository()
    repository.delegate("below", ["b/*"])
    repository.add("b/b.txt", b"b", "below")
    repository.targets["below"].expires = PAST
    scenario = Scenario("expired-below", repository)
    scenario.step("nobody asks for the role that has expired", True, "a.txt")
    scenario.step("the role below has expired", False, "b/b.txt")


def rollback():
    repository = Repository()
    scenario = Scenario("rollback", repository)
    scenario.step("first", True)
    repository.bump()
    scenario.step("second", True)
    scenario.again(0, "the timestamp is older than the one that was seen", False)
    scenario.again(1, "the newest goes on to be good", True, "a.txt", b"the content of a")

    repository = Repository()
    scenario = Scenario("rollback-snapshot", repository)
    repository.bump("snapshot")
    scenario.step("second", True)
    repository.bump("timestamp")
    repository.snapshot.version = 1
    scenario.step("the timestamp names an older snapshot", False)

    repository = Repository()
    scenario = Scenario("rollback-targets", repository)
    repository.bump("targets")
    scenario.step("second", True)
    repository.bump("timestamp", "snapshot")
    repository.targets["targets"].version = 1
    scenario.step("the snapshot names older targets", False)

    repository = Repository()
    repository.delegate("below", ["b/*"])
    scenario = Scenario("rollback-dropped", repository)
    scenario.step("with the role", True)
    repository.bump("timestamp", "snapshot")
    repository.pins = {"below": None}
    scenario.step("the snapshot drops a role that was there", False)

    repository = Repository()
    repository.delegate("below", ["b/*"])
    repository.add("b/b.txt", b"b", "below")
    repository.bump("below")
    scenario = Scenario("rollback-below", repository)
    scenario.step("second", True, "b/b.txt", b"b")
    repository.bump("timestamp", "snapshot")
    repository.targets["below"].version = 1
    scenario.step("the snapshot names an older role below", False)

    repository = Repository()
    scenario = Scenario("fast-forward", repository)
    repository.timestamp.version = repository.snapshot.version = 1 << 30
    scenario.step("thieves have signed huge versions", True)
    for role in ("timestamp", "snapshot"):
        old = repository.signers[role][0].public_key.keyid
        repository.signers[role] = [CryptoSigner.generate_ed25519()]
        repository.root.revoke_key(old, role)
        repository.root.add_key(repository.signers[role][0].public_key, role)
    repository.next_root(repository.signers["root"])
    repository.timestamp.version = repository.snapshot.version = 2
    scenario.step("new keys begin again", True, "a.txt", b"the content of a")


def altered():
    def change(name, to):
        def twist(state):
            paths = [os.path.join(at, one) for at, _, all in os.walk(state) for one in all]
            (path,) = [path for path in paths if path.endswith(name)]
            with open(path, "rb") as file:
                data = file.read()
            put(path, to(data))

        return twist

    for name, file, to in (
        ("other-bytes", ".a.txt", lambda data: data.replace(b"content", b"kontent")),
        ("longer", ".a.txt", lambda data: data + b"!"),
        ("shorter", ".a.txt", lambda data: data[:-1]),
    ):
        scenario = Scenario(f"target-{name}", Repository())
        scenario.step("the target is not what was signed", False, "a.txt", twist=change(file, to))
        scenario = Scenario(f"target-{name}-then-right", scenario.repository)
        scenario.step("it is right", True, "a.txt", b"the content of a")

    scenario = Scenario("snapshot-other-bytes", Repository())
    spaced = lambda data: data + b"\n"
    scenario.step("not the snapshot's length and hash", False, twist=change("snapshot.json", spaced))

    for name, wrong in (
        ("length", {"length": 3}),
        ("hash", {"hashes": {"sha256": "0" * 64}}),
    ):
        repository = Repository()
        repository.pins = {"targets": MetaFile(version=1, **wrong)}
        scenario = Scenario(f"targets-wrong-{name}", repository)
        scenario.step(f"not the {name} that the snapshot tells", False)

    repository = Repository()
    scenario = Scenario("mixed-snapshot", repository)
    repository.pinned_snapshot = 2
    scenario.step("the snapshot is of another version than is named", False)

    repository = Repository()
    repository.targets["targets"].version = 2
    repository.pins = {"targets": MetaFile(version=1)}
    scenario = Scenario("mixed-targets", repository)
    move = lambda state: os.rename(f"{state}/tuf/2.targets.json", f"{state}/tuf/1.targets.json")
    scenario.step("targets are of another version than is named", False, twist=move)

    for role in ("timestamp", "snapshot", "targets"):
        for name, twist in (
            ("not-json", lambda data, _: data[:-20]),
            ("other-type", resigned("_type", "mirrors")),
            ("other-specification", resigned("spec_version", "2.0.34")),
            ("version-zero", resigned("version", 0)),
            ("version-text", resigned("version", "1")),
            ("no-expiry", resigned("expires", None)),
        ):
            repository = Repository()
            signers = repository.signers[role]
            repository.twists = {role: lambda data: twist(data, signers)}
            scenario = Scenario(f"{role}-{name}", repository)
            scenario.step(f"{role}: {name}", False)

    for role in ("timestamp.json", "1.snapshot.json", "1.targets.json"):
        scenario = Scenario(f"gone-{role}", Repository())
        remove = lambda state, role=role: os.remove(f"{state}/tuf/{role}")
        scenario.step(f"{role} is not there", False, twist=remove)


def resigned(field, value):
    """Another value of a field, rightly signed."""

    def twist(data, signers):
        signed = json.loads(data)["signed"]
        if value is None:
            del signed[field]
        else:
            signed[field] = value
        message = encode_canonical(signed).encode()
        signatures = [signer.sign(message).to_dict() for signer in signers]
        return json.dumps({"signatures": signatures, "signed": signed}).encode()

    return twist


def keys():
    stranger = CryptoSigner.generate_ed25519()
    for role in TOP[1:]:
        repository = Repository()
        right = repository.signers[role]
        for name, by in (("nobody", []), ("a-stranger", [stranger])):
            repository.signers[role] = by
            scenario = Scenario(f"{role}-signed-by-{name}", repository)
            scenario.step(f"{role} is signed by {name}", False)
        repository.signers[role] = [*right, stranger]
        scenario = Scenario(f"{role}-signed-by-a-stranger-too", repository)
        scenario.step("a signature more does no harm", True)

    def with_second_root(name, well, by, new_keys=True):
        repository = Repository()
        old = repository.signers["root"]
        new = [CryptoSigner.generate_ed25519()]
        scenario = Scenario(name, repository)
        scenario.step("first", True)
        if new_keys:
            repository.root = copy.deepcopy(repository.root)
            repository.root.revoke_key(old[0].public_key.keyid, "root")
            repository.root.add_key(new[0].public_key, "root")
        repository.next_root({"old": old, "new": new, "both": old + new}[by])
        repository.bump("timestamp")
        scenario.step(f"the next root is signed by {by}", well)

    with_second_root("root-by-both", True, "both")
    with_second_root("root-by-new", False, "new")
    with_second_root("root-by-old", False, "old")
    with_second_root("root-same-keys", True, "old", new_keys=False)

    repository = Repository()
    scenario = Scenario("root-skipped", repository)
    repository.root = copy.deepcopy(repository.root)
    repository.root.version = 2
    repository.next_root(repository.signers["root"])
    scenario.step("the second root says that it is the third", False)

    repository = Repository()
    scenario = Scenario("root-walk", repository)
    for _ in range(5):
        repository.next_root(repository.signers["root"])
    repository.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
    repository.root = copy.deepcopy(repository.root)
    repository.root.add_key(repository.signers["timestamp"][0].public_key, "timestamp")
    repository.next_root(repository.signers["root"])
    scenario.step("seven roots on, somebody else may sign", True, "a.txt", b"the content of a")

    def threshold(name, well, role, signers):
        repository = Repository()
        second = CryptoSigner.generate_ed25519()
        repository.root.add_key(second.public_key, role)
        repository.root.roles[role].threshold = 2
        repository.roots = []
        repository.sign_root()
        first = repository.signers[role][0]
        repository.signers[role] = {"one": [first], "two": [first, second]}[signers]
        scenario = Scenario(name, repository)
        if signers == "one" and name.endswith("twice"):
            repository.twists = {role: twice}
        scenario.step(f"{signers} of two have signed", well)

    def twice(data):
        envelope = json.loads(data)
        envelope["signatures"] *= 2
        return json.dumps(envelope).encode()

    for role in TOP[1:]:
        threshold(f"{role}-threshold-met", True, role, "two")
        threshold(f"{role}-threshold-missed", False, role, "one")
        threshold(f"{role}-threshold-twice", False, role, "one")


def delegations():
    repository = Repository(consistent=False)
    scenario = Scenario("names-without-versions", repository)
    scenario.step("no consistent snapshots", True, "a.txt", b"the content of a")

    repository = Repository()
    repository.delegate("below", ["b/*"])
    repository.add("b/b.txt", b"b", "below")
    repository.add("c.txt", b"c", "below")
    repository.add("b/deep/b.txt", b"deep", "below")
    scenario = Scenario("delegated", repository)
    scenario.step("it is where it is looked for", True, "b/b.txt", b"b")
    scenario.step("it is signed by one who may not sign it", False, "c.txt")
    scenario.step("a star does not reach below", False, "b/deep/b.txt")
    scenario.step("nobody signs it", False, "d.txt")

    for name, signers in (("nobody", []), ("a-stranger", [CryptoSigner.generate_ed25519()])):
        repository = Repository()
        repository.delegate("below", ["b/*"])
        repository.add("b/b.txt", b"b", "below")
        repository.signers["below"] = signers
        scenario = Scenario(f"below-signed-by-{name}", repository)
        scenario.step(f"the role below is signed by {name}", False, "b/b.txt")

    repository = Repository()
    repository.delegate("below", ["b/*"])
    repository.add("b/b.txt", b"b", "below")
    repository.pins = {"below": None}
    scenario = Scenario("below-not-in-snapshot", repository)
    scenario.step("the snapshot does not name the role", False, "b/b.txt")

    def order(name, well, terminating, content):
        repository = Repository()
        repository.delegate("first", ["*.txt"], terminating=terminating)
        repository.delegate("first-child", ["*.txt"], by="first")
        repository.delegate("second", ["*.txt"])
        repository.add("x.txt", b"of the first", "first")
        for role in ("first-child", "second"):
            repository.add("x.txt", f"of {role}".encode(), role)
            repository.add("y.txt", f"of {role}".encode(), role)
        repository.add("z.txt", b"of the second", "second")
        scenario = Scenario(name, repository)
        scenario.step("the first that has it counts", True, "x.txt", b"of the first")
        scenario.step("children come before siblings", True, "y.txt", b"of first-child")
        scenario.step("the second is asked last", well, "z.txt", content)

    order("order", True, False, b"of the second")
    order("order-terminating", False, True, None)

    repository = Repository()
    repository.delegate("left", ["*"])
    repository.delegate("right", ["*"], by="left")
    repository.delegate("left", ["*"], by="right")
    repository.add("x.txt", b"x", "right")
    scenario = Scenario("circle", repository)
    scenario.step("what is in the circle is found", True, "x.txt", b"x")
    scenario.step("what is not ends", False, "y.txt")

    for length, well in ((10, True), (80, False)):
        repository = Repository()
        above = "targets"
        for at in range(length):
            repository.delegate(f"r{at}", ["*"], by=above)
            above = f"r{at}"
        repository.add("x.txt", b"x", above)
        scenario = Scenario(f"chain-{length}", repository)
        scenario.step(f"it is {length} roles away", well, "x.txt", well and b"x" or None)

    repository = Repository()
    digest = hashlib.sha256(b"p/x.txt").hexdigest()
    repository.delegate("bin", prefixes=[digest[:2]])
    other = f"{(int(digest[:2], 16) + 1) % 256:02x}"
    repository.delegate("other-bin", prefixes=[other])
    repository.add("p/x.txt", b"x", "bin")
    scenario = Scenario("prefixes", repository)
    scenario.step("the bin of its hash has it", True, "p/x.txt", b"x")
    repository = Repository()
    repository.delegate("other-bin", prefixes=[other])
    repository.add("p/x.txt", b"x", "other-bin")
    scenario = Scenario("prefixes-elsewhere", repository)
    scenario.step("another bin has it, which may not", False, "p/x.txt")

    for right in (True, False):
        repository = Repository()
        signer = CryptoSigner.generate_ed25519()
        succinct = SuccinctRoles([signer.public_key.keyid], 1, 4, "bin")
        repository.targets["targets"].delegations = Delegations(
            {signer.public_key.keyid: signer.public_key}, succinct_roles=succinct
        )
        home = succinct.get_role_for_target("s/x.txt")
        for role in succinct.get_roles():
            repository.targets[role] = Targets(expires=LATER)
            repository.signers[role] = [signer]
            if (role == home) == right:
                repository.add("s/x.txt", b"x", role)
        scenario = Scenario("succinct" if right else "succinct-elsewhere", repository)
        # Not part of the specification: a client that does not know them must find nothing.
        scenario.step("TAP 15: succinct bins", False, "s/x.txt")


for group in (expiry, rollback, altered, keys, delegations):
    group()
