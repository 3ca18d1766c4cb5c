"""Parameters that messages of the library name, as options of the command that runs."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from typing import Any

from pareja.errors import PARAMETER


def command_named(root: Any, arguments: Sequence[str]) -> Any:
    """Return the command that arguments name.

    Parameters
    ----------
    root
        The command line as a whole, as ``typer.main.get_command`` returns it.
    arguments
        The words after the name of the program.
    """
    command = root
    for word in arguments:
        below = getattr(command, "commands", {})
        if word not in below:
            break
        command = below[word]
    return command


def with_flags(message: str, command: Any) -> str:
    """Return a message with options in place of the parameters that it names.

    A parameter that is no option of the command keeps its name, and loses its backquotes.

    Parameters
    ----------
    message
        What an error of the library says.
    command
        The command that runs.
    """
    flags: dict[str, str] = {}
    for parameter in command.params:
        long = [option for option in parameter.opts if option.startswith("--")]
        # The library names the methods of `fewshot` one by one as well, as --method does.
        for name in (parameter.name, *(option[2:].replace("-", "_") for option in long)):
            if long:
                flags[name] = long[0]

    def told(named: re.Match[str]) -> str:
        flag, value = flags.get(named["name"]), named["value"]
        if flag is None:
            return named[0].strip("`")
        if value is None:
            return flag
        try:
            return f"{flag} {_word(value)}".rstrip()
        except (ValueError, SyntaxError):
            # No message of the library: a file's or a label's name that looks like a parameter.
            return named[0]

    return PARAMETER.sub(told, message)


def _word(value: str) -> str:
    """Return a value that Python wrote as a shell takes it; nothing for a switch that is on."""
    given = ast.literal_eval(value)
    if given is True:
        return ""
    if isinstance(given, list):
        return shlex.quote(",".join(map(str, given)))
    return shlex.quote(str(given))
