//! Which tree is meant.

use clap::Args;
use modfs_client::Tree;
use std::path::PathBuf;

/// Where the tree is.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TreeArgs {
    /// The directory of modules: MOUNTPOINT/modules of a host
    #[arg(long, value_name = "DIR", env = "MODFS_TREE")]
    pub(crate) tree: Option<PathBuf>,
}

impl TreeArgs {
    /// The tree that the arguments, or MODFS_TREE, name.
    ///
    /// # Errors
    /// None is named, or there is no tree.
    pub(crate) fn open(&self) -> Result<Tree, String> {
        let Some(path) = &self.tree else {
            return Err(
                "no tree: give --tree DIR or set MODFS_TREE (MOUNTPOINT/modules of a \
                        `modfs host`)"
                    .into(),
            );
        };
        Tree::at(path).map_err(|e| e.to_string())
    }
}
