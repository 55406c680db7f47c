//! Forms with files (`multipart/form-data`, RFC 7578). The gate reads them as it reads every form, whole, into memory and within the
//! limits of [`super::csrf`], and takes them apart before any handler sees them; nothing is ever written to a file.

use super::csrf::{Checked, FIELD_LIMIT};
use super::error::PageError;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A field of such a form.
struct Part {
    name: String,
    /// Whether the browser sent it as a file.
    is_file: bool,
    /// Whether a file was chosen: browsers send a field without one, too.
    is_chosen: bool,
    content: Zeroizing<Vec<u8>>,
}

/// What a form with files brought, from a page of ours: as an extractor it takes no other. Cheap to clone, and wiped at the end.
#[derive(Clone)]
pub struct Upload(Arc<Vec<Part>>);

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upload")
    }
}

impl Upload {
    /// Takes a body apart; the boundary stands in the content type.
    pub(super) async fn read(content_type: &str, body: Bytes) -> Result<Self, PageError> {
        let broken = || PageError::Bad("The form with its file arrived damaged. Nothing was changed.".into());
        let boundary = multer::parse_boundary(content_type).map_err(|_| broken())?;
        let once = futures_util::stream::once(async move { Ok::<_, Infallible>(body) });
        let mut form = multer::Multipart::new(once, boundary);
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.map_err(|_| broken())? {
            if parts.len() >= FIELD_LIMIT {
                return Err(PageError::TooLarge);
            }
            let name = field.name().unwrap_or_default().to_owned();
            let is_file = field.file_name().is_some();
            let is_chosen = field.file_name().is_some_and(|name| !name.is_empty());
            let content = Zeroizing::new(field.bytes().await.map_err(|_| broken())?.to_vec());
            if !is_file && std::str::from_utf8(&content).is_err() {
                return Err(broken());
            }
            parts.push(Part {
                name,
                is_file,
                is_chosen,
                content,
            });
        }
        Ok(Self(Arc::new(parts)))
    }

    /// The file of a field; none if none was chosen.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|part| part.is_file && part.name == name)?;
        Some(found.content.as_slice()).filter(|content| !content.is_empty())
    }

    /// The file of a field, which may be empty; none if none was chosen.
    pub fn chosen(&self, name: &str) -> Option<&[u8]> {
        let mut files = self.0.iter().filter(|part| part.is_file && part.name == name);
        files.find(|part| part.is_chosen).map(|part| part.content.as_slice())
    }

    /// The text of a field; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|part| !part.is_file && part.name == name);
        found.and_then(|part| std::str::from_utf8(&part.content).ok()).unwrap_or_default()
    }

    /// All that is no file, names and texts.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let texts = self.0.iter().filter(|part| !part.is_file);
        texts
            .map(|part| (part.name.clone(), String::from_utf8_lossy(&part.content).into_owned()))
            .collect()
    }
}

impl<S: Sync> FromRequestParts<S> for Upload {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        if parts.extensions.get::<Checked>().is_none() {
            return Err(PageError::StaleForm(None));
        }
        let upload = parts.extensions.get::<Self>().cloned();
        upload.ok_or(PageError::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_and_texts_come_apart_and_a_broken_body_is_refused() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pem\"\r\n\r\n\0\u{1}\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"passphrase\"\r\n\r\nopen sesame\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"none\"; filename=\"\"\r\n\r\n\r\n--b--\r\n";
        let read = |body: &'static str| Upload::read("multipart/form-data; boundary=b", Bytes::from_static(body.as_bytes()));
        let upload = read(body).await.unwrap();
        assert_eq!(upload.file("file"), Some(&b"\0\x01"[..]));
        assert_eq!((upload.file("none"), upload.file("passphrase")), (None, None));
        assert_eq!((upload.chosen("file"), upload.chosen("none")), (Some(&b"\0\x01"[..]), None));
        assert_eq!((upload.text("passphrase"), upload.text("file")), ("open sesame", ""));
        assert_eq!(upload.fields(), [("passphrase".to_owned(), "open sesame".to_owned())]);
        assert!(read(&body[..body.len() - 8]).await.is_err(), "cut off");
        assert!(Upload::read("multipart/form-data", Bytes::new()).await.is_err(), "no boundary");
    }
}
