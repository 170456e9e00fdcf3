"""What lies between our Frappe figure and the published one: the published training in plain PyTorch, on our files.

A DLRM of nn.Embedding and nets of 400-400-400 with batch normalisation and dropout 0.2, Adam 1e-3 over dense gradients,
an L2 penalty on whole tables (lambda / 2 x squared norm, as FuxiCTR has it), batches of 4096, a tenth of the step size
after every epoch without a better validation AUC, the end after the second such epoch. Nothing of pocketrec is in it
but its AUC.

    python experiments/frappe_published_settings.py FOLDER [LAMBDA] [SEED]
"""

from __future__ import annotations

import copy
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pocketrec.metrics import evaluate

FILES = ("train_reconstructed.csv.gz", "valid.csv.gz", "test.csv.gz")
Part = tuple[Tensor, Tensor]


class Dlrm(nn.Module):
    """All pairwise dot products into a net; ids are unique over all fields, so one table is all tables."""

    def __init__(self, rows: int, fields: int) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, 10)
        nn.init.normal_(self.table.weight, std=1e-4)
        self.pairs = torch.tril_indices(fields, fields, -1)
        widths = [self.pairs.shape[1], 400, 400, 400]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(0.2)]
        self.top = nn.Sequential(*layers, nn.Linear(400, 1))

    def forward(self, ids: Tensor) -> Tensor:
        vectors = self.table(ids)
        products = vectors @ vectors.transpose(1, 2)
        found: Tensor = self.top(products[:, self.pairs[0], self.pairs[1]])
        return found[:, 0]


def read(folder: Path) -> list[Part]:
    """Ids and labels of the three files."""
    frames = [pd.read_csv(folder / name) for name in FILES]
    return [
        (torch.from_numpy(f.iloc[:, 1:].to_numpy(np.int64)), torch.from_numpy(f["label"].to_numpy(np.float32)))
        for f in frames
    ]


def auc(model: Dlrm, part: Part) -> float:
    """Of a part."""
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(ids) for ids in part[0].split(8192)])
    found = evaluate(part[1].numpy(), logits.numpy()).auc
    assert found is not None
    return found


def epoch(model: Dlrm, part: Part, optimizer: torch.optim.Optimizer, penalty: float) -> None:
    """One pass in a new order."""
    model.train()
    for rows in torch.randperm(len(part[1])).split(4096):
        loss = nn.functional.binary_cross_entropy_with_logits(model(part[0][rows]), part[1][rows])
        loss = loss + penalty / 2 * model.table.weight.square().sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def main(folder: Path, penalty: float, seed: int) -> None:
    """Train, choose by validation, read test once."""
    torch.manual_seed(seed)
    train, validation, test = read(folder)
    model = Dlrm(1 + int(max(part[0].max() for part in (train, validation, test))), train[0].shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best, kept, without = 0.0, copy.deepcopy(model.state_dict()), 0
    for number in range(1, 101):
        epoch(model, train, optimizer, penalty)
        found = auc(model, validation)
        sys.stderr.write(f"epoch {number}: validation AUC {found:.5f}\n")
        if found > best + 1e-6:
            best, kept, without = found, copy.deepcopy(model.state_dict()), 0
            continue
        without += 1
        if without == 2:
            break
        optimizer.param_groups[0]["lr"] *= 0.1
    model.load_state_dict(kept)
    sys.stdout.write(f"lambda {penalty} seed {seed}: validation AUC {best:.5f}, test AUC {auc(model, test):.5f}\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), float(given[1]) if len(given) > 1 else 0.02, int(given[2]) if len(given) > 2 else 0)
