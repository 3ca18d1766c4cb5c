from __future__ import annotations

import pytest

import pareja


@pytest.mark.parametrize("name", pareja.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(pareja, name)
    assert value.__doc__
    assert value.__module__.startswith("pareja.")
    assert name in dir(pareja)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pareja.nothing
