from __future__ import annotations

from pocketrec.compress.methods.hash_rows import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestHashRows(MethodContract):
    method = METHOD
    variants = ({}, {"exempt_small": False})
