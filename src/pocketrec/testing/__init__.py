"""Contract suites for whoever adds a method or a storage: a test of three lines that inherits everything.

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

if "pytest" in sys.modules:  # failures inside the suites then show values, as those of tests do
    sys.modules["pytest"].register_assert_rewrite(
        "pocketrec.testing.method_contract", "pocketrec.testing.storage_contract"
    )
