//! `/static/{hash}/{name}`: style sheet, script, icons, typefaces.

use crate::web::assets;
use crate::web::routes::{Access, Routes};

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new().get("/static/{hash}/{*name}", Access::Public, assets::serve)
}
