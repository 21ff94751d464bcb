//! A tree of topic levels with a value at each: the shape that subscriptions and retained messages share. What a wildcard is it leaves to
//! who walks it.
//!
//! The nodes stand in one vector and know each other by number, so nothing recurses, however deep a topic is.

use std::collections::HashMap;
use std::sync::Arc;

/// The number of a node. It means another node once its own has been pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// The node that every path begins at. It stands for no level.
pub const ROOT: NodeId = NodeId(0);

/// A value that may be nothing, so that its node is not needed.
pub trait Vacant: Default {
    /// Whether there is nothing in it.
    fn is_vacant(&self) -> bool;
}

impl<T> Vacant for Vec<T> {
    fn is_vacant(&self) -> bool {
        self.is_empty()
    }
}

/// A tree of topic levels with a value at each node.
///
/// A path is levels with `/` between them, as topic names and topic filters are (section 4.7.1.1); the empty path is one empty level. Wildcards are
/// levels like others. Its memory grows with the paths that are in it, and goes when all have been pruned.
#[derive(Debug)]
pub struct Trie<V> {
    nodes: Vec<Node<V>>,
    /// Nodes that were pruned.
    free: Vec<NodeId>,
}

#[derive(Debug)]
struct Node<V> {
    level: Arc<[u8]>,
    parent: NodeId,
    children: Children,
    value: V,
}

/// So many levels are looked through one by one, which costs less than hashing.
const FEW: usize = 8;

/// The nodes below another, by their levels. Whoever matches a topic asks at each of its levels for both wildcards, so these have places of
/// their own.
#[derive(Debug, Default)]
struct Children {
    single: Option<NodeId>,
    multi: Option<NodeId>,
    named: Named,
}

/// A node as who matches a topic sees it.
pub(crate) struct Around<'a, V> {
    children: &'a Children,
    /// The value at the node.
    pub(crate) value: &'a V,
}

impl<V> Around<'_, V> {
    /// The node below it for `+`.
    pub(crate) fn single(&self) -> Option<NodeId> {
        self.children.single
    }

    /// The node below it for `#`.
    pub(crate) fn multi(&self) -> Option<NodeId> {
        self.children.multi
    }

    /// The node below it for a level that is no wildcard.
    #[inline]
    pub(crate) fn named(&self, level: &[u8]) -> Option<NodeId> {
        self.children.named.get(level)
    }
}

/// Those that are no wildcards.
#[derive(Debug)]
enum Named {
    Few(Vec<(Arc<[u8]>, NodeId)>),
    Many(HashMap<Arc<[u8]>, NodeId>),
}

impl<V: Vacant> Trie<V> {
    /// A tree with nothing in it, which takes no memory.
    pub const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The node at the end of this path, with all nodes to it.
    ///
    /// Its value is new or the one that stood there; a new node that is left vacant stays until it is [pruned](Self::prune). `None` when
    /// the tree has four thousand million nodes: what callers keep is bounded far below that.
    pub fn insert(&mut self, path: &[u8]) -> Option<NodeId> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(Arc::default(), ROOT));
        }
        let mut at = ROOT;
        for level in path.split(|&byte| byte == b'/') {
            at = match self.child(at, level) {
                Some(child) => child,
                None => self.add(at, level)?,
            };
        }
        Some(at)
    }

    /// The node at the end of this path.
    pub fn find(&self, path: &[u8]) -> Option<NodeId> {
        path.split(|&byte| byte == b'/')
            .try_fold(ROOT, |at, level| self.child(at, level))
    }

    /// The node of this level below another.
    pub fn child(&self, of: NodeId, level: &[u8]) -> Option<NodeId> {
        self.node(of)?.children.get(level)
    }

    /// What stands below a node by wildcards, and the value at it.
    #[inline]
    pub(crate) fn around(&self, at: NodeId) -> Option<Around<'_, V>> {
        let Node {
            children, value, ..
        } = self.node(at)?;
        Some(Around { children, value })
    }

    /// All nodes below another, with their levels, in no order.
    pub fn children(&self, of: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
        let children = self.node(of).map(|node| &node.children);
        children.into_iter().flat_map(Children::iter)
    }

    /// The value at a node.
    pub fn value(&self, at: NodeId) -> Option<&V> {
        self.node(at).map(|node| &node.value)
    }

    /// The value at a node, to be changed. Once it is vacant the node is to be [pruned](Self::prune).
    pub fn value_mut(&mut self, at: NodeId) -> Option<&mut V> {
        self.node_mut(at).map(|node| &mut node.value)
    }

    /// Removes this node, and those above it, as long as nothing stands at or below them.
    pub fn prune(&mut self, mut at: NodeId) {
        while at != ROOT {
            let Some(node) = self.node_mut(at) else {
                return;
            };
            if !node.value.is_vacant() || !node.children.is_empty() {
                return;
            }
            let Node { level, parent, .. } =
                std::mem::replace(node, Node::new(Arc::default(), ROOT));
            self.free.push(at);
            if let Some(parent) = self.node_mut(parent) {
                parent.children.remove(&level);
            }
            at = parent;
        }
        if self.is_empty() {
            // Nothing is left: the memory goes too.
            *self = Self::new();
        }
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.free.len() + 1 >= self.nodes.len()
    }

    fn add(&mut self, parent: NodeId, level: &[u8]) -> Option<NodeId> {
        let level: Arc<[u8]> = level.into();
        let node = Node::new(Arc::clone(&level), parent);
        let id = if let Some(id) = self.free.pop() {
            *self.node_mut(id)? = node;
            id
        } else {
            let id = NodeId(u32::try_from(self.nodes.len()).ok()?);
            self.nodes.push(node);
            id
        };
        self.node_mut(parent)?.children.insert(level, id);
        Some(id)
    }

    fn node(&self, id: NodeId) -> Option<&Node<V>> {
        self.nodes.get(usize::try_from(id.0).ok()?)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node<V>> {
        self.nodes.get_mut(usize::try_from(id.0).ok()?)
    }
}

impl<V: Vacant> Default for Trie<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Default> Node<V> {
    fn new(level: Arc<[u8]>, parent: NodeId) -> Self {
        Self {
            level,
            parent,
            children: Children::default(),
            value: V::default(),
        }
    }
}

impl Children {
    fn get(&self, level: &[u8]) -> Option<NodeId> {
        match level {
            b"+" => self.single,
            b"#" => self.multi,
            _ => self.named.get(level),
        }
    }

    /// Puts a node in that was not there.
    fn insert(&mut self, level: Arc<[u8]>, child: NodeId) {
        match (&*level, &mut self.named) {
            (b"+", _) => self.single = Some(child),
            (b"#", _) => self.multi = Some(child),
            (_, Named::Few(few)) if few.len() < FEW => few.push((level, child)),
            (_, Named::Few(few)) => {
                let many = few.drain(..).chain([(level, child)]).collect();
                self.named = Named::Many(many);
            }
            (_, Named::Many(many)) => drop(many.insert(level, child)),
        }
    }

    fn remove(&mut self, level: &[u8]) {
        match (level, &mut self.named) {
            (b"+", _) => self.single = None,
            (b"#", _) => self.multi = None,
            (_, Named::Few(few)) => few.retain(|(other, _)| **other != *level),
            (_, Named::Many(many)) => drop(many.remove(level)),
        }
    }

    fn is_empty(&self) -> bool {
        let none_named = match &self.named {
            Named::Few(few) => few.is_empty(),
            Named::Many(many) => many.is_empty(),
        };
        none_named && self.single.is_none() && self.multi.is_none()
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], NodeId)> {
        let single = self.single.map(|child| (&b"+"[..], child));
        let multi = self.multi.map(|child| (&b"#"[..], child));
        let (few, many) = match &self.named {
            Named::Few(few) => (Some(few), None),
            Named::Many(many) => (None, Some(many)),
        };
        let few = few
            .into_iter()
            .flatten()
            .map(|(level, child)| (level, child));
        let named = few.chain(many.into_iter().flatten());
        let named = named.map(|(level, child)| (&level[..], *child));
        single.into_iter().chain(multi).chain(named)
    }
}

impl Named {
    #[inline]
    fn get(&self, level: &[u8]) -> Option<NodeId> {
        match self {
            Self::Few(few) => few
                .iter()
                .find(|(other, _)| **other == *level)
                .map(|(_, child)| *child),
            Self::Many(many) => many.get(level).copied(),
        }
    }
}

impl Default for Named {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// The first level of a path, and what follows its `/`.
pub fn first_level(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let cut = separator(path).and_then(|at| path.split_at_checked(at));
    match cut {
        Some((level, rest)) => (level, rest.get(1..)),
        None => (path, None),
    }
}

/// A word with this in each of its bytes.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Where the first `/` stands. Looked for by eight bytes at a time: a byte of the difference that is zero borrows from its highest bit, and
/// the first of them is not borrowed from itself.
#[inline]
fn separator(path: &[u8]) -> Option<usize> {
    let (words, rest) = path.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'/'));
        let same = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if same != 0 {
            return Some(8 * n + same.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&byte| byte == b'/');
    at.map(|at| 8 * words.len() + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::on_a_small_stack;

    impl Vacant for u32 {
        fn is_vacant(&self) -> bool {
            *self == 0
        }
    }

    fn put(trie: &mut Trie<u32>, path: &str, value: u32) -> NodeId {
        let at = trie.insert(path.as_bytes()).unwrap();
        *trie.value_mut(at).unwrap() = value;
        at
    }

    #[test]
    fn few_levels_and_many_are_found_beside_wildcards_and_pruned() {
        for count in [1, FEW, FEW + 1, 50] {
            let mut trie = Trie::<u32>::new();
            let named = (0..count).map(|n| n.to_string());
            let levels: Vec<_> = named.chain(["+".into(), "#".into()]).collect();
            for (level, value) in levels.iter().zip(1..) {
                put(&mut trie, level, value);
            }
            assert_eq!(trie.children(ROOT).count(), levels.len());
            for (level, value) in levels.iter().zip(1..) {
                let at = trie.find(level.as_bytes()).unwrap();
                assert_eq!(trie.value(at), Some(&value), "{level} of {count}");
                *trie.value_mut(at).unwrap() = 0;
                trie.prune(at);
                assert_eq!(trie.find(level.as_bytes()), None);
            }
            assert!(trie.is_empty());
        }
    }

    #[test]
    fn empty_levels_are_levels() {
        let mut trie = Trie::<u32>::new();
        for (path, value) in [("a", 1), ("/a", 2), ("a/", 3), ("/", 4), ("a//b", 5)] {
            put(&mut trie, path, value);
        }
        let value = |path: &str| trie.find(path.as_bytes()).and_then(|at| trie.value(at));
        assert_eq!(value("/a"), Some(&2));
        assert_eq!(value("a/"), Some(&3));
        assert_eq!(value("/"), Some(&4));
        assert_eq!(value("a//b"), Some(&5));
        assert_eq!(value("a//c"), None);
    }

    #[test]
    fn pruned_nodes_are_used_again_and_go_when_all_have() {
        let mut trie = Trie::<u32>::new();
        let deep = put(&mut trie, "a/b/c", 1);
        put(&mut trie, "a", 2);
        trie.prune(deep);
        assert_eq!(trie.free.len(), 0);
        *trie.value_mut(deep).unwrap() = 0;
        trie.prune(deep);
        assert_eq!((trie.nodes.len(), trie.free.len()), (4, 2));
        let other = put(&mut trie, "x/y", 3);
        assert_eq!((trie.nodes.len(), trie.free.len()), (4, 0));
        *trie.value_mut(other).unwrap() = 0;
        trie.prune(other);
        let a = trie.find(b"a").unwrap();
        *trie.value_mut(a).unwrap() = 0;
        trie.prune(a);
        assert_eq!((trie.nodes.len(), trie.free.len()), (0, 0));
    }

    #[test]
    fn a_path_of_65_000_levels_overflows_no_stack() {
        on_a_small_stack(|| {
            let mut trie = Trie::<u32>::new();
            let at = put(&mut trie, &"/".repeat(65_000), 1);
            assert_eq!(trie.nodes.len(), 65_002);
            *trie.value_mut(at).unwrap() = 0;
            trie.prune(at);
            assert_eq!(trie.nodes.len(), 0);
            put(&mut trie, &"/".repeat(65_000), 1);
        });
    }

    proptest! {
        #[test]
        fn the_first_level_ends_before_the_first_separator(path in "[/.\u{2f}0-9\u{af}a]{0,40}") {
            let (level, rest) = first_level(path.as_bytes());
            let split = path.split_once('/');
            let want = split.map_or((&path[..], None), |(level, rest)| (level, Some(rest)));
            prop_assert_eq!((level, rest), (want.0.as_bytes(), want.1.map(str::as_bytes)));
        }
    }
}
