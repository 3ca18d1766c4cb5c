from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from pareja.cli import COMMANDS, build_app


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for below, one in getattr(command, "commands", {}).items():
        yield from commands(one, f"{name} {below}")


def without_spaces(text: str) -> str:
    return "".join(text.split())


def test_help_says_every_word_in_80_columns() -> None:
    lost: dict[str, list[str]] = {}
    for name, command in commands(typer.main.get_command(build_app()), "pareja"):
        with command.make_context(name, [], resilient_parsing=True, terminal_width=80) as context:
            shown = command.get_help(context)
        texts = [command.help, *(parameter.help for parameter in command.params)]
        texts += [below.short_help for below in getattr(command, "commands", {}).values()]
        told = [text for text in texts if text]
        assert len(told) > 1
        lost[name] = [t for t in told if without_spaces(t) not in without_spaces(shown)]
        assert max(map(len, shown.splitlines())) <= 80
    assert {name: texts for name, texts in lost.items() if texts} == {}


def test_a_command_alone_is_what_it_is_among_all() -> None:
    among: Any = typer.main.get_command(build_app("no such command"))
    assert list(among.commands) == list(COMMANDS)
    for name in COMMANDS:
        alone: Any = typer.main.get_command(build_app(name))
        assert list(alone.commands) == [name]
        assert list(helps(alone, "pareja"))[1:] == list(
            helps(among.commands[name], f"pareja {name}")
        )


def helps(command: Any, name: str) -> Iterator[str]:
    for called, one in commands(command, name):
        with one.make_context(called, [], resilient_parsing=True) as context:
            yield one.get_help(context)
