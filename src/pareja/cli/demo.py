"""``pareja demo``: the main job on the bundled pictures."""

from __future__ import annotations

from pathlib import Path

import typer

from pareja.cli.check import examine, print_report
from pareja.cli.console import OutOption, progress_bars, stdout
from pareja.cli.reporting import REPORTS
from pareja.cli.study import print_study
from pareja.files import staged_directory


def demo(out: OutOption = Path("pareja-demo")) -> None:
    """Check, study and report on the 20 bundled pictures; needs no network.

    A folder that an earlier demo wrote is replaced.
    """
    import pareja
    from pareja.report import write_folder

    report = examine("pareja20", "course", model="starter")
    print_report(report)
    if not report.ok:
        raise typer.Exit(1)
    folder = out or Path("pareja-demo")
    with progress_bars() as progress, staged_directory(folder, force=True) as staging:
        result = pareja.study(
            "pareja20",
            cache=False,
            progress=progress,
            command="pareja study pareja20 --lang en --lang es",
        )
        progress("report", None)
        files = write_folder(result, staging, langs=["en", "es"])
    print_study(result)
    console = stdout()
    console.print("\nThe report, in English and in Spanish (open it in a browser):")
    for name in REPORTS.values():
        console.print(f"  {(folder / files[name]).resolve()}", soft_wrap=True)
    console.print(
        "\nNext: pareja check FOLDER --profile course      your own pictures\n"
        "      pareja study FOLDER --lang es             the same report about them\n"
        "      pareja deliver FOLDER --study FOLDER-study -o delivery\n"
        "                                                all that is handed in"
    )
