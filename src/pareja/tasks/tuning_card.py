"""The model card of a tuned encoder: ``README.md`` in its folder, as model hubs show it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pareja.analysis.verdicts import Outcome, of_agreement
from pareja.decimals import counted, decimals, p_decimals
from pareja.tasks.tuning_measures import Measured
from pareja.tasks.tuning_recipe import cards_of, short_name

if TYPE_CHECKING:
    from pareja.tasks.tuned import Tuned

CARD = "README.md"

SAID: Mapping[Outcome, str] = {"above": "better", "below": "worse", "not_shown": "within chance"}
"""What a verdict on after beside before is called."""

_METHODS = {
    "lora": "low-rank adapters of the attention (LoRA; Hu et al. 2022)",
    "lora_pair": "low-rank adapters in the networks (LoRA; Hu et al. 2022), and linear maps from "
    "both into a common space",
    "full": "all weights",
    "projection": "the last matrix of each tower",
    "head": "linear maps on top of the frozen networks",
}

# What model hubs call the licences of the catalogue that have a name among theirs.
_LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "CC-BY-NC-4.0": "cc-by-nc-4.0"}


def model_card(result: Tuned) -> str:
    """Return the card: base, data, split, method, numbers with intervals, licence, how to load it.

    Parameters
    ----------
    result
        What came of tuning.
    """
    blocks = [
        "---\n" + "\n".join(_front_matter(result)) + "\n---",
        f"# {_code(short_name(result.base))} tuned on {_code(result.recipe.dataset)}",
        "Adapted with [pareja](https://pypi.org/project/pareja/), which also measured it before "
        "and after.",
        "\n".join(f"- {line}" for line in _facts(result)),
        "## What changed",
        *_measures(result),
        "## How to load it",
        *_loading(result),
    ]
    return "\n\n".join(blocks) + "\n"


def _front_matter(result: Tuned) -> Iterator[str]:
    """Yield the lines of the YAML that hubs read; a JSON string is one of YAML as well."""
    cards = cards_of(result.base)
    if bases := [card.repository for card in cards if card.repository]:
        yield "base_model:"
        yield from (f"- {json.dumps(base)}" for base in bases)
    yield f"library_name: {_library(result)}"
    if len(cards) == 1:
        known = _LICENCES.get(cards[0].licence)
        yield f"license: {known or 'other'}"
        if known is None:
            yield f"license_name: {json.dumps(cards[0].licence)}"
    yield "pipeline_tag: zero-shot-image-classification"
    yield "tags:"
    yield from (f"- {tag}" for tag in ("pareja", "image-text-embeddings", result.method))


def _library(result: Tuned) -> str:
    return {"lora": "peft", "projection": "peft", "full": "transformers"}.get(result.way, "pareja")


def _facts(result: Tuned) -> Iterator[str]:
    recipe, schedule = result.recipe, result.recipe.schedule
    cards = cards_of(result.base)
    repositories = [f" ({card.repository})" for card in cards if card.repository]
    yield f"Base: {_code(short_name(result.base))}{''.join(repositories)}"
    licences = " and ".join(dict.fromkeys(card.licence for card in cards))
    yield f"Licence of the base: {licences or 'not known here; look it up before you share this'}"
    purposes = {"train": "training", "validation": "validation", "test": "the test"}
    parts = ", ".join(
        f"{counted(n, 'picture')} for {purposes[part]}" for part, n in result.parts.items()
    )
    split = "by the dataset's own splits" if recipe.by == "splits" else "near duplicates together"
    if result.folds:
        split += f"; the test is a cross-validation in {result.folds} parts"
    yield f"Data: {_code(recipe.dataset)}, {parts}; split {split}"
    if result.kept:
        yield f"Held on to while training: half of {_code(result.kept)}"
    yield (
        f"Paired with: {result.learned}s"
        if result.learned != "category"
        else ("Paired with: categories")
    )
    yield f"Method: {_METHODS[result.way]}; {recipe.loss} loss"
    kept = f"epoch {result.best} of {len(result.history) - 1}, {result.share:.0%} of the change"
    yield f"Kept: {kept if result.best else 'the state before training, which nothing improved on'}"
    yield (
        f"Schedule: at most {counted(schedule.epochs, 'epoch')}, batches of {schedule.batch_size}, "
        f"learning rate {schedule.learning_rate:g}, seed {schedule.seed}"
    )


def _measures(result: Tuned) -> Iterator[str]:
    measured = ([result.test] if result.test else []) + list(result.others)
    if not measured:
        yield "No pictures were held out, so nothing is known of it."
        return
    yield "\n".join(
        [
            "| pictures | measure | before | after | difference | p | | chance |",
            "|:--|:--|--:|--:|--:|--:|:--|--:|",
            *(row for one in measured for row in _rows(one)),
        ]
    )
    yield (
        "R@1 (the share whose first answer is right), or accuracy among labels, on pictures that "
        "it did not learn from. Brackets hold 95 % intervals; the difference is paired, p is "
        "McNemar's."
    )
    if result.before is not result.base:
        yield (
            "Before is a ridge regression from picture to text embeddings on the same training "
            "pictures, because the two networks share no space."
        )


def _rows(measured: Measured) -> Iterator[str]:
    name = f"{_code(measured.name)} ({len(measured.dataset)})"
    for measure, change in measured.changes.items():
        agreement = change.agreement
        cells = (
            name,
            measure.replace("_to_", " → "),
            str(change.before),
            str(change.after),
            str(agreement.difference),
            p_decimals(agreement.p_value),
            SAID[of_agreement(agreement)],
            decimals(change.chance, 3),
        )
        yield f"| {' | '.join(cells)} |"


def _loading(result: Tuned) -> Iterator[str]:
    yield '```python\nimport pareja\n\nencoder = pareja.load("path/to/this/folder")\n```'
    repository = next((c.repository for c in cards_of(result.base) if c.repository), None)
    base = json.dumps(repository or "path/to/the/base")
    if _library(result) == "peft":
        yield (
            "```python\nimport peft, transformers\n\n"
            f"base = transformers.AutoModel.from_pretrained({base})\n"
            'model = peft.PeftModel.from_pretrained(base, "path/to/this/folder")\n```'
        )
        yield (
            "PEFT knows nothing of the scale and bias of the logits, which were trained too: they "
            "are in `pareja.json`. Embeddings do not depend on them."
        )
    elif result.way == "lora_pair":
        yield (
            "PEFT loads the folders `image/` and `text/` as adapters of the two networks. The "
            "linear maps behind these are in `head.safetensors`."
        )
    elif _library(result) == "transformers":
        yield (
            "```python\nimport transformers\n\n"
            'model = transformers.AutoModel.from_pretrained("path/to/this/folder")\n```'
        )


def _code(text: str) -> str:
    """Return a name as code: on one line, with no bar or backtick that would end it."""
    line = " ".join(text.split()).replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return f"`{line}`"
