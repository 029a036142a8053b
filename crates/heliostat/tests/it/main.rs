//! The program as people run it: real processes over real sockets and real directories, with a PyPI on loopback
//! that misbehaves on demand, and real pip, uv, poetry, pdm, bandersnatch, nginx and chromium.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at data directories and damage them, and end where something is not as they made it"
)]

mod adopt_trees;
mod adopt_world;
mod alpha_app;
mod attack_board;
mod bundle_carry;
mod bundle_claims;
mod bundle_delta;
mod bundle_notaries;
mod bundle_proof;
mod bundle_refuse;
mod bundle_word;
mod bundle_world;
mod clients_install;
mod clients_page;
mod clients_tree;
mod config_settings;
mod config_words;
mod directory_evidence;
mod directory_exports;
mod directory_fleet;
mod directory_keep;
mod directory_manners;
mod directory_notify;
mod directory_part;
mod directory_people;
mod directory_probe;
mod directory_publish;
mod directory_receipts;
mod directory_redirect;
mod directory_score;
mod directory_sign;
mod directory_signed;
mod exec_installs;
mod http;
mod installers;
mod lock_origin;
mod migrate_apply;
mod migrate_clients;
mod migrate_files;
mod migrate_judges;
mod migrate_options;
mod migrate_redirect;
mod migrate_retire;
mod migrate_story;
mod mirror_about;
#[cfg(feature = "directory")]
mod mirrors_command;
mod notary_downstream;
mod notary_keys;
mod notary_others;
mod notary_rebin;
mod notary_rotation;
mod notary_sign;
mod notary_signer;
mod notary_world;
mod other_clients;
mod proxy_answers;
mod proxy_attestations;
#[cfg(feature = "directory")]
mod proxy_failover;
#[cfg(feature = "directory")]
mod proxy_hosts;
mod proxy_install;
#[cfg(feature = "directory")]
mod proxy_list;
#[cfg(feature = "directory")]
mod published_list;
mod serve_files;
mod serve_operate;
mod serve_pages;
mod serve_shared;
mod server_signature;
mod setup;
mod signed_world;
mod sync_attestations;
mod sync_chain;
mod sync_changes;
mod sync_damage;
mod sync_deps;
mod sync_faults;
mod sync_report;
mod sync_requirements;
mod sync_select;
mod sync_sources;
mod sync_stale;
mod sync_stop;
mod sync_stranger;
mod sync_upstreams;
mod sync_world;
mod trust_ceremony;
mod trust_compare;
mod trust_init;
mod trust_steps;
mod trust_told;
mod trust_trusted_root;
mod trust_verify;
mod tuf_simulator;
mod verify_find;
mod verify_repair;
mod world;
