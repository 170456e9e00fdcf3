"""Settings by trials: what to try next, and what was the best on validation rows.

A proposal is a function of the seed, the number of the trial and the trials before it, so that a study that was killed
goes on with the proposals that it would have made.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pocketrec.bench.space import Choice, Range, Space
from pocketrec.spec.errors import OptionError

__all__ = ["Trial", "best", "check_optuna", "propose"]

Trial = tuple[Mapping[str, Any], float | None]
"""Values by dotted key, and the figure that they reached (more is better), None where the run failed."""


def check_optuna() -> None:
    """OptionError, with what to do, where Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as missing:
        raise OptionError(
            "The study tunes settings, and Optuna is not installed. Run: pip install 'pocketrec[bench]'"
        ) from missing


def propose(
    space: Space, written: Mapping[str, Any], before: Sequence[Trial], *, seed: int, who: str
) -> dict[str, Any]:
    """The values of the next trial.

    The first trial is what the study says without tuning, as far as it lies within the space; then come random ones,
    then those of a tree of Parzen estimators (Bergstra et al., NeurIPS 2011, as Optuna has it), from half of the usual
    number of random trials on, for trials are few.

    Args:
        space: what is chosen.
        written: values by dotted key that the study has without tuning.
        before: the trials so far, in order.
        seed: of the tuning.
        who: names method and data, which so get proposals of their own.

    Returns:
        A value for every key of the space.
    """
    check_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    laws = {key: _law(optuna, of) for key, of in space.items()}
    # a sampler begun anew would repeat its first draws
    drawn = hashlib.sha256(f"{seed} {len(before)} {who}".encode()).digest()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=int.from_bytes(drawn[:4], "little"), n_startup_trials=4)
        study = optuna.create_study(direction="maximize", sampler=sampler)
    for values, figure in before:
        fits = set(values) == set(space) and all(of.holds(values[key]) for key, of in space.items())
        if fits and figure is not None:  # others were made before the study's file was changed
            params = {key: of.to_place(values[key]) for key, of in space.items()}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=laws, value=figure))
    if not before:
        there = {key: of for key, of in space.items() if key in written and of.holds(written[key])}
        study.enqueue_trial({key: of.to_place(written[key]) for key, of in there.items()})
    params = study.ask(laws).params
    return {key: of.at_place(params[key]) for key, of in space.items()}


def best(trials: Sequence[Trial]) -> dict[str, Any]:
    """The values of the best trial, the first of several; {} when all failed."""
    reached = [(figure, values) for values, figure in trials if figure is not None]
    return dict(max(reached, key=lambda found: found[0])[1]) if reached else {}


def _law(optuna: Any, of: Range | Choice) -> Any:
    """A range or list as Optuna's distribution."""
    if isinstance(of, Choice):
        return optuna.distributions.CategoricalDistribution(tuple(range(len(of.values))))
    if of.whole:
        return optuna.distributions.IntDistribution(int(of.low), int(of.high), log=of.log)
    return optuna.distributions.FloatDistribution(of.low, of.high, log=of.log)
