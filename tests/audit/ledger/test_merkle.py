"""Merkle trees against the vectors of Certificate Transparency, and as properties.

Vectors: transparency-dev/merkle (testonly/constants.go and reference_test.go), Apache-2.0.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.ledger.merkle import EMPTY_ROOT, Frontier, MerkleTree, continues, includes, leaf_hash

LEAVES = [
    bytes.fromhex(each)
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
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
_5F, _CA = (
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
)
_96, _6B, _BC = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
)
INCLUSION = [
    (0, 1, []), (0, 2, [_96]), (1, 2, [ROOTS[1]]), (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], _5F, _BC]), (0, 8, [_96, _5F, _6B]), (5, 8, [_BC, _CA, ROOTS[4]]),
]  # fmt: skip
CONSISTENCY = [
    (1, 1, []), (1, 8, [_96, _5F, _6B]), (2, 5, [_5F, _BC]),
    (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", _CA, ROOTS[4]]),
]  # fmt: skip

sizes = st.integers(1, 70)


def tree_of(size: int) -> MerkleTree:
    return MerkleTree(leaf_hash(b"%d" % number) for number in range(size))


def test_roots_are_those_of_certificate_transparency() -> None:
    tree = MerkleTree(map(leaf_hash, LEAVES))

    assert [tree.root(size).hex() for size in range(9)] == ROOTS


def test_a_frontier_has_the_roots_of_certificate_transparency() -> None:
    frontier, roots = Frontier(), [EMPTY_ROOT.hex()]

    for leaf in LEAVES:
        frontier.append(leaf_hash(leaf))
        roots.append(frontier.root.hex())

    assert roots == ROOTS


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference(
    index: int, size: int, proof: list[str]
) -> None:
    tree = MerkleTree(map(leaf_hash, LEAVES))

    assert [each.hex() for each in tree.inclusion_proof(index, size)] == proof


@pytest.mark.parametrize(("old", "size", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference(
    old: int, size: int, proof: list[str]
) -> None:
    tree = MerkleTree(map(leaf_hash, LEAVES))

    assert [each.hex() for each in tree.consistency_proof(old, size)] == proof


@given(size=sizes, data=st.data())
@settings(max_examples=100)
def test_an_inclusion_proof_holds_for_its_leaf_and_for_no_other(
    size: int, data: st.DataObject
) -> None:
    index, other = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    tree = tree_of(size)
    proof, root = tree.inclusion_proof(index), tree.root()

    assert includes(tree.leaf(index), index, size, proof, root)
    assert includes(tree.leaf(other), index, size, proof, root) is (other == index)
    assert includes(tree.leaf(index), other, size, proof, root) is (other == index)
    assert not includes(tree.leaf(index), index, size, [*proof, root], root)
    assert not includes(tree.leaf(index), size, size, proof, root)
    if proof:
        assert not includes(tree.leaf(index), index, size, proof[:-1], root)


@given(size=sizes, data=st.data())
@settings(max_examples=100)
def test_a_consistency_proof_holds_for_what_grew_and_not_for_what_was_rewritten(
    size: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, old - 1))
    tree = tree_of(size)
    rewritten = MerkleTree(
        leaf_hash(b"forged") if number == changed else tree.leaf(number) for number in range(size)
    )
    proof, forged = tree.consistency_proof(old), rewritten.consistency_proof(old)

    assert continues(old, tree.root(old), size, tree.root(), proof)
    assert not continues(old, tree.root(old), size, rewritten.root(), forged)
    assert not continues(old, rewritten.root(old), size, tree.root(), proof)
    assert not continues(old, tree.root(old), size, tree.root(), [*proof, tree.root()])
    assert not continues(size + 1, tree.root(), size, tree.root(), proof)


def test_every_tree_continues_the_empty_one() -> None:
    tree = tree_of(3)

    assert continues(0, EMPTY_ROOT, 3, tree.root(), [])
    assert not continues(0, tree.root(), 3, tree.root(), [])


def test_a_proof_of_a_leaf_that_is_not_there_cannot_be_made() -> None:
    tree = tree_of(3)

    with pytest.raises(ValueError, match="no such tree"):
        tree.inclusion_proof(3)
    with pytest.raises(ValueError, match="no such tree"):
        tree.consistency_proof(4)
