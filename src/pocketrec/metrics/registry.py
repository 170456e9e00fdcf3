"""Find measures by the names of their files."""

from __future__ import annotations

import importlib
import pkgutil

from pocketrec.metrics import measures
from pocketrec.metrics.measure import Metric
from pocketrec.spec.errors import UnknownName

__all__ = ["get", "names"]


def names() -> tuple[str, ...]:
    """Names of all measures, sorted. Nothing is imported.

    >>> "auc" in names()
    True
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(measures.__path__)))


def get(name: str) -> Metric:
    """The measure of that name; UnknownName otherwise."""
    if name not in names():
        raise UnknownName("measure", name, names())
    metric = importlib.import_module(f"{measures.__name__}.{name}").METRIC
    assert isinstance(metric, Metric)
    return metric
