"""Which near duplicates a picture stands for where they are shown as one."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pareja.search.catalogue import Catalogue
from pareja.search.contracts import Picture, Shows
from pareja.search.database import Database
from pareja.search.folding import Alike
from pareja.search.labels import LabelFilters


@dataclass(frozen=True)
class Folds:
    """Finds the near duplicates of what is shown.

    Parameters
    ----------
    database, catalogue, filters
        Of the collection.
    """

    database: Database
    catalogue: Catalogue
    filters: LabelFilters

    def below(
        self,
        shown: Sequence[int],
        *,
        category: str | None = None,
        shows: Sequence[Shows] = (),
        without: AbstractSet[int] = frozenset(),
    ) -> dict[int, list[Picture]]:
        """Return the other near duplicates of some pictures, those that pass the filters.

        Parameters
        ----------
        shown
            One picture of each group.
        category, shows
            Only pictures that pass.
        without
            Pictures that are left out.

        Returns
        -------
        dict
            By the number of the shown picture, in the order of their own; none for pictures that
            stand for themselves alone.
        """
        alike = Alike(self.database)
        heads = {group: picture for picture, group in alike.groups(shown).items()}
        members = alike.members(list(heads))
        others = members.keys() - set(shown) - without
        if shows:
            others &= set(self.filters.showing(shows, category).tolist())
        found: dict[int, list[Picture]] = {}
        for picture_id, picture in sorted(self.catalogue.pictures_by_id(sorted(others)).items()):
            if category is None or picture.category == category:
                found.setdefault(heads[members[picture_id]], []).append(picture)
        return found
