from __future__ import annotations

from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.methods.moving_rows import METHOD


class TestMovingRows(MethodContract):
    method = METHOD
