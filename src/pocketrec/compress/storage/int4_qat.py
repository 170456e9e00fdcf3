"""int4 rows that are read as such while they train: float32 rows behind them learn what four bits can hold.

Paper: Zhou, Wei, Tang, Kim, Dong, Jordan, Chen et al., DQRM: Deep Quantized Recommendation Models, arXiv:2410.20046
    (INT4, straight-through, only rows that a batch touches). The paper has one scale per table, found anew every 200
    steps because finding it takes a look at the whole table; here every row has its own, as in int4, which costs a look
    at the row that is read anyway, so nothing is ever stale.
Bytes: as int4: ceil(width / 2) + 4 per row; 36 per 64 weights of a shared array.
Trained as float32, and read while training exactly as it will be served: freezing changes no vector. Shared arrays and
    cores of tensor trains are not read so: they are trained as float32 and rounded when frozen, as with int4.
Use when: rows are short, or a budget is small: AUC was float32's to .0003 (95 % interval .0005, eight pairs) on the
    Criteo sample, to .0001 (.0004, .0003) on Frappe and KuaiRand; and many epochs of frequent ids overfit a little less
    (log-loss .017 (.004) lower after 20 of Frappe).
Did not help when: rows have 16 numbers, where int4 made at the end loses no more than .0001. Where rare ids are learned
    by heart in one epoch, overfitting is float32's within the noise (Criteo, KuaiRand); int4_table's is less.
"""

from __future__ import annotations

from typing import final

from pocketrec.compress.storage.int4 import Int4

__all__ = ["STORAGE", "Int4QAT"]


@final
class Int4QAT(Int4):
    """Asymmetric 4-bit codes per row that training knows of."""

    name = "int4_qat"
    rounds_reads = True


STORAGE = Int4QAT()
