from __future__ import annotations

from pathlib import Path

import pytest

from pareja.classifiers.prompts import (
    checked_labels,
    checked_templates,
    read_labels,
    read_templates,
    template_sets,
)
from pareja.errors import LabelError


def test_labels_come_from_a_list_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes("\ufeffcat\r\n\r\n  año nuevo \n\ndog, big\n".encode())
    assert read_labels(" cat , dog,") == ("cat", "dog")
    assert read_labels(str(file)) == ("cat", "año nuevo", "dog, big")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "no labels"),
        (" , ,", "no labels"),
        ("cat", "'cat' is the only label.*'pareja classify --unknown'"),
        ("cat,Dog,dog", "label 'dog' is given twice"),
        ("cat,cat", "label 'cat' is given twice"),
        ("labels.txt", "no such file"),
    ],
)
def test_labels_that_cannot_be_used(given: str, message: str) -> None:
    with pytest.raises(LabelError, match=message) as error:
        read_labels(given)
    assert "\n" not in str(error.value)


def test_a_file_is_named_in_the_message(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\n\n")
    with pytest.raises(LabelError, match=r"labels\.txt: no labels"):
        read_labels(str(file))
    file.write_bytes(b"caf\xe9\nte")
    with pytest.raises(LabelError, match="not UTF-8 at byte 3"):
        read_labels(str(file))


def test_a_name_too_long_for_a_file_is_a_list_of_labels() -> None:
    names = [f"label{i}" for i in range(1000)]
    assert read_labels(",".join(names)) == tuple(names)


def test_one_label_is_enough_to_ask_whether_it_is_there() -> None:
    assert checked_labels(["cat"], least=1) == ("cat",)


def test_the_sets_are_whole() -> None:
    sets = template_sets()
    assert len(sets["clip80"]) == len(set(sets["clip80"])) == 80
    assert set(sets["clip7"]) < set(sets["clip80"])
    for templates in sets.values():
        assert checked_templates(templates) == templates
        assert all(template.count("{}") == 1 for template in templates)


def test_templates_come_from_a_set_a_text_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("\ufeffa {} here\n\nuna {}\n", encoding="utf-8")
    assert read_templates("bare") == ("{}",)
    assert read_templates("art with a {}") == ("art with a {}",)
    assert read_templates(str(file)) == ("a {} here", "una {}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a photo", "template 'a photo' has no {} for the label, and is no file. Did you mean 'ph"),
        ("qqq", "has no {} for the label, and is no file. Write one"),
    ],
)
def test_templates_without_a_place_for_the_label(given: str, message: str) -> None:
    with pytest.raises(LabelError) as error:
        read_templates(given)
    assert message in str(error.value)


def test_a_file_of_templates_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    for content, message in (("", "no templates"), ("a {}\nb", "'b' has no"), ("{}\n{}", "twice")):
        file.write_text(content)
        with pytest.raises(LabelError, match=message):
            read_templates(str(file))
