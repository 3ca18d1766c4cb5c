from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, PngImagePlugin

from pareja.datasets.checks import CheckReport, check_dataset
from pareja.datasets.formats import load_dataset
from pareja.datasets.profiles import CODES, SEVERITIES, Profile, find_profile, profiles
from pareja.datasets.records import Dataset, Record
from pareja.errors import DatasetError, ImageError
from pareja.words.checks import problem_text

COMMONS = Path(__file__).parents[2] / "data" / "commons200"


@dataclass(frozen=True)
class Held:
    """A picture in memory."""

    encoded: bytes
    name: str

    def read(self) -> bytes:
        return self.encoded

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Unreadable:
    def read(self) -> bytes:
        raise ImageError(self, "may not be read: permission denied")


def photograph(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Patches with sharp edges, different for each seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.NEAREST)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


CATEGORIES = ("birds", "castles", "bridges", "boats")
ANIMALS = ("heron", "tower", "arch", "canoe")
PLACES = ("by the river", "in the fog", "near the old market", "under a red sky", "at the shore")


def record(index: int) -> Record:
    """One of twenty records with which nothing is wrong."""
    group, place = divmod(index, 5)
    name = f"images/{CATEGORIES[group]}/{index:02}.png"
    return Record(
        name,
        Held(encode(photograph(index)), name),
        (f"The {ANIMALS[group]} {PLACES[place]}",),
        category=CATEGORIES[group],
        author="Ana Ruiz",
        license="CC-BY-4.0",
        source_url="https://example.org/picture",
        where=f"metadata.csv:{index + 2}",
    )


RECORDS = tuple(record(index) for index in range(20))
CLEAN = Dataset("clean", RECORDS, "clean")


def with_changed(index: int = 3, **changes: object) -> Dataset:
    records = list(RECORDS)
    records[index] = replace(records[index], **changes)  # type: ignore[arg-type]
    return replace(CLEAN, records=tuple(records))


def with_picture(encoded: bytes, index: int = 3) -> Dataset:
    return with_changed(index, source=Held(encoded, RECORDS[index].file_name))


def found(dataset: Dataset, profile: str = "course", **options: object) -> list[tuple[str, str]]:
    report = check_dataset(dataset, profile=profile, **options)  # type: ignore[arg-type]
    return [(problem.code, problem.path) for problem in report.problems]


def generated_png() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    return encode(photograph(3), pnginfo=text)


def test_a_dataset_without_problems_has_none() -> None:
    report = check_dataset(CLEAN, profile="course")
    assert report.problems == ()
    assert report.ok


NAME = RECORDS[3].file_name
BLUR = encode(photograph(3).filter(ImageFilter.GaussianBlur(8)))
OTHER_BLUR = encode(photograph(9).filter(ImageFilter.GaussianBlur(8)))
SOFTENED = encode(photograph(3).filter(ImageFilter.GaussianBlur(1.0)))

# Each code: a dataset that has exactly this problem and no other, where it is reported, and how
# serious it is to the two profiles; None where the profile does not ask for it.
TRIGGERS = {
    "file_missing": (
        replace(CLEAN, missing=(("metadata.csv:9", "images/gone.png"),)),
        "images/gone.png",
        "error",
        "error",
    ),
    "file_unlisted": (
        replace(CLEAN, unlisted=("images/more.png",)),
        "images/more.png",
        "error",
        "warning",
    ),
    "undecodable": (with_picture(b"These are words."), NAME, "error", "error"),
    "resolution_low": (
        with_picture(encode(photograph(3, (320, 100)))),
        NAME,
        "error",
        "warning",
    ),
    "blurred": (with_picture(BLUR), NAME, "error", "warning"),
    "soft": (with_picture(SOFTENED), NAME, "warning", "note"),
    "duplicate": (with_picture(encode(photograph(1))), NAME, "error", "warning"),
    "near_duplicate": (
        with_picture(encode(photograph(1), "JPEG", quality=70)),
        NAME,
        "error",
        "warning",
    ),
    "generated": (with_picture(generated_png()), NAME, "error", "warning"),
    "caption_missing": (with_changed(captions=()), NAME, "error", "warning"),
    "caption_duplicate": (
        with_changed(captions=(RECORDS[1].caption.upper(),)),
        NAME,
        "error",
        "warning",
    ),
    "caption_short": (with_changed(captions=("Heron",)), NAME, "warning", "note"),
    "caption_long": (
        with_changed(
            captions=("A heron stands in the reeds and waits for the fish. " * 5 + "It is May.",)
        ),
        NAME,
        "warning",
        "warning",
    ),
    "caption_characters": (
        with_changed(captions=("The cafÃ© in the morning",)),
        NAME,
        "warning",
        "warning",
    ),
    "caption_whitespace": (
        with_changed(captions=(" A heron  in the fog of May",)),
        NAME,
        "note",
        "note",
    ),
    "caption_language": (
        with_changed(captions=("Un gato negro duerme en el sofá",)),
        NAME,
        "warning",
        "note",
    ),
    "author_missing": (with_changed(author=None), NAME, "error", "warning"),
    "license_missing": (with_changed(license=" "), NAME, "error", "warning"),
    "license_restricted": (with_changed(license="CC-BY-ND-4.0"), NAME, "note", "note"),
    "source_missing": (with_changed(source_url=None), NAME, "warning", "note"),
}


@pytest.mark.parametrize("code", TRIGGERS)
@pytest.mark.parametrize("profile", ["course", "general"])
def test_each_problem_is_found_once_where_it_is(code: str, profile: str) -> None:
    dataset, path, course, general = TRIGGERS[code]
    report = check_dataset(dataset, profile=profile)
    assert [(p.code, p.path) for p in report.problems] == [(code, path)]
    assert report.problems[0].severity == (course if profile == "course" else general)
    assert report.ok == (report.problems[0].severity != "error")
    # What is wrong, and then what to do about it.
    assert len(report.problems[0].message.split(". ")) >= 2
    # In Spanish too, with all that was found filled in.
    assert len(problem_text(report.problems[0], "es").split(". ")) >= 2


def test_counts_are_held_to_the_course_and_to_nothing_else() -> None:
    fewer = replace(CLEAN, records=RECORDS[:13])
    assert found(fewer, "general") == []
    report = check_dataset(fewer, profile="course")
    assert [p.code for p in report.errors] == ["picture_count", "category_count", "category_size"]
    assert "has 13 pictures and should have 20. Add 7." in report.errors[0].message
    assert "3 categories (birds, castles, bridges) and should have 4" in report.errors[1].message
    assert "'bridges' has 3 pictures and should have 5. Add 2." in report.errors[2].message
    assert [problem_text(problem, "es").split(". ")[0] for problem in report.errors] == [
        "Imágenes: 13; se piden 20",
        "Categorías: 3 (birds, castles, bridges); se piden 4",
        "Imágenes de la categoría «bridges»: 3; se piden 5",
    ]


def test_too_many_pictures_are_to_be_removed() -> None:
    extra = replace(record(0), file_name="images/birds/x.png", captions=("A heron at its nest",))
    more = replace(
        CLEAN,
        records=(*RECORDS, replace(extra, source=Held(encode(photograph(99)), "x"))),
    )
    messages = [p.message for p in check_dataset(more, profile="course").errors]
    assert [message.rsplit(". ", 1)[1] for message in messages] == ["Remove 1.", "Remove 1."]


def test_one_picture_has_nothing_to_be_compared_with() -> None:
    assert found(replace(CLEAN, records=RECORDS[:1]), "general") == [("picture_count", "")]


def test_an_empty_dataset_is_an_error_but_no_exception() -> None:
    assert found(Dataset("empty", (), "empty"), "general") == [("no_pictures", "")]
    assert found(Dataset("empty", (), "empty"), "course")[0] == ("no_pictures", "")


def test_what_every_picture_lacks_is_said_once() -> None:
    bare = tuple(Record(r.file_name, r.source) for r in RECORDS)
    report = check_dataset(replace(CLEAN, records=bare))
    assert [(p.code, p.path) for p in report.problems] == [
        ("caption_missing", ""),
        ("author_missing", ""),
        ("license_missing", ""),
        ("category_missing", ""),
        ("source_missing", ""),
    ]
    assert "None of the pictures has the column 'caption'." in report.problems[0].message


def test_a_missing_category_is_an_error_to_the_course() -> None:
    assert ("category_missing", NAME) in found(with_changed(category=None))
    assert found(with_changed(category=None), "general") == [("category_missing", NAME)]


def test_a_caption_that_is_the_file_name() -> None:
    assert found(with_changed(captions=("03.png",)), "general")[0] == ("caption_file_name", NAME)


def test_captions_in_spanish_are_one_problem_of_the_dataset_too() -> None:
    places = ("junto al río", "en la niebla", "cerca del mercado", "bajo un cielo rojo", "sola")
    nouns = ("La garza blanca", "La torre vieja", "El arco de piedra", "La canoa verde")
    spanish = tuple(
        replace(r, captions=(f"{nouns[i // 5]} {places[i % 5]}",)) for i, r in enumerate(RECORDS)
    )
    report = check_dataset(replace(CLEAN, records=spanish), profile="course")
    assert [p.code for p in report.errors] == ["captions_language"]
    assert "Spanish" in report.errors[0].message


def test_several_captions_are_each_checked() -> None:
    two = with_changed(captions=("A heron standing in the fog", "Heron", ""))
    assert found(two, "general") == [("caption_short", NAME)]


def test_two_equal_captions_of_one_picture_are_no_confusion() -> None:
    assert found(with_changed(captions=("A heron in May", "a heron in may"))) == []


def test_unreadable_and_undecodable_pictures_do_not_stop_the_others() -> None:
    cut = encode(photograph(5))[:900]
    dataset = with_picture(cut, 5)
    records = list(dataset.records)
    records[7] = replace(records[7], source=Unreadable())
    records[9] = replace(records[9], source=Held(OTHER_BLUR, "blur"))
    assert found(replace(dataset, records=tuple(records))) == [
        ("undecodable", records[5].file_name),
        ("undecodable", records[7].file_name),
        ("blurred", records[9].file_name),
    ]
    message = check_dataset(replace(dataset, records=tuple(records))).problems[1].message
    assert "permission denied" in message


def test_a_tiny_picture_is_small_and_not_also_blurred() -> None:
    assert found(with_picture(encode(photograph(3, (1, 1))))) == [("resolution_low", NAME)]


def test_pictures_of_one_colour_are_not_taken_for_copies() -> None:
    white, black = (encode(Image.new("RGB", (300, 300), colour)) for colour in ("white", "black"))
    dataset = with_picture(white)
    records = [*dataset.records[:4], replace(RECORDS[4], source=Held(black, "b")), *RECORDS[5:]]
    assert {code for code, _ in found(replace(dataset, records=tuple(records)))} == {"blurred"}


def test_copies_of_copies_each_name_the_first() -> None:
    records = [
        replace(r, source=RECORDS[0].source) if i in {4, 8} else r for i, r in enumerate(RECORDS)
    ]
    report = check_dataset(replace(CLEAN, records=tuple(records)))
    assert [(p.code, p.path) for p in report.problems] == [
        ("duplicate", RECORDS[4].file_name),
        ("duplicate", RECORDS[8].file_name),
    ]
    assert all(repr(RECORDS[0].file_name) in p.message for p in report.problems)


def test_a_manifest_that_nobody_can_read_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    manifest = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
    dataset = with_picture(encode(photograph(3)) + manifest)
    report = check_dataset(dataset)
    assert [(p.code, p.severity) for p in report.problems] == [("c2pa_unread", "note")]
    assert "pareja[c2pa]" in report.problems[0].message
    assert check_dataset(dataset, profile="course").ok


def swapped_similarity() -> np.ndarray:
    similarity = np.random.default_rng(0).normal(0.1, 0.02, (20, 20))
    similarity[np.arange(20), np.arange(20)] = 0.3
    similarity[[2, 6]] = similarity[[6, 2]]
    return similarity


def test_swapped_captions_are_found_with_an_encoder() -> None:
    report = check_dataset(CLEAN, similarity=swapped_similarity())
    assert [(p.code, p.path) for p in report.problems] == [
        ("caption_mismatch", RECORDS[2].file_name),
        ("caption_mismatch", RECORDS[6].file_name),
    ]
    assert repr(RECORDS[6].file_name) in report.problems[0].message
    assert "0.300" in report.problems[0].message
    assert "may be swapped" in report.problems[0].message
    assert "caption_mismatch" not in report.summary["left_out"]


def test_checks_that_need_an_encoder_are_said_to_be_left_out() -> None:
    assert set(check_dataset(CLEAN).summary["left_out"]) == {"caption_mismatch", "flagged"}
    few = replace(CLEAN, records=RECORDS[:3])
    report = check_dataset(few, similarity=np.eye(3)[::-1], flagged=[])
    assert report.summary["left_out"] == {"caption_mismatch": "needs at least 5 pictures"}


def test_flags_of_moderation_are_passed_on() -> None:
    report = check_dataset(CLEAN, flagged=[(4, "weapons", 0.8)])
    assert [(p.code, p.path, p.severity) for p in report.problems] == [
        ("flagged", RECORDS[4].file_name, "warning")
    ]
    assert "weapons (score 0.80)" in report.problems[0].message
    assert "flagged" not in report.summary["left_out"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": np.eye(3)}, r"shape \(3, 3\) and the dataset 20 pictures with 20 captions"),
        ({"similarity": np.ones(20)}, r"shape \(20,\)"),
        ({"similarity": np.where(np.eye(20), np.nan, 1.0)}, "not finite"),
        ({"flagged": [(20, "weapons", 1.0)]}, "picture 20, and the dataset has 20 pictures"),
        ({"flagged": [(-1, "weapons", 1.0)]}, "picture -1"),
        ({"profile": "strict"}, "unknown profile 'strict'. There are 'general' and 'course'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_dataset(CLEAN, **options)  # type: ignore[arg-type]


def report_with_all_severities() -> CheckReport:
    records = [
        replace(r, license=None, captions=(" A heron",)) if i in {11, 3} else r
        for i, r in enumerate(RECORDS)
    ]
    dataset = replace(CLEAN, records=tuple(records), unlisted=("z.png", "a.png"))
    return check_dataset(dataset, profile="course")


def test_problems_are_ordered_by_severity_then_by_the_dataset() -> None:
    report = report_with_all_severities()
    places = {r.file_name: i for i, r in enumerate(RECORDS)}
    keys = [(SEVERITIES.index(p.severity), places.get(p.path, -1)) for p in report.problems]
    assert keys == sorted(keys)
    assert {p.severity for p in report.problems} == set(SEVERITIES)
    assert [p.path for p in report.errors][:2] == ["z.png", "a.png"]
    assert len(report.errors) + len(report.warnings) < len(report.problems)
    assert report == report_with_all_severities()


def test_the_json_shape_that_other_programs_rely_on() -> None:
    report = report_with_all_severities()
    shape = json.loads(json.dumps(report.to_json()))
    assert list(shape) == ["ok", "problems", "summary"]
    assert shape["ok"] is False
    assert all(list(p) == ["code", "severity", "path", "message"] for p in shape["problems"])
    assert len(shape["problems"]) == len(report.problems)
    summary = shape["summary"]
    assert summary["pictures"] == summary["captions"] == 20
    assert summary["categories"] == dict.fromkeys(CATEGORIES, 5)
    assert summary["licenses"] == {"CC-BY-4.0": 18, "": 2}
    assert sum(summary["problems"].values()) == len(report.problems)
    assert summary["profile"] == "course"


def test_progress_counts_every_picture_in_the_thread_of_the_caller() -> None:
    calls: list[tuple[int, int]] = []
    threads = set()

    def note(done: int, total: int) -> None:
        calls.append((done, total))
        threads.add(threading.get_ident())

    check_dataset(CLEAN, progress=note)
    assert calls == [(done, 20) for done in range(1, 21)]
    assert threads == {threading.get_ident()}


def test_stopping_early_reads_no_further() -> None:
    read = []

    @dataclass(frozen=True)
    class Noted:
        index: int

        def read(self) -> bytes:
            read.append(self.index)
            return RECORDS[self.index % 20].source.read()

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    records = tuple(Record(f"{i}.png", Noted(i)) for i in range(100))
    with pytest.raises(KeyboardInterrupt):
        check_dataset(replace(CLEAN, records=records), progress=stop)
    assert len(read) < 20


def test_few_pictures_are_in_memory_at_once() -> None:
    # Shared counts instead of a memory measurement, which the allocator would blur.
    lock, open_now, most = threading.Lock(), [0], [0]

    class Counted(bytes):
        def __del__(self) -> None:
            with lock:
                open_now[0] -= 1

    @dataclass(frozen=True)
    class Counting:
        index: int

        def read(self) -> bytes:
            with lock:
                open_now[0] += 1
                most[0] = max(most[0], open_now[0])
            return Counted(RECORDS[self.index].source.read())

    records = tuple(
        replace(r, source=Counting(i % 20), file_name=f"{n}-{i}.png")
        for n in range(3)
        for i, r in enumerate(RECORDS)
    )
    check_dataset(replace(CLEAN, records=records))
    assert 1 <= most[0] <= 12


def test_a_profile_of_ones_own() -> None:
    mine = Profile(
        "mine", "pairs", pictures=20, min_side=500, severities={"resolution_low": "note"}
    )
    report = check_dataset(CLEAN, profile=mine)
    assert report.ok
    assert {(p.code, p.severity) for p in report.problems} == {("resolution_low", "note")}


def test_profiles_know_every_code_and_no_other() -> None:
    assert [p.name for p in profiles()] == ["general", "course"]
    for profile in profiles():
        assert find_profile(profile.name) is profile
        assert set(profile.severities) <= set(CODES)
        assert all(profile.severity(code) in SEVERITIES for code in CODES)
    assert set(TRIGGERS) <= set(CODES)


def test_the_course_is_nowhere_more_lenient_than_general() -> None:
    general, course = profiles()
    assert all(
        SEVERITIES.index(course.severity(code)) <= SEVERITIES.index(general.severity(code))
        for code in CODES
    )


captions = st.lists(st.text(max_size=40), max_size=3).map(tuple)
texts = st.none() | st.text(max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(captions, texts, texts, texts, st.binary(max_size=40)), min_size=1, max_size=4
    ),
    profile=st.sampled_from(["general", "course"]),
)
def test_any_metadata_and_bytes_give_a_report(
    rows: Iterable[tuple[tuple[str, ...], str | None, str | None, str | None, bytes]], profile: str
) -> None:
    records = tuple(
        Record(f"{i}.png", Held(encoded, f"{i}.png"), words, category, None, None, author, licence)
        for i, (words, category, author, licence, encoded) in enumerate(rows)
    )
    report = check_dataset(Dataset("any", records, "any"), profile=profile)
    undecodable = [p.path for p in report.problems if p.code == "undecodable"]
    assert undecodable == [r.file_name for r in records]
    assert {p.code for p in report.problems} <= set(CODES)
    json.dumps(report.to_json())


def test_the_bundled_course_dataset_passes() -> None:
    report = check_dataset(load_dataset("pareja20", on_missing="keep"), profile="course")
    assert report.problems == ()


def test_what_is_known_to_be_wrong_with_the_collection_is_found() -> None:
    report = check_dataset(load_dataset(COMMONS, on_missing="keep"))
    assert report.ok
    twice = {p.path.rsplit("/", 1)[1] for p in report.problems if p.code == "near_duplicate"}
    assert twice == {"colosseum_2.webp", "great_pyramid.webp"}
    codes = {p.code for p in report.warnings}
    assert codes == {"near_duplicate", "caption_duplicate", "caption_missing", "caption_file_name"}


def test_a_misspelt_file_name_is_one_problem() -> None:
    records = CLEAN.records[1:]
    own = CLEAN.records[0].file_name
    written = own.replace("/", "/x", 1) if "/" in own else f"x{own}"
    dataset = replace(
        CLEAN, records=records, unlisted=(own,), missing=(("metadata.csv:2", written),)
    )
    errors = check_dataset(dataset, profile="course").errors
    assert [(problem.code, problem.path) for problem in errors] == [("file_missing", written)]
    assert f"no row names {own!r}. Did you mean that one?" in errors[0].message


def test_a_picture_that_no_name_resembles_is_a_problem_of_its_own() -> None:
    dataset = replace(CLEAN, unlisted=("other.png",), missing=(("metadata.csv:9", "boat.jpg"),))
    codes = [problem.code for problem in check_dataset(dataset, profile="course").errors]
    assert codes == ["file_missing", "file_unlisted"]
