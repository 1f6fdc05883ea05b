"""The page as text: one file, nothing from outside, everything escaped."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import example
import pandas as pd
import pytest

from octosr.errors import OctoSRError
from octosr.study.document import Document, Figure, Gate, Section, Table
from octosr.study.page import Extras, Limits, collect, render_page, write
from octosr.study.page.assets import script
from octosr.study.page.sources import ImageRoots

HOSTILE = "</script></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """All start tags with their attributes, in order, and all text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._raw = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        self.text += "" if self._raw else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(page) -> str:
    return page.read_text(encoding="utf-8")


def test_nothing_is_loaded_from_anywhere_else(html):
    elements = Elements(html)
    names = {name for name, _ in elements.tags}
    assert not names & {"iframe", "object", "embed", "base", "audio", "video", "form"}
    for tag, attributes in elements.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("src", "srcset", "href", "action", "data", "poster"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, address)
    assert "@import" not in html
    assert all(found.startswith("data:") for found in re.findall(r"url\([\"']?([^\"')$]+)", html))


def test_security_policy_forbids_the_network(html):
    policies = [m["content"] for m in Elements(html).all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    policy = dict(part.strip().split(" ", 1) for part in policies[0].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data: file: 'self'"
    assert "unsafe" not in policies[0]
    assert re.fullmatch(r"'sha256-\S+' 'sha256-\S+'", policy["script-src"])
    assert re.fullmatch(r"'sha256-\S+'", policy["style-src"])


def test_scripts_never_make_markup_of_text():
    makers = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "XMLHttp",
    )
    for forbidden in makers:
        assert forbidden not in script()


def test_every_outside_string_is_escaped():
    frame = pd.DataFrame({HOSTILE: [HOSTILE, 1.0]})
    document = Document(
        HOSTILE,
        [HOSTILE],
        [
            Section(
                "s",
                HOSTILE,
                [HOSTILE],
                [Gate("g", HOSTILE, "warn", HOSTILE)],
                [Table("t", HOSTILE, frame, HOSTILE, missing=HOSTILE)],
                [Figure("f", HOSTILE, lambda: None, HOSTILE, HOSTILE)],
            )
        ],
        {HOSTILE: {HOSTILE: [HOSTILE]}},
    )
    row = {"technique": HOSTILE, "dataset": HOSTILE, "domain": HOSTILE, "image": HOSTILE, "file": HOSTILE}
    scores = pd.DataFrame([row | {"metric": HOSTILE, "value": 1.0}])
    explorer = replace(
        collect(scores, example.Path("/report"), ImageRoots(), higher_is_better={HOSTILE: True}),
        problems={HOSTILE: HOSTILE},
    )
    extras = Extras(
        colours={HOSTILE: "#0072b2"},
        drawn={"f": b"<svg xmlns='http://www.w3.org/2000/svg'/>"},
        downloads={"t": {HOSTILE: "t.csv"}},
    )
    html = render_page(document, explorer, extras)
    plain = render_page(Document("t", sections=[Section("s", "t")]), explorer, extras)
    assert Elements(html).text.count("onerror=alert(1)") >= 16  # shown as the text it is
    assert [a for name, a in Elements(html).tags if name == "img" and a.get("src") == "x"] == []
    assert len(Elements(html).all("script")) == len(Elements(plain).all("script")) == 4
    assert len(Elements(html).all("style")) == 1


def test_best_cells_sort_values_and_headings(html):
    elements = Elements(html)
    headings = [a for a in elements.all("th") if a.get("data-type") == "number"]
    assert len(headings) == 3 + 5 + 5
    assert elements.text.count("(best)") == 1 + 4
    best = [a for name, a in elements.tags if name == "td" and "best" in (a.get("class") or "")]
    assert len(best) == 5
    assert all(float(a["data-v"]) > 0 for a in best)


def test_gates_are_told_by_words_not_by_colour_alone(html):
    text = Elements(html).text
    for outcome in ("Passed", "Warning", "Not checked", "1 passed", "1 warning", "1 not checked"):
        assert outcome in text


def test_figures_have_descriptions(html):
    figures = [a for a in Elements(html).all("img") if (a.get("src") or "").startswith("data:image/svg")]
    assert [a["alt"] for a in figures] == ["Lines of mean NIQE."]


def test_all_ids_are_unique_and_all_references_lead_somewhere(html):
    tags = Elements(html).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            for target in (attributes.get(name) or "").split():
                assert target in ids
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_the_same_study_gives_the_same_page(study, html):
    assert render_page(study.document, study.explorer(Limits(rounds=2)), study.extras) == html


def test_pictures_give_way_when_the_page_is_too_large(study, html):
    explorer = study.explorer(Limits(rounds=2))
    base = len(render_page(study.document, explorer.fitted(0), study.extras).encode())
    limit = base + explorer.bytes // 2
    small = render_page(study.document, explorer, study.extras, limit)
    assert base < len(small.encode()) <= limit
    assert f"{len(explorer.previews)} of them are inside" in html
    kept = int(re.search(r"(\d+) of them are inside", small)[1])
    assert 0 < kept < len(explorer.previews)
    with pytest.raises(OctoSRError, match=r"more than 0\.0 MB"):
        render_page(study.document, explorer, study.extras, 20_000)


def test_a_report_without_images_or_sections():
    html = render_page(Document("Nothing yet"))
    assert "Nothing yet" in Elements(html).text
    assert "explorer-index" not in [a.get("id") for a in Elements(html).all("script")]


def test_large_vector_figures_become_pictures():
    def draw():
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing()
        drawing.subplots().scatter(*[[k % 101 + k / 9000 for k in range(9000)]] * 2, c=[k % 7 for k in range(9000)])
        return drawing

    html = render_page(Document("t", sections=[Section("s", "s", figures=[Figure("cloud", "Cloud", draw)])]))
    assert Elements(html).all("img")[0]["src"].startswith("data:image/png")
    assert len(html) < 600_000


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([Section("a", "A"), Section("a", "B")], r"twice: \['a'\]"),
        ([Section("a b", "A")], "may hold"),
    ],
)
def test_keys_are_checked(sections, message):
    with pytest.raises(ValueError, match=message):
        render_page(Document("t", sections=sections))


def test_colours_are_checked():
    with pytest.raises(ValueError, match="must be #rrggbb"):
        render_page(Document("t"), extras=Extras(colours={"dan": "red}body{display:none"}))


def test_the_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write(Document("First"), None, tmp_path / "report")
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("octosr.atomic.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write(Document("Second"), None, tmp_path / "report")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]
