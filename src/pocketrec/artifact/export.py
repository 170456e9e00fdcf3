"""Export: a served model as one `torch.export` program, which runs where only torch is installed.

The program holds the nets and the tables in their storage, int8 and int4 codes included, and plain torch operations:
our ops are replaced by what they mean (``pocketrec.native.plain_lookup``, ``plain_interact``). Vectors are the same to
the bit, scores up to the rounding of float32, because products may be summed in another order. It takes what an encoder
gives, numbers and ids, and returns log-odds; raw tokens and their vocabulary stay outside. An artifact is the better
form wherever pocketrec is installed: it is mapped instead of read, and looked up by compiled code.

torch writes a program as a zip archive (``.pt2``), its graph as JSON and its tensors as raw bytes; nothing in ours is
pickled. How safely torch reads archives that others made is torch's affair: pocketrec itself never loads one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pocketrec.artifact import files
from pocketrec.compress import Bank
from pocketrec.compress.plain import PlainBank
from pocketrec.models import Model
from pocketrec.spec.errors import ArtifactError

__all__ = ["ABOUT_NAME", "export_program", "save_program"]

# The name under which torch.export.load(extra_files={ABOUT_NAME: ""}) finds what the program is.
ABOUT_NAME: Final = "pocketrec.json"

# Rows of the example that is traced; any number but 0 and 1, which torch takes for constants.
_ROWS: Final = 3


def export_program(model: Model, *, bags: bool = False, factors: bool = False) -> ExportedProgram:
    """A model over a frozen bank as a program of plain torch operations, for batches of any size.

    Its inputs, by place: ``dense`` float32 [batch, dense_features]; ``ids`` int64 [batch, columns]. With `bags`:
    ``ids`` int64 [values], ``offsets`` int64 [columns x batch + 1]; with `factors` also ``weights`` float32 [values].
    They are those of :meth:`Model.forward`. It returns log-odds, float32 [batch], and raises RuntimeError for ids and
    offsets that no table can take.

    Args:
        model: is left alone; tables are shared with it, nets are copied.
        bags: whether ids come as bags.
        factors: whether the values of bags come with factors (fields whose bags are averaged).
    """
    # the bank is not copied: in its place the copy gets one without ops
    plain = cast(Bank, PlainBank(model.bank))
    served = copy.deepcopy(model, {id(model.bank): plain}).eval()
    served.plain = True
    for parameter in served.parameters():
        parameter.requires_grad_(False)
    columns, batch, values = model.columns, Dim("batch"), Dim("values")
    dense = torch.zeros(_ROWS, model.dense_features)
    if not bags:
        example: tuple[Tensor, ...] = (dense, torch.zeros(_ROWS, columns, dtype=torch.int64))
        shapes: tuple[dict[int, Any], ...] = ({0: batch}, {0: batch})
    else:
        count = columns * _ROWS + 2
        offsets = torch.arange(columns * _ROWS + 1)
        offsets[-1] = count  # the last bag has three values: no two sizes of the example are equal
        example = (dense, torch.zeros(count, dtype=torch.int64), offsets)
        shapes = ({0: batch}, {0: values}, {0: columns * batch + 1})
        if factors:
            example, shapes = (*example, torch.ones(count)), (*shapes, {0: values})
    with torch.no_grad():
        program = torch.export.export(_Served(served), example, dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine are nobody's business
    program._example_inputs = None  # torch would write them as a pickle; without them there is none in the file
    return program


class _Served(nn.Module):
    """The model; it says how many bags there are, so that the program takes one row and none as well."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        if offsets is not None:
            torch._check(offsets.shape[0] == self.model.columns * dense.shape[0] + 1)  # type: ignore[no-untyped-call]
        logits: Tensor = self.model(dense, ids, offsets, weights)
        return logits


def save_program(program: ExportedProgram, path: Path, about: Mapping[str, Any]) -> int:
    """Write a program, in one step: what was there before stays whole until the new one is.

    Args:
        program: of :func:`export_program`.
        path: ends in ``.pt2``.
        about: JSON to keep inside as ``pocketrec.json``, beside the version.

    Returns:
        Bytes of the file.

    Raises:
        ArtifactError: another ending, or a place that cannot be written to.
    """
    if path.suffix != ".pt2":
        raise ArtifactError(f"{path}: name the program with the ending .pt2, by which torch knows it.")
    for held in (program.state_dict, program.constants):
        for name, tensor in held.items():
            # of a view, torch would write all that it is a view of
            if isinstance(tensor, Tensor) and tensor.untyped_storage().nbytes() != tensor.nbytes:
                held[name] = _own(tensor)
    said = json.dumps({**about, "pocketrec": version("pocketrec")}, indent=1, allow_nan=False)
    try:
        files.write_by(path, partial(torch.export.save, program, extra_files={ABOUT_NAME: said}))
    except OSError as wrong:
        raise ArtifactError(f"Cannot write {path}: {wrong.strerror or wrong}. Choose another folder.") from wrong
    return path.stat().st_size


def _own(tensor: Tensor) -> Tensor:
    copied = tensor.detach().clone()
    return nn.Parameter(copied, requires_grad=False) if isinstance(tensor, nn.Parameter) else copied
