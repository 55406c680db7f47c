//! Files of `static/`, embedded. Their addresses hold a hash over all of them, so browsers may keep them for ever; a wrong hash or
//! name is a 404 and stays one (HDR-5).

use super::error::PageError;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "static"]
struct Files;

/// The hash in the addresses: 12 hexadecimal digits over names and contents.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for name in names {
        context.update(name.as_bytes());
        if let Some(file) = Files::get(&name) {
            context.update(&file.metadata.sha256_hash());
        }
    }
    crate::random::hex(&context.finish().as_ref()[..6])
});

/// The address of a file: `asset("app.css")`. Style sheet and fonts keep their relative places.
pub fn asset(name: &str) -> String {
    format!("/static/{}/{name}", *HASH)
}

/// Serves them.
pub(super) async fn serve(Path((hash, name)): Path<(String, String)>) -> Result<Response, PageError> {
    let file = Files::get(&name).filter(|_| hash == *HASH).ok_or(PageError::NotFound)?;
    let kind = mime_guess::from_path(&name).first_or_octet_stream();
    let text = if kind.type_() == mime_guess::mime::TEXT {
        "; charset=utf-8"
    } else {
        ""
    };
    Ok((
        [
            (header::CONTENT_TYPE, format!("{kind}{text}")),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        ],
        file.data,
    )
        .into_response())
}
