"""Claim: a run that is killed ten times ends as if it had not been, bit by bit.

Writes a synthetic log, trains on it by the command line once without interruption, and once with SIGKILL at ten random
moments of training; then compares all tensors of both artifacts and checkpoints, and the learning curves.

    python benchmarks/resume_after_kill.py [SEED OF THE MOMENTS]
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from pocketrec.artifact.checkpoint import latest_checkpoint
from pocketrec.artifact.load import Artifact, load_artifact
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.native import backend

KILLS = 10
ROWS, EPOCHS, CHECKPOINT_STEPS = 20_000, 6, 10
# What differs between two runs of equal numbers.
TIMES = ("rows_per_s", "seconds")


def command(folder: Path, out: str) -> list[str]:
    """Train with min_count at a sixteenth of the bytes, a checkpoint after every few steps."""
    settings = {"train.checkpoint_steps": CHECKPOINT_STEPS, "train.batch_size": 256, "train.patience": "null"}
    settings |= {"model.bottom": "[32]", "model.top": "[32]"}
    return [
        str(Path(sys.executable).with_name("pocketrec")), "train", str(folder / "log.tsv"), "--out", str(folder / out),
        "--cache", str(folder / "cache"), "--epochs", str(EPOCHS), "--quiet", "--seed", "3",
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]  # fmt: skip


def finish(folder: Path, out: str) -> float:
    """Run to the end; the seconds it took."""
    began = time.perf_counter()
    done = subprocess.run(command(folder, out), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the run failed: {done.stderr}")
    return time.perf_counter() - began


def steps_saved(folder: Path) -> int:
    """Steps of the newest checkpoint that is whole; 0 if there is none."""
    found = latest_checkpoint(folder / "checkpoints")
    return 0 if found is None else int(found.manifest.content["state"]["step"])


def started(folder: Path, out: str) -> subprocess.Popen[bytes]:
    """A run that has begun to train: its checkpoints have changed, or it is about to."""
    checkpoints = folder / out / "checkpoints"
    before = {path.name for path in checkpoints.glob("save-*")} if checkpoints.is_dir() else set()
    process = subprocess.Popen(command(folder, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if checkpoints.is_dir() and {path.name for path in checkpoints.glob("save-*")} - before:
            break
        time.sleep(0.002)
    return process


def killed_run(folder: Path, draw: random.Random, epoch_s: float) -> list[int]:
    """Kill ten times, each within half an epoch after a first new checkpoint; the steps that each kill left."""
    left = []
    for _ in range(KILLS):
        process = started(folder, "killed")
        time.sleep(draw.uniform(0, epoch_s / 2))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            sys.exit("the run ended before it could be killed: raise EPOCHS")
        left.append(steps_saved(folder / "killed"))
    return left


def equal(first: Artifact, second: Artifact) -> bool:
    """Whether all parts hold equal tensors."""
    if first.parts != second.parts:
        return False
    for part in first.parts:
        ours, theirs = first.tensors(part), second.tensors(part)
        if ours.keys() != theirs.keys() or not all(torch.equal(t, theirs[name]) for name, t in ours.items()):
            return False
    return True


def curve(folder: Path) -> list[dict[str, object]]:
    """The history without times."""
    found = latest_checkpoint(folder / "checkpoints")
    assert found is not None, "a finished run has its last checkpoint"
    history = found.manifest.content["state"]["history"]
    return [{key: value for key, value in entry.items() if key not in TIMES} for entry in history]


def main(seed: int) -> int:
    """Print one line per figure; 1 if anything differs."""
    os.environ["OMP_NUM_THREADS"] = "1"  # bit-identical for equal numbers of threads
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_synthetic(folder / "log.tsv", SyntheticSpec(rows=ROWS, scale="1/1000"))
        whole_s = finish(folder, "whole")
        last = latest_checkpoint(folder / "whole" / "checkpoints")
        assert last is not None, "a finished run has its last checkpoint"
        epoch_s = sum(entry["seconds"] for entry in last.manifest.content["state"]["history"]) / EPOCHS
        print(f"kernels: {backend()}; {steps_saved(folder / 'whole')} steps without interruption: {whole_s:.1f} s")
        left = killed_run(folder, random.Random(seed), epoch_s)
        print(f"steps that were safe after each of {KILLS} kills: {', '.join(map(str, left))}")
        finish(folder, "killed")
        models = [load_artifact(folder / name / "model") for name in ("whole", "killed")]
        ends = [latest_checkpoint(folder / name / "checkpoints") for name in ("whole", "killed")]
        same = {
            "artifacts": equal(models[0], models[1]),
            "last checkpoints": ends[0] is not None and ends[1] is not None and equal(ends[0], ends[1]),
            "learning curves": curve(folder / "whole") == curve(folder / "killed"),
        }
        for what, is_same in same.items():
            print(f"{what}: {'bit-identical' if is_same else 'DIFFERENT'}")
        return 0 if all(same.values()) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
