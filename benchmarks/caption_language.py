"""Measure how well captions that are not English are told from English ones and from names.

The figures in pareja.datasets.language come from this table. Run from the repository:

    python benchmarks/caption_language.py
"""

from __future__ import annotations

import random

from pareja.datasets.formats import load_dataset
from pareja.datasets.language import common_foreign_language, foreign_language

# Titles of commons200 with ordinary words of another language, picked by hand.
FOREIGN_TITLES = {
    "Spielendes Kätzchen",
    "Kop en schotel beschilderd met vlinders en libellen, BK-15423-J",
    "Hammer rückschlagfrei",
    "Nozyce stajenne-do strzyzenia grzyw konskich",
    "Sunčeva pećnica",
    "Pfanne (Gusseisen)",
    "Atlantischer Lachs",
    "Massband",
    "Chambord Frontansicht",
    "Pyramide rhomboidale 01",
    "Meidoum pyramide 006",
    "Catedral de Santiago de Compostela7",
    "Arenes arles",
    "Bekes-dam duzzaszto",
    "Cortaunyas",
    "Goldfisch 1",
    "Kaiser-Jubiläums-Kirche",
    "2012.02.26.121724 Schloss Schwerin",
    "Carcassonne - la Cité",
    "Ópera cásina",
    "Пізанська вежа. Pisa tower",
    "2014-04-22 IMG 7242 최광모",
    "Fours solaires ULOG sun oven horno solar",
    "Symphodus tinca femmina Muggia",
    "Trier Kaiserthermen BW 1",
    "Trier Konstantinbasilika BW 1",
    "Skalm 2",
    "Dommodell Worms 04",
    "Reims Cathedrale Notre Dame 002 chevet",
    "Ostrogubetz",
}
# Captions as people write them, for want of a foreign dataset among the bundled ones.
FOREIGN_SENTENCES = [
    "Un perro en la playa",
    "Un gato negro duerme en el sofá",
    "dos niños jugando con una pelota",
    "un hombre montando una ola",
    "Vaca pastando en un prado verde",
    "Perro corriendo en la playa",
    "Puesta de sol sobre el mar",
    "ein Hund am Strand",
    "Eine Katze liegt auf dem Sofa",
    "Un chat noir dort sur le canapé",
    "um cachorro na praia",
    "un cane sulla spiaggia",
    "een hond op het strand",
    "Gatito jugando",
]
SETS = 2000


def flagged(captions: list[str]) -> list[str]:
    return [caption for caption in captions if foreign_language(caption) is not None]


def main() -> None:
    records = [*load_dataset("pareja20"), *load_dataset("data/commons200")]
    titles = list(dict.fromkeys(record.caption for record in records if record.caption.strip()))
    names = [record.extra["name_en"] for record in records if record.extra.get("name_en")]
    spanish = [record.caption_es for record in records if record.caption_es]
    spanish += [record.extra["name_es"] for record in records if record.extra.get("name_es")]
    spanish = [name for name in dict.fromkeys(spanish) if name not in {*titles, *names}]
    english = [title for title in dict.fromkeys(titles + names) if title not in FOREIGN_TITLES]
    foreign = [title for title in titles if title in FOREIGN_TITLES]
    wrong, right = flagged(english), flagged(foreign)
    print(f"English titles and names: {len(wrong)} of {len(english)} flagged: {wrong}")
    print(f"foreign titles:           {len(right)} of {len(foreign)} flagged")
    print(
        f"precision {len(right) / len(right + wrong):.2f}, recall {len(right) / len(foreign):.2f}"
    )
    print(f"Spanish names:            {len(flagged(spanish))} of {len(spanish)} flagged")
    print(
        f"foreign sentences:        {len(flagged(FOREIGN_SENTENCES))} of "
        f"{len(FOREIGN_SENTENCES)} flagged"
    )
    draw = random.Random(0)  # noqa: S311  reproducible sets, no secret
    print(f"sets that are flagged as a whole, of {SETS}:")
    for size in (10, 15, 20):
        for kind, pool in (("Commons titles", titles), ("Spanish names", spanish)):
            hits = sum(
                common_foreign_language(draw.sample(pool, size)) is not None for _ in range(SETS)
            )
            print(f"  {size} {kind}: {hits / SETS:.1%}")


if __name__ == "__main__":
    main()
