from __future__ import annotations

import torch

from pocketrec.compress.addressing.sketched import Sketched, Tagged
from pocketrec.native import addresses
from pocketrec.native.mix import mix
from pocketrec.native.sketch import empty_sketch, is_medium, set_medium, sketch_insert
from pocketrec.native.tagged import tagged_maps

SEED, BUCKETS, SLOTS, ROWS = 77, 8, 4, 6


def found(addressing: Sketched | Tagged, maps: torch.Tensor, ids: torch.Tensor) -> list[int]:
    program = torch.tensor([addressing.program(column=0, padding=3)])
    answer: list[int] = addresses(ids[:, None], program, maps=maps)[:, 0].tolist()
    return answer


def test_only_hot_ids_have_an_address_and_the_tags_give_the_same_rows_in_their_order() -> None:
    sketch, ids = empty_sketch(BUCKETS, SLOTS), torch.arange(12)
    slots = sketch_insert(sketch, mix(ids, SEED), torch.ones(12), evict_hot=False).slots
    rows = {4: 5, 7: 0, 9: 2}
    for number, row in rows.items():
        sketch.view(-1, 3)[slots[number], 2] = row
    trained = Sketched(buckets=BUCKETS, slots=SLOTS, seed=SEED)
    assert found(trained, sketch.view(-1), ids) == [rows.get(i, -1) for i in range(12)]
    maps, order = tagged_maps(sketch, buckets=BUCKETS // 2, rows=ROWS)
    served = found(Tagged(buckets=BUCKETS // 2, rows=ROWS, seed=SEED), maps, ids)
    assert [int(order[i]) if i >= 0 else -1 for i in served] == [rows.get(i, -1) for i in range(12)]


def test_medium_ids_share_rows() -> None:
    sketch, ids = empty_sketch(BUCKETS, SLOTS), torch.arange(12)
    slots = sketch_insert(sketch, mix(ids, SEED), torch.ones(12), evict_hot=False).slots
    sketch.view(-1, 3)[slots[7], 2] = 0
    set_medium(sketch, slots[[4, 5]])
    trained = Sketched(buckets=BUCKETS, slots=SLOTS, seed=SEED, shared=2, first_shared=ROWS)
    before = found(trained, sketch.view(-1), ids)
    assert before[7] == 0
    assert {before[4], before[5]} <= {ROWS, ROWS + 1}
    assert [i for i in ids.tolist() if before[i] >= 0] == [4, 5, 7]
    hot, _ = tagged_maps(sketch, buckets=BUCKETS // 2, rows=ROWS)
    medium, _ = tagged_maps(sketch, buckets=BUCKETS // 2, rows=3, chosen=is_medium(sketch))
    served = Tagged(buckets=BUCKETS // 2, rows=ROWS, seed=SEED, shared=2, first_shared=ROWS, medium=3)
    assert found(served, torch.cat([hot, medium]), ids) == before


def test_padding_has_no_address() -> None:
    sketch = empty_sketch(BUCKETS, SLOTS)
    slots = sketch_insert(sketch, mix(torch.tensor([3]), SEED), torch.ones(1), evict_hot=False).slots
    sketch.view(-1, 3)[slots, 2] = 1
    assert found(Sketched(buckets=BUCKETS, slots=SLOTS, seed=SEED), sketch.view(-1), torch.tensor([3])) == [-1]
