from __future__ import annotations

from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.methods.masked_rows import METHOD


class TestMaskedRows(MethodContract):
    method = METHOD
