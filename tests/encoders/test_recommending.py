from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from pareja.cli.models import Uses
from pareja.encoders import recommend_models
from pareja.encoders.recommending import Use
from pareja.errors import InputError


def test_for_spanish_the_best_published_figure_comes_first() -> None:
    found = recommend_models("es")
    figures = [one.card.xm3600.es for one in found if one.card.xm3600]
    assert figures == sorted(figures, reverse=True)
    assert [one.measured for one in found] == sorted([one.measured for one in found], reverse=True)
    assert found[0].card.name == "siglip-i18n-b16"
    assert found[0].reasons[0].startswith("Spanish: 59.6 % of captions find their picture first (")
    assert found[0].reasons[0].endswith("with clip-vit-b32, 15.6 %")
    assert all(one.card.languages != "en" for one in found)


def test_all_uses_count_at_once() -> None:
    for one in recommend_models("slow-cpu", "commercial"):
        assert one.card.speed == "fast"
        assert one.card.licence in {"MIT", "Apache-2.0"}
        assert len(one.reasons) == 3
    names = {one.card.name for one in recommend_models("commercial")}
    assert "clip-vit-b32" in names
    assert not {"metaclip-vit-b32", "mobileclip2-s2", "starter"} & names


def test_a_model_of_ones_own_is_recommended_by_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "models.toml"
    monkeypatch.setenv("PAREJA_MODELS", str(path))
    path.write_text(
        '[mine]\nkind = "dual"\nrepository = "me/mine"\nspeed = "fast"\nlanguages = "es"\n'
        'xm3600 = { es = 99.0, en = 1.0, source = "me" }\n'
    )
    assert recommend_models("es", "slow-cpu")[0].card.name == "mine"
    # Nothing is known of its licence.
    assert "mine" not in {one.card.name for one in recommend_models("commercial")}


@pytest.mark.parametrize("uses", [(), ("fast",), ("es", None)])
def test_unknown_uses_are_refused(uses: Any) -> None:
    with pytest.raises(InputError, match=r"`uses` takes 'es', 'slow-cpu', 'commercial'"):
        recommend_models(*uses)


def test_the_command_line_takes_the_same_uses() -> None:
    assert {use.value for use in Uses} == {*get_args(Use)}
