"""MethodContract: everything that is true of every method, as tests that three lines inherit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pocketrec.compress.storage import STORAGES
from pocketrec.testing.cases import storages_of
from pocketrec.testing.learning_checks import LearningChecks
from pocketrec.testing.lookup_checks import LookupChecks
from pocketrec.testing.serving_checks import ServingChecks
from pocketrec.testing.sizing_checks import SizingChecks

if TYPE_CHECKING:
    import pytest

__all__ = ["MethodContract"]


class MethodContract(SizingChecks, LookupChecks, LearningChecks, ServingChecks):
    """The contract of a method.

    ::

        class TestRobe(MethodContract):
            method = METHOD
            variants = ({}, {"block": 1}, {"sign": False})

    Every check runs for every variant, and where it matters for every storage that the method takes, budget ratio, id
    space and optimizer.
    """

    ratios: ClassVar[tuple[int, ...]] = (2, 5, 10, 50, 100, 1000)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest: which cases there are."""
        names = metafunc.fixturenames
        if "variant" in names and "space" in names:
            cases = [(variant, space) for variant in self.variants for space in self.spaces(variant)]
            metafunc.parametrize(("variant", "space"), cases, ids=[f"{_label(v)}-{space}" for v, space in cases])
        elif "variant" in names:
            metafunc.parametrize("variant", self.variants, ids=_label)
        taken = [s for s in storages_of(self.method) if not STORAGES.get(s).rounds_reads]
        if "storage" in names:  # but those that training reads through: they serve as others do, their own tests say so
            metafunc.parametrize("storage", taken)
        if "one_of_a_kind" in names:  # storages that the native ops read in different ways
            converted = [s for s in taken if s not in _trained()] + [s for s in taken if s == "float32"]
            metafunc.parametrize("one_of_a_kind", sorted({STORAGES.get(s).code: s for s in converted}.values()))
        if "trained" in names:
            metafunc.parametrize("trained", [s for s in _trained() if s in taken] or taken)
        if "ratio" in names:
            metafunc.parametrize("ratio", self.ratios, ids="{}x".format)
        if "optimizer" in names:
            metafunc.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])


def _trained() -> list[str]:
    """The storages that are trained in their own type."""
    return [name for name in STORAGES.names() if STORAGES.get(name).trained_as == name]


def _label(variant: object) -> str:
    """How a variant is called in the name of a test."""
    assert isinstance(variant, dict)
    return ",".join(f"{name}={value}" for name, value in variant.items()) or "default"
