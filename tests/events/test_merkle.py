"""The tree against the definition of RFC 6962, and against the hashes that other implementations print."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galerne.events import merkle
from galerne.events.merkle import EMPTY_ROOT, Leaves, NodeId

# Inputs and roots of the reference tests of Certificate Transparency.
REFERENCE_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(0, 130)

untimed = settings(deadline=None)  # The machine may be busy; no claim here is about time.


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_of_two_below(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: Sequence[bytes], *, is_known: bool) -> list[bytes]:
    """RFC 6962, section 2.1.2."""
    if m == len(leaves):
        return [] if is_known else [naive_root(leaves)]
    k = largest_power_of_two_below(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], is_known=is_known), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], is_known=False), naive_root(leaves[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def some_leaves(size: int) -> list[bytes]:
    return [f"leaf {index}".encode() for index in range(size)]


def stored(leaves: Sequence[bytes], *, batch: int = 7) -> dict[NodeId, bytes]:
    """Build the kept hashes as the sequencer does: batch by batch from what is kept."""
    nodes: dict[NodeId, bytes] = {}
    for start in range(0, len(leaves), batch):
        edge = [nodes[node] for node in merkle.covering(Leaves(0, start))]
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves[start : start + batch]]
        nodes.update(merkle.append(start, edge, hashes).nodes)
    return nodes


@pytest.mark.parametrize("size", range(9))
def test_reference_roots(size: int) -> None:
    """The root over the reference inputs is the one that Certificate Transparency's own tests expect."""
    leaves = REFERENCE_LEAVES[:size]
    assert merkle.root(size, stored(leaves)).hex() == REFERENCE_ROOTS[size]


def test_reference_inclusion_proof() -> None:
    """The path of leaf 5 of 8 is the one that the reference tests expect."""
    nodes = stored(REFERENCE_LEAVES)
    path = [merkle.subtree_hash(run, nodes).hex() for run in merkle.inclusion_path(5, 8)]
    assert path == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    """A tree without leaves is hashed as RFC 6962 says."""
    assert merkle.root(0, {}) == EMPTY_ROOT == naive_root([])


@untimed
@given(sizes, st.integers(1, 40))
def test_root_is_the_definition(size: int, batch: int) -> None:
    """Whatever batches a tree grew by, its root is the recursive definition's, at every size it ever had."""
    leaves = some_leaves(size)
    nodes = stored(leaves, batch=batch)
    for earlier in {0, size // 3, size // 2, size}:
        assert merkle.root(earlier, nodes) == naive_root(leaves[:earlier])


@untimed
@given(sizes, st.integers(1, 40))
def test_appending_returns_the_root(size: int, more: int) -> None:
    """What `append` says of the grown tree is what the kept hashes say of it."""
    leaves = some_leaves(size + more)
    nodes = stored(leaves[:size])
    edge = [nodes[node] for node in merkle.covering(Leaves(0, size))]
    grown = merkle.append(size, edge, [merkle.leaf_hash(leaf) for leaf in leaves[size:]])
    assert (grown.size, grown.root) == (size + more, naive_root(leaves))


@untimed
@given(st.integers(1, 130), st.data())
def test_inclusion_proofs(size: int, data: st.DataObject) -> None:
    """Every leaf has the path of the definition, and the path leads to the root."""
    index = data.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    nodes = stored(leaves)
    path = [merkle.subtree_hash(run, nodes) for run in merkle.inclusion_path(index, size)]
    assert path == naive_path(index, leaves)
    leaf = merkle.leaf_hash(leaves[index])
    assert merkle.verify_inclusion(leaf, path, index=index, size=size, root=naive_root(leaves))


@untimed
@given(st.integers(1, 130), st.data())
def test_a_changed_inclusion_proof_fails(size: int, data: st.DataObject) -> None:
    """Another leaf, index, hash, order or length of the path does not lead to the root."""
    index = data.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    root = naive_root(leaves)
    path = naive_path(index, leaves)
    leaf = merkle.leaf_hash(leaves[index])
    other = data.draw(st.integers(-1, size + 1).filter(lambda drawn: drawn != index))
    assert not merkle.verify_inclusion(leaf, path, index=other, size=size, root=root)
    assert not merkle.verify_inclusion(bytes(32), path, index=index, size=size, root=root)
    assert not merkle.verify_inclusion(leaf, [*path, bytes(32)], index=index, size=size, root=root)
    for place in range(len(path)):
        cut = path[:place] + path[place + 1 :]
        changed = [*path[:place], bytes(32), *path[place + 1 :]]
        assert not merkle.verify_inclusion(leaf, cut, index=index, size=size, root=root)
        assert not merkle.verify_inclusion(leaf, changed, index=index, size=size, root=root)


@untimed
@given(st.integers(1, 130), st.data())
def test_consistency_proofs(size: int, data: st.DataObject) -> None:
    """A tree proves that it continues any earlier one by the path of the definition, and no other root."""
    old_size = data.draw(st.integers(1, size))
    leaves = some_leaves(size)
    nodes = stored(leaves)
    path = [merkle.subtree_hash(run, nodes) for run in merkle.consistency_path(old_size, size)]
    assert path == naive_subproof(old_size, leaves, is_known=True)
    old_root, root = naive_root(leaves[:old_size]), naive_root(leaves)
    proven = merkle.verify_consistency(
        path, old_size=old_size, old_root=old_root, size=size, root=root
    )
    assert proven
    for place in range(len(path)):
        changed = [*path[:place], bytes(32), *path[place + 1 :]]
        assert not merkle.verify_consistency(
            changed, old_size=old_size, old_root=old_root, size=size, root=root
        )
    assert not merkle.verify_consistency(
        path, old_size=old_size, old_root=bytes(32), size=size, root=root
    )


@untimed
@given(st.integers(1, 10_000), st.data())
def test_proofs_are_short(size: int, data: st.DataObject) -> None:
    """A proof asks for a number of kept hashes that grows with the logarithm of the tree, twice."""
    index = data.draw(st.integers(0, size - 1))
    bits = size.bit_length()
    assert len(merkle.inclusion_path(index, size)) <= bits
    assert len(merkle.nodes_needed([merkle.inclusion_path(index, size)])) <= 2 * bits


def test_proofs_out_of_range_are_refused() -> None:
    """Nobody can ask for a leaf that is not there, or for the past of a smaller tree."""
    with pytest.raises(ValueError, match="leaf 3 is not in a tree of 3"):
        merkle.inclusion_path(3, 3)
    with pytest.raises(ValueError, match="no continuation"):
        merkle.consistency_path(4, 3)
    with pytest.raises(ValueError, match="no continuation"):
        merkle.consistency_path(0, 3)
