"""What the numbers of a run warn of, in plain words: each warning names its numbers and the next step.

A warning is a pure function of the line of result, so that lines of years ago get it too. Warnings never change what a
run does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pocketrec.metrics.standard_error import hanley_mcneil
from pocketrec.spec.metrics import GroupMetrics, Metrics, Progressive
from pocketrec.spec.result import Result

__all__ = ["EarlyWarning", "early_warnings"]

# A rise of the validation log-loss by half a percent: what changing the seed does stays below .2 %.
OVERFIT_RISE = 0.005
# Log-loss that still fell by a thousandth from the last but one epoch to the last is worth a further epoch; published
# comparisons of models for clicks call differences of that size gains.
STILL_FALLING = 0.001
# Normalised entropy of the last quarter of the first epoch above that of an earlier one: learning alone lowers it.
DRIFT_RISE = 0.01
# Windows of the progressive curve from which its noise can be told: three differences in each quarter.
DRIFT_WINDOWS = 16
# Predictions off by less than 2 % move no bid and no threshold that anybody sets by hand.
CALIBRATION_OFF = 0.02
# A tenth of what lies between chance and perfect order.
RARE_GAP = 0.05
USER_GAP = 0.05
# Rounding to int4 costs a tenth of it, and noise of paired rows less than half.
FREEZING_LOSS = 0.005
# Groups below this share of the rows decide nothing.
RARE_ROWS = 0.01
# Standard errors from which on chance is not the explanation (one in 370).
CERTAIN = 3.0
# Two epochs of one run are judged on the same rows and err alike: their scores correlate by about .9, which leaves
# sqrt(2 (1 - .9)) of one standard error for their difference (Hanley and McNeil, Radiology 148, 1983, equation 1). In
# small runs of ours DeLong's error of the difference was .15 to .4 of one.
PAIRED = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyWarning:
    """One warning.

    Attributes:
        kind: worse_than_rate, freezing, overfitting, underfitting, drift, calibration, rare_ids, users or
            validation_rows.
        text: the numbers, what they mean, and what to do next; a few sentences.
    """

    kind: str
    text: str


class _Epoch(NamedTuple):
    number: int
    train_loss: float | None
    logloss: float | None
    auc: float | None
    error: float | None


def early_warnings(result: Result) -> tuple[EarlyWarning, ...]:
    """All warnings of a run, the gravest for training first; () for a run that was skipped."""
    checks: tuple[tuple[str, Callable[[Result], Iterator[str]]], ...] = (
        ("worse_than_rate", _worse_than_rate), ("freezing", _freezing), ("overfitting", _overfitting),
        ("underfitting", _underfitting),
        ("drift", _drift), ("calibration", _calibration), ("rare_ids", _rare_ids), ("users", _users),
        ("validation_rows", _validation_rows),
    )  # fmt: skip
    return tuple(EarlyWarning(kind=kind, text=text) for kind, check in checks for text in check(result))


# -- epochs ----------------------------------------------------------------------------------------------------------


def _overfitting(result: Result) -> Iterator[str]:
    epochs = [e for e in _epochs(result) if e.logloss is not None and e.train_loss is not None]
    if len(epochs) < 2:
        return
    best, last = min(epochs, key=_logloss), epochs[-1]
    assert best.train_loss is not None
    assert last.train_loss is not None
    if _logloss(last) > _logloss(best) * (1 + OVERFIT_RISE) and last.train_loss < best.train_loss:
        kept = "" if result.epochs is None else f" Epoch {result.epochs} was kept."
        yield (
            f"Overfitting: after epoch {best.number} the validation log-loss rose from {_logloss(best):.4f} to "
            f"{_logloss(last):.4f} (epoch {last.number}), while the training loss fell from {best.train_loss:.4f} to "
            f"{last.train_loss:.4f}.{kept} Let rows relearn if they do not (--set train.relearn=true), lower their "
            "learning rate, raise their l2, or take a smaller dim."
        )


def _underfitting(result: Result) -> Iterator[str]:
    epochs = [e for e in _epochs(result) if e.logloss is not None]
    if len(epochs) < 2 or epochs[-1] is not min(epochs, key=_logloss):
        return
    before, last = _logloss(epochs[-2]), _logloss(epochs[-1])
    if before - last > STILL_FALLING * before:
        yield (
            f"Underfitting: the validation log-loss still fell in the last epoch, from {before:.4f} to {last:.4f} "
            f"(epoch {epochs[-1].number}). Train longer: more epochs, or higher learning rates."
        )


def _freezing(result: Result) -> Iterator[str]:
    judged, epochs = result.validation, [e for e in _epochs(result) if e.auc is not None]
    if judged is None or judged.auc is None or not epochs:
        return
    best = max(epochs, key=lambda e: e.auc or 0.0)
    assert best.auc is not None
    if best.auc - judged.auc > FREEZING_LOSS:
        yield (
            f"What serves is worse than what trained: AUC on validation rows was {best.auc:.4f} in epoch "
            f"{best.number}, and is {judged.auc:.4f} as it serves. What is rounded or pruned at the end must be "
            "learned around: read what will serve while training (--storage int4_qat), prune sooner (a smaller period "
            "or a larger speed), or allow more bytes."
        )


def _validation_rows(result: Result) -> Iterator[str]:
    epochs = sorted((e for e in _epochs(result) if e.auc is not None), key=lambda e: (-(e.auc or 0.0), e.number))
    judged = result.validation
    if len(epochs) < 2 or judged is None:
        return
    first, second = epochs[:2]
    error = first.error if first.error is not None else _error(first.auc, judged)
    assert first.auc is not None
    assert second.auc is not None
    if error is not None and first.auc - second.auc < PAIRED * error:
        yield (
            f"Validation rows too few to tell epochs apart: epochs {first.number} and {second.number} differ by "
            f"{first.auc - second.auc:.5f} AUC. On {judged.rows:,} rows ({judged.positives:,} positives) the standard "
            f"error of one AUC is {error:.4f}, and up to {PAIRED * error:.4f} of such a difference. Take more "
            "validation rows, and compare settings by the mean of several seeds."
        )


def _epochs(result: Result) -> list[_Epoch]:
    """Those of the last stage of training: models of the stages before were others."""
    last = result.curve[-1].get("stage") if result.curve else None
    own = [point for point in result.curve if point.get("stage") == last]

    def number(point: Mapping[str, int | float | None], place: int) -> int:
        told = point.get("epoch")
        return place if told is None or last is not None else int(told)

    return [
        _Epoch(
            number(point, place), point.get("train_loss"), point.get("validation_logloss"),
            point.get("validation_auc"), point.get("validation_auc_standard_error"),
        )
        for place, point in enumerate(own, start=1)
    ]  # fmt: skip


def _logloss(epoch: _Epoch) -> float:
    assert epoch.logloss is not None
    return epoch.logloss


# -- the first epoch -------------------------------------------------------------------------------------------------


def _drift(result: Result) -> Iterator[str]:
    told = result.progressive
    if told is None or len(told.curve) < DRIFT_WINDOWS or len(told.rates) != len(told.curve):
        return
    quarters = _quarters(told)
    entropies = [loss / _entropy(rate) if 0 < rate < 1 else math.inf for _, loss, rate in quarters]
    best = min(range(3), key=lambda k: entropies[k])
    if math.isinf(entropies[3]) or not entropies[3] > entropies[best] * (1 + DRIFT_RISE):
        return
    if (entropies[3] - entropies[best]) * _entropy(quarters[3][2]) <= CERTAIN * _noise(told) * math.sqrt(2):
        return
    yield (
        f"The log drifts, or training diverges: rows that were not yet learned from were predicted worse at the end of "
        f"the first epoch than before. Normalised entropy {entropies[best]:.4f} up to row {quarters[best][0]:,}, "
        f"{entropies[3]:.4f} in the last quarter (log-loss {quarters[best][1]:.4f} and {quarters[3][1]:.4f}, rate "
        f"{quarters[best][2]:.4f} and {quarters[3][2]:.4f}). With rows in order of time: train on later rows, and go "
        "on every day with --from. With rows in shuffled order: lower the learning rates."
    )


def _quarters(told: Progressive) -> list[tuple[int, float, float]]:
    """Rows so far, mean log-loss and mean label of each quarter of the windows."""
    ends = [rows for rows, _ in told.curve]
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    count = len(ends)
    found = []
    for k in range(4):
        here = range(k * count // 4, (k + 1) * count // 4)
        rows = sum(sizes[i] for i in here)
        loss, rate = (
            math.fsum(sizes[i] * values[i] for i in here) / rows
            for values in ([loss for _, loss in told.curve], told.rates)
        )  # fmt: skip
        found.append((ends[here[-1]], loss, rate))
    return found


def _noise(told: Progressive) -> float:
    """Standard error of a quarter's mean log-loss, from how much neighbouring windows differ (von Neumann 1941)."""
    losses = [loss for _, loss in told.curve]
    squares = [(after - before) ** 2 for before, after in pairwise(losses)]
    return math.sqrt(math.fsum(squares) / (2 * len(squares)) / (len(losses) / 4))


def _entropy(rate: float) -> float:
    return -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))


# -- test rows -------------------------------------------------------------------------------------------------------


def _worse_than_rate(result: Result) -> Iterator[str]:
    """Without a standard error: that the mean rate predicts better is a fact about these rows, not an estimate."""
    judged = result.test or result.validation
    if judged is None or judged.normalised_entropy is None or not judged.normalised_entropy > 1:
        return
    yield (
        f"Worse than no model: log-loss {judged.logloss:.4f} on {_where(result)} rows, and saying their mean rate for "
        f"every row has {judged.logloss / judged.normalised_entropy:.4f} (normalised entropy "
        f"{judged.normalised_entropy:.4f}, above 1). If the training loss is low, rows were learned by heart: take "
        "more rows, smaller nets, or fewer epochs. If it is high too, train longer, lower the learning rates, or let "
        "tables start smaller (option init)."
    )


def _calibration(result: Result) -> Iterator[str]:
    judged = result.test or result.validation
    if judged is None or judged.calibration is None or not 0 < judged.positives < judged.rows:
        return
    off = judged.calibration - 1
    # the standard error of the rate over the rate; that of what happened around right predictions is smaller still
    error = math.sqrt((judged.rows - judged.positives) / (judged.rows * judged.positives))
    if abs(off) > CALIBRATION_OFF and abs(off) > CERTAIN * error:
        rate = judged.positives / judged.rows
        yield (
            f"Predictions are {100 * abs(off):.1f} % too {'high' if off > 0 else 'low'} on {_where(result)} rows: mean "
            f"prediction over mean label is {judged.calibration:.3f}, and chance explains {100 * error:.1f} % either "
            f"way ({judged.rows:,} rows, rate {rate:.4f}). The order of rows is not touched; where probabilities "
            "matter, train longer if the loss still falls, train on rows closer in time, or recalibrate."
        )


def _rare_ids(result: Result) -> Iterator[str]:
    head = result.by_frequency.get("head")
    total = sum(group.rows for group in result.by_frequency.values())
    if head is None or head.auc is None:
        return
    for name, what in (("torso", "seen fewer than 100 times"), ("unseen", "never seen")):
        group = result.by_frequency.get(name)
        if group is None or group.auc is None or group.rows < RARE_ROWS * total:
            continue
        gap, error = head.auc - group.auc, _of_both(_error(head.auc, head), _error(group.auc, group))
        if gap > RARE_GAP and gap > CERTAIN * error:
            more = "more training rows, or ids that go on learning (hash63)"
            advice = (
                f"These tables are full, so the ids are too new or too few: {more}."
                if result.method == "full"
                else f"Compare with method full at 1x: if its gap is as large, the ids are the reason: {more}."
            )
            yield (
                f"Rare ids are ordered worse: AUC {group.auc:.4f} for the {100 * group.rows / total:.0f} % of test "
                f"rows with an id {what} in training, {head.auc:.4f} where all ids are frequent. {advice}"
            )


def _users(result: Result) -> Iterator[str]:
    judged = result.test or result.validation
    if judged is None or judged.gauc is None or judged.auc is None or not judged.gauc_users:
        return
    share, gap = judged.gauc_rows_fraction or 0.0, judged.auc - judged.gauc
    error = _error_of_mean(judged.gauc, judged, share, judged.gauc_users)
    if gap > USER_GAP and gap > CERTAIN * error:
        chance = " That is no better than chance." if judged.gauc - 0.5 < CERTAIN * error else ""
        yield (
            f"The model knows who clicks and what is clicked, less what one user picks: GAUC {judged.gauc:.4f} against "
            f"AUC {judged.auc:.4f} on {_where(result)} rows ({judged.gauc_users:,} users with both classes, "
            f"{100 * share:.0f} % of rows).{chance} Give the model what tells a user's choices apart (history, crossed "
            "fields), or more bytes to the user's table, and choose the epoch by gauc."
        )


def _error_of_mean(gauc: float, judged: Metrics, share: float, users: int) -> float:
    """Standard error of a mean of users' AUCs, as if every user had the mean number of clicks and non-clicks."""
    clicks, others = (max(1.0, share * n / users) for n in (judged.positives, judged.rows - judged.positives))
    error = hanley_mcneil(gauc, clicks, others)
    assert error is not None, "there is one of each"
    return error / math.sqrt(users)


def _where(result: Result) -> str:
    return "test" if result.test is not None else "validation"


def _error(auc: float | None, rows: Metrics | GroupMetrics) -> float | None:
    return None if auc is None else hanley_mcneil(auc, rows.positives, rows.rows - rows.positives)


def _of_both(*errors: float | None) -> float:
    """Standard error of the difference of two independent numbers; infinite when one is not known."""
    known: Sequence[float] = [error for error in errors if error is not None]
    return math.hypot(*known) if len(known) == len(errors) else math.inf
