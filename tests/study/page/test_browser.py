"""The page in a real browser. Every test also asserts: no error on the console, no request but to files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import example
import pytest

from octosr.study.page import ImageRoots, collect, write

pytestmark = pytest.mark.slow

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'octosr[browser]'")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, headless=True, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """Opens a page; afterwards asserts that nothing was logged as an error and nothing asked for but files."""
    contexts, problems, addresses = [], [], []

    def open_page(path: Path, width: int = 1400, height: int = 1000, tolerated: str = "\0", **settings):
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda m: problems.append(m.text) if is_problem(m, tolerated) else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(path.as_uri())
        if page.locator("#ex").count():
            settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
    assert addresses
    assert [a for a in addresses if not a.startswith(("file:", "data:"))] == []


def is_problem(message, tolerated: str) -> bool:
    return message.type in ("error", "warning") and tolerated not in message.text


def settled(page) -> None:
    """Wait until the pictures of the chosen image have arrived."""
    page.locator("#ex-stage:not([data-state='loading'])").wait_for(state="attached")


def column(page, table: str, k: int) -> list[str]:
    return page.eval_on_selector_all(f"#table-{table} tbody tr", f"rows => rows.map(r => r.cells[{k}].dataset.v)")


def value(page) -> float:
    return float(page.get_attribute("#ex-divider", "aria-valuenow"))


def lens(page) -> list[str]:
    return page.eval_on_selector_all(".glass img", "all => all.map(i => i.style.transform)")


def choose_dataset(page, name: str) -> None:
    page.select_option("#ex-dataset", label=name)
    settled(page)


def test_tables_sort_by_click(visit, page):
    tab = visit(page)
    heading = tab.locator("#table-overview th", has_text="p value")
    assert heading.get_attribute("aria-sort") is None
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    numbers = column(tab, "overview", 3)
    assert numbers[-1] == ""  # what is missing comes last
    assert list(map(float, numbers[:-1])) == sorted(map(float, numbers[:-1]))
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    numbers = column(tab, "overview", 3)
    assert numbers[-1] == ""
    assert list(map(float, numbers[:-1])) == sorted(map(float, numbers[:-1]), reverse=True)


def test_tables_sort_by_keyboard(visit, page):
    tab = visit(page)
    tab.locator("#t-niqe .scroll").focus()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent.trim()") == "domain"
    tab.keyboard.press("Enter")
    assert column(tab, "niqe", 1) == ["Fauna", "Medical", "Other", "Satellite"]
    tab.keyboard.press("Space")
    assert column(tab, "niqe", 1) == ["Satellite", "Other", "Medical", "Fauna"]
    assert tab.locator("#table-niqe th[aria-sort]").count() == 1


def test_rows_are_filtered(visit, page):
    tab = visit(page)
    rows = tab.locator("#table-images tbody tr:visible")
    assert rows.count() == 22
    tab.fill("input[data-filter='table-images']", "isaid SEED")
    assert rows.count() == 2
    assert tab.inner_text("#t-images .filter output") == "2 of 22 rows"
    tab.fill("input[data-filter='table-images']", "")
    assert rows.count() == 22


def test_divider_by_mouse(visit, page):
    tab = visit(page)
    tab.locator("#ex-stage").scroll_into_view_if_needed()
    stage, grip = tab.locator("#ex-stage").bounding_box(), tab.locator(".grip").bounding_box()
    tab.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(stage["x"] + 0.25 * stage["width"], grip["y"] + 10, steps=4)
    tab.mouse.up()
    assert value(tab) == pytest.approx(25, abs=1)
    clip = tab.evaluate("getComputedStyle(document.getElementById('ex-img-left')).clipPath")
    assert clip.startswith("inset(0")
    assert tab.locator(".grip").bounding_box()["x"] < stage["x"] + 0.3 * stage["width"]
    tab.mouse.move(stage["x"] + 0.9 * stage["width"], stage["y"] + 50)
    assert value(tab) == pytest.approx(25, abs=1)  # it was let go


def test_divider_by_keyboard(visit, page):
    tab = visit(page)
    tab.focus("#ex-divider")
    steps = {"ArrowRight": 51, "Shift+ArrowLeft": 41, "PageUp": 51, "Home": 0, "ArrowLeft": 0, "End": 100}
    for key, expected in steps.items():
        tab.keyboard.press(key)
        assert value(tab) == expected, key
    right = tab.inner_text("#ex-tag-right")
    assert right in ("DAN", "MoESR")
    assert tab.get_attribute("#ex-divider", "aria-valuetext") == f"100 % Bicubic, 0 % {right}"


def test_divider_by_touch(visit, page):
    tab = visit(page, 390, 844, has_touch=True, is_mobile=True)
    tab.locator("#ex-stage").scroll_into_view_if_needed()
    stage, grip = tab.locator("#ex-stage").bounding_box(), tab.locator(".grip").bounding_box()
    y = grip["y"] + grip["height"] / 2
    touch = tab.context.new_cdp_session(tab)
    xs = [grip["x"] + grip["width"] / 2, stage["x"] + 0.6 * stage["width"], stage["x"] + 0.8 * stage["width"]]
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": xs[0], "y": y}]})
    for x in xs[1:]:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert value(tab) == pytest.approx(80, abs=1)
    before = lens(tab)
    tab.touchscreen.tap(stage["x"] + 30, stage["y"] + 60)
    assert lens(tab) != before
    assert value(tab) == pytest.approx(80, abs=1)


def test_lens_follows_pointer_and_keys_on_both_sides(visit, page):
    tab = visit(page)
    tab.locator("#ex-stage").scroll_into_view_if_needed()
    stage = tab.locator("#ex-stage").bounding_box()
    seen = []
    for x, y in ((0.3, 0.3), (0.7, 0.4)):
        tab.mouse.move(stage["x"] + x * stage["width"], stage["y"] + y * stage["height"])
        left, right = lens(tab)
        assert left == right
        loupe = tab.locator("#ex-loupe").bounding_box()
        assert loupe["x"] + loupe["width"] / 2 == pytest.approx(stage["x"] + x * stage["width"], abs=2)
        assert loupe["y"] + loupe["height"] / 2 == pytest.approx(stage["y"] + y * stage["height"], abs=2)
        # What stands in the middle of the glass is what the pointer is on.
        middle = tab.evaluate(
            """() => { const g = document.getElementById('ex-lens-left').getBoundingClientRect(),
            i = document.querySelector('#ex-lens-left img').getBoundingClientRect();
            return [(g.left + g.width / 2 - i.left) / i.width, (g.top + g.height / 2 - i.top) / i.height]; }"""
        )
        assert middle == pytest.approx([x, y], abs=0.01)
        seen.append(left)
    tab.mouse.click(stage["x"] + 0.7 * stage["width"], stage["y"] + 0.4 * stage["height"])  # held
    tab.mouse.move(stage["x"] + 0.2 * stage["width"], stage["y"] + 0.2 * stage["height"])
    assert lens(tab)[0] == seen[1]
    tab.focus("#ex-surface")
    tab.keyboard.press("ArrowLeft")
    assert lens(tab)[0] != seen[1]
    assert lens(tab)[0] == lens(tab)[1]
    tab.keyboard.press("Home")
    assert "column 256, row 256" in tab.inner_text("#ex-where")
    text = tab.inner_text("#ex-zoom-text")
    tab.keyboard.press("+")
    assert tab.inner_text("#ex-zoom-text") != text
    tab.fill("#ex-zoom", "0")
    assert tab.inner_text("#ex-zoom-text") == "50 %"


def test_images_are_chosen_and_found(visit, page):
    tab = visit(page)
    choose_dataset(tab, "isaid")
    options = tab.locator("#ex-list [role=option]")
    total = options.count()
    assert tab.inner_text("#ex-count") == f"{total} images"
    tab.focus("#ex-list")
    tab.keyboard.press("Home")
    settled(tab)
    first = tab.inner_text("#ex-name")
    tab.keyboard.press("ArrowDown")
    settled(tab)
    assert tab.inner_text("#ex-name") != first
    selected = tab.locator("#ex-list [aria-selected=true]")
    assert selected.get_attribute("id") == tab.get_attribute("#ex-list", "aria-activedescendant")
    tab.click("#ex-prev")
    settled(tab)
    assert tab.inner_text("#ex-name") == first
    tab.fill("#ex-search", "fastgan")
    assert options.count() == 2
    tab.keyboard.press("Enter")
    settled(tab)
    assert tab.inner_text("#ex-name") == "seed0000"
    assert tab.is_disabled("#ex-left")  # a sample has no other side
    assert not tab.is_visible("#ex-divider")
    tab.fill("#ex-search", "no such name")
    assert "No image" in tab.inner_text("#ex-list")


def test_sides_are_chosen_and_pictures_arrive_in_full_size(visit, page):
    tab = visit(page)
    tab.select_option("#ex-left", label="LR input")
    settled(tab)
    tab.select_option("#ex-right", label="DAN")
    settled(tab)
    assert tab.get_attribute("#ex-stage", "data-state") == "full full"
    sizes = tab.eval_on_selector_all("#ex-img-left, #ex-img-right", "all => all.map(i => [i.id, i.naturalWidth])")
    assert dict(sizes) == {"ex-img-left": 128, "ex-img-right": 512}
    assert tab.evaluate("getComputedStyle(document.getElementById('ex-img-left')).imageRendering") == "pixelated"
    assert tab.inner_text("#ex-tag-left") == "LR input"
    tab.click("#ex-swap")
    settled(tab)
    assert (tab.inner_text("#ex-tag-left"), tab.inner_text("#ex-tag-right")) == ("DAN", "LR input")
    assert tab.locator("#ex-kernels img").evaluate("image => image.naturalWidth") == 21
    assert tab.locator("#ex-links a").count() == 5


def test_scores_of_an_image(visit, study, page):
    tab = visit(page)
    name, dataset = tab.inner_text("#ex-name"), tab.locator("#ex-dataset option:checked").inner_text()
    rows = study.frame[(study.frame["image"] == name) & (study.frame["dataset"] == dataset)]
    for row in rows.itertuples():
        cell = tab.locator("#ex-table tr", has_text=example.TITLES[row.technique]).locator("td")
        shown = cell.nth(["niqe", "maniqa"].index(row.metric)).locator(".value").inner_text()
        assert float(shown) == pytest.approx(row.value, abs=6e-4)
    best = rows[rows["metric"] == "niqe"].sort_values("value").iloc[0]["technique"]
    marked = tab.locator("#ex-table tr", has=tab.locator("td:nth-child(2).best"))
    assert marked.count() == 1
    assert example.TITLES[best] in marked.inner_text()


def test_best_worst_and_most_disagreed_open_their_image(visit, study, page):
    tab = visit(page)
    tab.select_option("#ex-scope", label="all datasets")
    tab.select_option("#ex-of", label="DAN")
    tab.select_option("#ex-against", label="MoESR")
    niqe = study.frame[study.frame["metric"] == "niqe"]
    frame = niqe[niqe["technique"] == "dan"].sort_values("value")
    assert tab.locator("#ex-best bdi").first.inner_text().endswith(f"· {frame.iloc[0]['image']}")
    assert tab.locator("#ex-worst bdi").first.inner_text().endswith(f"· {frame.iloc[-1]['image']}")
    wide = niqe.pivot_table(index=["dataset", "image"], columns="technique", values="value")
    ranks = wide[["dan", "moesr"]].dropna().rank()
    gaps = (ranks["dan"] - ranks["moesr"]).abs()
    first = tab.locator("#ex-split bdi").first.inner_text().split(" · ")
    assert gaps[tuple(first)] == gaps.max()
    tab.locator("#ex-worst button").first.click()
    settled(tab)
    assert tab.inner_text("#ex-name") == frame.iloc[-1]["image"]
    tab.select_option("#ex-metric", label="MANIQA")
    assert tab.locator("#ex-best small").first.inner_text().startswith("MANIQA")


def test_theme_is_switched_and_kept(visit, page):
    tab = visit(page, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(background)
    tab.click("#theme")
    dark = tab.evaluate(background)
    assert dark != light
    tab.reload()
    settled(tab)
    assert tab.evaluate(background) == dark
    assert tab.get_attribute("#theme", "aria-label") == "Switch to the light theme"
    other = visit(page, color_scheme="dark")
    assert other.evaluate(background) == dark


@pytest.mark.parametrize(
    ("width", "theme"), [(390, "light"), (390, "dark"), (768, "light"), (1400, "light"), (1400, "dark")]
)
def test_nothing_overflows_or_overlaps(visit, page, width, theme):
    tab = visit(page, width, 900, color_scheme=theme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    overlaps = tab.evaluate(
        """() => {
          const blocks = ['.ex-pick', '.ex-main', '.ex-lens', '.ex-scores', '.ex-extra', '.ex-ranked', '.ex-policy']
            .map(s => document.querySelector(s)).concat([...document.querySelectorAll('.card, .gate, h1, h2')]);
          const boxes = blocks.map(b => [b, b.getBoundingClientRect()]);
          const found = [];
          boxes.forEach(([a, p], k) => boxes.slice(k + 1).forEach(([b, q]) => {
            if (a.contains(b) || b.contains(a)) return;
            if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1
              && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 1) found.push([a.className, b.className]);
          }));
          return found;
        }"""
    )
    assert overlaps == []
    outside = tab.evaluate(
        """width => [...document.querySelectorAll('main button, main select, main input, main h3, main p')]
          .filter(e => e.offsetParent && !e.closest('.scroll, .ex-list'))
          .filter(e => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > width; })
          .map(e => e.outerHTML.slice(0, 80))""",
        width,
    )
    assert outside == []
    small = tab.evaluate(
        """() => [...document.querySelectorAll('main *, footer *')].filter(e => e.offsetParent
          && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
          && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.className)"""
    )
    assert small == []


def test_text_has_contrast_in_both_themes(visit, page):
    """WCAG 2.2, 1.4.3: 4.5 to 1 between text and what lies under it, for all text on plain backgrounds."""
    for theme in ("light", "dark"):
        tab = visit(page, color_scheme=theme)
        poor = tab.evaluate(
            """() => {
              const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
              const rgba = colour => {
                canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data]; };
              const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
                return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
              const under = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
                if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
              const found = [];
              for (const e of document.querySelectorAll('body *')) {
                const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
                if (!text || !e.offsetParent || e.closest('.stage, .pane, :disabled, script, style, .arrow')) continue;
                const [a, b] = [light(rgba(getComputedStyle(e).color)), light(under(e))].sort((x, y) => y - x);
                const contrast = (a + 0.05) / (b + 0.05);
                if (contrast < 4.5) found.push([e.className, e.textContent.slice(0, 30), contrast]);
              }
              return found;
            }"""
        )
        assert poor == [], theme


def test_everything_is_reached_by_keyboard_and_focus_is_seen(visit, page):
    tab = visit(page)
    reached, unseen = set(), []
    for _ in range(90):
        tab.keyboard.press("Tab")
        mark = tab.evaluate(
            """() => { const e = document.activeElement, grip = e.querySelector('.grip');
            const styles = [e, grip || e].map(shown => getComputedStyle(shown));
            const seen = styles.some(s => s.outlineStyle !== 'none' && s.outlineWidth !== '0px');
            return [e.id || e.className || e.tagName, seen]; }"""
        )
        reached.add(mark[0])
        if not mark[1] and mark[0] != "BODY":
            unseen.append(mark[0])
    assert unseen == []
    assert {
        "theme",
        "ex-dataset",
        "ex-search",
        "ex-list",
        "ex-surface",
        "ex-divider",
        "ex-zoom",
        "ex-metric",
        "sort",
    } <= reached


def test_a_hostile_name_does_no_harm(visit, page):
    tab = visit(page)
    choose_dataset(tab, "catsfaces")
    tab.fill("#ex-search", "onerror")
    tab.keyboard.press("Enter")
    settled(tab)
    assert tab.inner_text("#ex-name") == example.XSS
    assert tab.get_attribute("#ex-stage", "data-state") == "full full"  # its files, of that name, are shown
    assert tab.locator("img[src='x']").count() == 0
    assert tab.evaluate("typeof window.hacked") == "undefined"
    assert example.XSS in tab.inner_text("#table-images")


def test_the_security_policy_is_in_force(browser, page):
    context = browser.new_context()
    tab, messages = context.new_page(), []
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto(page.as_uri())
    ran = tab.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1';
        document.body.append(s); document.body.setAttribute('onclick', 'window.hacked = 2'); document.body.click();
        const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; return window.hacked; }"""
    )
    tab.wait_for_timeout(200)
    assert ran is None
    assert sum("Content Security Policy" in message for message in messages) >= 3
    context.close()


def test_moved_away_from_its_images(visit, study, tmp_path):
    written = write(study.document, study.explorer(), study.folder / "report2", study.extras)
    tab = visit(Path(shutil.move(written, tmp_path / "index.html")), tolerated="ERR_FILE_NOT_FOUND")
    assert tab.get_attribute("#ex-stage", "data-state") == "embedded embedded"
    assert "Reduced picture" in tab.inner_text("#ex-stage-note")
    asked = tab.evaluate("performance.getEntriesByType('resource').filter(e => e.name.startsWith('file:')).length")
    tab.click("#ex-next")
    settled(tab)
    assert tab.get_attribute("#ex-stage", "data-state") == "embedded embedded"
    again = tab.evaluate("performance.getEntriesByType('resource').filter(e => e.name.startsWith('file:')).length")
    assert again == asked <= 2  # not every image is asked for in vain


def test_scores_without_images(visit, study, tmp_path):
    explorer = collect(study.frame, tmp_path, ImageRoots(), higher_is_better=example.DIRECTIONS)
    tab = visit(write(study.document, explorer, tmp_path))
    assert "only scores are shown" in tab.inner_text(".ex-policy")
    assert not tab.is_visible("#ex-stage")
    assert tab.locator("#ex-table tbody tr").count() == 4
    assert tab.locator("#ex-table .best").count() == 2


def test_tables_are_there_without_scripts(visit, browser, page):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.locator("#table-images tbody tr").count() == 22
    assert not tab.is_visible("#ex")
    assert "needs JavaScript" in tab.inner_text("#explorer")
    context.close()
    visit(page)
