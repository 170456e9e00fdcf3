"""PREDICTIONS IN, NUMBERS OUT. NumPy only. One measure per file in ``measures/``, found by its file's name."""

from __future__ import annotations

from pocketrec.metrics.by_frequency import GROUPS, StreamingByFrequency, by_frequency, frequency_groups
from pocketrec.metrics.by_user import StreamingByUser, UserArea, by_user
from pocketrec.metrics.evaluate import StreamingMetrics, evaluate
from pocketrec.metrics.measures.auc import StreamingAuc, auc
from pocketrec.metrics.measures.calibration import calibration
from pocketrec.metrics.measures.calibration_error import CalibrationBin, calibration_bins, calibration_error
from pocketrec.metrics.measures.logloss import logloss
from pocketrec.metrics.measures.normalised_entropy import normalised_entropy
from pocketrec.metrics.paired_interval import PairedInterval, paired_interval
from pocketrec.metrics.standard_error import auc_standard_error, hanley_mcneil
from pocketrec.spec.metrics import GroupMetrics, Metrics

__all__ = [
    "GROUPS",
    "CalibrationBin",
    "GroupMetrics",
    "Metrics",
    "PairedInterval",
    "StreamingAuc",
    "StreamingByFrequency",
    "StreamingByUser",
    "StreamingMetrics",
    "UserArea",
    "auc",
    "auc_standard_error",
    "by_frequency",
    "by_user",
    "calibration",
    "calibration_bins",
    "calibration_error",
    "evaluate",
    "frequency_groups",
    "hanley_mcneil",
    "logloss",
    "normalised_entropy",
    "paired_interval",
]
