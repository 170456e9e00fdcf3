"""An ordinary PyTorch click model and loop with pocketrec.EmbeddingBag in the place of torch.nn.EmbeddingBag.

The same model is trained three times: with torch's own bags; with ours in a tenth of the bytes and the same torch
optimizer; with ours and the fused update, which reads and writes only the rows of the batch. Bytes and loss of each.

    python examples/plain_pytorch_loop.py
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.spec.optimizer import OptimizerSpec

ROWS, DIM = (8000, 3000, 200), 8  # users, items, shops
TRAIN, TEST, BATCH, LR = 30_000, 5_000, 200, 0.05
TENTH = {"mode": "sum", "method": "robe", "budget": "10x", "block": 8, "init": 0.05}


class ClickModel(nn.Module):
    """One vector per field, their products by pairs, a small net on top: float32 [batch] log-odds."""

    def __init__(self, bags: list[nn.Module]) -> None:
        super().__init__()
        self.bags = nn.ModuleList(bags)
        self.top = nn.Sequential(nn.Linear(len(bags) * DIM + 3, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, ids: Tensor) -> Tensor:
        """Log-odds of a click for int64 [batch, fields] ids."""
        a, b, c = vectors = [bag(column[:, None]) for bag, column in zip(self.bags, ids.T, strict=True)]
        pairs = [(x * y).sum(1, keepdim=True) for x, y in ((a, b), (a, c), (b, c))]
        return self.top(torch.cat([*vectors, *pairs], dim=1))[:, 0]


def torchs(rows: int) -> nn.EmbeddingBag:
    """torch's own bag, which starts at N(0, 1): too wide for a click model."""
    return nn.EmbeddingBag(rows, DIM, mode="sum", _weight=torch.rand(rows, DIM) / 10 - 0.05)


def clicks() -> tuple[Tensor, Tensor]:
    """Ids with a few frequent and many rare values, and labels that depend on them."""
    n, draw = TRAIN + TEST, torch.Generator().manual_seed(1)
    ids = torch.stack([(torch.rand(n, generator=draw) ** 3 * rows).long() for rows in ROWS], dim=1)
    tastes = [torch.randn(rows, 3, generator=draw) for rows in ROWS]
    user, item, shop = (taste[column] for taste, column in zip(tastes, ids.T, strict=True))
    logits = 1.5 * user[:, 0] + 1.5 * item[:, 0] + shop[:, 0] + (user[:, 1:] * shop[:, 1:]).sum(1)
    return ids, (torch.rand(n, generator=draw) < torch.sigmoid(logits)).float()


def train(model: ClickModel, ids: Tensor, labels: Tensor, *, fused: bool) -> float:
    """Two epochs; the log-loss of the test rows."""
    optimizer = torch.optim.Adagrad(model.top.parameters() if fused else model.parameters(), lr=LR)
    loss_of = nn.functional.binary_cross_entropy_with_logits
    for _ in range(2):
        for rows in torch.arange(TRAIN).split(BATCH):
            optimizer.zero_grad()
            loss_of(model(ids[rows]), labels[rows]).backward()
            optimizer.step()
            for bag in model.bags if fused else ():
                bag.step()  # applies what backward left, to the rows that were looked up
    with torch.no_grad():
        return float(loss_of(model.eval()(ids[TRAIN:]), labels[TRAIN:]))


if __name__ == "__main__":
    ids, labels = clicks()
    adagrad = OptimizerSpec(name="adagrad", lr=LR, eps=1e-10)
    kinds = {
        "torch.nn.EmbeddingBag": torchs,
        "pocketrec, torch optimizer": lambda rows: pocketrec.EmbeddingBag(rows, DIM, **TENTH),
        "pocketrec, fused": lambda rows: pocketrec.EmbeddingBag(rows, DIM, fused=True, optimizer=adagrad, **TENTH),
    }
    for name, bag in kinds.items():
        torch.manual_seed(0)
        model = ClickModel([bag(rows) for rows in ROWS])
        held = sum(b.weight.nbytes if bag is torchs else b.serve_bytes for b in model.bags)
        loss = train(model, ids, labels, fused="fused" in name)
        print(f"{name:28} {held:9,} bytes   test log-loss {loss:.4f}")
