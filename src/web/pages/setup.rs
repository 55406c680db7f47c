//! `/setup`: first run.

use crate::web::routes::Routes;

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new()
}
