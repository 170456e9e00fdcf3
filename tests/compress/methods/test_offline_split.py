from __future__ import annotations

from pocketrec.compress.methods.offline_split import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestOfflineSplit(MethodContract):
    method = METHOD
    variants = (
        {}, {"cold": "robe", "cold_options": {"block": 2}}, {"cold": "quotient_remainder", "hot": 0.3},
        {"cold": "min_count"}, {"hot": 0.0},
    )  # fmt: skip
