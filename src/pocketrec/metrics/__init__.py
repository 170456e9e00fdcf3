"""PREDICTIONS IN, NUMBERS OUT. NumPy only. One measure per file in ``measures/``, found by its file's name."""

from __future__ import annotations

from pocketrec.metrics.by_frequency import GROUPS, StreamingByFrequency, by_frequency, frequency_groups
from pocketrec.metrics.evaluate import StreamingMetrics, evaluate
from pocketrec.metrics.measures.auc import StreamingAuc, auc
from pocketrec.metrics.measures.calibration import calibration
from pocketrec.metrics.measures.calibration_error import CalibrationBin, calibration_bins, calibration_error
from pocketrec.metrics.measures.logloss import logloss
from pocketrec.metrics.measures.normalised_entropy import normalised_entropy
from pocketrec.spec.metrics import GroupMetrics, Metrics

__all__ = [
    "GROUPS",
    "CalibrationBin",
    "GroupMetrics",
    "Metrics",
    "StreamingAuc",
    "StreamingByFrequency",
    "StreamingMetrics",
    "auc",
    "by_frequency",
    "calibration",
    "calibration_bins",
    "calibration_error",
    "evaluate",
    "frequency_groups",
    "logloss",
    "normalised_entropy",
]
