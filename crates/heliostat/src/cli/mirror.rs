//! Options that say who runs a mirror.

use clap::Args;
use heliostat_engine::about::Operator;
use url::Url;

/// What `/.well-known/heliostat-mirror.json` tells of who runs the mirror.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mirror")]
pub(crate) struct MirrorArgs {
    /// Tell in /.well-known/heliostat-mirror.json who runs this mirror; remembered until another is given, or none with ""
    #[arg(long, value_name = "NAME", value_parser = text)]
    pub(crate) operator: Option<String>,
    /// Tell there, and in requests to the upstream, how to reach them; remembered likewise
    #[arg(long, value_name = "TEXT", value_parser = text)]
    pub(crate) contact: Option<String>,
    /// Tell there under which address the tree is found; remembered likewise
    #[arg(long, value_name = "URL", value_parser = address)]
    pub(crate) public_url: Option<String>,
}

impl MirrorArgs {
    /// As the engine has it.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            name: self.operator.clone(),
            contact: self.contact.clone(),
            url: self.public_url.clone(),
        }
    }
}

fn text(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length > Operator::CHARS_MAX || text.chars().any(char::is_control) {
        let most = Operator::CHARS_MAX;
        return Err(format!("one line of at most {most} characters is meant"));
    }
    Ok(text.to_owned())
}

fn address(typed: &str) -> Result<String, String> {
    let typed = text(typed)?;
    if typed.is_empty() {
        return Ok(typed);
    }
    let url: Url = typed
        .parse()
        .map_err(|error: url::ParseError| error.to_string())?;
    let is_public = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none();
    if is_public {
        Ok(url.into())
    } else {
        Err("an http or https address without credentials is meant".to_owned())
    }
}
