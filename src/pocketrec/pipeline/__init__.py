"""A run, whole: files and a number of bytes in; a trained, judged, saved recommender out.

The only room besides ``bench`` and ``cli`` where data, training and artifacts meet.
"""

from __future__ import annotations

from pocketrec.pipeline.config import RunConfig, SplitConfig
from pocketrec.pipeline.recommender import Recommender, load
from pocketrec.pipeline.train import Trained, train

__all__ = ["Recommender", "RunConfig", "SplitConfig", "Trained", "load", "train"]
