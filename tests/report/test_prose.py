from __future__ import annotations

from pathlib import Path

import pytest

from pareja.report.prose import count_words, parse
from pareja.report.prose_pages import Prose

TEXT = """# A title of five words

By *one*, [to be written]

<!-- never shown -->

## Two words

Three words *here*, and `code` counts: seven.

- one
- two three

> four words are quoted

**Table 1.** Not counted.

| a | b |
|--|--:|
| 1 | 2 |

![alt text](a.png)

**Figure 1.** Not counted either.

```
print("code")
```

<!-- What to write here. -->

[to be written]

[por escribir]
"""


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("one", 1),
        ("one two\nthree", 3),
        ("a*b*c", 1),
        ("one<br>two", 2),
        ("0,55 [0,35; 0,75] p < 0,001", 5),
        ("a - b", 2),
        ("well-known don't", 2),
        ("[a link](https://example.org)", 2),
        ("![a picture](a.png) and text", 2),
        ("by [to be written] and me", 3),
        ("<!-- a comment --> text", 1),
        ("", 0),
    ],
)
def test_words_are_what_spaces_part(text: str, body: int) -> None:
    assert count_words(parse(text)).body == body


def test_only_running_text_counts() -> None:
    prose = Prose.read(Path("x.md"), TEXT, "en")
    words = prose.words
    assert words.body == 2 + 7 + 3 + 4
    assert (words.headings, words.tables, words.captions, words.code) == (2, 4, 9, 1)
    assert [node.text for node in prose.unwritten] == [
        "[to be written]",
        "What to write here.",
        "",
    ]
    assert prose.title == "A title of five words"


def test_blocks_find_their_captions() -> None:
    kinds = [block.kind for block in Prose.read(Path("x.md"), TEXT, "en").blocks]
    assert kinds == [
        "heading",
        "paragraph",
        "list",
        "quote",
        "tabled",
        "figure",
        "listing",
        "place",
        "place",
    ]


def test_nothing_in_the_text_runs(tmp_path: Path) -> None:
    text = (
        '# <script>alert("a")</script>\n\nline\n\n<script>b</script>\n\n'
        "[x](javascript:alert) [y](https://example.org) <b>bold</b> #panic() $x$ \\"
    )
    prose = Prose.read(tmp_path / "x.md", text, "es")
    page = prose.html()
    assert "<script" not in page
    assert "javascript:" not in page.replace("[x](javascript:", "")
    assert 'href="https://example.org"' in page
    assert "&lt;b&gt;bold" in page
    assert prose.pdf().startswith(b"%PDF")


def test_nested_lists_and_ordered_ones_are_kept(tmp_path: Path) -> None:
    prose = Prose.read(tmp_path / "x.md", "3. three\n   - inner\n4. four\n", "es")
    page = prose.html()
    assert '<ol start="3">' in page
    assert page.index("<ol") < page.index("<ul>") < page.index("inner") < page.index("</ol>")
    assert prose.pdf().startswith(b"%PDF")
