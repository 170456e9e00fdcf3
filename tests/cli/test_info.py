"""``pocketrec info``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pocketrec.compress import METHODS
from pocketrec.compress.storage import STORAGES
from pocketrec.native import use_backend, use_threads

LEVELS = {"compiled": ("generic", "avx2", "avx512"), "reference": (None,)}


def test_it_says_what_is_in_use(pocketrec: Callable[..., Any]) -> None:
    found = pocketrec("info", "--json").json()
    assert found["torch"] == torch.__version__
    assert found["methods"] == METHODS.names()
    assert found["storages"] == STORAGES.names()
    assert {"float32", "int4", "int8_trained"} <= set(found["storages"])
    assert found["models"] == ["dcn_v2", "deepfm", "dlrm", "memrec", "wide_deep"]
    assert found["kernels"] in ("compiled", "reference")
    assert found["simd"] in LEVELS[found["kernels"]]
    assert found["simd_available"] in LEVELS[found["kernels"]]
    assert found["huge_pages"].split(" ")[0] in ("on", "off")
    said = pocketrec("info").out
    assert f"torch          {torch.__version__}" in said
    assert (
        "methods        ada_embed, autodim, autosrh, binary_code, bloom, cafe, cafe_plus, coded, dedup, deeplight"
        in said
    )
    assert f"huge_pages     {found['huge_pages']}" in said


def test_threads_of_the_kernels_and_of_torch_are_told_apart(pocketrec: Callable[..., Any]) -> None:
    with use_threads(7):
        found = pocketrec("info", "--json").json()
    assert found["threads"] == 7
    assert found["torch_threads"] == torch.get_num_threads()
    assert pocketrec("info", "--json").json()["threads"] == torch.get_num_threads()


def test_the_references_are_not_in_use_in_silence(
    pocketrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with use_backend("reference"):
        said = pocketrec("info").out
    assert "kernels        reference" in said
    assert "simd           -" in said
    assert "not in use: lookups run on plain torch" in said
    monkeypatch.setattr("pocketrec.native.backend", lambda: "compiled")
    assert "not in use" not in pocketrec("info").out
