//! Orders to an index in words, one a line, so that a person can have it misbehave by hand. Owns the words; what they
//! do is [`FakePyPi`]'s.

use std::str::FromStr;

use super::{FakePyPi, Fault, Gzip, Kind, Lack, Rule, Truncation};
use crate::universe::{Quarantine, Release};

/// What may be said, for a person who asks.
pub const HELP: &str = "\
fault WORD[=VALUE] [on=KIND] [project=NAME] [path=TEXT] [first=N] [first-per-path=N] [share=PER_MILLE] [unless-no-cache]
  faults: status=503 retry-after=429:1 hang stall=BYTES slow=BYTES_PER_SECOND cut cut-cleanly cut-length corrupt reset
          reset-after=BYTES endless redirect-loop redirect=URL content-type=TYPE gzip gzip-label ignore-range
          shift-range stale serial=OFFSET page-of=NAME html
  kinds:  list page file metadata provenance legacy
behave                          no faults any more
lack WHAT…                      json hashes sizes upload-times metadata provenance serials etags ranges
release NAME VERSION            a wheel and an sdist
yank NAME VERSION REASON        unyank NAME VERSION
delete NAME [VERSION]           delete-file NAME FILE           rename OLD NEW
quarantine NAME empty|unlisted|gone                              restore NAME
status NAME STATUS [REASON]     stop    start    count          requests since the last count, by kind";

impl FakePyPi {
    /// Carries out one line. The answer is what there is to tell; an error says which word is not understood.
    pub fn order(&self, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["help"] => return Ok(HELP.to_owned()),
            ["fault", words @ ..] => {
                self.misbehave(rule(words)?);
            }
            ["behave"] => self.behave(),
            ["lack", lacks @ ..] => {
                let lacks: Result<Vec<Lack>, String> =
                    lacks.iter().map(|word| lack(word)).collect();
                self.set_lacks(lacks?);
            }
            ["stop"] => self.stop(),
            ["start"] => self.start(),
            ["count"] => return Ok(self.count_in_words()),
            words => self.change(words)?,
        }
        Ok("done".to_owned())
    }

    fn change(&self, words: &[&str]) -> Result<(), String> {
        if let [_, name, ..] = words
            && words[0] != "release"
            && self.universe().project(name).is_none()
        {
            return Err(format!("there is no project `{name}`"));
        }
        match words {
            ["release", name, version] => self.add_release(name, &Release::simple(version)),
            ["yank", name, version, reason @ ..] => self.yank(name, version, &reason.join(" ")),
            ["unyank", name, version] => self.unyank(name, version),
            ["delete", name] => self.delete_project(name),
            ["delete", name, version] => self.delete_release(name, version),
            ["delete-file", name, file] => self.delete_file(name, file),
            ["rename", old, new] => self.rename(old, new),
            ["quarantine", name, "empty"] => self.quarantine(name, Quarantine::Status),
            ["quarantine", name, "unlisted"] => self.quarantine(name, Quarantine::Unlisted),
            ["quarantine", name, "gone"] => self.quarantine(name, Quarantine::PageGone),
            ["restore", name] => self.restore(name),
            ["status", name, status] => self.set_status(name, status, None),
            ["status", name, status, reason @ ..] => {
                self.set_status(name, status, Some(&reason.join(" ")));
            }
            _ => return Err(format!("`{}` is no order; try help", words.join(" "))),
        }
        Ok(())
    }

    fn count_in_words(&self) -> String {
        let counts = Kind::ALL.map(|kind| format!("{kind:?}={}", self.count(kind)));
        self.clear_log();
        counts.join(" ").to_lowercase()
    }
}

/// A fault and what it befalls.
fn rule(words: &[&str]) -> Result<Rule, String> {
    let [first, rest @ ..] = words else {
        return Err("fault: which?".to_owned());
    };
    let mut rule = Rule::new(fault(first)?);
    for word in rest {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        rule = match key {
            "on" => rule.on(kind(value)?),
            "project" => rule.project(value),
            "path" => rule.path(value),
            "first" => rule.first(number(word, value)?),
            "first-per-path" => rule.first_per_path(number(word, value)?),
            "share" => rule.path_share(number(word, value)?, 1),
            "unless-no-cache" => rule.unless_no_cache(),
            _ => return Err(format!("`{word}` is no part of a fault; try help")),
        };
    }
    Ok(rule)
}

fn fault(word: &str) -> Result<Fault, String> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    Ok(match key {
        "status" => Fault::Status(number(word, value)?),
        "retry-after" => {
            let (status, wait) = value.split_once(':').unwrap_or((value, "1"));
            Fault::RetryAfter(number(word, status)?, wait.to_owned())
        }
        "hang" => Fault::Hang,
        "stall" => Fault::StallAfter(number(word, value)?),
        "slow" => Fault::SlowBytesPerSecond(number(word, value)?),
        "cut" => Fault::Truncate(Truncation::LengthKnown),
        "cut-cleanly" => Fault::Truncate(Truncation::Chunked),
        "cut-length" => Fault::Truncate(Truncation::ShortLength),
        "corrupt" => Fault::Corrupt,
        "reset" => Fault::Reset,
        "reset-after" => Fault::ResetAfter(number(word, value)?),
        "endless" => Fault::Endless,
        "redirect-loop" => Fault::RedirectLoop,
        "redirect" => Fault::RedirectTo(value.to_owned()),
        "content-type" => Fault::ContentType(value.to_owned()),
        "gzip" => Fault::Gzip(Gzip::Encoded),
        "gzip-label" => Fault::Gzip(Gzip::LabelOnly),
        "ignore-range" => Fault::IgnoreRange,
        "shift-range" => Fault::ShiftRange,
        "stale" => Fault::Stale,
        "serial" => Fault::SerialOffset(number(word, value)?),
        "page-of" => Fault::PageOf(value.to_owned()),
        "html" => Fault::Html,
        _ => return Err(format!("`{word}` is no fault; try help")),
    })
}

fn kind(word: &str) -> Result<Kind, String> {
    let named = |kind: &Kind| format!("{kind:?}").eq_ignore_ascii_case(word);
    let kind = Kind::ALL.into_iter().find(named);
    kind.ok_or_else(|| format!("`{word}` is no kind of request; try help"))
}

fn lack(word: &str) -> Result<Lack, String> {
    Ok(match word {
        "json" => Lack::Json,
        "hashes" => Lack::Hashes,
        "sizes" => Lack::Sizes,
        "upload-times" => Lack::UploadTimes,
        "metadata" => Lack::Metadata,
        "provenance" => Lack::Provenance,
        "serials" => Lack::Serials,
        "etags" => Lack::Etags,
        "ranges" => Lack::Ranges,
        _ => return Err(format!("`{word}` is nothing that can lack; try help")),
    })
}

fn number<N: FromStr>(word: &str, value: &str) -> Result<N, String> {
    let parsed = value.parse();
    parsed.map_err(|_| format!("`{word}`: a number is needed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universe::Universe;

    #[test]
    fn orders_change_what_is_served_and_wrong_words_are_told() {
        let mut universe = Universe::new();
        universe.add_project("alpha", &[Release::simple("1.0")]);
        let pypi = FakePyPi::serve(universe);
        for order in [
            "",
            "help",
            "release beta 1.0",
            "yank alpha 1.0 broken for all",
            "fault status=503 on=page project=beta first=2",
            "fault retry-after=429:1 share=50",
            "lack json etags",
            "stop",
            "start",
            "delete beta",
        ] {
            assert!(pypi.order(order).is_ok(), "{order}");
        }
        let universe = pypi.universe();
        let alpha = universe.project("alpha").unwrap();
        let yanks = alpha
            .offered()
            .iter()
            .map(|file| format!("{:?}", file.yanked));
        assert!(
            yanks
                .into_iter()
                .all(|yank| yank.contains("broken for all"))
        );
        assert!(
            universe
                .project("beta")
                .is_none_or(|beta| !beta.is_listed())
        );
        assert_eq!(pypi.state().rules.len(), 2);
        pypi.order("behave").unwrap();
        assert!(pypi.state().rules.is_empty());
        assert!(pypi.order("count").unwrap().starts_with("list=0 page=0"));
        for order in [
            "falt hang",
            "fault hung",
            "fault status=x",
            "fault hang on=pages",
            "fault hang alway",
            "lack everything",
            "delete nobody",
            "quarantine alpha half",
        ] {
            assert!(pypi.order(order).is_err(), "{order}");
        }
    }
}
