"""Least hashes of sets: op ``pocketrec::minhash``, by which alike sets are known.

With ``fin`` and ``mix`` of `pocketrec.native.mix`, hash j of member r is ``fin(mix(r, seed) + C1 (j + 1)) >>> 1``, a
number of 63 bits; a set's number j is the least of them over its members, -1 for an empty set. Two sets have the same
number j with the probability of their Jaccard similarity (members of both by members of either), for every j anew
(Broder, On the Resemblance and Containment of Documents, 1997).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.library import define
from pocketrec.native.mix import as_int64, fin, mix, shift_right
from pocketrec.native.packing import require_cpu
from pocketrec.native.request import check_value
from pocketrec.native.threads import threads

__all__ = ["STEP", "minhash"]

STEP: Final = as_int64(0x9E3779B97F4A7C15)
"""What tells one hash of a member from the next: hash j adds j + 1 of it."""

_NONE_YET: Final = 2**63 - 1


def _check(starts: Tensor, members: Tensor, hashes: int) -> None:
    if starts.dtype is not torch.int64 or starts.dim() != 1 or members.dtype is not torch.int32 or members.dim() != 1:
        raise TypeError(
            f"starts must be int64 [sets + 1] and members int32 [members], got {starts.dtype} {list(starts.shape)} "
            f"and {members.dtype} {list(members.shape)}."
        )
    check_value(starts.shape[0] > 0, lambda: "starts must be [sets + 1], and is empty.")
    check_value(hashes > 0, lambda: f"hashes must be 1 or more, got {hashes}.")


def _reference(starts: Tensor, members: Tensor, hashes: int, seed: int) -> Tensor:
    sets = starts.shape[0] - 1
    counts = starts.diff()
    if bool((counts < 0).any()) or bool((starts[:1] < 0).any()) or bool((starts[-1:] > members.shape[0]).any()):
        raise ValueError(f"starts must rise from 0 to at most {members.shape[0]}, the members that there are.")
    numbers = torch.arange(1, hashes + 1, device=starts.device) * STEP
    kept = members[int(starts[0]) : int(starts[-1])].to(torch.int64)
    found = shift_right(fin(mix(kept, seed)[:, None] + numbers), 1)
    owner = torch.arange(sets, device=starts.device).repeat_interleave(counts)
    least = found.new_full((sets, hashes), _NONE_YET)
    least.scatter_reduce_(0, owner[:, None].expand_as(found), found, "amin")
    return torch.where((counts == 0)[:, None], -1, least)


def _minhash(starts: Tensor, members: Tensor, hashes: int, seed: int) -> Tensor:
    _check(starts, members, hashes)
    kernels = kernels_for(members)
    if kernels is None:
        return _reference(starts, members, hashes, seed)
    starts, members = starts.contiguous(), members.contiguous()
    require_cpu((starts, members))
    out = _empty(starts, members, hashes, seed)
    sets = starts.shape[0] - 1
    kernels.minhash(
        starts.data_ptr(), sets, members.data_ptr(), members.shape[0], hashes, seed, threads(), out.data_ptr()
    )
    return out


def _empty(starts: Tensor, members: Tensor, hashes: int, seed: int) -> Tensor:
    _check(starts, members, hashes)
    return starts.new_empty((starts.shape[0] - 1, hashes))


_OP: Final = define("minhash", "(Tensor starts, Tensor members, int hashes, int seed) -> Tensor", _minhash, _empty)


def minhash(starts: Tensor, members: Tensor, *, hashes: int, seed: int) -> Tensor:
    """The least hashes of sets, under as many hashes as asked for.

    Args:
        starts: int64 [sets + 1], not falling: set i is ``members[starts[i]:starts[i + 1]]``, in any order; a member
            that stands there twice counts once.
        members: int32 [members], such as numbers of rows.
        hashes: how many, 1 or more. More of them leave the first ones as they are.
        seed: any int64.

    Returns:
        int64 [sets, hashes], from 0 to 2**63 - 1; -1 for empty sets.

    Raises:
        TypeError, ValueError: what does not fit, with numbers.

    >>> found = minhash(torch.tensor([0, 2, 4, 4]), torch.tensor([7, 9, 9, 7], dtype=torch.int32), hashes=2, seed=1)
    >>> bool((found[0] == found[1]).all()), found[2].tolist()
    (True, [-1, -1])
    """
    result: Tensor = _OP(starts, members, hashes, seed)
    return result
