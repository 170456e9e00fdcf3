"""Rows of signed 8-bit codes whose step is learned, while training too: value = (code - 128) x step.

Paper: Li, Guo, Hou, Zhang, Tang, Tang, Zhang, Li, Adaptive Low-Precision Training for Embeddings in Click-Through Rate
    Prediction (AAAI 2023, arXiv:2212.05735).
Bytes: as int8: width + 8 per row (codes, then the step, then -128 steps as the bias that every reader of int8 asks
    for), in training as well; there the optimizer's state of the step besides, 4 per row, 8 with Adam. The paper counts
    width + 4. Shared arrays are int8: 72 per 64 weights.
Trained in its own type: an update reads the row, moves it in float32, moves the step by its gradient (that of Learned
    Step Size Quantization, times 1 / sqrt(data rows x width x 127); the optimizer's rule with ``scale_lr``, 2e-5 as
    published), cuts the row to -128 .. 127 steps and rounds it stochastically. The paper's Algorithm 1 finds the step's
    gradient in a second forward and backward pass with the moved rows; here it is made of the gradient of the one pass
    that there is, by the rows before they moved. Shared arrays are trained as float32.
Use when: training has to be as small as serving, and a row should keep its step from update to update. On the Criteo
    sample its AUC was float32's to .0001 (95 % interval .0007, eight pairs).
Did not help when: int8_trained is at hand: no difference was seen. What leaves +-128 steps is cut until the step has
    grown, slowly at 2e-5; int8_trained fits every row anew and cuts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from pocketrec.compress.storage.int8 import Int8

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STORAGE", "Alpt"]

# A row's first step, if the row fits: public code begins with it, so that rows have room to grow to +-1.27.
_FIRST_STEP: Final = 0.01


@final
class Alpt(Int8):
    """Symmetric 8-bit codes per row that are never anything else, and whose step learns."""

    name = "alpt"
    trained_as = "alpt"
    array_trained_as = "float32"
    learns_scales = True

    def encode(self, rows: Tensor) -> Tensor:
        """Rounded stochastically, as every update is: to nearest, small starting values would all be zero.

        The random numbers are a function of the row's own numbers, so that equal rows are stored alike.
        """
        from pocketrec.native.learned_scale import codes_on_scale  # here, not above: sizing answers without torch
        from pocketrec.native.rounding import draws

        return codes_on_scale(rows, draws(_contents(rows), rows.shape[1], seed=0, step=0), _step(rows))

    def step_size(self, rows: Tensor) -> Tensor:
        # a whole step, for it is rounded up or down; and the rounding of float32
        return _step(rows)[:, None] + rows.abs().amax(dim=1, keepdim=True) * 2.0**-20

    def encode_array(self, weights: Tensor) -> Tensor:
        # an array is converted when frozen, once: no step of it has to last
        return Int8().encode_array(weights)


def _step(rows: Tensor) -> Tensor:
    """The step with which rows float32 [n, width] begin: float32 [n]."""
    from pocketrec.native.learned_scale import GREATEST  # here, not above: sizing answers without torch

    return (rows.abs().amax(dim=1) / GREATEST).clamp(min=_FIRST_STEP)


def _contents(rows: Tensor) -> Tensor:
    """A hash of each row: int64 [n]."""
    import torch  # here, not above: sizing answers without it

    bits = (rows + 0.0).contiguous().view(torch.int32).long()  # two zeros are one number
    return (bits * (2 * torch.arange(rows.shape[1]) + 1)).sum(dim=1)


STORAGE = Alpt()
