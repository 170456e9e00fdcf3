from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.artifact.dtypes import ITEM_BYTES
from pocketrec.artifact.header import (
    ALIGN_BYTES,
    HEADER_LIMIT_BYTES,
    PAGE_BYTES,
    TensorEntry,
    check_name,
    decode,
    encode,
    header_length,
    is_shape,
)
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError

# Hostile headers are in tests/attacks; here is what honest ones look like.

tensors = st.lists(
    st.tuples(
        st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=9).filter(lambda n: n[:2] != "__"),
        st.sampled_from(sorted(ITEM_BYTES)),
        st.lists(st.integers(0, 9), max_size=3).map(tuple),
    ),
    unique_by=lambda tensor: tensor[0],
    max_size=8,
)


@given(tensors)
def test_what_is_encoded_is_decoded(given_tensors: list[tuple[str, str, tuple[int, ...]]]) -> None:
    head, entries = encode(given_tensors, {"format": "pt"})
    assert len(head) % PAGE_BYTES == 0
    assert [(e.name, e.dtype, e.shape) for e in entries] == given_tensors
    assert all(e.offset % ALIGN_BYTES == 0 and e.offset >= len(head) for e in entries)
    file_bytes = entries[-1].stop if entries else len(head)
    assert decode(head, file_bytes, "it") == entries
    assert file_bytes - len(head) < sum(e.nbytes + ALIGN_BYTES for e in entries) or not entries


def test_gaps_are_tensors_of_their_own() -> None:
    head, entries = encode([("a", "uint8", (3,)), ("b", "int64", (2,)), ("c", "float32", (16,))], {})
    table = json.loads(head[8:])
    assert table == {
        "a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "__pad_0": {"dtype": "U8", "shape": [61], "data_offsets": [3, 64]},
        "b": {"dtype": "I64", "shape": [2], "data_offsets": [64, 80]},
        "__pad_1": {"dtype": "U8", "shape": [48], "data_offsets": [80, 128]},
        "c": {"dtype": "F32", "shape": [16], "data_offsets": [128, 192]},
    }
    assert [entry.offset for entry in entries] == [4096, 4160, 4224]
    assert entries[-1] == TensorEntry(name="c", dtype="float32", shape=(16,), offset=4224)
    assert entries[-1].stop == 4288


@pytest.mark.parametrize("name", ["", "__metadata__", "__pad_0", "__x", "a\n", "\x00", "\ud800", "a" * 513])
def test_names_that_no_tensor_should_have(name: str) -> None:
    with pytest.raises(ArtifactError, match="1 to 512 printable"):
        check_name(name)


def test_a_header_that_no_reader_would_take_is_not_written() -> None:
    many = [(f"{k}" + "x" * 500, "uint8", (1,)) for k in range(HEADER_LIMIT_BYTES // 550)]
    with pytest.raises(ArtifactError, match=r"need a header of [\d,]+ bytes, above 4,194,304"):
        encode(many, {})


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ([], True),
        ([0], True),
        ([2**60], True),
        ([0, 2**60], True),
        ([0, 2**60, 2], False),
        ([2**61], False),
        ([2**31, 2**31], False),
        ([-1], False),
        ([True], False),
        ([1.0], False),
        (["1"], False),
        ([1] * 16, True),
        ([1] * 17, False),
        ("", False),
        (None, False),
    ],
)
def test_shapes(shape: object, fits: bool) -> None:
    assert is_shape(shape) is fits


def test_the_length_must_be_possible() -> None:
    assert header_length((5).to_bytes(8, "little"), 13, "it") == 5
    with pytest.raises(ArtifactCorrupt, match="it has 3 bytes"):
        header_length(b"abc", 3, "it")
    for length, file_bytes in ((6, 13), (2**64 - 1, 2**40), (HEADER_LIMIT_BYTES + 1, 2**40)):
        with pytest.raises(ArtifactCorrupt, match=f"claims a header of {length:,} bytes; the file has {file_bytes:,}"):
            header_length(length.to_bytes(8, "little"), file_bytes, "it")
