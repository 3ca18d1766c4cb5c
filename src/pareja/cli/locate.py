"""``pareja locate``: where in pictures words are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pareja.cli.console import (
    BatchSizeOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    LangOption,
    ModelOption,
    OutOption,
    SeedOption,
    SplitOption,
    fail,
    not_empty,
    print_json,
    print_warning,
    progress_bars,
    stdout,
    system_language,
    warn_of_skipped,
)
from pareja.cli.output import refuse_own_files, say_where, staged_output

if TYPE_CHECKING:
    from pareja.tasks.locating import Located
    from pareja.tasks.locating_measures import PlaceScores


def locate(
    pictures: Annotated[
        str,
        typer.Argument(
            metavar="PICTURES", help="A picture file, a folder, or a dataset.", callback=not_empty
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS",
            help="What to look for, in quotes. Left out with --measure, every label.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = "starter",
    template: Annotated[
        str, typer.Option(help="A prompt with {} for the words, as 'a photo of a {}'.")
    ] = "{}",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Score from which the words are taken to be in a picture.  [default: what was "
            "measured for the model, if anything]",
            show_default=False,
        ),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="Find that score on pictures with a column 'boxes' or 'label'.",
            callback=not_empty,
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure against the dataset's own boxes and labels.")
    ] = False,
    split: SplitOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    lang: LangOption = None,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say where in pictures words are: boxes, and a map of what speaks for them.

    The pictures are only read. -o writes a table (.csv), everything (.json), results as COCO's
    tools read them (.coco.json), one picture with outlines (.png) or a page with maps (.html).
    """
    import pareja
    from pareja.errors import OutputError, some_of
    from pareja.inputs import find_pictures
    from pareja.report.saving import check_located, located_bytes
    from pareja.tasks.locating_export import located_to_json

    if not words and not measure:
        fail("no words. Say what to look for, as in: pareja locate a.jpg 'a red hat'", status=2)
    given = find_pictures(pictures, split=split)
    if out is not None:
        try:
            check_located(out, len(given.dataset))
        except OutputError as error:
            fail(str(error), status=2)
    refuse_own_files(out, [given.dataset.location, pictures])
    with progress_bars() as progress, staged_output(out, force=force) as target:
        located = pareja.locate(
            words or None,
            pictures,
            model=model or "starter",
            template=template,
            threshold=threshold,
            calibrate=calibrate,
            measure=measure,
            seed=seed,
            split=split,
            device=device,
            batch_size=batch_size,
            progress=partial(progress, "locate"),
        )
        if out is not None and target is not None:
            target.write(located_bytes(located, out, lang=lang or system_language()))
    warn_of_skipped(located.skipped)
    if located.measured is not None and located.measured.empty:
        names = some_of(located.measured.empty)
        print_warning(f"no picture has the label {names}: counted as absent from every picture")
    say_where(out)
    if as_json:
        print_json(located_to_json(located))
    elif located.measured is not None:
        print_measured(located.measured)
    elif out is None:
        print_located(located)


def print_located(located: Located) -> None:
    """Print a line for each box, and one for words that are taken not to be there."""
    from pareja.decimals import decimals
    from pareja.report.located import legend
    from pareja.words.wording import Wording

    console = stdout()
    words = Wording("en")
    several = len(located.words) > 1
    for picture in located.pictures:
        console.print(
            f"{picture.record.file_name} ({picture.width} x {picture.height})", soft_wrap=True
        )
        for place in picture.places:
            name = f"{place.words}: " if several else ""
            if place.here is False:
                told = f"{words.text('locate.not_here').lower()} ({decimals(place.score)})"
                console.print(f"  {name}{told}", soft_wrap=True)
            elif not place.boxes:
                told = f"{words.text('locate.nowhere').lower()} ({decimals(place.score)})"
                console.print(f"  {name}{told}", soft_wrap=True)
            for box in place.boxes if place.here is not False else ():
                left, top, width, height = map(round, box.rectangle)
                console.print(
                    f"  {name}{decimals(box.score)}  {width} x {height} at {left}, {top}",
                    soft_wrap=True,
                )
    console.print(legend(located, words), soft_wrap=True)


def print_measured(scores: PlaceScores) -> None:
    """Print how well places were found, beside what needs no model."""
    from pareja.decimals import counted, decimals

    console = stdout()
    presence, threshold = scores.presence, scores.threshold
    console.print(
        f"presence: AUROC {presence.auroc} of "
        f"{counted(presence.n_known + presence.n_unknown, 'pair')} of a picture and words; in "
        f"{presence.n_known} the words are there, in {presence.n_unknown} they are not",
        soft_wrap=True,
    )
    console.print(
        f"threshold: from {decimals(threshold.score)} on, {presence.kept} of what is there is kept "
        f"and {presence.refused} of what is not there refused",
        soft_wrap=True,
    )
    if scores.pointing is None:
        console.print("places: not measured, because the dataset has no column 'boxes'")
        return
    pointing = scores.pointing
    console.print(
        f"pointing game: {pointing.hits} of {counted(pointing.n_things, 'thing')} in "
        f"{counted(pointing.n_pictures, 'picture')}; the centre has {pointing.centre}, "
        f"a random place {decimals(pointing.random)}; above the centre by "
        f"{pointing.above_centre}",
        soft_wrap=True,
    )
    if pointing.off_centre is not None:
        console.print(
            f"off the centre: {pointing.off_centre} of "
            f"{counted(pointing.n_off_centre, 'thing')} elsewhere in the picture",
            soft_wrap=True,
        )
    if scores.precision is None:
        console.print("average precision: install it with: pip install 'pareja[boxes]'")
    else:
        told = ", ".join(f"{name} {decimals(value)}" for name, value in scores.precision.items())
        console.print(f"average precision: {told}")
