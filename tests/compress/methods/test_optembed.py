from __future__ import annotations

from pocketrec.compress.methods.optembed import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestOptEmbed(MethodContract):
    method = METHOD
    variants = ({}, {"generations": 2, "mutations": 1, "crossovers": 2, "alpha": 1e-3})
