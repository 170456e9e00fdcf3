from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Exporting takes seconds, and a fresh Python with torch some more."""
    for item in items:
        if "test_runs_where_only_torch_is" in item.name:
            item.add_marker("slow")
