"""Schema: what the columns of a click log are, and how dense numbers are transformed.

A schema is written as YAML or JSON. Columns of the file that it does not name are left alone (files without a header
must be named completely, in order)::

    format: csv
    fields:
      - {name: click, kind: label}
      - {name: price, kind: dense, transform: {log1p: true, standardise: true}}
      - {name: site, kind: categorical}
      - {name: device, kind: categorical, ids: hash63}
      - {name: candidate, kind: categorical, table: item}
      - {name: last_viewed, kind: categorical, table: item}
      - {name: genres, kind: categorical, many: true, separator: "|"}
      - {name: hour, kind: time}
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic
import yaml

from pocketrec.spec.errors import SchemaError
from pocketrec.spec.table import IdSpace

__all__ = ["DenseTransform", "Field", "Schema", "criteo"]

Kind = Literal["dense", "categorical", "label", "weight", "time"]
_STRICT = pydantic.ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseTransform:
    """What happens to one dense number, always in this order, in float64, rounded to float32 at the end.

    Attributes:
        fill: takes the place of a missing number, in the raw number's unit.
        clip: lowest and highest raw value; what lies outside is moved to the edge. None: no clipping.
        log1p: log(1 + max(x, 0)), so negative numbers become 0, as the published DLRM code does it.
        standardise: minus the mean, over the standard deviation, both fitted on the training rows after the steps above
            and kept in the artifact. A constant column becomes 0.
        missing_flag: adds a second dense column `<name>_missing`, 1.0 where the number is missing, else 0.0.
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = _STRICT

    fill: float = 0.0
    clip: tuple[float, float] | None = None
    log1p: bool = False
    standardise: bool = False
    missing_flag: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.fill):
            raise SchemaError(f"fill must be a finite number, got {self.fill}.")
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise SchemaError(f"clip must be [lowest, highest] with lowest < highest, got {list(self.clip)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of the input: a field of the schema.

    Attributes:
        name: the column's name, unique.
        kind: ``dense`` number, ``categorical`` token, ``label`` (0 or 1), ``weight`` (0 or more), ``time``
            (orders rows).
        ids: categorical only. ``rank``: tokens are numbered by training frequency; ``hash63``: by the hash of their
            text, without a vocabulary; ``plain``: the text is the id itself, 0 <= id < rows.
        rows: number of ids; for ``plain``, where it is needed, and nowhere else.
        table: categorical only; fields that name the same table share it. None: its own table, called like the field.
        tokens: categorical only; ``hex`` tokens are up to 16 hexadecimal digits (empty: missing), ``text`` is anything.
        many: categorical only; whether a row holds any number of tokens (a bag) in place of one. In text they stand
            between separators, in Parquet and frames in lists (or in such a text). A missing bag is an empty one.
        separator: many only; stands between the tokens of a text.
        pool: many only; whether the vectors of a bag are averaged (``mean``) or added (``sum``). An empty bag is zeros.
        max_values: many only; of longer bags the first so many tokens are read, in the order of the file; None: all.
        threshold: label only; the column holds any number, and 1 stands for numbers at or above the threshold (a
            rating, a watch time). None: it holds 0 and 1.
        clock: time only; ``number`` (any number) or ``iso8601`` (such as 2014-10-21T00:00:00).
        transform: dense only.
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = _STRICT

    name: str
    kind: Kind
    ids: IdSpace = "rank"
    rows: int | None = None
    table: str | None = None
    tokens: Literal["text", "hex"] = "text"
    many: bool = False
    separator: str = "|"
    pool: Literal["mean", "sum"] = "mean"
    max_values: int | None = None
    threshold: float | None = None
    clock: Literal["number", "iso8601"] = "number"
    transform: DenseTransform = field(default_factory=DenseTransform)

    def __post_init__(self) -> None:
        if not self.name:
            raise SchemaError("A field needs a name.")
        owners = {
            "categorical": ("ids", "rows", "table", "tokens", "many", "separator", "pool", "max_values"),
            "dense": ("transform",), "time": ("clock",), "label": ("threshold",),
        }  # fmt: skip
        for kind, keys in owners.items():
            given = [key for key in keys if getattr(self, key) != _DEFAULTS[key]]
            if given and kind != self.kind:
                raise SchemaError(
                    f"Field {self.name!r} is a {self.kind}; {', '.join(given)} is for {kind} fields only."
                )
        if (self.rows is not None) != (self.ids == "plain") or (self.rows is not None and self.rows < 1):
            raise SchemaError(f"Field {self.name!r}: rows (1 or more) goes with ids: plain, and with nothing else.")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise SchemaError(f"Field {self.name!r}: threshold must be a finite number, got {self.threshold}.")
        self._check_bag()

    def _check_bag(self) -> None:
        given = [key for key in ("separator", "pool", "max_values") if getattr(self, key) != _DEFAULTS[key]]
        if given and not self.many:
            raise SchemaError(f"Field {self.name!r} holds one token per row; {', '.join(given)} goes with many: true.")
        if not self.separator or set(self.separator) & set("\r\n"):
            raise SchemaError(f"Field {self.name!r}: separator must be a text without line breaks, not empty.")
        if self.max_values is not None and self.max_values < 1:
            raise SchemaError(f"Field {self.name!r}: max_values must be 1 or more, got {self.max_values}.")

    @property
    def table_name(self) -> str:
        """The table that this field looks up."""
        return self.table or self.name


_DEFAULTS: dict[str, Any] = {
    "ids": "rank", "rows": None, "table": None, "tokens": "text", "clock": "number", "transform": DenseTransform(),
    "many": False, "separator": "|", "pool": "mean", "max_values": None, "threshold": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """All columns of a log, in order.

    Attributes:
        fields: the columns. In a file without a header they are all columns of the file, from left to right.
        format: name of the reader: ``criteo`` (tab-separated, no header, no quotes), ``csv``, ``parquet``, ...
        delimiter: csv only; one character.
        header: csv only; whether the first line of every file names the columns.
        user: the categorical field (one token per row) that says whose row it is; metrics per user group rows by it.
    """

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = _STRICT

    fields: tuple[Field, ...]
    format: str = "csv"
    delimiter: str = ","
    header: bool = True
    user: str | None = None

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields]
        for twice in sorted({n for n in names if names.count(n) > 1}):
            raise SchemaError(f"The field {twice!r} stands twice in the schema.")
        for kind in ("label", "weight", "time"):
            many = [f.name for f in self.fields if f.kind == kind]
            if len(many) > 1:
                raise SchemaError(
                    f"A schema has at most one {kind} field, this one has {len(many)}: {', '.join(many)}."
                )
        if not self.categorical and not self.dense:
            raise SchemaError("A schema needs at least one categorical or dense field.")
        if len(self.delimiter) != 1 or not self.delimiter.isascii():
            raise SchemaError(f"The delimiter must be one ASCII character, got {self.delimiter!r}.")
        if self.user is not None and self.user not in {f.name for f in self.categorical if not f.many}:
            raise SchemaError(f"user: {self.user!r} is not a categorical field with one token per row.")
        self._check_shared_tables()

    def _check_shared_tables(self) -> None:
        first: dict[str, Field] = {}
        for f in self.categorical:
            other = first.setdefault(f.table_name, f)
            if (f.ids, f.rows) != (other.ids, other.rows):
                raise SchemaError(
                    f"Fields {other.name!r} and {f.name!r} share table {f.table_name!r} but not their ids: "
                    f"{other.ids} of {other.rows} rows against {f.ids} of {f.rows} rows."
                )

    def _of(self, kind: Kind) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.kind == kind)

    @property
    def categorical(self) -> tuple[Field, ...]:
        """The categorical fields, in order: the columns of a batch's ids."""
        return self._of("categorical")

    @property
    def dense(self) -> tuple[Field, ...]:
        """The dense fields, in order."""
        return self._of("dense")

    @property
    def bags(self) -> tuple[Field, ...]:
        """The categorical fields that hold many tokens per row, in order."""
        return tuple(f for f in self.categorical if f.many)

    @property
    def dense_columns(self) -> tuple[str, ...]:
        """Names of the columns of a batch's dense numbers: each dense field, then its missing flag if it has one."""
        return tuple(
            name
            for f in self.dense
            for name in ((f.name, f"{f.name}_missing") if f.transform.missing_flag else (f.name,))
        )

    @property
    def tables(self) -> tuple[Field, ...]:
        """One categorical field per table, the first that uses it; in order."""
        first: dict[str, Field] = {}
        for f in self.categorical:
            first.setdefault(f.table_name, f)
        return tuple(first.values())

    @property
    def label(self) -> Field | None:
        """The label, if there is one."""
        return next(iter(self._of("label")), None)

    @property
    def weight(self) -> Field | None:
        """The weight of a row, if there is one."""
        return next(iter(self._of("weight")), None)

    @property
    def time(self) -> Field | None:
        """The column that orders rows, if there is one."""
        return next(iter(self._of("time")), None)

    def unlabelled(self) -> Schema:
        """The same log without label and weight, as it comes to be predicted."""
        return replace(self, fields=tuple(f for f in self.fields if f.kind not in ("label", "weight")))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without what is at its default; :meth:`from_json` gives an equal schema back."""
        plain: dict[str, Any] = json.loads(_adapter().dump_json(self, exclude_defaults=True))
        return plain

    def to_yaml(self) -> str:
        """The YAML text of a schema file."""
        return yaml.safe_dump(self.to_json(), sort_keys=False)

    @staticmethod
    def from_json(data: Mapping[str, Any], *, source: str = "the schema") -> Schema:
        """The inverse of :meth:`to_json`.

        Args:
            data: keys and values as in a schema file.
            source: what to call it in errors, a file's path for instance.

        Raises:
            SchemaError: naming the source, the key and what is wrong with it.
        """
        try:
            return _adapter().validate_python(data)
        except pydantic.ValidationError as wrong:
            raise SchemaError(f"{source}: {'; '.join(_sentence(e) for e in wrong.errors())}") from None

    @staticmethod
    def load(path: str | Path) -> Schema:
        """A schema from a YAML or JSON file (JSON is YAML).

        Raises:
            SchemaError: naming the file and the key.
        """
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SchemaError(f"{path}: there is no such schema file.") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
            raise SchemaError(f"{path}: this is not a schema file: {' '.join(str(wrong).split())}.") from wrong
        if not isinstance(data, dict):
            raise SchemaError(f"{path}: a schema is a mapping with the key fields, this is a {type(data).__name__}.")
        return Schema.from_json(data, source=str(path))


@functools.cache
def _adapter() -> pydantic.TypeAdapter[Schema]:
    return pydantic.TypeAdapter(Schema)


def _sentence(error: Any) -> str:
    """One pydantic error as `key: what is wrong`."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "unexpected_keyword_argument":
        said = "there is no such key"
    return f"{key}: {said}" if key else said


def criteo(*, dense: int = 13, categorical: int = 26) -> Schema:
    """The built-in schema of Criteo logs: label, I1.., C1.. (hexadecimal tokens), tab-separated, no header.

    Dense numbers are log(1 + max(x, 0)) with 0 for missing, as in the published DLRM code.

    >>> criteo().dense_columns[:2], len(criteo().categorical)
    (('I1', 'I2'), 26)
    """
    log = DenseTransform(log1p=True)
    return Schema(
        format="criteo",
        fields=(
            Field(name="label", kind="label"),
            *(Field(name=f"I{i + 1}", kind="dense", transform=log) for i in range(dense)),
            *(Field(name=f"C{i + 1}", kind="categorical", tokens="hex") for i in range(categorical)),
        ),
    )
