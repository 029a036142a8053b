//! `directory notify`, and the notices of `directory run`: what is due reaches people once, by a signed webhook and by
//! mail, and what did not reach them is tried again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use heliostat_testkit::clients::{Tool, or_skip};
use heliostat_testkit::directory::{ENDS_TEXT, Extent, write_sample};
use heliostat_testkit::fixture::sha256_hex;
use heliostat_testkit::front::{FrontTwist, Wrong};
use heliostat_testkit::process::{Finished, Invocation};
use heliostat_testkit::pypi::Authority;
use heliostat_testkit::receiver::{Received, Receiver};
use serde_json::Value;

use crate::directory_fleet::Fleet;
use crate::sync_world::small;
use crate::world::{assert_says, bare};

/// The operators of two mirrors of the made-up list, one by mail and one by a webhook of theirs.
const MAIL: &str = "Ops@Dune.example";

/// A made-up list, its prober's key, and ways to people.
struct Desk {
    folder: tempfile::TempDir,
    keepers: Receiver,
    operator: Receiver,
}

impl Desk {
    fn new() -> Self {
        let authority = Authority::for_names(&["localhost"]);
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            keepers: Receiver::plain(),
            operator: Receiver::tls(&authority),
        };
        write_sample(&desk.path("list"), Extent::once(30, 1800)).unwrap();
        std::fs::write(desk.path("ca.pem"), &authority.ca_pem).unwrap();
        bare()
            .args([
                "trust", "keys", "new", "--label", "prober", "--plain", "--out",
            ])
            .arg(desk.path("prober.key"))
            .run()
            .assert_code(0);
        let digest = sha256_hex(MAIL.to_lowercase().as_bytes());
        desk.reach(
            "dune",
            &format!("{{ kind = \"email\", sha256 = \"{digest}\" }}"),
        );
        let hook = desk.operator.url();
        desk.reach(
            "ember",
            &format!("{{ kind = \"webhook\", url = \"{hook}\" }}"),
        );
        std::fs::write(desk.path("addresses"), format!("# theirs\n{MAIL}\n")).unwrap();
        desk.postman("cat > \"$0.$(date +%s%N)\"");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a contact into a mirror's entry.
    fn reach(&self, id: &str, contact: &str) {
        let path = self.path(&format!("list/mirrors.d/{id}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("contacts = [{contact}]\n{text}")).unwrap();
    }

    /// What carries mail from now on: a script beside whose own name it puts what it gets.
    fn postman(&self, does: &str) {
        std::fs::write(self.path("postman"), format!("{does}\n")).unwrap();
    }

    /// Mail that was handed over.
    fn mail(&self) -> Vec<String> {
        let mut mail: Vec<_> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("postman.")
            })
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        mail.sort();
        mail
    }

    fn notify(&self, words: &[&str]) -> Finished {
        self.command(words).run()
    }

    fn command(&self, words: &[&str]) -> Invocation {
        self.command_at(ENDS_TEXT, words)
    }

    fn command_at(&self, at: &str, words: &[&str]) -> Invocation {
        bare()
            .args(["directory", "notify", "--registry"])
            .arg(self.path("list"))
            .args(["--at", at, "--webhook", self.keepers.url(), "--webhook-key"])
            .arg(format!("file:{}", self.path("prober.key").display()))
            .arg("--mail-command")
            .arg(format!("sh {}", self.path("postman").display()))
            .arg("--mail-addresses")
            .arg(self.path("addresses"))
            .arg("--cacert")
            .arg(self.path("ca.pem"))
            .args(words)
    }

    fn record(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.path("list/notices/sent.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn document(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

#[test]
fn what_is_due_reaches_keepers_and_operators_once() {
    let desk = Desk::new();
    let dry = desk.notify(&["--dry-run"]);
    dry.assert_code(0);
    assert_says(
        &dry.stdout,
        &[
            "dune-main",
            "suspended",
            "retirement-near",
            "cedar-main",
            "mail:",
        ],
    );
    assert_eq!((desk.keepers.received().len(), desk.record().len()), (0, 0));
    let told = desk.notify(&["--json"]);
    told.assert_code(0);
    let kinds: BTreeSet<String> = desk
        .keepers
        .received()
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                document(one)["endpoint"].as_str().unwrap(),
                document(one)["kind"].as_str().unwrap()
            )
        })
        .collect();
    let wanted = [
        "cedar-main degraded",
        "dune-main retirement-near",
        "dune-main suspended",
        "ember-main quarantined",
    ];
    for notice in wanted {
        assert!(kinds.contains(notice), "{notice}: {kinds:?}");
    }
    let theirs = desk.operator.received();
    assert_eq!(theirs.len(), 1, "ember's operator hears of ember alone");
    assert_eq!(document(&theirs[0])["endpoint"], "ember-main");
    let mail = desk.mail();
    assert_eq!(
        mail.len(),
        2,
        "dune's operator hears of the suspension and of what follows"
    );
    for message in &mail {
        assert_says(
            message,
            &[
                "To: Ops@Dune.example\n",
                "Subject: PyPI mirror dune-main: ",
                "Auto-Submitted: auto-generated\n",
                "@list.example>\n",
                "no answer within 10 s",
                "heliostat directory probe --me https://mirror.dune.example/pypi/",
                "it is retired at ",
            ],
        );
    }
    // Whom nothing but the feed reaches is told of as such, and only once.
    assert_says(&told.stderr, &["nothing but its feed", "`cedar`"]);
    let before = (desk.keepers.received().len(), desk.record().len());
    let again = desk.notify(&[]);
    again.assert_code(0);
    assert_eq!(again.stdout, "");
    assert!(
        !again.stderr.contains("nothing but its feed"),
        "{}",
        again.stderr
    );
    assert_eq!((desk.keepers.received().len(), desk.record().len()), before);
    assert_eq!((desk.operator.received().len(), desk.mail().len()), (1, 2));
    let dry = desk.notify(&["--dry-run"]);
    assert_says(&dry.stderr, &["0 notices due"]);
    // The folder is in git, where addresses do not belong.
    let record = std::fs::read_to_string(desk.path("list/notices/sent.jsonl")).unwrap();
    assert!(!record.to_lowercase().contains("dune.example"), "{record}");
    assert!(!record.contains(desk.operator.url()), "{record}");
}

#[test]
fn what_could_not_be_delivered_is_tried_again_and_nothing_else_is() {
    let desk = Desk::new();
    desk.operator.answer(503);
    desk.postman("cat > /dev/null; echo no route >&2; exit 75");
    let failing = desk.notify(&[]);
    failing.assert_code(1);
    assert_says(
        &failing.stderr,
        &[
            "is tried again",
            "503",
            "ended with exit status: 75",
            "3 to be tried again",
        ],
    );
    let keepers = desk.keepers.received().len();
    // A redirect is no delivery either: what is told to one is not told to another.
    desk.operator.answer(307);
    desk.postman("cat > \"$0.$(date +%s%N)\"");
    let half = desk.notify(&[]);
    half.assert_code(1);
    assert_says(
        &half.stderr,
        &["307", "2 notices delivered, 1 to be tried again"],
    );
    assert_eq!(desk.mail().len(), 2);
    desk.operator.answer(204);
    desk.notify(&[]).assert_code(0);
    assert_eq!(
        desk.keepers.received().len(),
        keepers,
        "who heard it does not hear it again"
    );
    let ids: BTreeSet<String> = desk
        .operator
        .received()
        .iter()
        .map(|one| one.headers["webhook-id"].clone())
        .collect();
    assert_eq!(
        (desk.operator.received().len(), ids.len()),
        (3, 1),
        "the id stays"
    );
    assert_eq!(desk.mail().len(), 2);
    // A kill between two bytes of the record makes one notice go out again, and loses none.
    let path = desk.path("list/notices/sent.jsonl");
    let record = std::fs::read(&path).unwrap();
    std::fs::write(&path, &record[..record.len() - 9]).unwrap();
    desk.notify(&[]).assert_code(0);
    assert_eq!(std::fs::read(&path).unwrap().len(), record.len());
}

/// securesystemslib's own ed25519, over what standardwebhooks.com says is signed.
const JUDGE: &str = r#"
import base64, json, sys
from securesystemslib.signer import Key
key, id, timestamp, signature, body = sys.argv[1:6]
kind, _, encoded = signature.partition(",")
assert kind == "v1a", signature
public = json.load(open(key))
public = Key.from_dict("0" * 64, {name: public[name] for name in ("keytype", "scheme", "keyval")})
from securesystemslib.signer import Signature
signed = f"{id}.{timestamp}.".encode() + open(body, "rb").read()
public.verify_signature(Signature("0" * 64, base64.b64decode(encoded).hex()), signed)
try:
    public.verify_signature(Signature("0" * 64, base64.b64decode(encoded).hex()), signed + b" ")
except Exception:
    print("fine")
"#;

#[test]
fn a_webhook_is_signed_by_the_key_that_the_receiver_was_given() {
    let Some(python) = or_skip(Tool::PythonTuf.find()) else {
        return;
    };
    let desk = Desk::new();
    desk.notify(&[]).assert_code(0);
    let received = &desk.operator.received()[0];
    assert_eq!(received.line, "POST /hook");
    std::fs::write(desk.path("body"), &received.body).unwrap();
    let judged = Invocation::new(&python)
        .args(["-I", "-c", JUDGE])
        .arg(desk.path("prober.pub"))
        .args(
            ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .map(|name| received.headers[name].as_str()),
        )
        .arg(desk.path("body"))
        .run();
    judged.assert_code(0);
    assert_eq!(judged.stdout.trim(), "fine");
}

#[test]
fn ways_that_lead_nowhere_are_refused_before_anybody_is_told() {
    let desk = Desk::new();
    let refuse = |words: &[&str], says: &[&str]| {
        let refused = bare()
            .args(["directory", "notify", "--registry"])
            .arg(desk.path("list"))
            .args(words)
            .run();
        refused.assert_code(2);
        assert_says(&refused.stderr, says);
    };
    refuse(&["--webhook", "http://localhost:1/"], &["--webhook-key"]);
    refuse(&["--mail-command", "cat"], &["--mail-addresses"]);
    let bad = desk.path("bad");
    std::fs::write(&bad, "ops@dune.example\nx@y.example, z@y.example\n").unwrap();
    let bad = bad.display().to_string();
    let words = ["--mail-command", "cat", "--mail-addresses", &bad];
    refuse(&words, &["line 2", "is no address"]);
    assert_eq!(desk.record().len(), 0);
}

#[test]
fn what_came_and_went_between_two_looks_is_told_in_order() {
    let desk = Desk::new();
    // Kestrel was down for four hours on the 16th.
    let (before, after) = ("2026-11-15T12:00:00Z", "2026-11-17T12:00:00Z");
    desk.command_at(before, &[]).run().assert_code(0);
    let of_kestrel = |from: usize| -> Vec<(Value, Value)> {
        let told = desk.keepers.received();
        let told = told[from..].iter().map(document);
        let told = told.filter(|one| one["endpoint"] == "kestrel-main");
        told.map(|one| (one["kind"].clone(), one["until"].clone()))
            .collect()
    };
    assert_eq!(of_kestrel(0), []);
    let until = || std::fs::read_to_string(desk.path("list/notices/told-until")).unwrap();
    assert_eq!(until().trim(), before);
    // Nobody hears that it is back before they heard that it was out.
    let from = desk.keepers.received().len();
    desk.keepers.answer(500);
    let unheard = desk.command_at(after, &[]).run();
    unheard.assert_code(1);
    let kinds: Vec<Value> = of_kestrel(from).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["degraded"]);
    assert_eq!(until().trim(), before);
    let from = desk.keepers.received().len();
    desk.keepers.answer(200);
    desk.command_at(after, &[]).run().assert_code(0);
    let told = of_kestrel(from);
    let kinds: Vec<&Value> = told.iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["degraded", "recovered"]);
    assert!(told[0].1.is_string(), "it is over: {told:?}");
    assert!(told[1].1.is_null(), "it still holds: {told:?}");
    assert_eq!(until().trim(), after);
    std::fs::write(desk.path("list/notices/told-until"), "soon\n").unwrap();
    let refused = desk.command_at(after, &[]).run();
    refused.assert_code(3);
    assert_says(&refused.stderr, &["told-until", "mend or remove it"]);
}

#[test]
fn a_round_of_run_tells_what_follows_from_it() {
    let fleet = Fleet::new(small());
    let receiver = Receiver::plain();
    let front = fleet.mirror("campus");
    let policy = fleet.list().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    // A mirror that is active after a second, and out after one failure.
    let text = text
        .replace("failures_in_a_row = 3", "failures_in_a_row = 1")
        .replace("clean_in_a_row = 12", "clean_in_a_row = 1")
        .replace("probation_seconds = 604800", "probation_seconds = 1")
        .replace("available_min = 0.95", "available_min = 0.0")
        .replace("present_min = 0.8", "present_min = 0.0")
        .replace("health_min = 40.0", "health_min = 0.0");
    std::fs::write(&policy, text).unwrap();
    let key = fleet.world.place("prober.key");
    bare()
        .args([
            "trust", "keys", "new", "--label", "prober", "--plain", "--out",
        ])
        .arg(&key)
        .run()
        .assert_code(0);
    let source = format!("file:{}", key.display());
    let words = [
        "--every",
        "1",
        "--webhook",
        receiver.url(),
        "--webhook-key",
        &source,
    ];
    let run = |rounds: &str| {
        let words = [&words[..], &["--rounds", rounds]].concat();
        fleet.command("run", &words).run()
    };
    run("3").assert_code(0);
    assert_eq!(receiver.received(), []);
    front.spoil([Wrong::new("/simple/", FrontTwist::Status(500))]);
    receiver.answer(500);
    let unheard = run("1");
    unheard.assert_code(1);
    assert_says(&unheard.stderr, &["is tried again"]);
    receiver.answer(200);
    run("1").assert_code(0);
    front.spoil([]);
    run("2").assert_code(0);
    let kinds: Vec<_> = receiver
        .received()
        .iter()
        .map(|one| document(one)["kind"].clone())
        .collect();
    assert_eq!(kinds, ["degraded", "degraded", "recovered"]);
}
