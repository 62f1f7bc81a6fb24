//! Links AddressSanitizer before the C library, whose allocator it replaces.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-lib=dylib=asan");
}
