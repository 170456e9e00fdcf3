from __future__ import annotations

from pocketrec.compress.methods.min_count import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestMinCount(MethodContract):
    method = METHOD
