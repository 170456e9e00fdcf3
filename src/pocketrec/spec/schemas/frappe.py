"""Frappe as CSV files of the BARS benchmark: label and ten fields, whose ids are unique over all fields.

Source: L. Baltrunas and others, "Frappe: Understanding the Usage and Perception of Mobile App Recommendations
In-The-Wild", arXiv:1505.03014.
"""

from __future__ import annotations

from pocketrec.spec.schema import Field, Schema

__all__ = ["SCHEMA"]

_FIELDS = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")

SCHEMA = Schema(
    user="user",
    fields=(Field(name="label", kind="label"), *(Field(name=name, kind="categorical") for name in _FIELDS)),
)
