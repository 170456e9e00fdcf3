"""Ctrl-C is noted, not obeyed at once; the second one is."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from pocketrec.train.interrupt import GracefulInterrupt


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_acts(number: int) -> None:
    before = handlers()
    with GracefulInterrupt() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), number)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert handlers() == before


def test_handlers_are_put_back_after_an_error() -> None:
    before = handlers()

    def fail() -> None:
        with GracefulInterrupt():
            assert handlers() != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert handlers() == before


def test_one_within_another_gives_the_signal_to_the_inner_one() -> None:
    with GracefulInterrupt() as outer:
        with GracefulInterrupt() as inner:
            os.kill(os.getpid(), signal.SIGINT)
        assert (outer.asked, inner.asked) == (False, True)
        os.kill(os.getpid(), signal.SIGINT)
        assert outer.asked


def test_a_handler_from_outside_python_becomes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    real, put = signal.signal, []
    monkeypatch.setattr(signal, "signal", lambda number, handler: put.append((number, handler)))
    with GracefulInterrupt():
        pass  # `put.append` returns None, as signal.signal does for such handlers
    assert put[2:] == [(signal.SIGINT, signal.SIG_DFL), (signal.SIGTERM, signal.SIG_DFL)]
    assert signal.signal is not real


def test_other_threads_leave_the_handlers_alone() -> None:
    before, seen = handlers(), []

    def work() -> None:
        with GracefulInterrupt() as interrupt:
            seen.append((handlers(), interrupt.asked))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
