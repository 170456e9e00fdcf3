"""WarmStart: what an earlier training left, to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import Sizing

__all__ = ["WarmStart"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WarmStart:
    """Yesterday's model in its training form.

    Attributes:
        bank: tables, with the state of their optimizer.
        nets: parameters outside the bank, by name.
        optimizer: state of the dense optimizer, as named tensors.
    """

    bank: Bank
    nets: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]

    def bank_for(self, sizing: Sizing) -> Bank:
        """The bank, to be continued in a bank of this sizing.

        Raises:
            OptionError: the rows are updated by another optimizer now, so that its state would begin anew.
        """
        was, now = self.bank.sizing.optimizer.name, sizing.optimizer.name
        if was != now:
            raise OptionError(
                f"The rows of the model to continue were updated by {was}, now by {now}: their state cannot be taken "
                f"over. Keep optimizer.name {was}."
            )
        return self.bank
