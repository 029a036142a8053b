//! `heliostat migrate traffic report`: who still comes to retired names.

use heliostat_migrate::retire;

use super::redirect::read_log;
use crate::cli::MigrateTrafficCommand;
use crate::outcome::Outcome;
use crate::{reporter, wire};

pub(super) fn run(command: &MigrateTrafficCommand) -> anyhow::Result<Outcome> {
    let MigrateTrafficCommand::Report(args) = command;
    let (hosts, unread) = read_log(&args.visits)?;
    let now = wire::clock().now();
    if args.json {
        reporter::json_line(&hosts);
    } else if args.html {
        reporter::print(&retire::traffic_html(&hosts, now, args.clear_days));
    } else {
        reporter::print(&retire::traffic_text(&hosts, now, args.clear_days));
    }
    if unread > 0 {
        reporter::talk(&format!("{unread} lines of the log are no visits"));
    }
    if hosts.is_empty() {
        reporter::talk(
            "no visit to a retired name is in the log: it cannot tell whether one can go",
        );
    }
    let clear = !hosts.is_empty()
        && hosts
            .values()
            .all(|traffic| traffic.is_clear(now, args.clear_days));
    Ok(if clear {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}
