//! A made-up list of mirrors with a month of history in which every state occurs. The same every time.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::fixture::sha256_hex;

/// The moment at which the history ends: 2026-11-25 12:00 UTC.
pub const ENDS: i64 = 1_795_608_000;
/// The same, as programs are told.
pub const ENDS_TEXT: &str = "2026-11-25T12:00:00Z";
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Where probes come from, and how far it is from there, in milliseconds.
const VANTAGES: [(&str, [u32; 3]); 2] =
    [("frankfurt", [18, 95, 170]), ("singapore", [175, 120, 24])];

/// What happens to an endpoint, from when to when before the end, in hours.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// It does not answer.
    Down(i64, i64, &'static str),
    /// Not from the second place.
    DownFromAfar(i64, i64),
    /// It takes over nothing new.
    Stale(i64, i64),
    /// It is slow to take over what is new.
    Slow(i64, i64),
    /// It sent wrong bytes.
    Tampers(i64, i64),
    /// Nobody looks.
    Unseen(i64, i64),
}

/// What proves that `ember` sent wrong bytes.
const PROOF: &str = "{\"endpoint\":\"ember-main\",\"expected-sha256\":\"made up\",\"got-sha256\":\"made up too\"}\n";

/// An endpoint of the list.
struct Member {
    id: &'static str,
    endpoint: &'static str,
    operator: &'static str,
    entry: &'static str,
    base: &'static str,
    more: &'static str,
    /// Which of the distances of a vantage is its own.
    region: usize,
    events: &'static [Event],
}

const LISTED: &str = "inception = \"2026-10-20\"\nadmitted = \"2026-10-21T00:00:00Z\"\n";

const MEMBERS: [Member; 11] = [
    Member {
        id: "alpenglow",
        endpoint: "alpenglow-main",
        operator: "name = \"Alpenglow\", organisation = \"Alpenglow University, Computing Centre\", url = \"https://mirror.alpenglow.example/\", country = \"CH\"",
        entry: LISTED,
        base: "https://mirror.alpenglow.example/pypi/",
        more: "asn = 64496\ncountry = \"CH\"\nbandwidth-mbps = 20000\n",
        region: 0,
        events: &[Event::DownFromAfar(340, 338)],
    },
    Member {
        id: "baltic",
        endpoint: "baltic-main",
        operator: "name = \"Baltic IX\", organisation = \"Baltic Internet Exchange\", url = \"https://ix.baltic.example/\", country = \"EE\"",
        entry: LISTED,
        base: "https://pypi.baltic.example/",
        more: "asn = 64497\ncountry = \"EE\"\nlayout = \"bandersnatch\"\nbandwidth-mbps = 10000\n",
        region: 0,
        events: &[Event::Slow(120, 84), Event::Slow(3, 0)],
    },
    Member {
        id: "cedar",
        endpoint: "cedar-main",
        operator: "name = \"Cedar Cloud\", country = \"CA\"",
        entry: LISTED,
        base: "https://python.cedar.example/",
        more: "asn = 64498\ncountry = \"CA\"\n",
        region: 1,
        events: &[
            Event::Down(500, 495, "connection refused"),
            Event::Stale(18, 0),
        ],
    },
    Member {
        id: "dune",
        endpoint: "dune-main",
        operator: "name = \"Dune Networks\", country = \"AE\"",
        entry: LISTED,
        base: "https://mirror.dune.example/pypi/",
        more: "asn = 64499\ncountry = \"AE\"\n",
        region: 1,
        events: &[
            Event::Slow(200, 150),
            Event::Down(62, 0, "no answer within 10 s"),
        ],
    },
    Member {
        id: "ember",
        endpoint: "ember-main",
        operator: "name = \"Ember Hosting\", country = \"US\"",
        entry: LISTED,
        base: "https://cdn.ember.example/pypi/",
        more: "asn = 64500\ncountry = \"US\"\n",
        region: 1,
        events: &[Event::Tampers(70, 69)],
    },
    Member {
        id: "fjord",
        endpoint: "fjord-main",
        operator: "name = \"Fjord Academic Network\", country = \"NO\"",
        entry: "inception = \"2026-10-20\"\nadmitted = \"2026-10-21T00:00:00Z\"\n\
                maintenance = [{ from = \"2026-11-24T20:00:00Z\", to = \"2026-11-26T08:00:00Z\" }]\n",
        base: "https://fjord.example/mirror/pypi/",
        more: "asn = 64501\ncountry = \"NO\"\n",
        region: 0,
        events: &[Event::Down(15, 2, "503 Service Unavailable")],
    },
    Member {
        id: "glacier",
        endpoint: "glacier-main",
        operator: "name = \"Glacier\", country = \"IS\"",
        entry: "inception = \"2026-11-21\"\nadmitted = \"2026-11-21T10:00:00Z\"\n",
        base: "https://pypi.glacier.example/",
        more: "asn = 64502\ncountry = \"IS\"\n",
        region: 0,
        events: &[Event::Unseen(720, 98)],
    },
    Member {
        id: "harbor",
        endpoint: "harbor-main",
        operator: "name = \"Harbor City Library\", country = \"NZ\"",
        entry: "inception = \"2026-11-24\"\n",
        base: "https://packages.harbor.example/",
        more: "country = \"NZ\"\ncoverage = \"subset\"\n",
        region: 2,
        events: &[Event::Unseen(720, 0)],
    },
    Member {
        id: "island",
        endpoint: "island-main",
        operator: "name = \"Island Mirror Project\", country = \"MT\"",
        entry: "inception = \"2025-03-01\"\nadmitted = \"2025-03-08T00:00:00Z\"\nadmin-state = \"retired\"\n",
        base: "https://island.example/pypi/",
        more: "country = \"MT\"\n",
        region: 0,
        events: &[Event::Unseen(720, 0)],
    },
    Member {
        id: "juniper",
        endpoint: "juniper-main",
        operator: "name = \"Juniper Ads\", country = \"US\"",
        entry: "inception = \"2026-10-22\"\nadmitted = \"2026-10-23T00:00:00Z\"\nadmin-state = \"vetoed\"\n",
        base: "https://free-mirrors.juniper.example/pypi/",
        more: "country = \"US\"\n",
        region: 1,
        events: &[Event::Unseen(600, 0)],
    },
    Member {
        id: "kestrel",
        endpoint: "kestrel-main",
        operator: "name = \"Kestrel Research Cloud\", organisation = \"Kestrel Institute\", country = \"SG\"",
        entry: "inception = \"2026-10-20\"\nadmitted = \"2026-10-21T00:00:00Z\"\nupstream = \"baltic\"\n",
        base: "https://mirror.kestrel.example/python/",
        more: "asn = 64503\ncountry = \"SG\"\nbandwidth-mbps = 40000\n",
        region: 2,
        events: &[
            Event::Down(410, 406, "502 Bad Gateway"),
            Event::Down(230, 226, "502 Bad Gateway"),
        ],
    },
];

/// How long a history is, and how many mirrors it tells of.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Until [`ENDS`].
    pub days: i64,
    /// From one round to the next.
    pub every_seconds: i64,
    /// From twelve on, the same eleven again under numbered names.
    pub mirrors: usize,
}

impl Extent {
    /// Each mirror once.
    pub const fn once(days: i64, every_seconds: i64) -> Self {
        Self {
            days,
            every_seconds,
            mirrors: MEMBERS.len(),
        }
    }
}

/// Writes the list into a folder that is made: `policy.toml`, `mirrors.d`, `history`, `evidence`.
///
/// # Errors
/// What the file system says.
pub fn write_sample(folder: &Path, extent: Extent) -> std::io::Result<()> {
    for name in ["mirrors.d", "history", "evidence"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    std::fs::write(
        folder.join("policy.toml"),
        "# The rules of a made-up list, which is looked at every half hour.\nversion = 3\nown_domain = \"list.example\"\n\n\
         [states]\nclean_in_a_row = 3\n\n[active]\navailable_min = 0.9\n",
    )?;
    for index in 0..extent.mirrors {
        write_entry(folder, index)?;
    }
    std::fs::write(
        folder.join(format!("evidence/{}.json", proof_digest())),
        PROOF,
    )?;
    let mut noise = Noise(7);
    let every_seconds = extent.every_seconds;
    let rounds = extent.days * DAY / every_seconds;
    let mut text = String::new();
    for round in (0..rounds).rev() {
        let at = ENDS - round * every_seconds;
        let month = jiff::Timestamp::from_second(at)
            .map_err(std::io::Error::other)?
            .strftime("%Y-%m")
            .to_string();
        text.clear();
        let is_cut_off = round * every_seconds == 5 * DAY;
        write_round(&mut text, (at, is_cut_off), extent.mirrors, &mut noise);
        let path = folder.join(format!("history/{month}.jsonl"));
        let mut file = std::fs::OpenOptions::new();
        file.create(true).append(true);
        file.open(path)?.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The mirror at a place of the list, and the number that its names end in.
fn member(index: usize) -> (&'static Member, String) {
    let number = match index / MEMBERS.len() {
        0 => String::new(),
        number => format!("-{}", number + 1),
    };
    (&MEMBERS[index % MEMBERS.len()], number)
}

fn write_entry(folder: &Path, index: usize) -> std::io::Result<()> {
    let (member, number) = member(index);
    let host = member.base.trim_start_matches("https://");
    let dot = if number.is_empty() { "" } else { "." };
    let base = format!("https://{}{dot}{host}", number.replace('-', "m"));
    let text = format!(
        "id = \"{}{number}\"\noperator = {{ {} }}\n{}\n[[endpoints]]\nid = \"{}{number}\"\nbase = \"{base}\"\n{}",
        member.id, member.operator, member.entry, member.endpoint, member.more
    );
    std::fs::write(
        folder.join(format!("mirrors.d/{}{number}.toml", member.id)),
        text,
    )
}

/// What the proof is called by.
fn proof_digest() -> String {
    sha256_hex(PROOF.as_bytes())
}

/// One line of the history. Where the prober's own line is down, nobody answers.
fn write_round(
    text: &mut String,
    (at, is_cut_off): (i64, bool),
    mirrors: usize,
    noise: &mut Noise,
) {
    let control = if is_cut_off { "failed" } else { "alive" };
    let _infallible = write!(
        text,
        "{{\"at\":{at},\"control\":\"{control}\",\"samples\":["
    );
    let mut comma = "";
    for place in 0..mirrors {
        let (member, number) = member(place);
        for (index, (vantage, _)) in VANTAGES.iter().enumerate() {
            let Some(mut sample) = seen(member, index, at, noise) else {
                continue;
            };
            if is_cut_off {
                "\"outcome\":\"failed\"".clone_into(&mut sample);
            }
            let _infallible = write!(
                text,
                "{comma}{{\"endpoint\":\"{}{number}\",\"vantage\":\"{vantage}\",{sample}}}",
                member.endpoint
            );
            comma = ",";
        }
    }
    text.push_str("]}\n");
}

/// What one vantage sees of one endpoint, as the rest of a JSON object; nothing where it does not look.
fn seen(member: &Member, vantage: usize, at: i64, noise: &mut Noise) -> Option<String> {
    let distance = VANTAGES[vantage].1[member.region];
    let mut lag = 40 + noise.below(500);
    let jitter = noise.below(u64::from(distance) / 3 + 9);
    let mut fault = None;
    let mut gates = "";
    let mut warnings = 0;
    let mut findings = String::new();
    for event in member.events {
        match *event {
            Event::Down(from, to, why) if happens(at, from, to) => fault = Some(why),
            Event::DownFromAfar(from, to) if vantage == 1 && happens(at, from, to) => {
                fault = Some("connection reset");
            }
            Event::Stale(from, to) if happens(at, from, to) => {
                lag += u64::try_from(at - (ENDS - from * 3600)).unwrap_or(0);
                warnings = 1;
            }
            Event::Slow(from, to) if happens(at, from, to) => lag += 3000 + noise.below(4000),
            Event::Tampers(from, to) if happens(at, from, to) => {
                fault = Some("numpy-2.4.0.tar.gz is not what the notary signed");
                gates = "\"gates\":[\"integrity\"],";
                findings = format!(
                    ",\"findings\":[{{\"check\":\"sample-file\",\"level\":\"fault\",\"gate\":\"integrity\",\"since\":{at},\
                     \"text\":\"numpy-2.4.0.tar.gz is not what the notary signed\",\"project\":\"numpy\",\
                     \"evidence\":\"{}\"}}]",
                    proof_digest()
                );
            }
            Event::Unseen(from, to) if happens(at, from, to) => return None,
            _ => {}
        }
    }
    let head = serial(at);
    if let Some(why) = fault.filter(|_| gates.is_empty()) {
        return Some(format!("\"outcome\":\"failed\",\"faults\":[\"{why}\"]"));
    }
    let faults = fault.map_or_else(String::new, |why| format!(",\"faults\":[\"{why}\"]"));
    Some(format!(
        "\"outcome\":\"alive\",\"lag-seconds\":{lag},\"present\":{{\"ok\":32,\"n\":32}},\"intact\":{{\"ok\":{},\"n\":4}},\
         {gates}\"warnings\":{warnings},\"certificate-days\":{},\"first-byte-milliseconds\":{},\"serial-claimed\":{head},\
         \"serial-proved\":{}{faults}{findings}",
        if gates.is_empty() { 4 } else { 3 },
        60 - (at - ENDS + 30 * DAY) / DAY,
        u64::from(distance) + jitter,
        head - lag / 20,
    ))
}

/// Whether a moment lies between so many hours before the end.
const fn happens(at: i64, from: i64, to: i64) -> bool {
    ENDS - from * 3600 < at && at <= ENDS - to * 3600
}

/// A serial that rises by one every twenty seconds.
fn serial(at: i64) -> u64 {
    u64::try_from(36_000_000 + (at - ENDS) / 20).unwrap_or(0)
}

/// Numbers without a pattern, the same every time.
struct Noise(u64);

impl Noise {
    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
