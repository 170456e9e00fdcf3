"""Contract suites for whoever adds a method, a storage, a model or a reader: a test of three lines that inherits all.

::

    from pocketrec.compress.methods.robe import METHOD
    from pocketrec.testing.method_contract import MethodContract

    class TestRobe(MethodContract):
        method = METHOD

pytest is needed only when such a test runs; importing this package does not need it.
"""

from __future__ import annotations

import sys

__all__: list[str] = []

_pytest = sys.modules.get("pytest")
if _pytest is not None:  # failures inside the suites then show values, as those of tests do
    _pytest.register_assert_rewrite(
        *(f"pocketrec.testing.{part}_checks" for part in ("sizing", "lookup", "learning", "serving")),
        "pocketrec.testing.elsewhere",
        "pocketrec.testing.model_contract",
        "pocketrec.testing.reader_contract",
        "pocketrec.testing.storage_contract",
    )
