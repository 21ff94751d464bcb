//! The two programs of LLVM that read what instrumented code has counted. They must be no older than the LLVM in the compiler.

use std::path::PathBuf;

use crate::debian::{first, provide_packages};
use crate::error::{Error, Result, failed};
use crate::project::{output, program};

/// Where the programs are.
pub(super) struct Llvm {
    pub(super) profdata: PathBuf,
    pub(super) cov: PathBuf,
    /// What the compiler builds for.
    pub(super) host: String,
}

/// Finds them in the toolchain (`rustup component add llvm-tools`), or by the number of their release, as Debian names them; else that
/// package is installed.
pub(super) fn provide() -> Result<Llvm> {
    let (version, _) = output(program("rustc").arg("-vV"))?;
    let release = field(&version, "LLVM version: ")?;
    let host = field(&version, "host: ")?.to_owned();
    let release = release.split('.').next().unwrap_or(release);
    let (sysroot, _) = output(program("rustc").args(["--print", "sysroot"]))?;
    let own = PathBuf::from(sysroot.trim()).join(format!("lib/rustlib/{host}/bin"));
    let find = |name: &str| {
        let shipped = own.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if shipped.is_file() {
            return Some(shipped);
        }
        first(&[&format!("{name}-{release}")])
    };
    let both = || Some((find("llvm-profdata")?, find("llvm-cov")?));
    provide_packages(&format!("llvm-{release}"), || match both() {
        Some(_) => Vec::new(),
        None => vec![
            "llvm-profdata and llvm-cov of the compiler's LLVM (rustup component add llvm-tools)",
        ],
    })?;
    match both() {
        Some((profdata, cov)) => Ok(Llvm {
            profdata,
            cov,
            host,
        }),
        None => failed("llvm-profdata and llvm-cov not found"),
    }
}

/// What a line of `rustc -vV` says.
fn field<'a>(version: &'a str, name: &str) -> Result<&'a str> {
    let value = version.lines().find_map(|line| line.strip_prefix(name));
    value.ok_or_else(|| Error::Failed(format!("`rustc -vV` has no line `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_its_llvm() {
        let version = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.2\n";
        assert_eq!(field(version, "LLVM version: "), Ok("22.1.2"));
        assert!(field(version, "moon: ").is_err());
    }
}
