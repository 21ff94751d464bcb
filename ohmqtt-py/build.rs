//! Tells the linker, where it asks, that the interpreter's symbols come from whoever loads the module.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
