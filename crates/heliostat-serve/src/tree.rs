//! The public tree as the server sees it: things with a name, opened or looked at, never written.
//!
//! Every read goes through the store; this module only gives the store's several doors one shape, so that the
//! caches have one kind of key.

use std::time::{Duration, SystemTime};

use heliostat_pypi::page::Format;
use heliostat_pypi::{ProjectName, RelPath, TreePath};
use heliostat_store::{OpenFile, PageKind, Part, RootKind, Stamp, Store, StoreError};

/// One thing in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    /// The root list.
    List(Format),
    /// A project page.
    Page(ProjectName, Format),
    /// A file or its metadata.
    File(TreePath, Part),
    /// Anything else that is public.
    Public(RelPath),
}

/// The tree, to be read.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// Whose tree it is.
    pub(crate) store: Store,
}

impl Tree {
    /// The present state of an item, without opening it.
    pub(crate) fn stamp(&self, item: &Item) -> Result<Option<Stamp>, StoreError> {
        match item {
            Item::List(format) => self.store.root_stamp(root_kind(*format)),
            Item::Page(name, format) => self.store.page_stamp(name, page_kind(*format)),
            Item::File(path, part) => self.file_stamp(path, *part),
            Item::Public(path) => self.store.public_stamp(path),
        }
    }

    fn file_stamp(&self, path: &TreePath, part: Part) -> Result<Option<Stamp>, StoreError> {
        let relative = match part {
            Part::File => path.to_string(),
            Part::Metadata => format!("{path}.metadata"),
            // A path alone does not tell where its provenance stands; such requests go by `Item::Public`.
            Part::Provenance => return Ok(None),
        };
        relative.parse().map_or(Ok(None), |relative: RelPath| {
            self.store.public_stamp(&relative)
        })
    }

    /// An item, opened.
    pub(crate) fn open(&self, item: &Item) -> Result<Option<OpenFile>, StoreError> {
        match item {
            Item::List(format) => self.store.open_root(root_kind(*format)),
            Item::Page(name, format) => self.store.open_page(name, page_kind(*format)),
            Item::File(path, part) => self.store.open_file(path, *part),
            Item::Public(path) => self.store.open_public(path),
        }
    }
}

/// When a state was written, in the whole seconds that `Last-Modified` can say.
pub(crate) fn modified_at(stamp: &Stamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(stamp.modified_seconds).unwrap_or(0))
}

const fn page_kind(format: Format) -> PageKind {
    match format {
        Format::Json => PageKind::Json,
        Format::Html => PageKind::Html,
    }
}

const fn root_kind(format: Format) -> RootKind {
    match format {
        Format::Json => RootKind::Json,
        Format::Html => RootKind::Html,
    }
}
