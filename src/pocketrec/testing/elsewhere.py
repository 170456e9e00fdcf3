"""Run exported models in a process that has no pocketrec."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pocketrec.artifact.export import export_program, save_program
from pocketrec.models import Model
from pocketrec.testing.click_rows import Inputs

__all__ = ["PROGRAM", "scores_elsewhere"]

# Reads [{"program": path, "batches": [[[data, dtype, shape], ...], ...]}, ...], prints the logits in the same order. A
# float32 becomes a JSON number and the same float32 again.
PROGRAM = """
import json, sys
sys.modules["pocketrec"] = None  # importing it fails
import torch

with open(sys.argv[1]) as file:
    cases = json.load(file)
found = []
for case in cases:
    served = torch.export.load(case["program"]).module()
    batches = [[torch.tensor(data, dtype=getattr(torch, dtype)).reshape(shape) for data, dtype, shape in inputs]
               for inputs in case["batches"]]
    found.append([served(*inputs).tolist() for inputs in batches])
assert not [name for name in sys.modules if name.startswith("pocketrec.")], "only torch was to be imported"
json.dump(found, sys.stdout)
"""


def scores_elsewhere(cases: Sequence[tuple[Model, Sequence[Inputs]]], folder: Path) -> list[list[Tensor]]:
    """Logits of batches by exported models, computed by one fresh Python that imports only torch.

    Args:
        cases: models over frozen banks, each with batches that all are bags or all are not.
        folder: for files that pass between the two.
    """
    asked = []
    for number, (model, batches) in enumerate(cases):
        bags, factors = batches[0][2] is not None, batches[0][3] is not None
        program = export_program(model, bags=bags, factors=factors)
        called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
        assert not [name for name in called if "pocketrec" in name], "an op of ours is left in the program"
        path = folder / f"{number}.pt2"
        save_program(program, path, {})
        listed = [[_plain(t) for t in inputs if t is not None] for inputs in batches]
        asked.append({"program": str(path), "batches": listed})
    (folder / "cases.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "cases.json")], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return [[torch.tensor(logits, dtype=torch.float32) for logits in batches] for batches in json.loads(done.stdout)]


def _plain(tensor: Tensor) -> tuple[list[float], str, list[int]]:
    return tensor.flatten().tolist(), str(tensor.dtype).removeprefix("torch."), list(tensor.shape)
