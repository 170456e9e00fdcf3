"""What probing tries: mixtures and methods, their storages, and settings of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Any, Final

import numpy as np

from pocketrec.bench.probe import Candidate
from pocketrec.compress import METHODS, of
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.size import method_options
from pocketrec.spec.errors import OptionError

__all__ = ["methods_tried", "recipes", "variants"]

# Eight bits cost no quality that can be seen, and leave room for four times the rows.
_FIRST_STORAGES: Final = ("int8", "float32", "float16")
_STORAGES: Final = ("int8", "int4", "float16", "float32")
_L2: Final = (0.0, 1e-4, 1e-3, 1e-2)


def methods_tried(config: RunConfig, spaces: set[str], allowed: Sequence[str] | None) -> list[str]:
    """Methods that probing tries as the only one of all tables.

    Args:
        config: of the run.
        spaces: id spaces of its tables.
        allowed: names; None are all that train in one stage, for a probing is short and its stages would be shorter.
    """
    found = []
    for name in METHODS.names():
        traits = METHODS.get(name).traits
        if name == "mixed" or not spaces <= set(traits.ids) or (config.refit and traits.settles):
            continue
        if name in allowed if allowed is not None else not (traits.staged or traits.settles):
            found.append(name)
    return found


def recipes(
    config: RunConfig, mixtures: Mapping[str, list[dict[str, Any]]], methods: Sequence[str],
    storages: Sequence[str] | None = None, *, allowed: Sequence[str] | None = None,
) -> list[Candidate]:  # fmt: skip
    """The first candidates: every mixture, every method in one storage, settings of training as they are.

    Args:
        config: of the run; its own method with its own options is the first candidate, if these are allowed.
        mixtures: parts of the method ``mixed`` by label.
        methods: names.
        storages: names; None are all.
        allowed: names that the run's own method must be one of; None are all.
    """
    own = of(config.method, config.options)
    may = (allowed is None or own.name in allowed) and (storages is None or own.storage in storages)
    found = [_recipe(config, own.name, config.options)] if may and own.name != "mixed" else []
    plain = {key: value for key, value in method_options(config).items() if key == "init"}
    for label, parts in mixtures.items():
        found.append(Candidate(label=label, values={"method": "mixed", "options": {**plain, "parts": parts}}))
    for name in methods:
        taken = _taken(name, _FIRST_STORAGES, storages)
        found += [_recipe(config, name, {**plain, "storage": storage}) for storage in taken[:1]]
    return list({one.label: one for one in found}.values())


def variants(
    config: RunConfig, best: Sequence[Candidate], count: int, storages: Sequence[str] | None = None, *, seed: int = 0
) -> list[Candidate]:
    """The best candidates again, in other storages and with other settings of training: the best most often.

    Args:
        config: of the run.
        best: candidates, the best first.
        count: how many to give, those of `best` included.
        storages: names; None are all.
        seed: of what is drawn.
    """
    rows = [_changed(config, one, storages, np.random.default_rng([seed, k])) for k, one in enumerate(best)]
    mixed = (one for one in chain.from_iterable(zip_longest(*rows)) if one is not None)
    return list(islice({one.label: one for one in islice(mixed, 4 * count)}.values(), count))


def _changed(
    config: RunConfig, one: Candidate, storages: Sequence[str] | None, rng: np.random.Generator
) -> Iterator[Candidate]:
    """A candidate, then what it could be, storages and drawn settings in turn, without an end."""
    yield one
    name, options = str(one.values["method"]), dict(one.values["options"])
    if name == "mixed":
        others = [] if storages is not None else _trained_in_four_bits(one)
    else:
        taken = [s for s in _taken(name, _STORAGES, storages) if s != options.get("storage")]
        others = [_recipe(config, name, {**options, "storage": storage}) for storage in taken]
    for number in range(64):
        if number % 2 == 0 and others:
            yield others.pop(0)
        relearns = not of(name, options).traits.staged
        first = relearns and not number and not config.train.relearn
        drawn = _relearning(config) if first else _drawn(config, rng, relearns=relearns)
        words = ", ".join(f"{key.split('.')[-1]} {value:.4g}" for key, value in drawn.items())
        yield Candidate(label=f"{one.label}, {words}", values={**one.values, **drawn})


def _trained_in_four_bits(one: Candidate) -> list[Candidate]:
    """A mixture whose tables of 4 bits are read as such while they train, if it has any. The bytes are the same."""
    options: dict[str, Any] = dict(one.values["options"])
    parts = [
        {**part, "options": {**part["options"], "storage": "int4_qat"}}
        if part["options"].get("storage") == "int4" else part
        for part in options["parts"]
    ]  # fmt: skip
    if parts == options["parts"]:
        return []
    values = {**one.values, "options": {**options, "parts": parts}}
    return [Candidate(label=f"{one.label}, 4 bits trained", values=values)]


def _relearning(config: RunConfig) -> dict[str, Any]:
    """The first thing to try besides: rows that relearn in every epoch, held near zero a little."""
    return {"optimizer.l2": config.optimizer.l2 or 1e-4, "train.relearn": True}


def _drawn(config: RunConfig, rng: np.random.Generator, *, relearns: bool) -> dict[str, Any]:
    """Settings of training: a step within a factor of four of the run's own, L2, rows that relearn."""
    drawn: dict[str, Any] = {
        "optimizer.lr": float(f"{config.optimizer.lr * 4.0 ** rng.uniform(-1, 1):.3g}"),
        "optimizer.l2": float(rng.choice(_L2)),
    }
    return drawn | ({"train.relearn": bool(rng.random() < 0.5)} if relearns else {})


def _recipe(config: RunConfig, name: str, options: Mapping[str, Any]) -> Candidate:
    method = of(name, options)
    more = {k: v for k, v in options.items() if k not in ("storage", "init")}
    words = "".join(f", {key} {value}" for key, value in sorted(more.items()))
    return Candidate(
        label=f"{name} {method.storage}{words}",
        values={"method": name, "options": {**options, "storage": method.storage}},
    )


def _taken(name: str, wanted: Sequence[str], allowed: Sequence[str] | None) -> list[str]:
    """Storages that a method takes and that are allowed, in the order in which they are wanted."""
    found = []
    for storage in wanted if allowed is None else [s for s in (*wanted, *allowed) if s in allowed]:
        try:
            of(name, {"storage": storage})
        except OptionError:
            continue
        found.append(storage)
    return list(dict.fromkeys(found))
