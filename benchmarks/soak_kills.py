"""Trials that end processes, or give them little memory."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from soak_row import PATIENCE, Row, run, start

_DRAW = random.Random(0)  # noqa: S311  draws no secret
_GIB = 2**30


def _left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith((".part", ".partial"))]


def killed_commands(folder: Path, times: int) -> Iterator[Row]:
    """Kill a command at a random moment, then run it to its end."""
    commands = {
        "embed": (("embed", "pareja20", "--no-cache", "-o"), "e.npz"),
        "pack": (("pack", "pareja20", "-o"), "p.zip"),
    }
    for name, (words, file) in commands.items():
        row = Row(f"`{name}` killed at a random moment, then repeated", ["finished, same bytes"])
        begun = time.monotonic()
        run(*words, str(folder / file))
        usual = time.monotonic() - begun
        expected = (folder / file).read_bytes()
        for number in range(4 * times):
            out = folder / f"{number}-{file}"
            process = start(*words, str(out))
            time.sleep(_DRAW.uniform(0, usual))
            process.kill()
            process.communicate()
            if not out.exists():
                run(*words, str(out))
            same = out.exists() and out.read_bytes() == expected
            row.add("finished, same bytes" if same else "something else")
        yield row
    row = Row("`index` killed at a random moment, then repeated", ["sound, 20 pictures"])
    for number in range(4 * times):
        place = str(folder / f"index-{number}")
        words = ("index", "pareja20", "--index", place, "--no-cache")
        process = start(*words)
        time.sleep(_DRAW.uniform(0, usual))
        process.kill()
        process.communicate()
        run(*words)
        _, said = run("index", "--index", place, "--verify", "--json")
        found = json.loads(said)
        row.add("sound, 20 pictures" if found["ok"] and found["pictures"] == 20 else said[:80])
    yield row


def killed_changes(folder: Path, times: int) -> Iterator[Row]:
    """Kill what takes pictures out of a collection, and what follows a folder."""
    forgotten = Row("`index --forget` killed at a random moment", ["sound, all or none left"])
    watched = Row("`index --watch` killed at a random moment", ["sound, as the folder"])
    for number in range(4 * times):
        place, pictures = str(folder / f"index-{number}"), folder / f"pictures-{number}"
        pictures.mkdir()
        for shade in range(12):
            Image.new("RGB", (64, 64), (20 * shade, 99, 9)).save(pictures / f"{shade}.png")
        words = ("index", str(pictures), "--index", place)
        run(*words)
        process = start(*words, "--watch")
        for shade in range(6):
            Image.new("RGB", (64, 64), (9, 99, 20 * shade)).save(pictures / f"{shade}.png")
            time.sleep(_DRAW.uniform(0, 1))
        process.kill()
        process.communicate()
        _, said = run(*words, "--verify", "--json")
        found = json.loads(said)
        well = found["ok"] and found["pictures"] == 12
        watched.add("sound, as the folder" if well else said[:80])
        process = start("index", "--index", place, "--forget", str(pictures))
        time.sleep(_DRAW.uniform(0.3, 2))
        process.kill()
        process.communicate()
        _, said = run("index", "--index", place, "--verify", "--json")
        found = json.loads(said)
        well = found["ok"] and found["pictures"] in (0, 12)
        forgotten.add("sound, all or none left" if well else said[:80])
    yield from (watched, forgotten)


def forked_programs(folder: Path, times: int) -> Iterator[Row]:
    """Fork a program that has used an encoder, and use it on both sides."""
    code = (
        "import multiprocessing, pareja, numpy as np\n"
        "encoder = pareja.load('starter')\n"
        "pictures = [np.full((64, 64, 3), 40 * n, np.uint8) for n in range(4)]\n"
        "work = lambda *_: pareja.embed(pictures, encoder, cache=False)\n"
        "work()\n"
        "child = multiprocessing.get_context('fork').Process(target=work)\n"
        "child.start(); work(); child.join(); raise SystemExit(abs(child.exitcode))\n"
    )
    row = Row("a program forked after it used an encoder", ["both sides worked", "one clear error"])
    for _ in range(2 * times):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], stderr=subprocess.PIPE, text=True
        )
        try:
            _, said = process.communicate(timeout=PATIENCE)
            if process.returncode == 0:
                row.add("both sides worked")
            else:
                row.add("one clear error" if "spawn" in said else said[-80:])
        except subprocess.TimeoutExpired:
            process.kill()
            row.add(f"no end in {PATIENCE} s")
    yield row


def stopped_commands(folder: Path, times: int) -> Iterator[Row]:
    """Ask a command to stop."""
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        row = Row(f"`embed` stopped by {sent.name}", ["nothing left"])
        for number in range(3 * times):
            place = folder / f"{sent.name}-{number}"
            place.mkdir()
            process = start("embed", "commons200", "--no-cache", "-o", str(place / "e.npz"))
            time.sleep(_DRAW.uniform(1, 5))
            process.send_signal(sent)
            process.communicate(timeout=PATIENCE)
            done = (place / "e.npz").exists()
            left = [path for path in place.iterdir() if path.name != "e.npz"]
            row.add(
                "something left" if left or (process.returncode == 0) != done else "nothing left"
            )
        yield row


def killed_conversions(folder: Path, times: int) -> Iterator[Row]:
    """Kill the conversion of a model for OpenVINO."""
    code = "import pareja; pareja.load('clip-shapes', device='openvino').encode_texts('a')"
    row = Row("conversion of a model killed, then repeated", ["converted"])
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
    usual = time.monotonic() - begun
    for _ in range(3 * times):
        for path in folder.rglob("network.xml"):
            path.unlink()  # damaged: it is converted again
        process = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(_DRAW.uniform(usual / 2, usual))
        process.kill()
        process.wait()
        try:
            again = subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False)
            row.add("converted" if again.returncode == 0 else "failed")
        except subprocess.TimeoutExpired:
            row.add(f"no end in {PATIENCE} s")
    yield row


def short_memory(folder: Path, times: int) -> Iterator[Row]:
    """Embed good pictures with little memory: none may count as broken."""
    row = Row(
        "`embed` of 24 good pictures of 12 megapixels under a limit of memory",
        ["all embedded", "ended with the reason"],
    )
    side = np.arange(256, dtype=np.uint8)
    pixels = np.broadcast_to(side[None, :, None], (256, 256, 3))
    for number in range(24):
        picture = Image.fromarray(np.roll(pixels, 9 * number, 1)).resize((4000, 3000))
        picture.save(folder / f"{number:02}.jpg", progressive=number % 2 == 0)
    for gib in (0.75, 0.8, 0.85, 0.9, 0.95, 1.0) * times:

        def limit(amount: int = int(gib * _GIB)) -> None:
            resource.setrlimit(resource.RLIMIT_AS, (amount, amount))

        out = str(folder / "e.npz")
        status, said = run("embed", str(folder), "--no-cache", "--force", "-o", out, before=limit)
        if status == 0:
            row.add("all embedded" if "24 pictures" in said else "good pictures left out")
        else:
            row.add("ended with the reason" if "Traceback" not in said else "a traceback")
    yield row


def indexing_at_once(folder: Path, times: int) -> Iterator[Row]:
    """Index into one collection from several processes."""
    row = Row("4 runs of `index` into one collection at once", ["all ended well, sound"])
    for number in range(2 * times):
        place = str(folder / f"index-{number}")
        words = ("index", "pareja20", "--index", place, "--no-cache")
        run("index", "shapes:10", "--index", place)
        processes = [start(*words) for _ in range(4)]
        said = [process.communicate(timeout=PATIENCE)[0] for process in processes]
        status, _ = run("index", "--index", place, "--verify")
        ended = [process.returncode for process in processes]
        row.add("all ended well, sound" if not any(ended) and status == 0 else said[-1][-80:])
    yield row
