"""Model: the contract of a click model over a bank."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from pocketrec.compress import Bank
from pocketrec.models._config import ModelConfig
from pocketrec.models.parts.masks import Masks
from pocketrec.spec.errors import OptionError

__all__ = ["Model"]


class Model(nn.Module, ABC):
    """Logits from dense numbers and ids.

    Nets are made by ``models.parts`` (``linear``, ``mlp``), which draw from a generator of the seed and make layers
    without memory under ``torch.device("meta")``.

    Args:
        bank: the tables; whatever is inside.
        dense_features: dense numbers per row.
        config: widths.
        seed: of the nets' starting values, and of what dropout leaves out.

    Attributes:
        table_init: the bound within which looked-up numbers of the tables should start, the default of the methods'
            option ``init`` in runs of the pipeline; None leaves it to the method. Who builds the bank by hand passes
            it on: ``size(tables, budget, method, init=DeepFm.table_init)``.
        columns: columns of ids, that is vectors per row.
        table_dim: numbers of each vector that the bank gives.
        plain: whether operations of torch alone compute, slower, as a program needs that runs where pocketrec is not.
    """

    name: ClassVar[str]
    table_init: ClassVar[float | None] = None
    bank: Bank
    plain: bool = False

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__()
        self.dense_features, self.config, self.seed = dense_features, config, seed
        self.columns, self.table_dim = len(bank.sizing.order), bank.sizing.groups[0].tables[0].table.dim
        self.bank = bank

    @classmethod
    def vector_dim(cls, dim: int) -> int:
        """Numbers per row that the model asks of its tables when embeddings have `dim`.

        A model with first-order weights asks for one more: the weight of an id stands last in the id's own row, so it
        is compressed, counted and looked up with it.
        """
        return dim

    @classmethod
    def from_nets(
        cls, bank: Bank, *, dense_features: int, config: ModelConfig, nets: Mapping[str, Tensor]
    ) -> Self:  # fmt: skip
        """The model with these nets, copied, held in the dtype that they have. No memory is taken before the shape of
        every net is known to be right.

        Raises:
            OptionError: they are the nets of another model.
        """
        dtype = next((t.dtype for t in nets.values()), torch.float32)
        with torch.device("meta"):
            described = cls(bank, dense_features=dense_features, config=config, seed=0).nets()
        _refuse_others({name: t.to(dtype) for name, t in described.items()}, nets)
        made = cls(bank, dense_features=dense_features, config=config, seed=0).with_nets_in(dtype)
        made.copy_nets(nets)
        return made

    def copy_nets(self, nets: Mapping[str, Tensor]) -> None:
        """Copy values of everything outside the bank.

        Args:
            nets: tensors by name, as :meth:`nets` of a model of the same form gives them, in the dtype of ours.

        Raises:
            OptionError: they are of a model of another form, or held in another dtype. Nothing was changed.
        """
        here = self.nets()
        _refuse_others(here, nets)
        for name, tensor in here.items():
            tensor.detach().copy_(nets[name])

    @abstractmethod
    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        """Logits, float32 [batch].

        Args:
            dense: float32 [batch, dense_features].
            ids: int64 [batch, columns]; or int64 [values] with `offsets`.
            offsets: int64 [columns x batch + 1], where each bag begins, as the bank takes them; or None.
            weights: float32 [values], factors of a bag's values; or None.
        """

    def masks(self) -> Masks | None:
        """What dropout leaves out in this step; None where nothing is.

        It depends on the seed and on how many steps the bank has made, so a run that goes on after a kill leaves out
        what it would have left out.
        """
        if not self.training or not self.config.dropout:
            return None
        return Masks(self.config.dropout, seed=self.seed, step=int(self.bank.steps))

    def nets(self) -> dict[str, Tensor]:
        """Parameters and buffers outside the bank by name: their number must not grow with rows."""
        return {name: t for name, t in self.state_dict(keep_vars=True).items() if not name.startswith("bank.")}

    def dense_parameters(self) -> list[nn.Parameter]:
        """What the dense optimizer trains: the nets, and the bank's small matrices.

        Raises:
            OptionError: the nets are not held in float32; steps of training are smaller than bfloat16 can tell apart.
        """
        own = [p for name, p in self.named_parameters() if not name.startswith("bank.")]
        if any(p.dtype is not torch.float32 for p in own):
            raise OptionError(
                "These nets are held in bfloat16, which is for serving: it would round the steps of training away. "
                "Train a model in float32 and take with_nets_in(torch.bfloat16) of it."
            )
        return own + self.bank.matrices()

    def dense_bytes(self) -> int:
        """Bytes of everything outside the bank."""
        return sum(t.numel() * t.element_size() for t in self.nets().values())

    def with_bank(self, bank: Bank) -> Self:
        """The same nets (shared, not copied) over another bank with the same tables."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.bank = bank
        return other

    def with_nets_in(self, dtype: torch.dtype) -> Self:
        """The same model with its nets, copied, held in float32 or bfloat16, over the same bank (shared, not copied);
        the model itself if they are already.

        bfloat16 is for serving: half the bytes, each weight rounded by at most 2^-9 of itself. A few rows are quicker,
        because all weights are read for them; more rows have all weights widened first. Numbers between the layers and
        logits stay float32. Such a model cannot be trained.

        Args:
            dtype: ``torch.float32`` or ``torch.bfloat16``.

        Raises:
            OptionError: another dtype.
        """
        if dtype not in (torch.float32, torch.bfloat16):
            raise OptionError(f"Nets are held in float32 or bfloat16, not in {dtype}.")
        if all(t.dtype is dtype for t in self.nets().values()):
            return self
        other = copy.deepcopy(self, {id(self.bank): self.bank})
        for tensor in other.nets().values():
            tensor.data = tensor.data.to(dtype)
        return other


def _refuse_others(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """OptionError unless both have the same names, shapes and dtypes."""
    for name in sorted({*ours, *theirs}):
        here, there = (list(nets[name].shape) if name in nets else "not there" for nets in (ours, theirs))
        if here == there:
            here, there = (str(nets[name].dtype) for nets in (ours, theirs))
        if here != there:
            raise OptionError(
                f"These are the nets of another model: {name!r} is {there} in them and {here} in this one. "
                "Keep the model's name, widths and features."
            )
