"""Avazu as Kaggle gave it: click, hour, 21 columns, and the hour of the day and weekday that the reader derives.

``id`` is a number of the row and tells nothing; ``hour`` is the time. device_ip and device_id are users, more or less:
ids like all others.

Source: https://www.kaggle.com/c/avazu-ctr-prediction
"""

from __future__ import annotations

from pocketrec.spec.schema import Field, Schema

__all__ = ["SCHEMA"]

_FIELDS = (
    "hour_of_day", "weekday", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain",
    "app_category", "device_id", "device_ip", "device_model", "device_type", "device_conn_type",
    *(f"C{number}" for number in range(14, 22)),
)  # fmt: skip

SCHEMA = Schema(
    format="avazu",
    fields=(
        Field(name="click", kind="label"),
        Field(name="hour", kind="time"),
        *(Field(name=name, kind="categorical") for name in _FIELDS),
    ),
)
