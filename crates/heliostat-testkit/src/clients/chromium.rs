//! A real browser, to see pages as people do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{DebianPackage, Skip};
use crate::process::{Finished, Invocation};

/// Headless chromium.
#[derive(Debug)]
pub struct Chromium {
    program: PathBuf,
}

/// The size of the window, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewport {
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Viewport {
    /// A desk.
    pub const DESKTOP: Self = Self {
        width: 1280,
        height: 900,
    };
    /// A hand.
    pub const PHONE: Self = Self {
        width: 390,
        height: 844,
    };
}

impl Chromium {
    /// The installed one.
    ///
    /// # Errors
    /// [`Skip`] where there is none.
    pub fn find() -> Result<Self, Skip> {
        Ok(Self {
            program: DebianPackage::Chromium.find()?,
        })
    }

    /// Takes a picture of a page into a PNG file.
    pub fn screenshot(&self, url: &str, png: &Path, viewport: Viewport) -> Finished {
        let png = std::path::absolute(png).expect("a file has a path");
        let size = format!("--window-size={},{}", viewport.width, viewport.height);
        let picture = format!("--screenshot={}", png.display());
        self.run(&[&size, "--hide-scrollbars", &picture, url])
    }

    /// The document after scripts, on stdout.
    pub fn dump(&self, url: &str) -> Finished {
        self.run(&["--dump-dom", url])
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        Invocation::new(&self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(arguments)
            .env("HOME", profile.path())
            .patience(Duration::from_mins(1))
            .run()
    }
}
