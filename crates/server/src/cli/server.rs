//! `batchyard server`: the flags, nothing else.
//!
//! Never here: settings files, variables, defaults and starting; whoever runs the server merges these flags over them.

use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run the server on this machine.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  batchyard server
  batchyard server --listen 127.0.0.1:9750 --data-dir ./data
  batchyard server --config /etc/batchyard.toml --region eu-west-1 --account 123456789012

Every flag may also stand in the settings file and in a BATCHYARD_* variable; a flag goes before a variable, a variable
before the file. Without --region the region is that of the settings; AWS_REGION is for clients.")]
pub struct ServerFlags {
    /// Address and port to listen on [default: 127.0.0.1:9740]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Account id that ARNs carry, 12 digits
    #[arg(long, value_parser = account)]
    pub account: Option<String>,
    /// Offer the image `host`: this machine's own root as a read-only lower layer
    #[arg(long)]
    pub host_image: bool,
    /// Allow plain HTTP on an address other than loopback
    #[arg(long)]
    pub allow_plain_http: bool,
    /// Data folder; filled from the flag that all commands have
    #[arg(skip)]
    pub data_dir: Option<PathBuf>,
    /// Region; filled from the flag that all commands have
    #[arg(skip)]
    pub region: Option<String>,
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_string())
    } else {
        Err("an account id has 12 digits".into())
    }
}
