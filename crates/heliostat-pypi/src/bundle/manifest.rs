//! The manifest: JSON lines, written and read in order, one at a time.

use std::io::{BufRead, BufReader, Read, Write};

use sha2::Digest as _;

use super::{
    Archive, BUNDLE_FORMAT, BundleError, BundleLimits, End, Header, Item, Line, Place, Project,
};
use crate::{ProjectName, RelPath, Sha256};

/// Writes a manifest. `finish` adds the last line.
#[derive(Debug)]
pub struct ManifestWriter<W> {
    out: W,
    hasher: sha2::Sha256,
    written_bytes: u64,
    end: End,
}

/// Reads a manifest and refuses it where a line is out of order, out of bounds or missing.
#[derive(Debug)]
pub struct ManifestReader<R> {
    source: R,
    limits: BundleLimits,
    hasher: sha2::Sha256,
    header: Header,
    line: u64,
    end: End,
    trust_bytes: u64,
    last_path: Option<RelPath>,
    last_name: Option<ProjectName>,
    is_over: bool,
}

impl<W: Write> ManifestWriter<W> {
    /// Writes the header.
    pub fn start(out: W, header: Header) -> Result<Self, BundleError> {
        let mut writer = Self {
            out,
            hasher: sha2::Sha256::new(),
            written_bytes: 0,
            end: End::default(),
        };
        writer.write(&Line::Header(header))?;
        Ok(writer)
    }

    /// Writes a line. Lines must come in the order that [`Line`] tells.
    pub fn write(&mut self, line: &Line) -> Result<(), BundleError> {
        self.end.count(line);
        let mut text =
            serde_json::to_vec(line).map_err(|error| BundleError::Write(error.into()))?;
        text.push(b'\n');
        self.hasher.update(&text);
        self.written_bytes += text.len() as u64;
        self.out.write_all(&text).map_err(BundleError::Write)
    }

    /// What was counted so far.
    pub const fn counted(&self) -> End {
        self.end
    }

    /// Writes the last line; tells what was counted, the manifest's sha256 and its length in bytes.
    pub fn finish(mut self) -> Result<(End, Sha256, u64), BundleError> {
        let list = Sha256::from_bytes(self.hasher.clone().finalize().into());
        let end = End {
            list: Some(list),
            ..self.end
        };
        self.write(&Line::End(end))?;
        self.out.flush().map_err(BundleError::Write)?;
        let sha256 = Sha256::from_bytes(self.hasher.finalize().into());
        Ok((end, sha256, self.written_bytes))
    }
}

/// How zstd's frames begin.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl<'a> ManifestReader<Box<dyn BufRead + 'a>> {
    /// Reads the header of a bundle's manifest, or of one that stands in a file of its own.
    pub fn of(source: impl Read + 'a, limits: BundleLimits) -> Result<Self, BundleError> {
        let mut source = BufReader::new(source);
        let begin = source.fill_buf().map_err(BundleError::Read)?;
        if !begin.starts_with(&ZSTD_MAGIC) {
            return Self::start(Box::new(source), limits);
        }
        let mut archive = Archive::open(source, limits)?;
        archive.to_manifest()?;
        Self::start(Box::new(BufReader::new(archive)), limits)
    }
}

impl<R: BufRead> ManifestReader<R> {
    /// Reads the header.
    pub fn start(source: R, limits: BundleLimits) -> Result<Self, BundleError> {
        let mut reader = Self {
            source,
            limits,
            hasher: sha2::Sha256::new(),
            header: Header {
                format: 0,
                made_at: jiff::Timestamp::UNIX_EPOCH,
                coverage: super::Coverage::Selection,
                extent: super::Extent::Some,
                lacking: Vec::new(),
                selection: Vec::new(),
                upstream: None,
                serial: None,
                since: None,
            },
            line: 0,
            end: End::default(),
            trust_bytes: 0,
            last_path: None,
            last_name: None,
            is_over: false,
        };
        let text = reader.text()?;
        // The format is read first: a newer one may have lines that we do not understand.
        let format = serde_json::from_slice::<FormatOnly>(&text)
            .map_err(|error| BundleError::NotABundle(error.to_string()))?;
        if format.header.format > BUNDLE_FORMAT {
            return Err(BundleError::Newer {
                found: format.header.format,
            });
        }
        match reader.parse(&text)? {
            Line::Header(header) => reader.header = header,
            _ => return Err(reader.refuse("the first line must be the header")),
        }
        Ok(reader)
    }

    /// What this is.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next line after the header, until and without the end.
    pub fn next_line(&mut self) -> Result<Option<Line>, BundleError> {
        if self.is_over {
            return Ok(None);
        }
        let before = self.sha256();
        let text = self.text()?;
        let line = self.parse(&text)?;
        match &line {
            Line::Header(_) => return Err(self.refuse("there is a second header")),
            Line::Trust(item) => self.check_trust(item)?,
            Line::Removed(name) => self.check_name(name)?,
            Line::Project(project) => {
                self.check_name(&project.name)?;
                self.check_project(project)?;
            }
            Line::End(end) => {
                if end.list.is_some_and(|list| list != before) {
                    return Err(
                        self.refuse("the last line has another digest than the lines that came")
                    );
                }
                self.end.list = end.list;
                if *end != self.end {
                    return Err(self.refuse("the last line counts otherwise than what came"));
                }
                if !self.rest_is_empty()? {
                    return Err(self.refuse("something follows the last line"));
                }
                self.is_over = true;
                return Ok(None);
            }
        }
        self.end.count(&line);
        Ok(Some(line))
    }

    /// What was counted so far.
    pub const fn counted(&self) -> End {
        self.end
    }

    /// The sha256 of what was read so far: after the end, that of the manifest.
    pub fn sha256(&self) -> Sha256 {
        Sha256::from_bytes(self.hasher.clone().finalize().into())
    }

    fn text(&mut self) -> Result<Vec<u8>, BundleError> {
        self.line += 1;
        let mut text = Vec::new();
        let limit = self.limits.line_bytes_max as u64 + 1;
        (&mut self.source)
            .take(limit)
            .read_until(b'\n', &mut text)
            .map_err(super::archive::from_io)?;
        self.hasher.update(&text);
        if text.pop() != Some(b'\n') {
            return Err(self.refuse(if text.len() as u64 >= limit - 1 {
                "it is too long"
            } else {
                "it is cut off"
            }));
        }
        Ok(text)
    }

    fn parse(&self, text: &[u8]) -> Result<Line, BundleError> {
        serde_json::from_slice(text).map_err(|error| self.refuse(&error.to_string()))
    }

    fn rest_is_empty(&mut self) -> Result<bool, BundleError> {
        let rest = self.source.fill_buf().map_err(super::archive::from_io)?;
        Ok(rest.is_empty())
    }

    fn check_trust(&mut self, item: &Item) -> Result<(), BundleError> {
        let is_trust = ["tuf/", "heliostat/"]
            .iter()
            .any(|place| item.path.as_str().starts_with(place));
        if !is_trust {
            return Err(self.refuse("the path of a trust file is `tuf/…` or `heliostat/…`"));
        }
        if self.last_name.is_some() || self.last_path.as_ref() >= Some(&item.path) {
            return Err(self.refuse("it is out of order"));
        }
        self.last_path = Some(item.path.clone());
        self.check_item(item, self.limits.document_bytes_max)?;
        if self.end.entries + self.end.in_base >= self.limits.trust_files_max {
            return Err(self.refuse("there are too many trust files"));
        }
        self.trust_bytes = self.trust_bytes.saturating_add(item.size_bytes);
        if self.trust_bytes > self.limits.trust_bytes_max {
            return Err(self.refuse(&format!(
                "the trust files have more than {} bytes together",
                self.limits.trust_bytes_max
            )));
        }
        Ok(())
    }

    fn check_name(&mut self, name: &ProjectName) -> Result<(), BundleError> {
        if self.last_name.as_ref() >= Some(name) {
            return Err(self.refuse("it is out of order"));
        }
        if self.end.projects + self.end.removed >= self.limits.projects_max {
            return Err(self.refuse("there are too many projects"));
        }
        self.last_name = Some(name.clone());
        Ok(())
    }

    fn check_project(&self, project: &Project) -> Result<(), BundleError> {
        let Project {
            name, page, parts, ..
        } = project;
        if page.path.as_str() != format!("simple/{name}/index.v1_json") {
            return Err(self.refuse("the page's path is not the project's"));
        }
        self.check_item(page, self.limits.page_bytes_max)?;
        if parts.len() > self.limits.parts_max {
            return Err(self.refuse("it has too many parts"));
        }
        if !parts.is_sorted_by(|left, right| left.path < right.path) {
            return Err(self.refuse("its parts are out of order"));
        }
        parts
            .iter()
            .try_for_each(|part| self.check_item(part, self.limits.file_bytes_max))
    }

    fn check_item(&self, item: &Item, bytes_max: u64) -> Result<(), BundleError> {
        if item.size_bytes > bytes_max {
            return Err(self.refuse(&format!(
                "`{}` has {} bytes, more than {bytes_max}",
                super::shown(item.path.as_str()),
                item.size_bytes
            )));
        }
        if item.place == Place::Base && self.header.since.is_none() {
            return Err(self.refuse("it builds on another state, which the header does not name"));
        }
        Ok(())
    }

    fn refuse(&self, reason: &str) -> BundleError {
        BundleError::Manifest {
            line: self.line,
            reason: super::shown(reason),
        }
    }
}

/// What of the first line tells the format.
#[derive(serde::Deserialize)]
struct FormatOnly {
    header: FormatField,
}

#[derive(serde::Deserialize)]
struct FormatField {
    #[serde(rename = "heliostat-bundle")]
    format: u32,
}
