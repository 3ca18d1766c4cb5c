from __future__ import annotations

import inspect

import pytest

import pareja

NAMES = [
    "Collection",
    "Dataset",
    "Embedded",
    "EmbeddingCache",
    "Fingerprint",
    "ParejaError",
    "Query",
    "Record",
    "check",
    "check_delivery",
    "classify",
    "compare",
    "decode_image",
    "deliver",
    "embed",
    "embed_texts",
    "fewshot",
    "learn",
    "list_models",
    "load",
    "load_classifier",
    "load_dataset",
    "locate",
    "memoria",
    "moderate",
    "open",
    "pack",
    "quantise",
    "recommend_models",
    "serve",
    "serve_agents",
    "study",
    "tune",
]


def test_these_are_the_public_names_and_no_others() -> None:
    assert sorted(pareja.__all__) == NAMES
    seen = {name for name in dir(pareja) if not name.startswith("_")}
    modules = {name for name in seen if inspect.ismodule(getattr(pareja, name))}
    assert seen - modules - {"annotations", "import_module", "Path", "TYPE_CHECKING", "Any"} == {
        *NAMES
    }


@pytest.mark.parametrize("name", pareja.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(pareja, name)
    assert value.__doc__
    assert value.__module__.startswith("pareja.")
    assert name in dir(pareja)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pareja.nothing
