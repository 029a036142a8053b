//! The list of mirrors of a proxy: taken when it starts, looked at again while it runs. Who is on it is certain, how they
//! do is a hint.
//!
//! `heliostat-client` verifies and keeps the documents and asks the mirrors; what the documents say is read here.

mod addresses;
mod candidates;
mod rules;

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context as _;
use heliostat_client::{
    Client, ClientError, ClientOptions, Clock, ErrorKind, ListOptions, ListPlace, Listing,
    VerifiedList,
};
use heliostat_directory::{MirrorList, StatusList};
use jiff::Timestamp;
use url::Url;

pub(crate) use rules::MirrorRule;

use addresses::Addresses;
use candidates::{Chosen, Rules};

use crate::cli::{MirrorListArgs, TreePlace};
use crate::commands::UsageError;
use crate::{render, wire};

/// How often a newer list is looked for, where nobody says otherwise.
pub(crate) const INTERVAL_SECONDS: u64 = 1_800;
/// With fewer operators than this on it a list is said to be short.
const OPERATORS_MIN: usize = 3;

/// The options as they are typed.
pub(crate) fn words(args: &MirrorListArgs) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for place in &args.directory {
        let place = match place {
            TreePlace::Directory(folder) => folder.as_os_str().to_owned(),
            TreePlace::Mirror(url) => url.as_str().into(),
        };
        words.extend(["--directory".into(), place]);
    }
    if let Some(root) = &args.directory_root {
        words.extend(["--directory-root".into(), root.as_os_str().to_owned()]);
    }
    if args.directory_interval != INTERVAL_SECONDS {
        let seconds = args.directory_interval.to_string();
        words.extend(["--directory-interval".into(), seconds.into()]);
    }
    for (option, rules) in [
        ("--mirrors-only", &args.mirrors_only),
        ("--mirrors-never", &args.mirrors_never),
    ] {
        for rule in rules {
            words.extend([option.into(), rule.to_string().into()]);
        }
    }
    words
}

/// A list that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    listing: Listing,
    args: MirrorListArgs,
    clock: Clock,
    /// The mirrors that the user gave.
    others: Vec<Url>,
}

impl Watched {
    /// What the options ask for; nothing without `--directory`.
    pub(crate) fn of(
        args: &MirrorListArgs,
        options: &ClientOptions,
    ) -> anyhow::Result<Option<Self>> {
        if args.directory.is_empty() {
            return Ok(None);
        }
        let Some(root) = &args.directory_root else {
            return Err(UsageError(
                "`--directory-root` is missing: the root that the keepers of the list gave you; it is not the notary's"
                    .to_owned(),
            )
            .into());
        };
        let listing = Listing::open(
            ListOptions {
                root: wire::read_small(root).with_context(|| {
                    format!("cannot read `--directory-root` `{}`", root.display())
                })?,
                root_name: root.display().to_string(),
                notary_root: options.root.clone(),
                places: args
                    .directory
                    .iter()
                    .map(|place| match place {
                        TreePlace::Directory(folder) => ListPlace::Folder(folder.clone()),
                        TreePlace::Mirror(url) => ListPlace::Server(url.clone()),
                    })
                    .collect(),
                transport: options.mirrors.transport.clone(),
                directory: options.directory.join("directory"),
                limits: options.limits.clone(),
            },
            wire::clock(),
        )?;
        Ok(Some(Self {
            listing,
            args: args.clone(),
            clock: wire::clock(),
            others: options.mirrors.mirrors.clone(),
        }))
    }

    /// What a list comes to.
    async fn read(&self, list: &VerifiedList) -> anyhow::Result<Read> {
        let refused = |reason: String| ClientError::List {
            place: list.from.clone(),
            reason,
        };
        let mirrors: MirrorList = serde_json::from_slice(&list.mirrors)
            .map_err(|error| refused(format!("v1/mirrors.json cannot be read: {error}")))?;
        let mut no_status = list.no_status.clone();
        let status = list.status.as_deref().and_then(|bytes| {
            let read = serde_json::from_slice::<StatusList>(bytes);
            read.map_err(|error| {
                no_status = Some(format!("v1/status.json cannot be read: {error}"));
            })
            .ok()
        });
        let args = &self.args;
        let mut rules = args.mirrors_only.iter().chain(&args.mirrors_never);
        let addresses = if rules.any(MirrorRule::is_about_addresses) {
            Addresses::look_up(&mirrors).await
        } else {
            Addresses::default()
        };
        let rules = Rules {
            only: &args.mirrors_only,
            never: &args.mirrors_never,
            addresses: &addresses,
        };
        let now = Timestamp::from_second(self.clock.now())?;
        Ok(Read {
            chosen: candidates::choose(&mirrors, status.as_ref(), rules, now),
            no_status,
        })
    }

    /// Takes the list for the first time and gives its mirrors to the client. A list that is refused is an error; one
    /// that cannot be had is none where other mirrors were given.
    pub(crate) async fn begin(self, client: &Client) -> anyhow::Result<Watching> {
        let has_others = !self.others.is_empty();
        let mut watching = Watching {
            watched: self,
            held: None,
            carriers: Vec::new(),
        };
        // Those of the last time may have it where its own place has not.
        if let Some(kept) = watching.watched.listing.kept_list().await
            && let Ok(read) = watching.watched.read(&kept).await
        {
            watching.carriers = read.chosen.carriers();
        }
        match watching.take().await {
            Ok(list) => {
                if let Some(refusal) = watching.use_list(client, list).await?
                    && !has_others
                {
                    return Err(UsageError(format!(
                        "there is no mirror to ask: {refusal}; change `--mirrors-only` and `--mirrors-never`, or give \
                         `--mirror`"
                    ))
                    .into());
                }
            }
            Err(error) if error.kind() == ErrorKind::Outage && has_others => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the list of mirrors cannot be had; those of `--mirror` are used, and it is looked for again"
                );
                let notes = vec![format!("list of mirrors: {error}")];
                client.list(&[], None, notes)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(watching)
    }
}

/// What a list comes to.
struct Read {
    chosen: Chosen,
    /// Why it is not known how mirrors do, where it is not.
    no_status: Option<String>,
}

/// A list that is watched and was looked at.
#[derive(Debug)]
pub(crate) struct Watching {
    watched: Watched,
    held: Option<VerifiedList>,
    /// Listed mirrors that may be asked for the list.
    carriers: Vec<Url>,
}

impl Watching {
    /// Looks for a newer list again and again. What was believed is used until its time is over.
    pub(crate) async fn go_on(mut self, client: &Client) {
        loop {
            tokio::time::sleep(self.pause()).await;
            let outcome = match self.take().await {
                Ok(list) => self
                    .use_list(client, list)
                    .await
                    .map(|_refusal| ())
                    .map_err(|error| format!("{error:#}")),
                Err(error) => self.without_news(client, &error),
            };
            if let Err(error) = outcome {
                tracing::warn!(error, "the list of mirrors cannot be renewed");
            }
        }
    }

    /// The newest list there is to have.
    async fn take(&self) -> Result<VerifiedList, ClientError> {
        let now = self.watched.clock.now();
        let turn = now.unsigned_abs() / self.watched.args.directory_interval.max(1);
        let asked = candidates::carriers(&self.watched.others, &self.carriers, turn);
        self.watched.listing.take(&asked).await
    }

    /// Until the next look: sooner where the list's time ends before.
    fn pause(&self) -> Duration {
        let interval = Duration::from_secs(self.watched.args.directory_interval);
        let Some(held) = &self.held else {
            return interval;
        };
        let left = held
            .expires
            .as_second()
            .saturating_sub(self.watched.clock.now());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0).saturating_add(1));
        interval.min(left.max(Duration::from_secs(1)))
    }

    fn without_news(&mut self, client: &Client, error: &ClientError) -> Result<(), String> {
        let now = self.watched.clock.now();
        let told = format!("list of mirrors: {error}");
        match &self.held {
            Some(held) if held.expires.as_second() > now => {
                Err(format!("{told}; the one from before is used"))
            }
            _ => {
                self.held = None;
                // Nobody answers any more for whom it named.
                self.carriers.clear();
                let refusal = Some(format!("{error}"));
                client
                    .list(&[], refusal, vec![told.clone()])
                    .map_err(|error| error.to_string())?;
                Err(told)
            }
        }
    }

    /// Gives the list's mirrors to the client. Answers why nobody of it can be asked, where nobody can.
    async fn use_list(
        &mut self,
        client: &Client,
        list: VerifiedList,
    ) -> anyhow::Result<Option<String>> {
        let Read { chosen, no_status } = self.watched.read(&list).await?;
        let mut notes = Vec::new();
        let count = chosen.candidates.len();
        notes.push(format!(
            "list of mirrors: {}, in force until {}; {} of {} may be used",
            list.from,
            list.expires,
            count,
            render::plural((count + chosen.left_out.len()) as u64, "endpoint"),
        ));
        if let Some(reason) = &no_status {
            notes.push(format!(
                "how they do is not known ({reason}): they are ranked by what is measured here"
            ));
        }
        let plain = count - chosen.signed().count();
        if plain > 0 {
            notes.push(format!(
                "{plain} of them {} no signed tree and {} asked for files only",
                if plain == 1 { "carries" } else { "carry" },
                if plain == 1 { "is" } else { "are" },
            ));
        }
        if chosen.operators < OPERATORS_MIN && count > 0 {
            notes.push(format!(
                "they are run by {} only: whoever runs them sees all that is installed, and can hold back together; \
                 {OPERATORS_MIN} or more are better",
                render::plural(chosen.operators as u64, "operator")
            ));
        }
        let is_signed = chosen.signed().next().is_some();
        let refusal = (!is_signed).then(|| {
            let plain = (chosen.candidates.iter())
                .filter_map(|candidate| candidate.id.clone())
                .map(|id| (id, "it has files only, and no signed tree".to_owned()));
            let left_out = chosen.left_out.iter().cloned().chain(plain).take(5);
            let reasons: Vec<String> = left_out
                .map(|(id, reason)| format!("{id}: {reason}"))
                .collect();
            format!(
                "the list at {} leaves none ({})",
                list.from,
                reasons.join("; ")
            )
        });
        client.list(&chosen.candidates, refusal.clone(), notes.clone())?;
        self.carriers = chosen.carriers();
        let is_news = self
            .held
            .as_ref()
            .is_none_or(|held| held.version != list.version || held.no_status != list.no_status);
        if is_news {
            for passed_over in &list.passed_over {
                tracing::warn!(reason = passed_over, "a list of mirrors was passed over");
            }
            for note in &notes {
                tracing::info!("{note}");
            }
            for (id, reason) in &chosen.left_out {
                tracing::debug!(id, reason, "a listed mirror is not used");
            }
        }
        self.held = Some(list);
        Ok(refusal)
    }
}
