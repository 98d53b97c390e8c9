// SPDX-License-Identifier: GPL-2.0

//! Ordered trees whose nodes are allocated beforehand.

use std::collections::BTreeMap;

use crate::alloc::{check, count, AllocError, Flags};

pub struct RBTree<K, V>(BTreeMap<K, (V, Memory)>);

/// Memory of a node, wherever it is: something, so that a vector of nodes has a capacity.
struct Memory(#[allow(dead_code)] u8);

impl Drop for Memory {
    fn drop(&mut self) {
        count(-1);
    }
}

pub struct RBTreeNodeReservation<K, V> {
    memory: Memory,
    _of: std::marker::PhantomData<(K, V)>,
}

pub struct RBTreeNode<K, V> {
    key: K,
    value: V,
    memory: Memory,
}

impl<K, V> RBTreeNodeReservation<K, V> {
    pub fn new(flags: Flags) -> Result<Self, AllocError> {
        check(flags)?;
        count(1);
        Ok(Self {
            memory: Memory(0),
            _of: std::marker::PhantomData,
        })
    }

    pub fn into_node(self, key: K, value: V) -> RBTreeNode<K, V> {
        RBTreeNode {
            key,
            value,
            memory: self.memory,
        }
    }
}

impl<K, V> RBTreeNode<K, V> {
    pub fn into_reservation(self) -> RBTreeNodeReservation<K, V> {
        RBTreeNodeReservation {
            memory: self.memory,
            _of: std::marker::PhantomData,
        }
    }
}

impl<K: Ord + Clone, V> RBTree<K, V> {
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub fn insert(&mut self, node: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
        let old = self.0.remove_entry(&node.key);
        self.0.insert(node.key, (node.value, node.memory));
        old.map(|(key, (value, memory))| RBTreeNode { key, value, memory })
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(|(value, _)| value)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(|(value, _)| value)
    }

    pub fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
        let (key, (value, memory)) = self.0.remove_entry(key)?;
        Some(RBTreeNode { key, value, memory })
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_node(key).map(|node| node.value)
    }

    pub fn cursor_lower_bound(&self, key: &K) -> Option<Cursor<'_, K, V>> {
        let (key, (value, _)) = self.0.range(key..).next()?;
        Some(Cursor { key, value })
    }

    pub fn cursor_lower_bound_mut(&mut self, key: &K) -> Option<CursorMut<'_, K, V>> {
        let key = self.0.range(key..).next()?.0.clone();
        Some(CursorMut { tree: self, key })
    }
}

pub struct Cursor<'a, K, V> {
    key: &'a K,
    value: &'a V,
}

impl<K, V> Cursor<'_, K, V> {
    pub fn current(&self) -> (&K, &V) {
        (self.key, self.value)
    }
}

pub struct CursorMut<'a, K, V> {
    tree: &'a mut RBTree<K, V>,
    key: K,
}

impl<K: Ord + Clone, V> CursorMut<'_, K, V> {
    pub fn current(&self) -> (&K, &V) {
        let (key, (value, _)) = self
            .tree
            .0
            .range(&self.key..)
            .next()
            .expect("the cursor's node");
        (key, value)
    }

    pub fn current_mut(&mut self) -> (&K, &mut V) {
        let (key, (value, _)) = self
            .tree
            .0
            .range_mut(&self.key..)
            .next()
            .expect("the cursor's node");
        (key, value)
    }

    pub fn move_next(self) -> Option<Self> {
        use std::ops::Bound::{Excluded, Unbounded};
        let key = self
            .tree
            .0
            .range((Excluded(&self.key), Unbounded))
            .next()?
            .0
            .clone();
        Some(Self {
            tree: self.tree,
            key,
        })
    }
}
