from __future__ import annotations

from pocketrec.compress.methods.quotient_remainder import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestQuotientRemainder(MethodContract):
    method = METHOD
    variants = ({}, {"combine": "sum"}, {"divisor": "global"})
