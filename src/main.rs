//! The command `mailgrant`.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Files are ours alone (SEC-9), and what is in memory does not end in a core dump (SEC-10). Where that can't be had, we go on.
    umask(rustix::fs::Mode::from_bits_truncate(0o077));
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Two providers could be compiled in by an unlucky feature; this is the one that is meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(mailgrant::cli::main()),
        Err(error) => {
            eprintln!("error: the runtime can't be started: {error}");
            ExitCode::from(1)
        }
    }
}
