"""``pocketrec info``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pocketrec.compress import METHODS
from pocketrec.native import use_backend


def test_it_says_what_is_in_use(pocketrec: Callable[..., Any]) -> None:
    found = pocketrec("info", "--json").json()
    assert found["torch"] == torch.__version__
    assert found["methods"] == METHODS.names()
    assert found["storages"] == [
        "bfloat16",
        "bfloat16_trained",
        "float16",
        "float16_trained",
        "float32",
        "int8",
        "int8_trained",
    ]
    assert found["models"] == ["dcn_v2", "deepfm", "dlrm", "wide_deep"]
    assert found["kernels"] in ("compiled", "reference")
    said = pocketrec("info").out
    assert f"torch      {torch.__version__}" in said
    assert "methods    full, hash_rows" in said


def test_the_references_are_not_in_use_in_silence(
    pocketrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with use_backend("reference"):
        said = pocketrec("info").out
    assert "kernels    reference" in said
    assert "not in use: lookups run on plain torch" in said
    monkeypatch.setattr("pocketrec.native.backend", lambda: "compiled")
    assert "not in use" not in pocketrec("info").out
