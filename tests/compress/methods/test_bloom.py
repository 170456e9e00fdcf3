from pocketrec.compress.methods.bloom import METHOD
from pocketrec.testing.method_contract import MethodContract


class TestBloom(MethodContract):
    method = METHOD
    variants = (
        {}, {"hashes": 3, "weight_hashes": 2}, {"weight_hashes": 0}, {"hashes": 2, "weight_hashes": 0},
        {"weight_rows": 5, "weight_start": "share"},
    )  # fmt: skip
