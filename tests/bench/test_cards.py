from __future__ import annotations

import pytest

from pocketrec.bench.cards import cards_of
from pocketrec.compress import METHODS


@pytest.mark.parametrize("method", METHODS.names())
def test_the_card_of_every_method_is_whole(method: str) -> None:
    card = cards_of([method])[method]
    assert card.summary.endswith((".", ":"))
    assert [heading for heading, _ in card.sections] == ["Paper", "Bytes", "Use when", "Did not help when"]
    assert all(text for _, text in card.sections)


def test_cards_are_of_the_methods_that_occur_once_and_in_order() -> None:
    cards = cards_of(["robe", "full", "robe", "a method of tomorrow", "<b>"])
    assert {name: card.anchor for name, card in cards.items()} == {"robe": "card-0", "full": "card-1"}


def test_a_name_of_the_literature_has_the_card_of_its_method() -> None:
    cards = cards_of(["compo", "quotient_remainder"])
    assert cards["compo"].summary == cards["quotient_remainder"].summary
