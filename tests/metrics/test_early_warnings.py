"""Every warning comes at its numbers and not a little below them, and says the numbers and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pocketrec.metrics import early_warnings as module
from pocketrec.metrics.early_warnings import EarlyWarning, early_warnings
from pocketrec.metrics.standard_error import hanley_mcneil
from pocketrec.spec.metrics import GroupMetrics, Metrics, Progressive
from pocketrec.spec.result import Result


def run(**changes: Any) -> Result:
    plain: dict[str, Any] = {
        "commit": "3f1c", "data": "tiny", "model": "dlrm", "method": "robe", "budget": "16x", "budget_bytes": 65536,
        "seed": 1,
    }  # fmt: skip
    return Result(**(plain | changes))


def metrics(rows: int = 100_000, positives: int = 25_000, auc: float = 0.75, **changes: Any) -> Metrics:
    plain: dict[str, Any] = {"logloss": 0.5, "normalised_entropy": 0.9, "calibration": 1.0}
    return Metrics(rows=rows, positives=positives, auc=auc, **(plain | changes))


def curve(train: Sequence[float], valid: Sequence[float], auc: Sequence[float] | None = None, **more: float) -> Any:
    return tuple(
        {"epoch": k, "train_loss": t, "validation_logloss": v, "validation_auc": None if auc is None else auc[k - 1]}
        | more
        for k, (t, v) in enumerate(zip(train, valid, strict=True), start=1)
    )


def progressive(losses: Sequence[float], rates: Sequence[float] | None = None, rows: int = 1000) -> Progressive:
    ends = rows * np.arange(1, len(losses) + 1)
    return Progressive(
        rows=int(ends[-1]), logloss=float(np.mean(losses)), normalised_entropy=0.9, calibration=1.0,
        curve=tuple((int(e), float(v)) for e, v in zip(ends, losses, strict=True)),
        rates=tuple(rates or [0.25] * len(losses)),
    )  # fmt: skip


def kinds(result: Result) -> list[str]:
    return [warning.kind for warning in early_warnings(result)]


def only(result: Result) -> str:
    (warning,) = early_warnings(result)
    return warning.text


def test_a_run_without_numbers_warns_of_nothing() -> None:
    assert early_warnings(run()) == ()
    assert early_warnings(run(skipped="too small")) == ()
    assert early_warnings(run(curve=({"epoch": 1}, {}), test=metrics(auc=None, calibration=None))) == ()


def test_a_good_run_warns_of_nothing() -> None:
    result = run(
        epochs=3, curve=curve([0.5, 0.48, 0.47], [0.49, 0.48, 0.4799], [0.74, 0.748, 0.752]),
        validation=metrics(), test=metrics(gauc=0.72, gauc_rows_fraction=0.9, gauc_users=500),
        by_frequency={"head": GroupMetrics(rows=60_000, positives=15_000, auc=0.76),
                      "unseen": GroupMetrics(rows=40_000, positives=10_000, auc=0.73)},
        progressive=progressive(np.linspace(0.6, 0.5, 40)),
    )  # fmt: skip
    assert early_warnings(result) == ()


def test_worse_than_the_mean_rate() -> None:
    bad = metrics(logloss=0.6, normalised_entropy=1.0667)
    (warning,) = early_warnings(run(test=bad, validation=metrics()))
    assert warning.kind == "worse_than_rate"
    assert warning.text.startswith(
        "Worse than no model: log-loss 0.6000 on test rows, and saying their mean rate for every row has 0.5625 "
        "(normalised entropy 1.0667, above 1)."
    )
    assert "smaller nets" in warning.text
    assert "on validation rows" in only(run(validation=bad))
    assert early_warnings(run(test=metrics(normalised_entropy=1.0))) == ()
    assert early_warnings(run(test=metrics(normalised_entropy=None))) == ()
    assert early_warnings(run(test=metrics(), validation=bad)) == (), "test rows are the last word"


# -- epochs ----------------------------------------------------------------------------------------------------------


def test_overfitting() -> None:
    text = only(run(epochs=2, curve=curve([0.5, 0.48, 0.46, 0.42], [0.47, 0.46, 0.47, 0.48])))
    assert text == (
        "Overfitting: after epoch 2 the validation log-loss rose from 0.4600 to 0.4800 (epoch 4), while the training "
        "loss fell from 0.4800 to 0.4200. Epoch 2 was kept. Let rows relearn if they do not "
        "(--set train.relearn=true), lower their learning rate, raise their l2, or take a smaller dim."
    )
    assert "was kept" not in only(run(curve=curve([0.5, 0.4], [0.46, 0.48])))


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        ([0.5, 0.48], [0.46, 0.46 * (1 + 0.9 * module.OVERFIT_RISE)]),  # no more than seeds do
        ([0.5, 0.51], [0.46, 0.48]),  # training went wrong, not too far
        ([0.5], [0.46]),
        ([0.5, 0.48], [0.46, None]),
    ],
)
def test_what_is_not_overfitting(train: list[float], valid: list[float]) -> None:
    assert kinds(run(curve=curve(train, valid))) == []


def test_underfitting() -> None:
    text = only(run(epochs=3, curve=curve([0.5, 0.49, 0.48], [0.48, 0.47, 0.465])))
    assert "still fell in the last epoch, from 0.4700 to 0.4650 (epoch 3). Train longer" in text
    assert kinds(run(curve=curve([0.5, 0.48], [0.47, 0.47 * (1 - 0.9 * module.STILL_FALLING)]))) == []
    assert kinds(run(curve=curve([0.5, 0.49, 0.48], [0.48, 0.46, 0.4615]))) == []


def test_what_freezing_loses() -> None:
    epochs = curve([0.5, 0.49], [0.49, 0.49], auc=[0.76, 0.74])
    lost = run(curve=epochs, validation=metrics(auc=0.7549), epochs=1)
    assert kinds(lost) == ["freezing"]
    assert "was 0.7600 in epoch 1, and is 0.7549 as it serves" in only(lost)
    assert "int4_qat" in only(lost)
    assert kinds(run(curve=epochs, validation=metrics(auc=0.7551), epochs=1)) == []
    assert kinds(run(curve=epochs)) == []


def test_epochs_of_earlier_stages_are_of_other_models() -> None:
    """What a method lost between its stages was not lost by rounding, and its epochs count from 1 in the last stage."""
    before = curve([0.4], [0.45], auc=[0.77], stage=1)
    after = curve([0.5, 0.49], [0.47, 0.49], auc=[0.755, 0.74], stage=2)
    found = run(curve=(*before, *after), validation=metrics(auc=0.7549), epochs=1)
    assert kinds(found) == ["overfitting"]
    assert "after epoch 1 the validation log-loss rose from 0.4700 to 0.4900 (epoch 2)" in only(found)


def test_too_few_validation_rows_to_tell_epochs_apart() -> None:
    told = {"validation": metrics(rows=11_755, positives=2_939, auc=0.78)}
    losses = ([0.5, 0.49, 0.48], [0.4801, 0.48, 0.4801])
    text = only(run(curve=curve(*losses, [0.7701, 0.7803, 0.7800]), **told))
    assert "epochs 2 and 3 differ by 0.00030 AUC. On 11,755 rows (2,939 positives)" in text
    assert "the standard error of one AUC is 0.0054, and up to 0.0024 of such a difference" in text
    assert "Take more validation rows" in text
    error = hanley_mcneil(0.78, 2_939, 8_816)
    assert error is not None
    for gap, expected in ((0.9, ["validation_rows"]), (1.1, [])):
        auc = [0.78 - gap * module.PAIRED * error, 0.78, 0.7]
        assert kinds(run(curve=curve(*losses, auc), **told)) == expected
    # the error of the epoch itself wins over the one made from counts
    aucs = [0.7701, 0.7803, 0.7800]
    assert kinds(run(curve=curve(*losses, aucs, validation_auc_standard_error=1e-4), **told)) == []
    assert kinds(run(curve=curve(*losses, aucs))) == []
    assert kinds(run(curve=curve([0.5], [0.48], [0.78]), **told)) == []


# -- the first epoch -------------------------------------------------------------------------------------------------


def noisy(losses: Any, seed: int = 0, sd: float = 0.01) -> Any:
    return np.asarray(losses) + np.random.default_rng(seed).normal(0, sd, len(losses))


def test_drift() -> None:
    text = only(run(progressive=progressive(noisy([*np.linspace(0.6, 0.5, 20), *np.linspace(0.5, 0.56, 20)]))))
    assert "drifts, or training diverges" in text
    assert "up to row 30,000" in text
    assert "go on every day with --from" in text


@pytest.mark.parametrize(
    "told",
    [
        progressive(noisy(np.linspace(0.6, 0.5, 40))),  # learning
        progressive(noisy(np.full(40, 0.5))),  # noise alone
        progressive(noisy(np.full(40, 0.5) + 0.012 * (np.arange(40) > 29), sd=0.05)),  # no more than noise
        progressive(noisy(np.full(15, 0.5) + 0.1 * (np.arange(15) > 9))),  # too few windows to tell
        # twice the clicks: log-loss rises with their entropy and no further
        progressive([0.3] * 30 + [0.3 * 0.50040 / 0.32508] * 10, [0.1] * 30 + [0.2] * 10),
    ],
)
def test_what_is_no_drift(told: Progressive) -> None:
    assert kinds(run(progressive=told)) == []


def test_noise_alone_hardly_ever_warns() -> None:
    warned = sum(bool(kinds(run(progressive=progressive(noisy(np.full(80, 0.5), seed, 0.03))))) for seed in range(300))
    assert warned <= 5


def test_windows_of_one_class_can_be_read() -> None:
    losses = [0.1] * 30 + [0.2] * 10
    for rates in ([0.0] * 40, [0.2] * 30 + [0.0] * 10, [1.0] * 40):
        assert kinds(run(progressive=progressive(losses, rates))) == []
    assert kinds(run(progressive=progressive(losses, [0.0] * 10 + [0.2] * 30))) == ["drift"]


# -- test rows -------------------------------------------------------------------------------------------------------


def test_calibration() -> None:
    text = only(run(test=metrics(calibration=1.06)))
    assert text.startswith("Predictions are 6.0 % too high on test rows: mean prediction over mean label is 1.060")
    assert "chance explains 0.5 % either way (100,000 rows, rate 0.2500)" in text
    assert "5.0 % too low on validation rows" in only(run(validation=metrics(calibration=0.95)))
    assert kinds(run(test=metrics(calibration=1.019))) == []  # certain, and too small to matter
    assert kinds(run(test=metrics(rows=400, positives=100, calibration=1.2))) == []  # large, and chance
    assert kinds(run(test=metrics(positives=100_000, calibration=0.9))) == []


def test_rare_ids() -> None:
    def groups(unseen_rows: int = 40_000, unseen_auc: float | None = 0.65) -> dict[str, GroupMetrics]:
        return {
            "head": GroupMetrics(rows=60_000, positives=15_000, auc=0.76),
            "torso": GroupMetrics(rows=0, positives=0, auc=None),
            "unseen": GroupMetrics(rows=unseen_rows, positives=unseen_rows // 4, auc=unseen_auc),
        }

    text = only(run(by_frequency=groups()))
    assert "AUC 0.6500 for the 40 % of test rows with an id never seen in training, 0.7600 where" in text
    assert "Compare with method full at 1x" in text
    assert "These tables are full" in only(run(method="full", by_frequency=groups()))
    assert kinds(run(by_frequency=groups(unseen_auc=0.72))) == []
    assert kinds(run(by_frequency=groups(unseen_auc=None))) == []
    assert kinds(run(by_frequency=groups(unseen_rows=500))) == []  # below a hundredth of the rows
    few = groups() | {"head": GroupMetrics(rows=60, positives=15, auc=0.76)}
    assert kinds(run(by_frequency=few)) == []
    torso = groups(unseen_auc=None) | {"torso": GroupMetrics(rows=40_000, positives=9_000, auc=0.6)}
    assert "seen fewer than 100 times" in only(run(by_frequency=torso))


def test_users() -> None:
    within = {"gauc_rows_fraction": 0.8, "gauc_users": 1234}
    text = only(run(test=metrics(gauc=0.62, **within)))
    assert "GAUC 0.6200 against AUC 0.7500 on test rows (1,234 users with both classes, 80 % of rows). Give" in text
    assert "no better than chance" in only(run(validation=metrics(gauc=0.503, **within)))
    assert kinds(run(test=metrics(gauc=0.71, **within))) == []
    few = {"gauc_rows_fraction": 0.8, "gauc_users": 30}
    assert kinds(run(test=metrics(rows=300, positives=80, gauc=0.62, **few))) == []
    assert kinds(run(test=metrics(rows=30_000, positives=8_000, gauc=0.62, **few))) == ["users"]
    assert kinds(run(test=metrics(gauc=None, gauc_rows_fraction=0.0, gauc_users=0))) == []


def test_a_warning_is_a_value() -> None:
    assert EarlyWarning(kind="users", text="x") == EarlyWarning(kind="users", text="x")
