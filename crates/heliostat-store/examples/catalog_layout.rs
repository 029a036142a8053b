//! Fills the catalog's widest table in several layouts and prints what each costs, so that the schema rests on figures.
//!
//! `cargo run --release -p heliostat-store --example catalog_layout -- [rows] [directory]`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring tool prints its figures and clears its own files"
)]

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, Transaction, params};

/// Files of one project, and projects of one commit.
const FILES: u64 = 18;
const PROJECTS: u64 = 500;

struct Candidate {
    label: &'static str,
    page_size: u32,
    schema: &'static str,
    has_name: bool,
}

const CANDIDATES: &[Candidate] = &[
    Candidate {
        label: "WITHOUT ROWID (id, name, project), 4 KiB",
        page_size: 4096,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL, size_bytes, \
                 metadata_bytes, provenance_bytes, used_at, PRIMARY KEY (id, name, project)) WITHOUT ROWID",
        has_name: true,
    },
    Candidate {
        label: "WITHOUT ROWID (id, name, project), 8 KiB",
        page_size: 8192,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL, size_bytes, \
                 metadata_bytes, provenance_bytes, used_at, PRIMARY KEY (id, name, project)) WITHOUT ROWID",
        has_name: true,
    },
    Candidate {
        label: "rowid, UNIQUE (id, name, project), 4 KiB",
        page_size: 4096,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL, size_bytes, \
                 metadata_bytes, provenance_bytes, used_at, UNIQUE (id, name, project))",
        has_name: true,
    },
    Candidate {
        label: "rowid, index on id alone, 4 KiB",
        page_size: 4096,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL, size_bytes, \
                 metadata_bytes, provenance_bytes, used_at); CREATE INDEX file_by_id ON file (id)",
        has_name: true,
    },
    Candidate {
        label: "rowid, index on 8 bytes of id, 4 KiB",
        page_size: 4096,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL, size_bytes, \
                 metadata_bytes, provenance_bytes, used_at); CREATE INDEX file_by_id ON file (substr(id, 1, 8))",
        has_name: true,
    },
    Candidate {
        label: "rowid, index on 8 bytes of id, 8 KiB",
        page_size: 8192,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name TEXT NOT NULL, project INTEGER NOT NULL, size_bytes, \
                 metadata_bytes, provenance_bytes, used_at); CREATE INDEX file_by_id ON file (substr(id, 1, 8))",
        has_name: true,
    },
    Candidate {
        label: "WITHOUT ROWID, no name (id, project), 4 KiB",
        page_size: 4096,
        schema: "CREATE TABLE file (id BLOB NOT NULL, name, project INTEGER NOT NULL, size_bytes, metadata_bytes, \
                 provenance_bytes, used_at, PRIMARY KEY (id, project)) WITHOUT ROWID",
        has_name: false,
    },
];

fn main() -> rusqlite::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rows: u64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let directory = arguments.next().unwrap_or_else(|| ".".to_owned());
    println!(
        "{rows} rows; fill, last tenth of the fill, 100,000 point reads, 100,000 updates, size"
    );
    for candidate in CANDIDATES {
        measure(candidate, rows, Path::new(&directory))?;
    }
    Ok(())
}

fn measure(candidate: &Candidate, rows: u64, directory: &Path) -> rusqlite::Result<()> {
    let path = directory.join("catalog_layout.sqlite");
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{suffix}", path.display())));
    }
    let mut connection = Connection::open(&path)?;
    connection.pragma_update(None, "page_size", candidate.page_size)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.execute_batch(candidate.schema)?;
    let start = Instant::now();
    let (mut row, mut tenth) = (0, Instant::now());
    while row < rows {
        if row / (FILES * PROJECTS) == rows * 9 / 10 / (FILES * PROJECTS) {
            tenth = Instant::now();
        }
        let transaction = connection.transaction()?;
        let end = (row + FILES * PROJECTS).min(rows);
        fill(&transaction, candidate, row..end)?;
        transaction.commit()?;
        row = end;
    }
    let (filled, tenth) = (start.elapsed(), tenth.elapsed());
    let start = Instant::now();
    let mut statement = connection.prepare(
        "SELECT size_bytes, metadata_bytes FROM file WHERE id = ?1 AND (?2 IS NULL OR name = ?2)",
    )?;
    for number in 0..100_000 {
        let row = mix(number) % rows;
        let size: i64 =
            statement.query_row(params![id(row), name(candidate, row)], |row| row.get(0))?;
        assert_eq!(size, 20_000, "the row was not filled");
    }
    drop(statement);
    let read = start.elapsed();
    let start = Instant::now();
    let transaction = connection.transaction()?;
    let mut statement = transaction
        .prepare("UPDATE file SET size_bytes = 7 WHERE id = ?1 AND (?2 IS NULL OR name = ?2)")?;
    for number in 0..100_000 {
        let row = mix(number ^ 0xabcd) % rows;
        statement.execute(params![id(row), name(candidate, row)])?;
    }
    drop(statement);
    transaction.commit()?;
    let updated = start.elapsed();
    connection.pragma_update(None, "wal_checkpoint", "truncate")?;
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    println!(
        "{:<46} {:>6.1} s {:>6.2} s {:>6.2} s {:>6.2} s {:>6} MB",
        candidate.label,
        filled.as_secs_f64(),
        tenth.as_secs_f64(),
        read.as_secs_f64(),
        updated.as_secs_f64(),
        bytes >> 20
    );
    Ok(())
}

fn fill(
    transaction: &Transaction<'_>,
    candidate: &Candidate,
    rows: std::ops::Range<u64>,
) -> rusqlite::Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO file VALUES (?1, ?2, ?3, 20000, 2000, NULL, NULL)")?;
    for row in rows {
        let project = i64::try_from(row / FILES).unwrap_or(0);
        statement.execute(params![id(row), name(candidate, row), project])?;
    }
    Ok(())
}

/// A name of a usual length.
fn name(candidate: &Candidate, row: u64) -> Option<String> {
    candidate.has_name.then(|| {
        format!(
            "project_{}-1.{}.0-py3-none-any.whl",
            row / FILES,
            row % FILES
        )
    })
}

/// Thirty-two bytes that look like a digest.
fn id(row: u64) -> [u8; 32] {
    let mut id = [0; 32];
    for (index, part) in id.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&mix(row.wrapping_mul(4).wrapping_add(index as u64)).to_le_bytes());
    }
    id
}

/// splitmix64.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
