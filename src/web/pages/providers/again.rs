//! A form with a mistake comes back as it was typed, but for files and secrets: where one was given and nothing is wrong with it, its field
//! says that it is wanted once more.

use super::cards::Card;
use super::form::ProviderForm;
use crate::web::form::FieldErrors;
use crate::web::upload::Upload;

/// Adds what has to be given again to the problems of a form, where it has any.
pub(super) fn ask(form: &ProviderForm, upload: Option<&Upload>, errors: &mut FieldErrors) {
    if errors.is_empty() {
        return;
    }
    let card = form.card();
    // A file that is wrong is one problem: what it would have brought isn't missing besides.
    if errors.has("client_json") {
        for (field, typed) in [("client_id", &form.client_id), ("client_secret", &form.client_secret)] {
            if typed.trim().is_empty() {
                errors.forget(field);
            }
        }
    }
    let given = |text: &str| !text.trim().is_empty();
    let file = |name: &str| upload.is_some_and(|upload| upload.file(name).is_some());
    let mut add = |is_given: bool, at_fault: &[&str], field: &str, message: &str| {
        if is_given && !at_fault.iter().any(|field| errors.has(field)) {
            errors.add(field, format!("{message} again: it isn't kept while something else is wrong"));
        }
    };
    let uploads = card == Card::MicrosoftCertificate && form.certificate_how == "upload" && file("file");
    let certificate = ["file", "passphrase", "certificate"];
    add(
        uploads && given(&form.passphrase),
        &certificate,
        "passphrase",
        "Enter the passphrase",
    );
    add(uploads, &["file", "certificate"], "file", "Choose the certificate file");
    let (json, by_file) = (card == Card::Google && given(&form.client_json), file("client_json_file"));
    add(
        json && by_file,
        &["client_json", "secret_later"],
        "client_json_file",
        "Choose the client JSON",
    );
    add(
        json && !by_file,
        &["client_json", "secret_later"],
        "client_json",
        "Paste the client JSON",
    );
    let (key, by_file) = (given(&form.service_account), file("service_account_file"));
    add(key && by_file, &["service_account"], "service_account_file", "Choose the key JSON");
    add(key && !by_file, &["service_account"], "service_account", "Paste the key JSON");
    let secret = ["client_secret", "secret_later"];
    add(given(&form.client_secret), &secret, "client_secret", "Enter the client secret");
}
