"""From a template and what it shows to a page, in the visitor's language and colours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from pareja.names import printable
from pareja.search.contracts import Picture
from pareja.server.parameters import engine_of
from pareja.server.security import local_path
from pareja.words.pages import PageWording, choose_language, wording
from pareja.words.wording import Lang

Theme = Literal["auto", "light", "dark"]

# Of a picture's path, on its card.
_FOLDERS = 2

LANG_COOKIE, THEME_COOKIE = "pareja_lang", "pareja_theme"

NAVIGATION = (
    ("search", "/"),
    ("map", "/map"),
    ("side_by_side", "/side-by-side"),
    ("evaluation", "/evaluation"),
    ("classify", "/classify"),
    ("compare", "/compare-models"),
    ("review", "/review"),
)
"""The pages that every page leads to: ``nav.`` key of the wording, and path."""


@cache
def _environment(root: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("pareja.server"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(navigation=NAVIGATION, root=root)
    return environment


def words_of(request: Request) -> PageWording:
    """Return the wording in the visitor's language."""
    return wording(language_of(request))


def language_of(request: Request) -> Lang:
    """Return the visitor's language."""
    return choose_language(
        request.cookies.get(LANG_COOKIE),
        request.headers.get("accept-language", ""),
        engine_of(request).settings.lang,
    )


def cookie_path(request: Request) -> str:
    """Return below which path a browser is to send cookies: not to others on the same host."""
    return engine_of(request).settings.root_path or "/"


def folder_of(picture: Picture) -> str:
    """Return the last folders of a picture's path, as a card has room for.

    Examples
    --------
    >>> folder_of(Picture(1, "", Path("/home/ana/photos/2019/Rome/a.jpg")))
    '…/2019/Rome'
    """
    parts = picture.path.parent.parts
    short = Path("…", *parts[-_FOLDERS:]) if len(parts) > _FOLDERS + 1 else picture.path.parent
    return printable(str(short))


def is_partial(request: Request) -> bool:
    """Tell whether htmx asks for a part of a page and not for the whole."""
    return request.headers.get("hx-request") == "true"


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Parameters
    ----------
    request
        Whose page it is.
    template
        Its name in ``templates/``, without the ending.
    status
        Of the answer.
    values
        What the template shows.
    """
    words, engine = words_of(request), engine_of(request)
    theme = request.cookies.get(THEME_COOKIE, "auto")
    query = request.url.query

    def caption_of(picture: Picture) -> str:
        translated = picture.caption_es if words.lang == "es" else None
        return translated or picture.caption or picture.shown_name

    html = (
        _environment(engine.settings.root_path)
        .get_template(f"{template}.html.jinja")
        .render(
            t=words.text,
            words=words,
            lang=words.lang,
            theme=theme if theme in {"light", "dark"} else "auto",
            path=request.url.path,
            here=local_path(f"{request.url.path}?{query}" if query else request.url.path),
            caption_of=caption_of,
            folder_of=folder_of,
            max_bytes=engine.settings.limits.body_bytes,
            read_only=engine.collection.read_only,
            **values,
        )
    )
    return HTMLResponse(
        html,
        status,
        headers={
            "cache-control": "no-store",
            "vary": "Cookie, Accept-Language, HX-Request",
            "content-language": words.lang,
        },
    )
