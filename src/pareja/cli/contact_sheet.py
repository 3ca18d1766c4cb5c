"""The pictures that a search found, on one page that needs nothing else."""

from __future__ import annotations

import base64
import io
import tempfile
import webbrowser
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.errors import ParejaError

if TYPE_CHECKING:
    from pareja.search import Collection, Hit, SearchResult

THUMBNAIL = 480
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
    padding: 0 1rem }}
  h1 {{ font-size: 1.5rem; margin: 0 0 .25rem }}
  ol {{ display: grid; gap: 1.25rem; list-style: none; margin: 1.5rem 0; padding: 0;
    grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)) }}
  img, .gone {{ aspect-ratio: 4 / 3; background: #8883; border-radius: .5rem; object-fit: cover;
    width: 100% }}
  .gone {{ display: grid; place-items: center }}
  small {{ display: block; overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
<ol>
{items}
</ol>
</html>
"""


def show(result: SearchResult, collection: Collection) -> Path:
    """Write the page to the folder for temporary files and open it in the browser."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="pareja-search-", suffix=".html", encoding="utf-8", delete=False
    ) as stream:
        stream.write(contact_sheet(result, collection))
    page = Path(stream.name)
    webbrowser.open(page.as_uri())
    return page


def contact_sheet(result: SearchResult, collection: Collection) -> str:
    """Return the page as HTML with the pictures inside."""
    query = result.query
    parts = [query.text or ""]
    parts += ["like a picture"] if query.image is not None else []
    parts += [f"like picture {query.like}"] if query.like is not None else []
    parts += [f"not {query.minus}"] if query.minus else []
    summary = f"{len(result.hits)} pictures, by {result.model}, in {result.took_ms:.0f} ms."
    if result.likely_relevant is False:
        summary += " Probably nothing relevant."
    return _PAGE.format(
        title=escape(", ".join(filter(None, parts))),
        summary=escape(summary),
        items="\n".join(_item(hit, collection) for hit in result.hits),
    )


def _item(hit: Hit, collection: Collection) -> str:
    picture = hit.picture
    told = [picture.category, picture.author, picture.license]
    return (
        f"<li>{_thumbnail(hit, collection)}<strong>{hit.rank}. "
        f"{escape(picture.caption or picture.path.name)}</strong>"
        f"<small>{hit.score:.3f} &middot; {escape(str(picture.path))}</small>"
        f"<small>{escape(', '.join(filter(None, told)))}</small></li>"
    )


def _thumbnail(hit: Hit, collection: Collection) -> str:
    from pareja.datasets import decode_image

    try:
        image = decode_image(collection.read(hit.picture.id), network_side=THUMBNAIL)
    except ParejaError:
        return '<div class="gone">its file is gone</div>'
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=85)
    content = base64.b64encode(encoded.getvalue()).decode()
    description = escape(hit.picture.caption or hit.picture.path.name, quote=True)
    return f'<img alt="{description}" src="data:image/jpeg;base64,{content}">'
