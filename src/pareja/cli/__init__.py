"""The command line: parse, call one public function, print.

Standard output is the result, standard error is progress and messages. A command exits with 0 when
it did what it was asked, 1 when it could not, 2 when it was asked wrongly, and with 128 and the
signal's number when it was stopped: 130 after Ctrl+C, 143 after ``kill``, 141 when who reads what
it prints went away.
"""

from __future__ import annotations

import inspect
import io
import os
import sys
import warnings
from importlib import import_module
from typing import Annotated, NoReturn

import typer

from pareja.cli.console import fail, warn
from pareja.cli.flags import command_named, with_flags
from pareja.cli.stopping import INTERRUPTED, clear_up_when_stopped, ending_as_asked
from pareja.errors import ParejaError
from pareja.shortages import shortage_of

# Windows has no such signal.
_SIGPIPE = 13

COMMANDS = (
    "demo",
    "check",
    "pack",
    "study",
    "memoria",
    "deliver",
    "compare",
    "embed",
    "index",
    "search",
    "evaluate",
    "export",
    "serve",
    "mcp",
    "classify",
    "fewshot",
    "moderate",
    "locate",
    "tune",
    "models",
)
"""The commands, each in a module of its own name, in the order of ``pareja --help``."""


def build_app(command: str | None = None) -> typer.Typer:
    """Return the command line.

    Parameters
    ----------
    command
        The only command to build, which saves the time for all others; by default, or if there is
        none of that name, all of them.
    """
    app = typer.Typer(
        name="pareja",
        help="A workbench for picture-and-word embeddings.",
        epilog="Start with: pareja demo",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Rich takes "[default: 32]" in a help text for its own markup, and leaves it out.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name in [command] if command in COMMANDS else COMMANDS:
        found = getattr(import_module(f"pareja.cli.{name}"), name)
        group = app
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
            group = found
        else:
            app.command()(found)
        for registered in group.registered_commands:
            # Typer would keep the ends of the source's lines within a paragraph.
            paragraphs = (inspect.getdoc(registered.callback) or "").split("\n\n")
            registered.help = "\n\n".join(" ".join(each.split()) for each in paragraphs)
            # Without it, the list of commands would break sentences off.
            registered.short_help = registered.help.partition("\n\n")[0]
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pareja {version('pareja')}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Measure, search and classify with picture-and-word embeddings."""


def main() -> NoReturn:
    """Run the command line; what ``pareja`` calls."""
    warnings.showwarning = warn
    clear_up_when_stopped()
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe that has no letter for a caption gets its code.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Threads of torch that wait for work would otherwise spin, and take the cores from the threads
    # that decode pictures: half of the time of a picture. It is read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with ending_as_asked():
            _run()
    except ParejaError as error:
        fail(_with_own_flags(str(error)))
    except SystemExit as end:
        # Typer makes 1 of it where it notices.
        if isinstance(end.__context__, BrokenPipeError):
            _end_unread()
        # Typer makes it of Ctrl+C, without a word.
        if isinstance(end.code, int) and end.code > INTERRUPTED:
            fail("interrupted; nothing half-written is left", status=end.code)
        raise
    except BrokenPipeError:
        _end_unread()
    except (MemoryError, OSError, RuntimeError) as error:
        reason = shortage_of(error) or _reason(error)
        if reason is None:
            raise
        _discard_output()
        fail(_with_own_flags(f"{reason}."))
    sys.exit(0)


def _with_own_flags(message: str) -> str:
    return with_flags(message, command_named(typer.main.get_command(_app()), sys.argv[1:]))


def _app() -> typer.Typer:
    return build_app(sys.argv[1] if len(sys.argv) > 1 else None)


def _run() -> None:
    """Run the command; what it prints is out when this returns, or the error is raised here."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # Closed by who started the process. The next file that is opened would get its number,
            # and what a library prints would go into that.
            os.open(os.devnull, os.O_RDWR)
            stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115  it stays open
            setattr(sys, name, stream)
    try:
        _app()()
    finally:
        sys.stdout.flush()


def _reason(error: Exception) -> str | None:
    """Return what an error of the system means, as a clause; None for any other error."""
    if not isinstance(error, OSError) or error.strerror is None:
        return None
    return f"{error.filename or 'what is printed cannot be written'}: {error.strerror}"


def _end_unread() -> NoReturn:
    """End as other programs do whose reader went away (`pareja ... | head`): without a word.

    Not with 0: of `pareja check` that would mean that nothing was found.
    """
    _discard_output()
    sys.exit(INTERRUPTED + _SIGPIPE)


def _discard_output() -> None:
    """Let what is not printed yet go nowhere, which Python would try to print at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
