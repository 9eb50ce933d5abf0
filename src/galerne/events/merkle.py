"""The Merkle tree of RFC 6962, section 2. Pure.

The hash of every complete subtree is kept under its `NodeId` and never changes. So a tree of any size that
ever was can be hashed again, and a proof against it made, from a number of kept hashes that grows with
the logarithm of its size.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

EMPTY_ROOT = sha256(b"").digest()
_LEAF = b"\x00"
_NODE = b"\x01"


class NodeId(NamedTuple):
    """A complete subtree: 2**level leaves, the `position`th such subtree from the left."""

    level: int
    position: int


class Leaves(NamedTuple):
    """A run of leaves, `end` excluded."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What a tree gained."""

    nodes: Sequence[tuple[NodeId, bytes]]  # Every subtree that became complete, leaves included.
    size: int
    root: bytes


def leaf_hash(data: bytes) -> bytes:
    return sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


def covering(leaves: Leaves) -> Sequence[NodeId]:
    """Return the fewest complete subtrees that cover these leaves, left to right, so the largest first."""
    size = leaves.end - leaves.begin
    position = leaves.begin
    nodes = []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            assert position % (1 << level) == 0, "a proof only ever asks for aligned runs"
            nodes.append(NodeId(level, position >> level))
            position += 1 << level
    return nodes


def append(size: int, frontier: Sequence[bytes], leaves: Sequence[bytes]) -> Appended:
    """Add leaf hashes to a tree of `size`, whose `covering(Leaves(0, size))` hashes are `frontier`."""
    assert len(frontier) == size.bit_count(), "one hash for each complete subtree"
    right_edge = list(frontier)
    nodes: list[tuple[NodeId, bytes]] = []
    for index, leaf in enumerate(leaves, start=size):
        hashed = leaf
        nodes.append((NodeId(0, index), hashed))
        level = 0
        while index >> level & 1:
            hashed = node_hash(right_edge.pop(), hashed)
            level += 1
            nodes.append((NodeId(level, index >> level), hashed))
        right_edge.append(hashed)
    return Appended(nodes, size + len(leaves), _fold(right_edge))


def root(size: int, nodes: Mapping[NodeId, bytes]) -> bytes:
    """Return the root of the tree of the first `size` leaves."""
    return subtree_hash(Leaves(0, size), nodes)


def subtree_hash(leaves: Leaves, nodes: Mapping[NodeId, bytes]) -> bytes:
    """Return the Merkle tree hash of a run of leaves from the kept hashes."""
    return _fold([nodes[node] for node in covering(leaves)])


def inclusion_path(index: int, size: int) -> Sequence[Leaves]:
    """Return the runs of leaves whose hashes prove that leaf `index` is in the tree of `size`."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(Leaves(middle, end))
            end = middle
        else:
            path.append(Leaves(begin, middle))
            begin = middle
    return path[::-1]


def consistency_path(old_size: int, size: int) -> Sequence[Leaves]:
    """Return the runs whose hashes prove that the tree of `size` only added to the one of `old_size`."""
    if not 0 < old_size <= size:
        raise ValueError(f"a tree of {size} is no continuation of one of {old_size}")
    path = []
    begin, end = 0, size
    while old_size < end:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            path.append(Leaves(middle, end))
            end = middle
        else:
            path.append(Leaves(begin, middle))
            begin = middle
    # What remains ends where the old tree ended; all of the old tree is known to whoever asks.
    if begin > 0:
        path.append(Leaves(begin, end))
    return path[::-1]


def nodes_needed(paths: Iterable[Sequence[Leaves]]) -> set[NodeId]:
    """Return every kept hash that the paths are made of, to be read at once."""
    return {node for path in paths for leaves in path for node in covering(leaves)}


def verify_inclusion(
    leaf: bytes, proof: Sequence[bytes], *, index: int, size: int, root: bytes
) -> bool:
    """Say whether the proof leads from the leaf's hash to the root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    found = leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    proof: Sequence[bytes], *, old_size: int, old_root: bytes, size: int, root: bytes
) -> bool:
    """Say whether the new tree only added to the old one (RFC 9162, section 2.1.4.2)."""
    if old_size == size:
        return not proof and old_root == root
    if not 0 < old_size < size:
        return False
    # A complete old tree is itself the first subtree; the proof leaves it out.
    hashes = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not hashes:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_found = found = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_found, found = node_hash(sibling, old_found), node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_found == old_root and found == root


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Join complete subtrees, the largest first, into the hash of the tree that they cover."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
