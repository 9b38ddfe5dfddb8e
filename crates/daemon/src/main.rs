//! Roster: keeps the servers in HAProxy's backends equal to what clouds and registries say, live and without reloads.

mod admin;
mod api_file;
mod claims;
mod cli;
mod clock;
mod commands;
mod compaction;
mod events;
mod exit;
mod folder;
mod hint;
mod hub;
mod keeper;
mod legacy;
mod lock;
mod manual;
mod metrics;
mod names;
mod orders;
mod overview;
mod own;
mod planned;
mod state_dir;
mod store;
mod supervise;
mod telemetry;
mod wiring;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use roster_config::native::Log;

use cli::{Cli, Command};
use commands::print;
use exit::{Exit, Failure, USAGE};

/// glibc's own is slower, and keeps what a burst needed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let cli = match legacy::cli(&words) {
        Ok(cli) => cli,
        Err(error) => {
            let asked = !error.use_stderr();
            drop(error.print());
            let usage = legacy::usage(&words).unwrap_or(USAGE);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(usage) };
        }
    };
    match start(cli) {
        Ok(exit) => exit.into(),
        Err(Failure::Usage(text)) => {
            print::err(&text);
            ExitCode::from(USAGE)
        }
        Err(Failure::Other(error)) => {
            print::err(&format!("roster: {}", events::chain(error.as_ref())));
            ExitCode::from(1)
        }
    }
}

/// Lets the commands that messages suggest mean the configuration and the folder of this one.
fn set_hints(command: &Command) {
    if let Some((config, state_dir)) = command.about() {
        // A log is read in another folder.
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let config = if command.goes_on() { whole(config) } else { config.to_owned() };
        hint::set(&config, state_dir.map(whole).as_deref());
    }
}

fn start(cli: Cli) -> Result<Exit, Failure> {
    set_hints(&cli.command);
    // One thread is enough: almost all of Roster's time is spent waiting.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::from)?;
    let quiet = Log { level: roster_config::native::LogLevel::Warn, ..Log::default() };
    match cli.command {
        Command::Run(args) => runtime.block_on(commands::run::run(&args.common.into())),
        Command::Once(args) => {
            telemetry::start(Log::default(), args.common.log_format);
            let limit = Duration::from_secs(args.timeout);
            runtime.block_on(commands::once::once(&args.common.into(), limit))
        }
        Command::Plan(args) => {
            telemetry::start(quiet, args.common.log_format);
            runtime.block_on(commands::plan::plan(&args))
        }
        Command::Check(args) => runtime.block_on(commands::check::check(&args)),
        Command::Status(args) => {
            telemetry::start(quiet, args.common.log_format);
            runtime.block_on(commands::status::status(&args))
        }
        Command::Explain(args) => {
            telemetry::start(quiet, args.common.log_format);
            runtime.block_on(commands::explain::explain(&args))
        }
        Command::Release(args) => {
            telemetry::start(quiet, args.common.log_format);
            runtime.block_on(commands::release::release(&args))
        }
        Command::Adopt(args) => {
            telemetry::start(quiet, args.common.log_format);
            runtime.block_on(commands::adopt::adopt(&args))
        }
        Command::Compact(args) => {
            telemetry::start(quiet, args.common.log_format);
            runtime.block_on(commands::compact::compact(&args))
        }
        Command::Detach(args) => commands::detach::detach(&args),
        Command::As { program } => legacy::run(&program, &runtime),
        Command::Convert(args) => commands::convert::convert(&args),
        Command::Schema => schema(),
        Command::Completions { shell } => completions(shell),
        Command::Man(args) => manual::manual(&args),
        Command::Version => text(&format!("roster {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn schema() -> Result<Exit, Failure> {
    let schema = serde_json::to_string_pretty(&roster_config::native::schema());
    text(&(schema.map_err(anyhow::Error::from)? + "\n"))
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "roster", &mut script);
    text(&String::from_utf8_lossy(&script))
}

fn text(text: &str) -> Result<Exit, Failure> {
    print::out(text).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}
