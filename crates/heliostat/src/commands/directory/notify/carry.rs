//! Ways to people: webhooks, signed as standardwebhooks.com has it, and mail by a program.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heliostat_directory::{Contact, Notice, Policy};
use heliostat_engine::publish::Signer;
use heliostat_pypi::Sha256;
use heliostat_trust::keys::Scheme;
use heliostat_upstream::{Upstream, UpstreamOptions};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Ways;
use crate::cli::NoticeArgs;
use crate::commands::UsageError;
use crate::commands::directory::{read_text, sign};
use crate::{program, signing, wire};

/// How long a webhook may take.
const WEBHOOK_DEADLINE: Duration = Duration::from_secs(20);
/// Characters of an address's digest in its channel's name.
const NAME_CHARS: usize = 16;

/// One way to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Channel {
    /// A signed request.
    Webhook(Url),
    /// A mail to this address.
    Mail(String),
    /// Nothing but the feed that everybody can read.
    Feed,
}

/// Every way that the options open.
pub(super) struct Carriers {
    webhooks: Vec<Url>,
    signer: Option<Signer>,
    mail: Option<Mail>,
    upstream: UpstreamOptions,
    /// What the list is called in mail.
    domain: String,
}

struct Mail {
    command: Vec<String>,
    from: Option<String>,
    /// By the digest that entries have.
    addresses: BTreeMap<String, String>,
}

impl Channel {
    /// What it is called where it is written down.
    pub(super) fn name(&self) -> String {
        let short = |text: &str| {
            Sha256::of(text.as_bytes())
                .to_hex()
                .chars()
                .take(NAME_CHARS)
                .collect::<String>()
        };
        match self {
            Self::Webhook(url) => format!("webhook:{}", short(url.as_str())),
            Self::Mail(address) => format!("mail:{}", short(&address.to_lowercase())),
            Self::Feed => "feed".to_owned(),
        }
    }
}

impl Carriers {
    pub(super) fn new(
        args: &NoticeArgs,
        list: &Path,
        (policy, ways): (&Policy, &Ways),
    ) -> anyhow::Result<Self> {
        for url in &args.webhook {
            if !matches!(url.scheme(), "http" | "https") {
                return Err(
                    UsageError(format!("`--webhook {url}` is neither http nor https")).into(),
                );
            }
        }
        let signer = args
            .webhook_key
            .as_ref()
            .map(|source| {
                let roots = || Ok(vec![sign::newest_root(list)?]);
                let passphrase = args.webhook_passphrase_file.as_deref();
                signing::signer(source, passphrase, &roots, &CancellationToken::new())
            })
            .transpose()?;
        if signer
            .as_ref()
            .is_some_and(|signer| signer.public().scheme() != Scheme::Ed25519)
        {
            return Err(UsageError(
                "`--webhook-key` is no ed25519 key, and receivers of webhooks know no other"
                    .to_owned(),
            )
            .into());
        }
        let any: Url = "https://webhook.invalid/".parse().context("an address")?;
        Ok(Self {
            webhooks: args.webhook.clone(),
            signer,
            mail: Mail::new(args)?,
            upstream: UpstreamOptions {
                ca_certificates_pem: wire::certificates(ways.cacert.as_deref())?,
                proxy: ways.proxy.clone(),
                ..UpstreamOptions::new(any, wire::default_user_agent())
            },
            domain: policy
                .own_domain
                .clone()
                .unwrap_or_else(|| "list.invalid".to_owned()),
        })
    }

    /// Ways to the keepers and to an operator; the feed where none leads to the operator.
    pub(super) fn channels_of(&self, contacts: Option<&[Contact]>) -> Vec<Channel> {
        let own: Vec<Channel> = contacts
            .unwrap_or_default()
            .iter()
            .filter_map(|contact| match contact {
                Contact::Webhook { url, .. } => {
                    self.signer.as_ref().map(|_| Channel::Webhook(url.clone()))
                }
                Contact::Email { sha256, .. } => {
                    let address = self.mail.as_ref()?.addresses.get(sha256)?;
                    Some(Channel::Mail(address.clone()))
                }
            })
            .collect();
        let keepers = self.webhooks.iter().cloned().map(Channel::Webhook);
        let feed = own.is_empty().then_some(Channel::Feed);
        let mut all: Vec<Channel> = Vec::new();
        for channel in keepers.chain(own).chain(feed) {
            if !all.contains(&channel) {
                all.push(channel);
            }
        }
        all
    }

    pub(super) async fn carry(&self, notice: &Notice, channel: &Channel) -> anyhow::Result<()> {
        match channel {
            Channel::Webhook(url) => self.post(notice, url).await,
            Channel::Mail(address) => self.mail(notice, address).await,
            Channel::Feed => Ok(()),
        }
    }

    async fn post(&self, notice: &Notice, url: &Url) -> anyhow::Result<()> {
        let signer = self
            .signer
            .as_ref()
            .context("there is no key to sign webhooks with")?;
        let body = serde_json::to_vec(notice).context("cannot write a notice as JSON")?;
        let at = wire::clock().now().to_string();
        let mut message = format!("{}.{at}.", notice.id).into_bytes();
        message.extend(&body);
        let signature = STANDARD.encode(signer.sign(&message)?.as_bytes());
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", notice.id.clone()),
            ("webhook-timestamp", at),
            ("webhook-signature", format!("v1a,{signature}")),
        ];
        let upstream = Upstream::new(UpstreamOptions {
            root: url.join("/").context("the address has no host")?,
            ..self.upstream.clone()
        })?;
        upstream.post(url, &headers, body, WEBHOOK_DEADLINE).await?;
        Ok(())
    }

    async fn mail(&self, notice: &Notice, address: &str) -> anyhow::Result<()> {
        let mail = self.mail.as_ref().context("there is no program for mail")?;
        let message = mail.message(notice, address, (&self.domain, wire::clock().now()));
        let command = mail.command.clone();
        tokio::task::spawn_blocking(move || {
            program::run(&command, message.as_bytes(), &CancellationToken::new())
        })
        .await
        .context("the program for mail was cut off")?
        .map_err(anyhow::Error::msg)?;
        Ok(())
    }
}

impl Mail {
    fn new(args: &NoticeArgs) -> anyhow::Result<Option<Self>> {
        let (Some(command), Some(path)) = (&args.mail_command, &args.mail_addresses) else {
            return Ok(None);
        };
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if command.is_empty() {
            return Err(UsageError("`--mail-command` names no program".to_owned()).into());
        }
        if let Some(from) = &args.mail_from {
            address(from).map_err(|fault| UsageError(format!("`--mail-from`: {fault}")))?;
        }
        let mut addresses = BTreeMap::new();
        for (number, line) in read_text(path)?.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            address(line).map_err(|fault| {
                UsageError(format!(
                    "`{}`, line {}: {fault}",
                    path.display(),
                    number + 1
                ))
            })?;
            let digest = Sha256::of(line.to_lowercase().as_bytes()).to_hex();
            addresses.insert(digest, line.to_owned());
        }
        Ok(Some(Self {
            command,
            from: args.mail_from.clone(),
            addresses,
        }))
    }

    /// A message of RFC 5322, in lines that end with a line feed as programs take them on stdin.
    fn message(&self, notice: &Notice, to: &str, (domain, now): (&str, i64)) -> String {
        let date = Timestamp::from_second(now)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .strftime("%a, %d %b %Y %H:%M:%S +0000");
        let from = self
            .from
            .as_ref()
            .map_or_else(String::new, |from| format!("From: {from}\n"));
        let recipient: String = Sha256::of(to.to_lowercase().as_bytes())
            .to_hex()
            .chars()
            .take(NAME_CHARS)
            .collect();
        format!(
            "{from}To: {to}\nSubject: {}\nDate: {date}\nMessage-ID: <{}.{recipient}@{domain}>\n\
             Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: 8bit\n\n{}",
            notice.subject(),
            notice.id,
            notice.text
        )
    }
}

/// Whether a text is one address and nothing that could become another header or another recipient.
fn address(text: &str) -> Result<(), String> {
    let is_plain = |char: char| char.is_ascii_graphic() && !"<>()[],;:\\\"".contains(char);
    match text.split_once('@') {
        Some((name, host))
            if !name.is_empty()
                && !host.is_empty()
                && text.len() <= 254
                && text.chars().all(is_plain)
                && !host.contains('@') =>
        {
            Ok(())
        }
        _ => Err(format!(
            "`{}` is no address like `mirror@example.edu`",
            text.escape_debug()
        )),
    }
}
