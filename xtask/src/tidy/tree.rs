//! The files of the checkout that are text.
//!
//! It walks the folders instead of asking git, so that an unpacked archive is checked too; folders that hold what is
//! built or fetched are left out.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::tidy::File;

/// Never ours to write, wherever they stand: what is built or fetched, and the bytes that fuzz targets begin with.
const LEFT_OUT: &[&str] = &["target", "node_modules", "__pycache__", "seeds"];

/// Folders that begin with a dot are left out, save these.
const DOT_FOLDERS: &[&str] = &[".cargo", ".ci", ".config", ".github"];

/// Every text file under `root`, in the order of their paths.
pub(crate) fn files(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)
        .map_err(|error| Error::Failed(format!("tidy cannot read the tree: {error}")))?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // In a second work tree of git, `.git` is a file.
        if name == ".git" {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && is_ours(&name) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
        {
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn is_ours(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && !DOT_FOLDERS.contains(&folder);
    !hidden && !LEFT_OUT.contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::root;

    #[test]
    fn the_tree_is_found_without_what_is_built() {
        let files = files(&root()).unwrap();
        let has = |path: &str| files.iter().any(|file| file.path == path);
        assert!(has("xtask/src/tidy/tree.rs") && has(".cargo/config.toml"));
        assert!(
            !files
                .iter()
                .any(|file| file.path.starts_with("target/") || file.path.starts_with(".git/"))
        );
    }
}
