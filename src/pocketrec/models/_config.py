"""ModelConfig: which model, and how wide and deep its nets are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pocketrec.spec.errors import OptionError

__all__ = ["Cross", "ModelConfig"]

Cross = Literal["stacked", "parallel"]

# Far above any click model. With them a model can be described (without memory) whatever a file asks for.
MOST_LAYERS: Final = 64
MOST_NUMBERS: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Which model, and how wide its nets are. A model reads what it needs and leaves the rest alone.

    Attributes:
        name: a file of ``models``.
        bottom: ``dlrm`` and ``memrec`` only: widths of the net over the dense numbers; the tables' dim is added as its
            last.
        top: widths of the deep net, the one that ends in the logit; 1 is added as its last. At most 64 layers of at
            most 1,048,576 numbers, as everywhere.
        dropout: share of the numbers between the layers of the deep net that every training step leaves out, 0 to
            below 1.
        cross_layers: ``dcn_v2`` only: how many cross layers, 1 or more.
        cross_rank: ``dcn_v2`` only: rank of their matrices; None for full ones.
        cross: ``dcn_v2`` only: ``stacked`` (the deep net reads what the cross layers give) or ``parallel`` (both read
            the inputs).
    """

    name: str = "dlrm"
    bottom: tuple[int, ...] = (512, 256, 64)
    top: tuple[int, ...] = (512, 256)
    dropout: float = 0.0
    cross_layers: int = 3
    cross_rank: int | None = None
    cross: Cross = "stacked"

    def __post_init__(self) -> None:
        for name in ("bottom", "top"):
            widths = getattr(self, name)
            if len(widths) > MOST_LAYERS or any(not 1 <= width <= MOST_NUMBERS for width in widths):
                raise OptionError(
                    f"{name} holds up to {MOST_LAYERS} widths of layers, 1 to {MOST_NUMBERS:,} each, got {widths}."
                )
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout must be 0 or more and below 1, got {self.dropout}.")
        for name, most in (("cross_layers", MOST_LAYERS), ("cross_rank", MOST_NUMBERS)):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= most:
                raise OptionError(f"{name} must lie in 1..{most:,}, got {count}.")
        if self.cross not in get_args(Cross):
            raise OptionError(f"cross cannot be {self.cross!r}. Known: {', '.join(get_args(Cross))}.")
        if self.cross == "parallel" and not self.top:
            raise OptionError("A deep net parallel to the cross layers needs one width in top at least.")

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ModelConfig:
        """From the plain values in a file, that anybody may have written; what is missing is as in a new configuration.

        Raises:
            OptionError: a name that is not known, or a value that is not of its kind.
        """
        unknown = sorted(set(data) - set(_KINDS))
        if unknown:
            raise OptionError(f"A model has no option {', '.join(unknown)}.")
        values = dict(data)
        for name, value in data.items():
            if name in ("bottom", "top") and type(value) is list:
                values[name] = value = tuple(value)
            inner = value if isinstance(value, tuple) else ()
            if type(value) not in _KINDS[name] or any(type(width) is not int for width in inner):
                raise OptionError(f"{name} of a model cannot be {value!r:.80}.")
        return ModelConfig(**values)


# True is an int to Python, but no width.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "bottom": (tuple,),
    "top": (tuple,),
    "dropout": (float, int),
    "cross_layers": (int,),
    "cross_rank": (int, type(None)),
    "cross": (str,),
}
