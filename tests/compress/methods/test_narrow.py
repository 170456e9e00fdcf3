from __future__ import annotations

from pocketrec.compress.methods.narrow import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestNarrow(MethodContract):
    method = METHOD
    variants = ({}, {"widen": True})
