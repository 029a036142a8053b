//! The traffic report and notices as pages of their own: one file, no scripts, nothing from elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::notice::Notice;
use super::traffic::{BLIND, Traffic, day};

/// The days that the chart shows.
const DAYS_SHOWN: i32 = 90;

/// The most rows of a table of clients or systems.
const ROWS_MAX: usize = 20;

/// The chart's height and the width of one day, in pixels.
const CHART: (f64, f64) = (120.0, 8.0);

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1c2733;--paper:#fff;--faint:#5c6b7a;--line:#d5dce3;\
--bar:#2f6fb2;--good:#1c7c43;--bad:#b3261e}@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--paper:#14191f;\
--faint:#9aa8b5;--line:#33404d;--bar:#6aa7e8;--good:#5fcf8d;--bad:#ff8a80}}body{font:16px/1.5 system-ui,sans-serif;\
color:var(--ink);background:var(--paper);max-width:52rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem}\
h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem;overflow-wrap:anywhere}\
h3{font-size:1rem;margin:1.2rem 0 .3rem}.good{color:var(--good)}.bad{color:var(--bad)}.faint{color:var(--faint)}\
figure{margin:1rem 0;overflow-x:auto}figcaption{color:var(--faint);font-size:.9rem}svg{display:block}\
.bar{fill:var(--bar)}.axis{stroke:var(--line)}svg text{fill:var(--faint);font-size:11px}\
table{border-collapse:collapse;width:100%}td{padding:.15rem .5rem .15rem 0;vertical-align:middle}\
td.n{text-align:right;font-variant-numeric:tabular-nums;width:5rem}td.b{width:40%}td.b span{display:block;height:.7rem;\
background:var(--bar)}pre{background:color-mix(in srgb,var(--line) 40%,transparent);padding:.8rem;overflow-x:auto}";

/// The traffic of every host as one page of HTML, at `now` in seconds since 1970.
pub fn traffic_html(hosts: &BTreeMap<String, Traffic>, now: i64, days: i64) -> String {
    let mut body = format!(
        "<h1>Who still comes to retired names</h1>\n<p class=\"faint\">On {}. A name is clear when no installer came \
         for {days} days.</p>\n",
        day(now)
    );
    if hosts.is_empty() {
        body.push_str("<p>The log is empty: nobody came, or nothing was written down.</p>\n");
    }
    for (host, traffic) in hosts {
        push_host(&mut body, host, traffic, now, days);
    }
    let _infallible = write!(
        body,
        "<h2>What this cannot see</h2>\n<p>{}.</p>\n",
        escape(BLIND)
    );
    page("Traffic of retired names", &body)
}

/// Notices as one page of HTML, for mail.
pub fn notices_html(notices: &[Notice]) -> String {
    let mut body = String::new();
    for notice in notices {
        let _infallible = write!(body, "<article>\n<h1>{}</h1>\n", escape(&notice.subject));
        for paragraph in notice.body.split("\n\n").skip(1) {
            let text = escape(paragraph.trim_end());
            let _infallible = if paragraph.starts_with("    ") {
                let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
                writeln!(body, "<pre>{}</pre>", lines.join("\n"))
            } else {
                writeln!(body, "<p>{}</p>", text.trim())
            };
        }
        body.push_str("</article>\n");
    }
    if notices.is_empty() {
        body.push_str("<p>No notice is due.</p>\n");
    }
    page("Notices", &body)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n"
    )
}

fn push_host(body: &mut String, host: &str, traffic: &Traffic, now: i64, days: i64) {
    let verdict = if traffic.is_clear(now, days) {
        format!("<strong class=\"good\">Clear</strong>: no installer came for {days} days.")
    } else {
        let why = traffic.last_real.map_or_else(
            || "the log is not old enough to tell".to_owned(),
            |last| format!("an installer last came on {}", day(last)),
        );
        format!("<strong class=\"bad\">Not clear</strong>: {why}.")
    };
    let _infallible = write!(body, "<h2>{}</h2>\n<p>{verdict}</p>\n", escape(host));
    push_chart(body, traffic, now);
    push_table(body, "Clients", &traffic.clients);
    push_table(body, "Systems", &traffic.systems);
    push_table(body, "Pythons", &traffic.pythons);
    let classes = traffic
        .classes
        .iter()
        .map(|(class, count)| (class.word().to_owned(), *count))
        .collect();
    push_table(body, "What is asked for", &classes);
    let _infallible = writeln!(
        body,
        "<p class=\"faint\">{} in the clear; {} of installers in CI; {} different addresses, where they are kept.</p>",
        traffic.in_the_clear, traffic.from_ci, traffic.addresses
    );
}

/// Requests of installers day by day, as bars.
fn push_chart(body: &mut String, traffic: &Traffic, now: i64) {
    let today =
        Timestamp::from_second(now).map_or(Date::MIN, |time| time.to_zoned(TimeZone::UTC).date());
    let days: Vec<(Date, u64)> = (0..DAYS_SHOWN)
        .rev()
        .map(|before| {
            let day = today.saturating_sub(before.days());
            (
                day,
                traffic.days.get(&day.to_string()).copied().unwrap_or(0),
            )
        })
        .collect();
    let most = days.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let (height, step) = CHART;
    let width = step * f64::from(DAYS_SHOWN) + 60.0;
    let _infallible = write!(
        body,
        "<figure>\n<svg width=\"{width}\" height=\"{}\" role=\"img\" aria-label=\"Requests of installers by day, at \
         most {most}\">\n<line class=\"axis\" x1=\"0\" y1=\"{height}\" x2=\"{}\" y2=\"{height}\"/>\n",
        height + 20.0,
        width - 60.0
    );
    for (index, (day, count)) in days.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
        let x = step * f64::from(u32::try_from(index).unwrap_or(0));
        let tall = (height - 14.0) * share(*count, most);
        let _infallible = writeln!(
            body,
            "<rect class=\"bar\" x=\"{x}\" y=\"{:.1}\" width=\"{}\" height=\"{tall:.1}\"><title>{day}: \
             {count}</title></rect>",
            height - tall,
            step - 2.0
        );
    }
    let first = days
        .first()
        .map(|(day, _)| day.to_string())
        .unwrap_or_default();
    let _infallible = write!(
        body,
        "<text x=\"0\" y=\"{0}\">{first}</text>\n<text x=\"{1}\" y=\"{0}\" text-anchor=\"end\">{today}</text>\n\
         <text x=\"{2}\" y=\"14\">max {most}</text>\n</svg>\n<figcaption>Requests of installers, the last {DAYS_SHOWN} \
         days</figcaption>\n</figure>\n",
        height + 15.0,
        width - 60.0,
        width - 54.0
    );
}

fn push_table(body: &mut String, title: &str, counts: &BTreeMap<String, u64>) {
    if counts.is_empty() {
        return;
    }
    let mut rows: Vec<(&String, u64)> = counts.iter().map(|(name, count)| (name, *count)).collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let most = rows.first().map_or(0, |(_, count)| *count);
    let _infallible = write!(body, "<h3>{title}</h3>\n<table>\n");
    for (name, count) in rows.iter().take(ROWS_MAX) {
        let _infallible = writeln!(
            body,
            "<tr><td>{}</td><td class=\"n\">{count}</td><td class=\"b\"><span style=\"width:{:.1}%\"></span></td></tr>",
            escape(name),
            100.0 * share(*count, most)
        );
    }
    body.push_str("</table>\n");
    if rows.len() > ROWS_MAX {
        let _infallible = writeln!(
            body,
            "<p class=\"faint\">and {} more</p>",
            rows.len() - ROWS_MAX
        );
    }
}

/// A count as a part of the largest, for lengths of bars.
#[expect(
    clippy::cast_precision_loss,
    reason = "pixels need no more than a double has"
)]
fn share(count: u64, most: u64) -> f64 {
    if most == 0 {
        0.0
    } else {
        count as f64 / most as f64
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retire::RollUp;

    #[test]
    fn a_page_shows_the_days_and_takes_nothing_from_elsewhere() {
        let mut roll_up = RollUp::default();
        for at in [86_400, 86_401, 10 * 86_400] {
            roll_up.add(&format!(
                "{{\"at\":{at},\"host\":\"old.example<b>\",\"class\":\"simple\",\"client\":\"pip/26.3\",\
                 \"encrypted\":true,\"address\":\"\",\"status\":301,\"python\":\"3.13\"}}"
            ));
        }
        let (hosts, unread) = roll_up.end();
        assert_eq!(unread, 0);
        let html = traffic_html(&hosts, 20 * 86_400, 30);
        for part in [
            "old.example&lt;b&gt;",
            "1970-01-02: 2</title>",
            "1970-01-11: 1</title>",
            "Not clear",
            "pip/26.3",
            "3.13",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        for part in ["<b>", "<script", "http", "url(", "src="] {
            assert!(!html.contains(part), "{part} in {html}");
        }
    }
}
