from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fake_hub
import numpy as np
import pytest
from fake_hub import FakeHub, sha256
from tiny_models import altered, folder, write_json

from pareja.encoders import hub, load
from pareja.encoders.catalogue import find_card
from pareja.errors import EncoderError, ModelUnavailableError, OutputError, UnknownModelError

NAME = "tiny/clip"
BLOB = "model.safetensors"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with fake_hub.serve() as served:
        yield served


@pytest.fixture
def remote(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A hub with one tiny CLIP, and an empty cache of this machine."""
    from huggingface_hub import constants

    server.__init__(url=server.url)  # type: ignore[misc]
    server.add(NAME, folder("clip"))
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return server


def weights() -> bytes:
    return (folder("clip") / BLOB).read_bytes()


def test_a_model_is_fetched_once_and_then_loaded_without_the_hub(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.status(NAME) is None
    steps: list[tuple[str, int, int]] = []
    snapshot = hub.fetch(NAME, lambda *step: steps.append(step))
    assert (snapshot.repository, snapshot.commit) == (NAME, "a" * 40)
    assert steps[-1][1] == steps[-1][2] == snapshot.size == hub.plan(NAME).size
    assert [step[1] for step in steps] == sorted(step[1] for step in steps)
    assert snapshot.size == sum(path.stat().st_size for path in folder("clip").iterdir())

    remote.requests.clear()
    assert hub.fetch(NAME) == snapshot == hub.status(NAME)
    assert not [path for _, path, _ in remote.requests if "resolve" in path]

    remote.repositories.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded: Any = load(NAME, device="cpu", precision="float32")
    local: Any = load(str(folder("clip")), device="cpu", precision="float32")
    np.testing.assert_array_equal(loaded.encode_texts(["a cat"]), local.encode_texts(["a cat"]))
    assert loaded.text_fingerprint.revision == "a" * 40
    assert loaded.text_fingerprint.model == NAME


def test_the_plan_tells_size_and_licence_and_downloads_nothing(remote: FakeHub) -> None:
    plan = hub.plan(NAME)
    assert plan.licence == "mit"
    assert plan.commit == "a" * 40
    assert plan.size == plan.missing > len(weights())
    assert not [path for _, path, _ in remote.requests if "resolve" in path]
    assert hub.status(NAME) is None


def test_only_the_files_of_the_encoder_are_fetched(remote: FakeHub, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    junk = ["pytorch_model.bin", "flax_model.msgpack", "onnx/config.json", "README.md", "run.py"]
    junk += ["onnx/model.safetensors", "pytorch_model.bin.index.json"]
    for name in junk:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("{}")
    remote.add(NAME, path)
    assert {file.path for file in hub.plan(NAME).files} == {
        p.name for p in folder("clip").iterdir()
    }


def test_a_model_of_open_clip_is_fetched_with_its_own_weights(
    remote: FakeHub, tmp_path: Path
) -> None:
    card = find_card("mobileclip2-s2")
    assert card is not None
    assert card.repository is not None
    assert card.revision is not None
    for name in ("model.safetensors", "open_clip_model.safetensors", "open_clip_config.json"):
        (tmp_path / name).write_text("{}")
    remote.add(card.repository, tmp_path, commit=card.revision)
    wanted = {file.path for file in hub.plan("mobileclip2-s2").files}
    assert wanted == {"open_clip_model.safetensors", "open_clip_config.json"}


def test_a_sentence_transformers_model_is_fetched_with_its_parts(remote: FakeHub) -> None:
    remote.add("tiny/sentence", folder("sentence"))
    snapshot = hub.fetch("tiny/sentence")
    assert (snapshot.folder / "2_Dense/pytorch_model.bin").is_file()
    loaded: Any = load("tiny/sentence", device="cpu", precision="float32")
    assert loaded.encode_texts(["a cat"]).shape == (1, 24)


def test_a_download_that_breaks_off_goes_on_by_itself(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    remote.break_after = 20_000
    hub.fetch(NAME)
    assert remote.sent("GET", BLOB) == ["", "bytes=16384-"]


def test_a_download_that_was_killed_goes_on_in_the_next_process(
    remote: FakeHub, tmp_path: Path
) -> None:
    partial = tmp_path / f"cache/models--tiny--clip/blobs/{sha256(weights())}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(weights()[:30_000])
    steps: list[tuple[str, int, int]] = []
    snapshot = hub.fetch(NAME, lambda *step: steps.append(step))
    assert remote.sent("GET", BLOB) == ["bytes=30000-"]
    assert (snapshot.folder / BLOB).read_bytes() == weights()
    assert steps[-1][1] == steps[-1][2]
    assert not partial.exists()


@pytest.mark.parametrize("tail", [b"", b"more"])
def test_a_process_killed_before_it_verified_a_file_blocks_nothing(
    tail: bytes, remote: FakeHub, tmp_path: Path
) -> None:
    partial = tmp_path / f"cache/models--tiny--clip/blobs/{sha256(weights())}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(weights() + tail)
    if tail:
        with pytest.raises(ModelUnavailableError, match="arrived broken"):
            hub.fetch(NAME)
    snapshot = hub.fetch(NAME)
    assert remote.sent("GET", BLOB) == ([""] if tail else [])
    assert (snapshot.folder / BLOB).read_bytes() == weights()


def test_two_fetches_at_a_time_download_once(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(hub.fetch, [NAME, NAME])
    assert one == two
    assert len(remote.sent("GET", BLOB)) == 1


def test_what_arrived_before_an_error_is_kept(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    remote.break_after, remote.stay_broken = 20_000, True
    with pytest.raises(ModelUnavailableError, match="cannot be reached"):
        hub.fetch(NAME)
    assert hub.status(NAME) is None
    with pytest.raises(ModelUnavailableError, match="pareja models fetch tiny/clip"):
        load(NAME)
    remote.break_after = None
    remote.requests.clear()
    hub.fetch(NAME)
    assert remote.sent("GET", BLOB) == ["bytes=16384-"]


def test_a_pinned_revision_is_honoured(remote: FakeHub, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "newer")
    write_json(path / "config.json", newer=True)
    remote.add(NAME, path, commit="b" * 40)
    old = hub.fetch(f"{NAME}@{'a' * 40}")
    assert "newer" not in json.loads((old.folder / "config.json").read_text())
    assert hub.status(NAME) is None
    new = hub.fetch(NAME)
    assert json.loads((new.folder / "config.json").read_text())["newer"]
    assert (old.commit, new.commit) == ("a" * 40, "b" * 40)
    one: Any = load(f"{NAME}@{'a' * 40}", device="cpu")
    two: Any = load(NAME, device="cpu")
    assert one.text_fingerprint != two.text_fingerprint


def test_the_revision_of_a_pull_request_is_honoured(remote: FakeHub, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "proposed")
    write_json(path / "config.json", proposed=True)
    remote.add(NAME, path, commit="c" * 40, branch="refs/pr/3")
    asked = f"{NAME}@refs/pr/3"
    with pytest.raises(ModelUnavailableError, match="pareja models fetch tiny/clip@refs/pr/3"):
        load(asked)
    fetched = hub.fetch(asked)
    assert fetched.commit == "c" * 40
    assert json.loads((fetched.folder / "config.json").read_text())["proposed"]
    assert hub.status(NAME) is None
    one: Any = load(asked, device="cpu")
    assert (one.name, one.text_fingerprint.revision) == (asked, "c" * 40)


def test_a_model_is_removed_with_all_its_versions(remote: FakeHub, tmp_path: Path) -> None:
    size = hub.fetch(NAME).size
    assert hub.remove(NAME) == size
    assert hub.status(NAME) is None
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    with pytest.raises(ModelUnavailableError, match="not on this machine"):
        hub.remove(NAME)


def test_what_cannot_be_removed_is_not_said_to_be(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fetch(NAME)

    def locked(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", locked)
    with pytest.raises(OutputError, match="cannot be removed: Permission denied"):
        hub.remove(NAME)


@pytest.mark.parametrize("ask", [hub.status, hub.snapshot, hub.plan, hub.fetch, hub.remove])
def test_names_that_no_model_can_have_are_unknown(ask: Any) -> None:
    with pytest.raises(UnknownModelError, match="Did you mean 'clip-vit-b32'"):
        ask("clip-vit-b-32")
    for name in ("", "a b", "/models", "..", r"a\..\..", "a/b@../../c"):
        with pytest.raises(UnknownModelError, match="unknown model"):
            ask(name)
    with pytest.raises(EncoderError, match=r"one after the other: resnet50, distiluse\."):
        ask("resnet50+distiluse")


def refuse(code: str) -> Any:
    return lambda remote: setattr(remote.repositories[NAME], "refuse", code)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda remote: remote.repositories.clear(), "no repository tiny/clip, or it is private"),
        (refuse("GatedRepo"), "accept the terms"),
        (lambda remote: remote.repositories[NAME].branches.clear(), "no revision 'main'"),
    ],
)
def test_what_the_hub_refuses_is_one_clear_line(change: Any, message: str, remote: FakeHub) -> None:
    change(remote)
    with pytest.raises(ModelUnavailableError, match=message) as caught:
        hub.fetch(NAME)
    assert "\n" not in str(caught.value)


def test_no_network_is_one_clear_line(remote: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(ModelUnavailableError, match="the hub cannot be reached"):
        hub.fetch(NAME)


def test_offline_mode_is_respected(remote: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE is set"):
        hub.fetch(NAME)
    assert not remote.requests


def test_a_corrupt_file_is_deleted(remote: FakeHub, tmp_path: Path) -> None:
    remote.corrupt = True
    with pytest.raises(ModelUnavailableError, match=r"model.safetensors .*arrived broken"):
        hub.fetch(NAME)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".part"]
    remote.corrupt = False
    assert (hub.fetch(NAME).folder / BLOB).read_bytes() == weights()


@pytest.mark.parametrize("file", [BLOB, "tokenizer.json"])
def test_a_bit_that_flips_after_the_download_is_noticed(remote: FakeHub, file: str) -> None:
    fetched = hub.fetch(NAME).folder / file
    content = bytearray(fetched.read_bytes())
    content[len(content) // 2] ^= 1
    fetched.write_bytes(content)
    with pytest.raises(EncoderError, match=f"{file} is not the file that was downloaded") as caught:
        load(NAME, device="cpu")
    fetched.resolve().unlink()
    assert str(fetched.resolve()) in str(caught.value)
    hub.fetch(NAME)
    assert load(NAME, device="cpu").name == NAME


def test_a_full_disk_is_noticed_before_downloading(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(ModelUnavailableError, match="which has 1 kB free"):
        hub.fetch(NAME)
    assert not [path for _, path, _ in remote.requests if "resolve" in path]


def test_too_little_memory_is_noticed_before_downloading(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    with pytest.raises(ModelUnavailableError, match="this machine has 10 kB"):
        hub.fetch(NAME)
    assert not [path for _, path, _ in remote.requests if "resolve" in path]


def test_a_disk_that_fills_up_on_the_way_is_one_clear_line(
    remote: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    with pytest.raises(ModelUnavailableError, match="disk is full"):
        hub.fetch(NAME)


def test_a_repository_without_weights_is_no_encoder(remote: FakeHub, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    (path / BLOB).unlink()
    remote.repositories.clear()
    remote.add(NAME, path)
    with pytest.raises(EncoderError, match="tiny/clip is no encoder"):
        hub.fetch(NAME)


def test_a_repository_for_other_programs_alone_says_so(remote: FakeHub, tmp_path: Path) -> None:
    path = altered("clip", tmp_path / "clip")
    (path / BLOB).unlink()
    (path / "onnx").mkdir()
    (path / "onnx/model.onnx").write_bytes(b"onnx")
    remote.repositories.clear()
    remote.add(NAME, path)
    with pytest.raises(EncoderError, match=r"It has onnx/model\.onnx, which is for other pro"):
        hub.fetch(NAME)


def lost(snapshot: hub.Snapshot, file: str) -> Path:
    """Delete what a file of a snapshot links to."""
    link = snapshot.folder / file
    link.resolve().unlink()
    return link


@pytest.mark.parametrize("file", [BLOB, "tokenizer.json", "config.json"])
def test_a_link_to_nothing_is_fetched_again(remote: FakeHub, file: str) -> None:
    link = lost(hub.fetch(NAME), file)
    assert link.is_symlink()
    assert hub.status(NAME) is None
    with pytest.raises(
        ModelUnavailableError,
        match=f"^{NAME} is only partly on this machine: {file} is missing .* fetch {NAME}$",
    ):
        load(NAME)
    assert hub.plan(NAME).missing == (folder("clip") / file).stat().st_size
    hub.fetch(NAME)
    assert link.read_bytes() == (folder("clip") / file).read_bytes()
    assert load(NAME).name == NAME


def test_a_lost_part_of_the_weights_is_fetched_again(remote: FakeHub, tmp_path: Path) -> None:
    from transformers import AutoModel

    path = altered("clip", tmp_path / "clip")
    (path / BLOB).unlink()
    AutoModel.from_pretrained(folder("clip")).save_pretrained(path, max_shard_size="40KB")
    remote.repositories.clear()
    remote.add(NAME, path)
    snapshot = hub.fetch(NAME)
    part = sorted(snapshot.folder.glob("*-of-*"))[1]
    part.unlink()
    with pytest.raises(ModelUnavailableError, match=f"{part.name} is missing"):
        hub.snapshot(NAME)
    assert hub.fetch(NAME) == snapshot
    assert part.is_file()


def test_what_another_program_fetched_for_itself_is_named(remote: FakeHub) -> None:
    link = lost(hub.fetch(NAME), BLOB)
    link.unlink()
    (link.parent / "onnx").mkdir()
    (link.parent / "onnx/model.onnx").write_bytes(b"onnx")
    with pytest.raises(ModelUnavailableError, match=r"and onnx/model\.onnx is for other programs"):
        load(NAME)


def test_embedded_models_are_not_downloaded() -> None:
    with pytest.raises(EncoderError, match="part of pareja"):
        hub.fetch("starter")


def test_what_is_not_here_says_what_it_is_how_large_and_how_to_get_it(remote: FakeHub) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        load("clip-vit-b32")
    message = str(caught.value)
    assert "openai/clip-vit-base-patch32" in message
    assert "609 MB" in message
    assert "MIT" in message
    assert "pareja models fetch clip-vit-b32" in message


def test_the_settings_of_the_environment_reach_the_real_client(
    remote: FakeHub, tmp_path: Path
) -> None:
    script = "from pareja.encoders import hub; print(hub.fetch('tiny/clip').folder)"
    environment = os.environ | {"HF_ENDPOINT": remote.url, "HF_HOME": str(tmp_path / "home")}
    del environment["HF_HUB_CACHE"]
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.startswith(str(tmp_path / "home/hub/models--tiny--clip/snapshots"))
    environment["HF_HUB_OFFLINE"] = "1"
    again = "from pareja.encoders import hub; print(hub.status('tiny/clip').folder)"
    offline = subprocess.run(
        [sys.executable, "-c", again], env=environment, capture_output=True, text=True, check=True
    )
    assert offline.stdout == done.stdout


def test_what_a_hub_says_leads_nowhere_else(remote: FakeHub, tmp_path: Path) -> None:
    remote.add(NAME, folder("clip"), commit="../../elsewhere")
    with pytest.raises(ModelUnavailableError, match="that has not the form of one"):
        hub.fetch(NAME)
    assert not list(tmp_path.rglob("elsewhere"))
    for name in ("../..", "../models", "owner/..", "a/b/../c"):
        assert not hub.is_repository(name)
