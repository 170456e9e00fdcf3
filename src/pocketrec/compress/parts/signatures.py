"""Signatures: of an id's value set as many keys of a few bits as wanted, or the set itself.

Key c of a set is the low `bits` bits of one word that its least hashes number c * power .. c * power + power - 1 are
mixed into. With J the Jaccard similarity of two sets, all `power` of them agree with probability J^power, and words
that differ agree in their low bits by chance, so that the keys of two sets are equal with probability
``J^power + (1 - J^power) / 2^bits``, for every key anew (least hashes: Broder, On the Resemblance and Containment of
Documents, 1997; few bits of them: Li and Koenig, b-Bit Minwise Hashing, WWW 2010; concatenation as in LMA: Desai et
al., Semantically Constrained Memory Allocation, arXiv:2103.06124).

An id's keys depend on its own set and the seed alone: more ids, or sets of others, never change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pocketrec.spec.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["chained", "compact_signatures", "packed_sets", "signature_keys", "words_per_id"]

_AT_ONCE: Final = 1 << 21  # least hashes that stand in memory together, and members times hashes of plain torch


def words_per_id(keys: int, bits: int) -> int:
    """int64 words that so many keys take; no key lies across two of them.

    Raises:
        OptionError: there are no keys, or their bits do not lie in 1..64.

    >>> words_per_id(16, 4), words_per_id(15, 5), words_per_id(1, 64)
    (1, 2, 1)
    """
    if keys < 1 or not 1 <= bits <= 64:
        raise OptionError(f"A signature needs 1 key or more of 1 to 64 bits, got {keys} of {bits}.")
    return -(-keys // (64 // bits))


def chained(least: Tensor, power: int) -> Tensor:
    """Every `power` least hashes of a set as one word.

    ``word = mix(least[0], 0)``, then ``word = mix(word ^ least[j], j)`` for j = 1 .. power - 1, with `mix` of
    `pocketrec.native.mix`: words agree where all their hashes do, in the same places, and else by chance of 2^-64.

    Args:
        least: int64 [sets, keys * power], from `pocketrec.native.minhash`.
        power: how many, 1 or more.

    Returns:
        int64 [sets, keys], all 64 bits in use.
    """
    from pocketrec.native.mix import mix

    parts = least.view(least.shape[0], -1, power)
    word = mix(parts[:, :, 0], 0)
    for j in range(1, power):
        word = mix(word ^ parts[:, :, j], j)
    return word


def compact_signatures(
    values: Any, starts: Any, members: Any, *, ids: int, keys: int, bits: int, power: int, seed: int
) -> Tensor:
    """The keys of the sets of ids 0 .. ids - 1, packed.

    Key q stands in word ``q // (64 // bits)`` from bit ``(q % (64 // bits)) * bits`` on, lowest bits first. All words
    of an id without a set are 0; that is how such an id is known. An id whose keys all happen to be 0 (once in
    2^(keys * bits) ids) has its key 0 changed to 1: by so little its first key is off the law above.

    Args:
        values: int64 [n], rising: whose sets they are. Those from `ids` on are left out.
        starts: int64 [n + 1], not falling: set i is ``members[starts[i]:starts[i + 1]]``. An empty one is none.
        members: int32, in any order; one that stands in a set twice counts once.
        ids: rows of the result.
        keys: per id, 1 or more.
        bits: of a key, 1 to 64.
        power: least hashes in a key, 1 or more (the paper's power of the family).
        seed: of the hashes, any int64.

    Returns:
        int64 [ids, words_per_id(keys, bits)].

    Raises:
        OptionError: keys, bits, power or ids out of range.
        ValueError: values or starts that do not rise, or do not fit each other.
    """
    import torch

    from pocketrec.native.minhash import minhash

    words, per_word = words_per_id(keys, bits), 64 // bits
    if power < 1:
        raise OptionError(f"A key is made of 1 least hash or more, got power {power}.")
    values, starts, members = _checked(values, starts, members, ids)
    shifts = torch.arange(per_word) * bits
    out = torch.zeros((ids, words), dtype=torch.int64)
    for first, last in _pieces(starts, _AT_ONCE // (keys * power)):
        least = minhash(starts[first : last + 1], members, hashes=keys * power, seed=seed)
        found = torch.zeros((last - first, words * per_word), dtype=torch.int64)
        found[:, :keys] = chained(least, power) & _mask(bits)
        packed = (found.view(-1, words, per_word) << shifts).sum(dim=2)  # bits of their own: a sum is an or
        packed[:, 0] += packed[:, 0] == 0
        packed[starts[first:last] == starts[first + 1 : last + 1]] = 0
        out[values[first:last]] = packed
    return out


def signature_keys(words: Tensor, *, keys: int, bits: int) -> Tensor:
    """The keys that :func:`compact_signatures` packed: int64 [ids, keys] from int64 [ids, words], 0 <= key < 2^bits.

    Keys of 64 bits are the words as they are, negative ones too.

    Raises:
        ValueError: so many keys of so many bits take other words.

    >>> import torch
    >>> signature_keys(torch.tensor([[0x21, 0x3]]), keys=17, bits=4)[0].tolist()
    [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    """
    import torch

    if words.shape[-1] != words_per_id(keys, bits):
        raise ValueError(f"{keys} keys of {bits} bits take {words_per_id(keys, bits)} words, got {words.shape[-1]}.")
    shifts = torch.arange(64 // bits, device=words.device) * bits
    # the shift brings copies of the highest bit in from the left, the mask takes them away
    return (words[:, :, None] >> shifts & _mask(bits)).flatten(1)[:, :keys]


def packed_sets(values: Any, starts: Any, members: Any, *, ids: int) -> Tensor:
    """The sets themselves in one tensor, for least hashes that are found at look-up.

    Args:
        values, starts, members, ids: as in :func:`compact_signatures`.

    Returns:
        int32 [ids + 1 + kept members]: first where each id's set begins among the members and, one more, where the last
        one ends; then the members. Ids without a set have an empty one.

    Raises:
        ValueError: as there; also where there are 2^31 members or more.
    """
    import torch

    values, starts, members = _checked(values, starts, members, ids)
    kept = members[int(starts[0]) : int(starts[-1])]
    if len(kept) >= 2**31:
        raise ValueError(f"Places in 2^31 members or more do not fit int32, got {len(kept)}. Take fewer rows.")
    counts = torch.zeros(ids + 1, dtype=torch.int64)
    counts[values + 1] = starts.diff()
    return torch.cat([counts.cumsum(0).to(torch.int32), kept])


def _mask(bits: int) -> int:
    return -1 if bits == 64 else (1 << bits) - 1


def _checked(values: Any, starts: Any, members: Any, ids: int) -> tuple[Tensor, Tensor, Tensor]:
    """As tensors, without the values from `ids` on."""
    import torch

    values, starts, members = torch.as_tensor(values), torch.as_tensor(starts), torch.as_tensor(members)
    if values.dtype is not torch.int64 or starts.dtype is not torch.int64 or members.dtype is not torch.int32:
        raise ValueError(
            f"values and starts must be int64 and members int32, got {values.dtype}, {starts.dtype}, {members.dtype}."
        )
    if ids < 0:
        raise OptionError(f"ids must be 0 or more, got {ids}.")
    if starts.shape != (len(values) + 1,):
        raise ValueError(f"{len(values)} values need {len(values) + 1} starts, got {list(starts.shape)}.")
    if bool((values[:1] < 0).any()) or bool((values.diff() <= 0).any()):
        raise ValueError("values must rise, from 0 or more.")
    if bool((starts.diff() < 0).any()) or int(starts[0]) < 0 or int(starts[-1]) > len(members):
        raise ValueError(f"starts must rise from 0 to at most {len(members)}, the members that there are.")
    kept = int(torch.searchsorted(values, ids))
    return values[:kept], starts[: kept + 1], members


def _pieces(starts: Tensor, most: int) -> Iterator[tuple[int, int]]:
    """Neighbouring sets, first and last + 1, of together at most `most` sets and members, but one set at least."""
    import torch

    sets = len(starts) - 1
    before = starts + torch.arange(sets + 1)
    first = 0
    while first < sets:
        last = int(torch.searchsorted(before, int(before[first]) + most, right=True)) - 1
        last = max(first + 1, last)
        yield first, last
        first = last
