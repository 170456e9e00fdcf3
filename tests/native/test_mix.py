from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pocketrec.native.mix import as_int64, bucket, mix, shift_right, tag

words = st.integers(-(2**63), 2**63 - 1)

# Frozen, by an implementation in Python integers: an artifact finds its rows by these numbers for ever.
GOLDEN_MIX = {
    0: [
        5197578548964807871, -2529857523242969672, -1870194551616352452, -2971997915922819399, 2862146968577787453,
        -5992251853059677011, -7028404224401652930, -4290799273128492112, 2897765487613987554, -9078779090960798573,
        -8475024308070030071, 8452960764439894408, 7163020028737576031, -4265958638149859460, 2976669887325340077,
        1813359792991008338, -8115929063800570150, -4638643943869067946, -4236040542495031783, -1886230925983937994,
    ],
    7: [
        -2759878848789621629, -8936508954953831479, -5348585655712694516, -5218040968826622008, -8220472890890979090,
        -2251490982745669776, 2902723018744393731, 5948037338017545932, -4179438611996490486, 5360480510435292791,
        -6611920622046055567, 1235279063634706953, -4989746513197237524, -1859923394680128222, 1506100302941214705,
        -5964255088138700785, -4186455695450386531, 4096349630895564582, 801140048758624446, -1100648382415218616,
    ],
    -1: [
        -2789875128740578771, 2889983143318357177, 1866401329378794009, 8919578759231302653, -6214343998929476029,
        7772359776856684222, 1441537353294427127, -7051802353226441270, -5090935365329180127, -3069032729667650348,
        1924559932152192128, 8133949293325210917, -1984468669954066600, 654362761284254548, -2204077676723422151,
        -3573174638842507172, -405070240547577503, -2345223628981005263, -3409240948197735845, 1930738826540743044,
    ],
    2**63 - 1: [
        7119493099491258007, 8325704983034645098, 5040677094193176541, 3683106933300719306, 6933931125991121308,
        -804383354147501570, 6657406805677704951, -8537331746298500429, -5838229390791383992, 9055123100460420968,
        -60686055092359767, -2963657853600377734, -6940667352052211935, 1690788646533518640, 5796981854095657588,
        2078731503252818135, 1195715880045628365, -7282838070371304012, 8550460412854559675, -1447906544437859519,
    ],
    -(2**63): [
        -2758271563343987344, 4925297744171188047, -3778982438606992583, -558818123376762366, -6624194445966161209,
        8425911105537111787, -3309255484202553115, -6431275539339378103, -7489568836515678051, 3659590030667262393,
        176644882077975445, -7841579773264733654, -6242041354867523244, 745544089948305388, 1529866607562430844,
        8971651085652184089, 5778367290763615638, -7511509019736994117, -7439870653585766720, 5630395830996567332,
    ],
}  # fmt: skip
GOLDEN_TAGS = [
    -1839726010, 351069724, -2060504790, 809560644, 270706808, 1488799111, 364859698, 939907847, -353837774, 2049504,
    508051227, 358719966, 1646720066, 2125578068, -1955775400, 1949107065, 1345118102, 1349843022, 1194902057,
    -1965348579,
]  # fmt: skip
GOLDEN_BUCKETS = {
    1: [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    3: [
        2, 1, 2, 2, 1, 2, 0, 0, 2, 0, 1, 0, 2, 2, 0, 2, 2, 0, 0, 2,
    ],
    1000: [
        850, 515, 710, 717, 554, 877, 157, 322, 773, 290, 641, 66, 729, 899, 81, 676, 773, 222, 43, 940,
    ],
    2**31 + 11: [
        1826191472, 1107137087, 1524826335, 1540023737, 1190494656, 1885375610, 337921436, 692442684, 1660932965,
        624042066, 1377754787, 143805410, 1566600709, 1930960077, 175333152, 1453152979, 1660116069, 476877863,
        93264977, 2019351322,
    ],
    2**40 - 87: [
        935010029296, 566854185939, 780711079654, 788492149343, 609533261180, 965312307458, 173015774399,
        354530652615, 850397673880, 319509536624, 705410447760, 73628369780, 802099559274, 988651554448, 89770573545,
        744014321838, 849979423113, 244161464606, 47751668017, 1033907871837,
    ],
    2**62 - 1: [
        3921716306229982495, 2377558779688930033, 3274539604499214274, 3307175776220732401, 2556567795704643130,
        4048813272740970459, 725680754686098432, 1487009334504386482, 3566826365428265281, 1340120127608823197,
        2958705862915874011, 308819765908676737, 3364249390128078522, 4146705169757355847, 376525075735303675,
        3120622246392712706, 3565072094564791270, 1024087407723891145, 200285012189656111, 4336523922823583249,
    ],
}  # fmt: skip


@pytest.mark.parametrize("seed", GOLDEN_MIX)
def test_golden_hashes(golden_ids: Tensor, seed: int) -> None:
    assert mix(golden_ids, seed).tolist() == GOLDEN_MIX[seed]
    assert mix(golden_ids, torch.tensor(seed)).tolist() == GOLDEN_MIX[seed]


@pytest.mark.parametrize("buckets", GOLDEN_BUCKETS)
def test_golden_buckets(golden_ids: Tensor, buckets: int) -> None:
    assert bucket(mix(golden_ids, 7), buckets).tolist() == GOLDEN_BUCKETS[buckets]
    assert bucket(mix(golden_ids, 7), torch.tensor(buckets)).tolist() == GOLDEN_BUCKETS[buckets]


@given(word=words, seed=words)
def test_mix_is_that_of_unsigned_integers(oracle: Any, word: int, seed: int) -> None:
    expected = as_int64(oracle.mix(word, seed))
    assert mix(torch.tensor([word]), seed).item() == expected
    assert mix(torch.tensor([word]), torch.tensor([seed])).item() == expected


@given(words, st.integers(1, 2**62 - 1))
def test_bucket_is_the_exact_product(word: int, buckets: int) -> None:
    expected = ((word % 2**64) >> 1) * buckets >> 63
    assert bucket(torch.tensor([word]), buckets).item() == expected
    assert 0 <= expected < buckets


@pytest.mark.parametrize("buckets", [1, 2, 2**31, 2**32 - 1, 2**32, 2**62 - 1])
def test_bucket_at_the_ends_of_the_range(buckets: int) -> None:
    found = bucket(torch.tensor([0, 1, -(2**63), 2**63 - 1, -1]), buckets).tolist()
    assert found == [(w >> 1) * buckets >> 63 for w in (0, 1, 2**63, 2**63 - 1, 2**64 - 1)]
    assert found[-1] == buckets - 1


def test_golden_tags(golden_ids: Tensor) -> None:
    assert tag(mix(golden_ids, 7)).tolist() == GOLDEN_TAGS


@given(words)
def test_tags_are_the_low_bits_and_never_zero(oracle: Any, word: int) -> None:
    assert tag(torch.tensor([word])).item() == oracle.tag(word % 2**64)


def test_a_tag_of_no_bits_is_one(oracle: Any) -> None:
    word = 1989553094180973403
    assert oracle.fin(word ^ 0x2545F4914F6CDD1D) % 2**32 == 0
    assert tag(torch.tensor([word, word + 1])).tolist() == [1, oracle.tag(word + 1)]


def test_tags_know_nothing_of_buckets() -> None:
    """Half of all bits of a tag are set in each bucket, within four standard errors."""
    keys = mix(torch.arange(200_000), 1)
    bits = (tag(keys)[:, None] >> torch.arange(32)) & 1
    home = bucket(keys, 10)
    share = torch.zeros(10, 32).index_add_(0, home, bits.float()) / torch.bincount(home)[:, None]
    assert float((share - 0.5).abs().max()) < 4 * 0.5 / 20_000**0.5


@given(words, st.integers(1, 63))
def test_shift_right_brings_zeros_in(word: int, bits: int) -> None:
    assert shift_right(torch.tensor([word]), bits).item() == (word % 2**64) >> bits


def test_shapes_broadcast() -> None:
    found = mix(torch.arange(3)[:, None], torch.arange(4))
    assert found.shape == (3, 4)
    assert found[2, 1] == mix(torch.tensor(2), 1)
    assert bucket(found, torch.tensor([1, 10, 100, 1000])).shape == (3, 4)


def test_hashes_differ_by_seed_and_by_high_bits() -> None:
    ids = torch.tensor([5, 5 + 2**16, 5 + 2**32, 5 + 2**62])
    hashes = torch.cat([mix(ids, seed) for seed in range(8)])
    assert hashes.unique().shape[0] == 32
