//! New migrations are noticed only if the build asks for their folder.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
