"""Notes, cosignatures, checkpoints and proofs against examples of others.

PeterNeumann and EnochRoot: golang.org/x/mod/sumdb/note (BSD-3). `example.com/foo`: the example of
c2sp.org/signed-note. The cosignature was made by transparency-dev/formats 0.1.1 with Go's key.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.ledger.checkpoints import Checkpoint
from audit.ledger.entries import Entry, headers_hash, message_hash
from audit.ledger.merkle import MerkleTree
from audit.ledger.notes import KeyType, Note, PublicKey, Signer, signed_note
from audit.ledger.proofs import TlogProof
from bus.records import Record
from schemas.errors import Unreadable
from schemas.units import UtcNs
from tests.audit.ledger import rfc9162

PETER_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33"
    "WWd1RvMc+QQ=\n"
)
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKu"
    "wHjG1Yu72IneyaQM=\n"
)
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

GO_KEY = "PeterNeumann+18b9780b+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_LINE = (
    "— PeterNeumann GLl4CwAAAABrDLdq6AFyRpmFfJtASeXgmfx3FTCCNPO3TZepMgq5viFuO5LGN2ERHTsXBc+s+aMAs"
    "qhS9Yz0aIdnYASwWA9jMoAxDQ==\n"
)

LOG = Signer.of("ats.example/ledger", KeyType.LOG, bytes(range(32)))
WITNESS = Signer.of("ats.example/witness", KeyType.WITNESS, bytes(range(32, 64)))
ORIGIN = "ats.example/ledger/2026-11-20"


def record(offset: int, value: bytes = b"{}") -> Record:
    stamp = UtcNs(1_763_612_345_678_000_000 + offset)
    return Record("ats.orders", 3, offset, b"user", value, stamp, {"ats-cause": b"1:0"})


def entries(count: int) -> list[Entry]:
    return [Entry.of(record(offset, b"%d" % offset)) for offset in range(count)]


def proofs(leaves: list[Entry]) -> list[TlogProof]:
    tree = MerkleTree(each.leaf for each in leaves)
    text = Checkpoint(ORIGIN, tree.size, tree.root()).text
    note = signed_note(text, LOG.line(text), WITNESS.line(text, 1_763_612_400))
    return [
        TlogProof(index, tuple(tree.inclusion_proof(index)), note, b"why")
        for index in range(tree.size)
    ]


def test_gos_example_is_signed_as_go_signs_it() -> None:
    signer = Signer.parse(PETER_PRIVATE)

    assert str(signer.public) == PETER
    assert signer.line(TEXT) == PETER_LINE
    assert signer.private_text() == PETER_PRIVATE


def test_notes_of_others_are_verified() -> None:
    keys = [PublicKey.parse(each) for each in (PETER, ENOCH, FOO)]

    both = Note.parse(signed_note(TEXT, PETER_LINE, ENOCH_LINE)).verified_by(keys)

    assert {key.name for key in both} == {"PeterNeumann", "EnochRoot"}
    assert {key.name for key in Note.parse(FOO_NOTE).verified_by(keys)} == {"example.com/foo"}


def test_the_example_of_a_checkpoint_is_read_and_written_again() -> None:
    checkpoint = Checkpoint.parse(SOFA)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == SOFA


@pytest.mark.parametrize(
    "text",
    [
        SOFA + "extension\n",
        SOFA.replace("20852163", "020852163"),
        SOFA.replace("20852163", "-1"),
        SOFA.replace("q2I=", "q2J="),  # the same bytes, in a form that nobody writes
        SOFA[:-1],
        "\n" + SOFA.partition("\n")[2],
    ],
)
def test_a_checkpoint_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Checkpoint.parse(text)


def test_a_signature_of_other_text_is_refused() -> None:
    keys = [PublicKey.parse(PETER)]

    with pytest.raises(Unreadable, match="not of this text"):
        Note.parse(signed_note(TEXT.replace("answer", "problem"), PETER_LINE)).verified_by(keys)


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    note = Note.parse(signed_note(TEXT, PETER_LINE, ENOCH_LINE))

    assert note.verified_by([PublicKey.parse(ENOCH)]) == {PublicKey.parse(ENOCH)}


@pytest.mark.parametrize("at", range(0, len(PETER) - 1, 3))
def test_a_changed_verifier_key_is_refused(at: int) -> None:
    changed = PETER[:at] + chr(ord(PETER[at]) + 1) + PETER[at + 1 :]

    with pytest.raises(Unreadable):
        PublicKey.parse(changed)


def test_a_private_key_shows_in_no_repr_and_no_error() -> None:
    secret = PETER_PRIVATE.split("+", 4)[4]

    assert secret not in repr(Signer.parse(PETER_PRIVATE))
    with pytest.raises(Unreadable) as refused:
        Signer.parse(PETER_PRIVATE.replace("c74f20a3", "c74f20a4"))
    assert secret not in str(refused.value)


def test_a_cosignature_is_that_of_gos_code() -> None:
    seed = base64.b64decode(PETER_PRIVATE.split("+", 4)[4])[1:]
    signer = Signer.of("PeterNeumann", KeyType.WITNESS, seed)
    (_, blob) = Note.parse(signed_note(SOFA, GO_LINE)).signatures[0]

    assert str(signer.public) == GO_KEY
    assert signer.line(SOFA, int.from_bytes(blob[4:12])) == GO_LINE


def test_a_cosignature_is_of_its_text_and_its_time() -> None:
    line = WITNESS.line(SOFA, 1_679_315_147)
    (name, blob) = Note.parse(signed_note(SOFA, line)).signatures[0]

    assert name == "ats.example/witness"
    assert WITNESS.public.verifies(SOFA, blob[4:])
    assert not WITNESS.public.verifies(SOFA.replace("sofa", "door"), blob[4:])
    later = (1_679_315_148).to_bytes(8) + blob[12:]
    assert not WITNESS.public.verifies(SOFA, later)


def test_a_hundred_proofs_are_verified_by_code_that_is_not_ours() -> None:
    leaves = entries(100)
    keys = [str(each.public) for each in (LOG, WITNESS)]

    found = [
        rfc9162.check(str(proof), entry.encoded, *keys)
        for proof, entry in zip(proofs(leaves), leaves, strict=True)
    ]

    assert found == [(ORIGIN, index) for index in range(100)]


def test_the_verifier_that_is_not_ours_imports_nothing_of_ours() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, rfc9162; print(*{name.partition('.')[0] for name in sys.modules})",
        ],
        cwd=Path(rfc9162.__file__).parent,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert not {"audit", "bus", "schemas", "ats"} & set(told.stdout.split())


def test_a_proof_is_read_as_it_was_written() -> None:
    proof = proofs(entries(5))[3]

    assert TlogProof.parse(str(proof)) == proof
    assert proof.proves(entries(5)[3].encoded, ORIGIN, [LOG.public, WITNESS.public]).size == 5


@pytest.mark.parametrize("index", [0, 4])
def test_a_proof_of_another_entry_origin_or_key_proves_nothing(index: int) -> None:
    leaves = entries(5)
    proof, keys = proofs(leaves)[index], [LOG.public, WITNESS.public]
    stranger = Signer.of("ats.example/ledger", KeyType.LOG, bytes(32)).public

    for entry, origin, trusted in (
        (leaves[2].encoded, ORIGIN, keys),
        (leaves[index].encoded, ORIGIN.replace("20", "21"), keys),
        (leaves[index].encoded, ORIGIN, [stranger]),
        (leaves[index].encoded, ORIGIN, []),
    ):
        with pytest.raises(Unreadable):
            proof.proves(entry, origin, trusted)


fields = st.one_of(st.none(), st.binary(max_size=6))


@given(one=st.tuples(fields, fields), other=st.tuples(fields, fields))
@settings(max_examples=300)
def test_no_two_messages_have_one_hash(
    one: tuple[bytes | None, bytes | None], other: tuple[bytes | None, bytes | None]
) -> None:
    same = message_hash("t", 0, *one) == message_hash("t", 0, *other)

    assert same is (one == other)


@given(
    one=st.dictionaries(st.text("ab", max_size=2), st.binary(max_size=2), max_size=3),
    other=st.dictionaries(st.text("ab", max_size=2), st.binary(max_size=2), max_size=3),
)
@settings(max_examples=300)
def test_no_two_lists_of_headers_have_one_hash(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (headers_hash(one) == headers_hash(other)) is (one == other)


def test_a_leaf_is_text_that_names_the_place() -> None:
    entry = Entry.of(record(1042))

    assert entry.encoded.decode().split("\n")[:2] == [
        "ats-ledger-entry/v1",
        "ats.orders 3 1042 1763612345678",
    ]
    assert str(entry) == "ats.orders-3@1042"
