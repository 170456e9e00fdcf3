"""How many distinct ids the categorical fields of public data sets have: facts, to size tables without the data.

Sizes are in the order of the data sets' fields and do not count an unknown id.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pocketrec.spec.errors import OptionError, UnknownName

__all__ = ["CARDINALITIES", "scaled_cardinalities"]

# fmt: off
CARDINALITIES: dict[str, tuple[int, ...]] = {
    # Criteo Kaggle, all ids.
    # Source: facebookresearch/dlrm tools/visualize.py @090956ee (ln_emb, data_set kaggle); same list in Hsword/Hetu
    # tools/EmbeddingMemoryCompression/models/load_data.py @a1cb1bca
    "kaggle": (
        1_460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3,
        93_145, 5_683, 8_351_593, 3_194, 27, 14_992, 5_461_306, 10, 5_652,
        2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
    ),
    # Criteo Terabyte, ids capped at 10 million per field.
    # Source: facebookresearch/dlrm tools/visualize.py @090956ee
    "terabyte_10m": (
        9_980_333, 36_084, 17_217, 7_378, 20_134, 3, 7_112, 1_442, 61,
        9_758_201, 1_333_352, 313_829, 10, 2_208, 11_156, 122, 4, 970,
        14, 9_994_222, 7_267_859, 9_946_608, 415_421, 12_420, 101, 36,
    ),
    # Criteo Terabyte, ids capped at 40 million per field: MLPerf's DLRM.
    # Source: facebookresearch/dlrm tools/visualize.py @090956ee; NVIDIA-Merlin/HugeCTR SOK_DLRM_Benchmark/README.md
    # @2f2016fa
    "terabyte_40m": (
        39_884_406, 39_043, 17_289, 7_420, 20_263, 3, 7_120, 1_543, 63,
        38_532_951, 2_953_546, 403_346, 10, 2_208, 11_938, 155, 4, 976,
        14, 39_979_771, 25_641_295, 39_664_984, 585_935, 12_972, 108, 36,
    ),
    # Criteo Terabyte, as the benchmarks of torchrec count it.
    # Source: meta-pytorch/torchrec benchmarks/ebc_benchmarks.py @376cac6a (DLRM_NUM_EMBEDDINGS_PER_FEATURE)
    "terabyte_torchrec": (
        45_833_188, 36_746, 17_245, 7_413, 20_243, 3, 7_114, 1_441, 62,
        29_275_261, 1_572_176, 345_138, 10, 2_209, 11_267, 128, 4, 974,
        14, 48_937_457, 11_316_796, 40_094_537, 452_104, 12_606, 104, 35,
    ),
    # Criteo Terabyte, all ids.
    # Source: Hsword/Hetu tools/EmbeddingMemoryCompression/models/load_data.py @a1cb1bca (CriteoTBDataset)
    "terabyte": (
        227_605_432, 39_060, 17_295, 7_424, 20_265, 3, 7_122, 1_543, 63,
        130_229_467, 3_067_956, 405_282, 10, 2_209, 11_938, 155, 4, 976,
        14, 292_775_614, 40_790_948, 187_188_510, 590_152, 12_973, 108, 36,
    ),
    # Avazu: hour, C1, banner_pos, site_id, ..., C21, without the row's own id.
    # Source: Hsword/Hetu load_data.py @a1cb1bca (AvazuDataset; order hour,C1,banner_pos,site_id,...,C21; id dropped)
    "avazu": (
        240, 7, 7, 4_737, 7_745, 26, 8_552, 559, 36,
        2_686_408, 6_729_486, 8_251, 5, 4, 2_626, 8, 9, 435,
        4, 68, 172, 60,
    ),
}
# fmt: on


def scaled_cardinalities(sizes: str | Sequence[int], scale: Fraction | int | str = 1) -> tuple[int, ...]:
    """The sizes of a named set times a factor, each rounded down but at least 3 (or what it was, if that is less).

    Args:
        sizes: a key of :data:`CARDINALITIES`, or sizes themselves, each 1 or more.
        scale: factor above 0; a text such as "1/100" is exact.

    >>> scaled_cardinalities("kaggle", "1/100")[:4], scaled_cardinalities([50, 2], "1/10")
    ((14, 5, 101312, 22026), (5, 2))
    """
    if isinstance(sizes, str):
        if sizes not in CARDINALITIES:
            raise UnknownName("set of cardinalities", sizes, CARDINALITIES)
        sizes = CARDINALITIES[sizes]
    factor = Fraction(scale)
    if factor <= 0:
        raise OptionError(f"scale must be above 0, got {scale}.")
    if not sizes or min(sizes) < 1:
        raise OptionError(f"There must be sizes, each 1 or more, got {tuple(sizes)}.")
    return tuple(max(int(n * factor), min(n, 3)) for n in sizes)
