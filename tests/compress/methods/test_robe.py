from __future__ import annotations

from pocketrec.compress.methods.robe import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestRobe(MethodContract):
    method = METHOD
    variants = ({}, {"block": 1, "sign": False}, {"aligned": True}, {"block": 5, "wrap": False}, {"hash": "linear"})
