from __future__ import annotations

from pocketrec.compress import size
from pocketrec.data.value_sets import ValueSets
from pocketrec.spec.table import TableSpec
from pocketrec.testing.sets import Sets, some_data


def test_sets_have_the_form_of_data() -> None:
    sets = Sets({5: [3, 1], 2: [7]})
    assert sets.values.tolist() == [2, 5]
    assert sets.starts.tolist() == [0, 1, 3]
    assert sets.members.tolist() == [7, 3, 1]
    found = ValueSets(values=sets.values, starts=sets.starts, members=sets.members)
    assert found.supported(2).values.tolist() == sets.supported(2).values.tolist() == [5]
    assert found.values.dtype == sets.values.dtype
    assert found.members.dtype == sets.members.dtype


def test_every_table_has_some() -> None:
    tables = [TableSpec(name="a", rows=50, dim=4), TableSpec(name="b", rows=4, dim=4)]
    found = some_data(size(tables, "1x"))["value_sets"]
    assert set(found) == {"a", "b"}
    assert 0 < len(found["b"].values) < len(found["a"].values) < 50
