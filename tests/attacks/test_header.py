"""Tensor files whose headers lie. Their hashes are right, and the manifest beside them is honest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pocketrec.artifact import map_tensors
from pocketrec.spec.errors import ArtifactCorrupt

Attack = Callable[[Any], None]


def in_header(change: Callable[[dict[str, Any]], object]) -> Attack:
    """An attack that changes the first file's header and not what the manifest says of it."""

    def attack(forger: Any) -> None:
        header = forger.header()
        change(header)
        forger.set_header(header)

    return attack


def of_rows(key: str, value: Any) -> Attack:
    return in_header(lambda header: header["rows"].update({key: value}))


CODES = {"dtype": "I8", "shape": [7], "data_offsets": [0, 7]}

HEADERS: dict[str, tuple[Attack, str]] = {
    "length 2^64 - 1": (lambda f: f.set_length(2**64 - 1), "claims a header of 18,446,744,073,709,551,615 bytes"),
    "length 2^63": (lambda f: f.set_length(2**63), "claims a header"),
    "length one byte too long": (lambda f: f.set_length(len(f.raw[0]) - 7), "claims a header"),
    "length of the whole file": (lambda f: f.set_length(len(f.raw[0]) - 8), "cannot be read"),
    "length 0": (lambda f: f.set_length(0), "cannot be read"),
    "length too short": (lambda f: f.set_length(20), "cannot be read"),
    "no page boundary": (lambda f: f.set_length(4000), "data starts at byte 4,008"),
    "not an object": (lambda f: f.set_header("[]"), "not an object"),
    "not json": (lambda f: f.set_header("{'a': 1}"), "cannot be read"),
    "not utf-8": (lambda f: f.set_header(b'{"\xff\xfe": 1}'), "utf-8"),
    "deep json": (lambda f: f.set_header('{"a":' * 50_000), "nested too deeply"),
    "deep lists": (lambda f: f.set_header("[" * 100 + "]" * 100), "nested deeper"),
    "duplicate key": (lambda f: f.set_header(doubled(f.header(), "rows")), "'rows' stands twice"),
    "NaN": (lambda f: f.set_header('{"a": NaN}'), "NaN is not a JSON number"),
    "metadata no object": (in_header(lambda h: h.update(__metadata__=[1])), "metadata"),
    "metadata no strings": (in_header(lambda h: h.update(__metadata__={"a": 1})), "metadata"),
    "tensor no object": (in_header(lambda h: h.update(rows=1)), "needs exactly dtype"),
    "key missing": (in_header(lambda h: h["rows"].pop("dtype")), "needs exactly dtype"),
    "key too many": (in_header(lambda h: h["rows"].update(strides=[1])), "needs exactly dtype"),
    "dtype unknown": (of_rows("dtype", "F8_E4M3"), "dtype 'F8_E4M3'"),
    "dtype bool": (of_rows("dtype", "BOOL"), "dtype 'BOOL'"),
    "dtype no text": (of_rows("dtype", ["F32"]), "dtype"),
    "dtype wider": (of_rows("dtype", "F64"), "9,600 bytes by its shape and 4,800 by its offsets"),
    "shape huge": (of_rows("shape", [2**40, 2**10]), "bytes by its shape and 4,800"),
    "shape overflows to the right size": (of_rows("shape", [2**62 + 300, 4]), "impossible shape"),
    "shape overflows to nothing": (of_rows("shape", [2**32, 2**32]), "impossible shape"),
    "shape empty but for strides": (of_rows("shape", [0, 2**40, 2**40]), "impossible shape"),
    "shape negative": (of_rows("shape", [-300, -4]), "impossible shape"),
    "shape of floats": (of_rows("shape", [300.0, 4]), "impossible shape"),
    "shape of bools": (of_rows("shape", [True, 1200]), "impossible shape"),
    "shape no list": (of_rows("shape", 1200), "impossible shape"),
    "shape of 10,000 axes": (of_rows("shape", [1] * 10_000), "impossible shape"),
    "shape a number of 4,000 digits": (of_rows("shape", [10**4000]), "impossible shape"),
    "shape other than the manifest's": (in_header(lambda h: h["rows"].update(shape=[4, 300])), "other tensors than"),
    "dtype other than the manifest's": (in_header(lambda h: h["rows"].update(dtype="I32")), "other tensors than"),
    "offsets negative": (of_rows("data_offsets", [-64, 4736]), "impossible offsets"),
    "offsets turned": (of_rows("data_offsets", [4864, 64]), "by its offsets"),
    "offsets beyond the file": (of_rows("data_offsets", [2**50, 2**50 + 4800]), "leaves a hole"),
    "offsets of 4,000 digits": (of_rows("data_offsets", [10**4000, 10**4000 + 4800]), "impossible offsets"),
    "offsets three": (of_rows("data_offsets", [64, 4864, 0]), "impossible offsets"),
    "offsets of floats": (of_rows("data_offsets", [64.0, 4864.0]), "impossible offsets"),
    "overlap": (in_header(lambda h: h.update(more=dict(CODES, data_offsets=[64, 71]))), "overlaps"),
    "two at the same place": (in_header(lambda h: h.update(more=h["rows"])), "overlaps"),
    "hole": (in_header(lambda h: h.pop("__pad_0")), "leaves a hole"),
    "data that nobody owns": (in_header(lambda h: h.pop("rows")), "accounts for 4,160"),
    "not aligned": (in_header(lambda h: unalign(h)), "not at a multiple of 64"),
    "gap of 64 bytes": (in_header(lambda h: h["__pad_0"].update(shape=[64], data_offsets=[7, 71])), "not a gap"),
    "gap of another type": (in_header(lambda h: h["__pad_0"].update(dtype="I8")), "not a gap"),
    "tensor under the name of a gap": (in_header(lambda h: h.update(__pad_9=h.pop("rows"))), "not a gap"),
    "name of ours": (in_header(lambda h: h.update(__class__=h.pop("rows"))), "cannot be called '__class__'"),
    "name unprintable": (in_header(lambda h: h.update({"a\x00b": h.pop("rows")})), "cannot be called"),
    "name endless": (in_header(lambda h: h.update({"a" * 3000: h.pop("rows")})), "cannot be called"),
    "name other than the manifest's": (in_header(lambda h: h.update(rowz=h.pop("rows"))), "other tensors than"),
}  # fmt: skip


def doubled(header: dict[str, Any], name: str) -> str:
    """The header with one key twice; the second says something else."""
    return json.dumps(header)[:-1] + f', "{name}": {json.dumps({**header[name], "shape": [1]})}}}'


def unalign(header: dict[str, Any]) -> None:
    """Move the gap to the end: the rows start at byte 7."""
    header["rows"]["data_offsets"] = [7, 4807]
    header["__pad_0"]["data_offsets"] = [4807, 4864]


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_header(name: str, forger: Any, refuse: Any) -> None:
    attack, why = HEADERS[name]
    attack(forger)
    forger.forge()
    refuse(forger.path, why)
    path = forger.path / forger.file["name"]
    if why != "other tensors than":
        with pytest.raises(ArtifactCorrupt, match=why):
            map_tensors(path)
    else:  # without a manifest to differ from, it is a good file, and what is there is mapped
        assert sum(tensor.nbytes for tensor in map_tensors(path).values()) == 7 + 4800
