//! The command `mailgrant`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers could be compiled in by an unlucky feature; this is the one that is meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    mailgrant::cli::main().await
}
