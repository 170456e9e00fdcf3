from __future__ import annotations

from pocketrec.compress.methods.full import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestFull(MethodContract):
    method = METHOD
