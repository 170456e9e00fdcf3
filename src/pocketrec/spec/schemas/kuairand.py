"""KuaiRand: is the video clicked, from what is known before it is shown.

Left out on purpose, because they are outcomes of the view: every other ``is_*`` column, ``long_view``,
``play_time_ms``, ``*_stay_time``, ``watch_ratio``, ``finish``, ``like``, ``long_watch``, ``is_positive``.

Source: C. Gao and others, "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos", 2022.
"""

from __future__ import annotations

from pocketrec.spec.schema import DenseTransform, Field, Schema

__all__ = ["SCHEMA"]

_LOG = DenseTransform(log1p=True, standardise=True, missing_flag=True)
_USER = (
    "user_active_degree", "follow_user_num_range", "fans_user_num_range", "friend_user_num_range",
    "register_days_range", *(f"onehot_feat{number}" for number in range(18)),
)  # fmt: skip

SCHEMA = Schema(
    format="kuairand",
    user="user_id",
    fields=(
        Field(name="is_click", kind="label"),
        Field(name="time_ms", kind="time"),
        Field(name="video_duration", kind="dense", transform=_LOG),
        Field(name="freshness_days", kind="dense", transform=_LOG),
        *(Field(name=name, kind="categorical") for name in ("user_id", "video_id", "author_id")),
        Field(name="tag", kind="categorical", many=True, separator=","),
        *(Field(name=name, kind="categorical") for name in ("tab", "hour", "video_type", "upload_type", "music_type")),
        *(Field(name=name, kind="categorical") for name in _USER),
    ),
)
