//! The command line: what can be said, and nothing of what it does.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use roster_haproxy::name::{BackendName, ServerName, TargetName};

use crate::legacy::{DIALECTS, Program};

/// Where the configuration is if nothing else is said.
pub(crate) const CONFIG: &str = "/etc/roster/roster.yaml";

/// Keeps the servers in HAProxy's backends equal to what clouds and registries say, live and without reloads.
#[derive(Debug, Parser)]
#[command(name = "roster", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep the targets until told to stop (SIGTERM, SIGINT); SIGHUP reads the configuration again
    Run(RunArgs),
    /// Bring the targets to what the sources say now, wait until HAProxy shows it, and end
    Once(OnceArgs),
    /// Show what would be done and why, and do nothing. Exit code 0: nothing, 2: something, 1: it failed
    Plan(PlanArgs),
    /// Check the configuration and whether HAProxy's sockets are fit, and show what it comes to; changes nothing
    Check(CheckArgs),
    /// Show how every target and backend is doing
    Status(StatusArgs),
    /// Say why a server is in or out, and what it waits for
    Explain(ExplainArgs),
    /// Let what a guard holds back in a backend go through, once
    Release(ReleaseArgs),
    /// Take a server back that somebody changed by hand
    Adopt(AdoptArgs),
    /// Show which spare servers backends can do without, or have them removed. Exit code 2: there are some, and nothing was
    /// done
    Compact(CompactArgs),
    /// Forget a target while no roster runs: HAProxy, its file and its servers stay as they are
    Detach(DetachArgs),
    /// Run in the place of another program, with its own options and configuration file
    As {
        #[command(subcommand)]
        program: Program,
    },
    /// Print another program's configuration as a native one
    Convert(ConvertArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, or write all of them
    Man(ManArgs),
    /// Print the version
    Version,
}

impl Command {
    /// The configuration and the folder that it is about, as they were given.
    pub(crate) fn about(&self) -> Option<(&Path, Option<&Path>)> {
        let common = match self {
            Self::Run(args) => &args.common,
            Self::Once(args) => &args.common,
            Self::Plan(args) => &args.common,
            Self::Check(args) => &args.common,
            Self::Status(args) => &args.common,
            Self::Explain(args) => &args.common,
            Self::Release(args) => &args.common,
            Self::Adopt(args) => &args.common,
            Self::Compact(args) => &args.common,
            Self::Detach(args) => &args.common,
            Self::As { program: Program { asked, .. } } => {
                return Some((&asked.config, asked.state_dir.as_deref()));
            }
            Self::Convert(_) | Self::Schema | Self::Completions { .. } | Self::Man(_) | Self::Version => {
                return None;
            }
        };
        Some((&common.config, common.state_dir.as_deref()))
    }

    /// Whether it goes on without the folder that it was started in.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self, Self::Run(_) | Self::As { .. })
    }
}

/// Where the configuration and the records are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    pub(crate) config: PathBuf,
    /// The folder for what must survive a restart of Roster; without it the configuration's own below
    /// `$XDG_STATE_HOME/roster` or `~/.local/state/roster`
    #[arg(long, value_name = "FOLDER", env = "STATE_DIRECTORY")]
    pub(crate) state_dir: Option<PathBuf>,
    /// How to write the log, whatever the configuration says
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// Which target is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct Which {
    /// The target; without it all
    #[arg(short, long, value_name = "NAME")]
    pub(crate) target: Option<TargetName>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// For machines, one object a line
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct OnceArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The longest to wait for servers to come up and connections to end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Show the exact lines for HAProxy's socket too
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DetachArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// BACKEND/SERVER, an instance's id or its address:port
    pub(crate) what: String,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The backend
    pub(crate) backend: BackendName,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Args, Debug)]
pub(crate) struct AdoptArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The server, as BACKEND/SERVER
    #[arg(value_name = "BACKEND/SERVER", value_parser = server_path)]
    pub(crate) what: (BackendName, ServerName),
    #[command(flatten)]
    pub(crate) which: Which,
}

fn server_path(text: &str) -> Result<(BackendName, ServerName), String> {
    let (backend, server) = text.split_once('/').ok_or("write BACKEND/SERVER, such as web/srv1")?;
    let backend = backend.parse::<BackendName>().map_err(|error| error.to_string())?;
    let server = server.parse::<ServerName>().map_err(|error| error.to_string())?;
    Ok((backend, server))
}

#[derive(Args, Debug)]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The backend; without it all
    pub(crate) backend: Option<BackendName>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Have the running roster remove them
    #[arg(long)]
    pub(crate) apply: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The command whose page it is; without it the page of roster itself
    pub(crate) command: Vec<String>,
    /// Write the pages of roster and of all its commands into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub(crate) into: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// Whose configuration it is
    #[arg(long, value_name = "PROGRAM", value_parser = PossibleValuesParser::new(DIALECTS.iter().map(|dialect| dialect.name)))]
    pub(crate) from: String,
    /// The configuration
    pub(crate) file: PathBuf,
}
