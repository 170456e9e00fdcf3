from __future__ import annotations

import numpy as np
import pyarrow as pa

from pocketrec.data.users import NOBODY, user_keys
from pocketrec.native.hash63 import hash_tokens


def test_a_missing_user_is_nobody_and_all_others_keep_their_hashes() -> None:
    hashes = hash_tokens(pa.array(["u1", "", "u2"]))
    keys = user_keys(hashes)
    assert keys.dtype == np.int64
    assert keys.tolist() == [int(hashes[0]), NOBODY, int(hashes[2])]
    assert NOBODY < 0 <= hashes.min()
