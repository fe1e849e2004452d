"""The site in Chromium, from file://, without a network: silent, accessible, right to left, and of use without scripts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from evalharness.report.page import write_site

REQUIRED = os.environ.get("EVALHARNESS_REQUIRE_ALL")
INSTALL = "pip install playwright axe-playwright-python"
need = import_module if REQUIRED else partial(pytest.importorskip, reason=INSTALL)
playwright = need("playwright.sync_api")
axe = need("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.browser

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</script><svg/onload=alert(1)>",
    "<a href=\"javascript:alert(1)\">x</a> <!-- </textarea>",
    "![beacon](https://example.org/beacon.png) <style>@import url(https://example.org/x.css)</style>",
    "{{ 7 * 7 }} &lt;b&gt; &amp;amp; \u00a0\u3000 tabs\tand  spaces ",
    "\n\nleading and trailing lines\n\n",
    "<details open><summary>x</summary>" + "a" * 4000,
    "NaN null =cmd()",
)  # fmt: skip


@dataclass
class Opened:
    """A page and everything that went wrong on it."""

    page: Any
    said: list[str] = field(default_factory=list)

    def silent(self) -> None:
        assert self.said == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(path).exists():
        message = "Chromium is missing: apt-get install chromium"
        if REQUIRED:
            pytest.fail(message)
        pytest.skip(message)
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser run") / "site"
    write_site(folder, run.summary, run.manifest, run.samples)
    return folder


@pytest.fixture(scope="module")
def small_site(small_run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small run") / "site"
    write_site(folder, small_run.summary, small_run.manifest, small_run.samples)
    return folder


@pytest.fixture(scope="module")
def scored_site(scored_run, tmp_path_factory) -> Path:
    """Rubric scores beside pairs, a few lines of every table."""
    summary = {**scored_run.summary, "judges": scored_run.summary["judges"][-1:], "completions": []}
    summary |= {key: {} for key in ("ratings", "ratings_other_candidate_failure", "head_to_head", "health")}
    folder = tmp_path_factory.mktemp("scored run") / "site"
    write_site(folder, summary, scored_run.manifest, scored_run.samples[:10])
    return folder


@pytest.fixture(scope="module")
def measured_site(measured_run, tmp_path_factory) -> Path:
    """Tasks that metrics score, and a suite."""
    folder = tmp_path_factory.mktemp("measured run") / "site"
    write_site(folder, {**measured_run.summary, "completions": []}, measured_run.manifest, measured_run.samples[:10])
    return folder


@pytest.fixture(scope="module")
def tiny_site(small_run, tmp_path_factory) -> Path:
    """One judge and a few lines of every table: all kinds of elements, for tests whose time grows with their number."""
    summary = deepcopy(small_run.summary)
    summary["judges"] = summary["judges"][:1]
    name = summary["judges"][0]["name"]
    summary["ratings"] = {name: {axis: rows[:6] for axis, rows in summary["ratings"][name].items()}}
    summary["health"], summary["completions"] = {name: summary["health"][name][:3]}, summary["completions"][:6]
    folder = tmp_path_factory.mktemp("tiny run") / "site"
    write_site(folder, summary, small_run.manifest, small_run.samples[:2])
    return folder


@contextmanager
def opened(browser: Any, path: Path, fragment: str = "", **options: Any) -> Iterator[Opened]:
    """Open a file without a network; note every message, error, dialog, and request that is not for a file."""
    context = browser.new_context(offline=True, reduced_motion="reduce", **options)
    page = context.new_page()
    found = Opened(page)
    page.on("console", lambda message: found.said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: request.url.startswith(("file://", "data:")) or found.said.append(f"request: {request.url}"),
    )
    page.goto(path.as_uri() + fragment)
    yield found
    context.close()


def with_texts(run, texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a sample for each text, which stands in its prompt, its answers, its errors and its judge's texts."""
    samples = []
    for number, text in enumerate(texts):
        sample = deepcopy(run.samples[0]) | {"prompt": text, "prompt_id": f"p{number}"}
        for answer in sample["answers"].values():
            answer |= {"text": text, "error": None, "failure": None, "finish": "stop"}
        for game in sample["games"]:
            game |= {"judge_text": text, "status": "unparsed", "score": None, "label": text}
        samples.append(sample)
    return samples


@pytest.mark.parametrize("name", ["index.html", "games/ar.html"])
@pytest.mark.parametrize("of", ["site", "scored_site", "measured_site"])
def test_pages_are_silent_offline(browser, of, name, request) -> None:
    with opened(browser, request.getfixturevalue(of) / name) as found:
        assert found.page.locator("h1").count() == 1
        found.silent()


def test_hostile_texts_are_shown_as_they_are(browser, run, tmp_path) -> None:
    index = write_site(tmp_path / "site", run.summary, run.manifest, with_texts(run, HOSTILE))
    with opened(browser, index.parent / "games" / "ar.html") as found:
        sections = found.page.evaluate(
            "[...document.querySelectorAll('section.prompt')].map(s => [...s.querySelectorAll('.text')].map(t => t.textContent))"
        )
        assert [set(texts) for texts in sections] == [{text} for text in HOSTILE]
        assert {len(texts) for texts in sections} == {1 + 3 + 6}
        found.silent()


def test_hostile_names_stay_names(browser, run, tmp_path) -> None:
    summary = deepcopy(run.summary)
    name = "<img src=x onerror=alert(1)>\u202e"
    for entry in [
        *summary["models"],
        *(row for axes in summary["ratings"].values() for rows in axes.values() for row in rows),
    ]:
        for key in ("name", "model"):
            if entry.get(key) == "qwen3-0.6b":
                entry[key] = name
    summary["models"][-1] |= {"license": "javascript:alert(1)", "deviations": [HOSTILE[1]]}
    summary["run"] = HOSTILE[2]
    index = write_site(tmp_path / "site", summary, run.manifest, ())
    with opened(browser, index) as found:
        assert (
            found.page.evaluate("document.querySelectorAll('img, iframe, object, a[href^=\"javascript\"]').length") == 0
        )
        assert "<img src=x onerror=alert(1)>⟨RLO⟩" in found.page.locator("table.ratings").first.inner_text()
        assert found.page.evaluate("document.querySelector('h1').textContent") == HOSTILE[2]
        found.silent()


def test_a_huge_line_and_many_lines_stay_in_their_boxes(browser, run, tmp_path) -> None:
    sample = deepcopy(run.samples[0])
    texts = ("x" * 1_000_000, "line\n" * 10_000, "Z" + "\u0335\u0321\u0358" * 300)
    for answer, text in zip(sample["answers"].values(), texts, strict=True):
        answer["text"] = text
    index = write_site(tmp_path / "site", run.summary, run.manifest, [sample])
    with opened(browser, index.parent / "games" / "ar.html", viewport={"width": 360, "height": 800}) as found:
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert (
            found.page.evaluate("Math.max(...[...document.querySelectorAll('.text')].map(t => t.offsetHeight))") < 600
        )
        found.silent()


@pytest.mark.parametrize(
    ("code", "direction"), [("ar", "rtl"), ("he", "rtl"), ("fa", "rtl"), ("hi", "ltr"), ("ja", "ltr")]
)
def test_blocks_have_the_direction_of_their_text(browser, site, code, direction) -> None:
    with opened(browser, site / "games" / f"{code}.html") as found:
        blocks = found.page.evaluate(
            "[...document.querySelectorAll('.answers .text')].map(t => getComputedStyle(t).direction)"
        )
        assert set(blocks) == {direction}
        assert found.page.evaluate("getComputedStyle(document.body).direction") == "ltr"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "width"), [("index.html", 1280), ("games/ar.html", 360)])
@pytest.mark.parametrize("of", ["tiny_site", "scored_site", "measured_site"])
def test_axe_finds_nothing_serious(browser, of, name, width, scheme, request) -> None:
    site = request.getfixturevalue(of)
    with opened(browser, site / name, color_scheme=scheme, viewport={"width": width, "height": 900}) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        violations = axe.Axe().run(found.page).response["violations"]
        assert [
            (v["id"], v["nodes"][0]["html"][:200]) for v in violations if v["impact"] in ("serious", "critical")
        ] == []


def test_the_tables_are_there_without_scripts(browser, site) -> None:
    with opened(browser, site / "index.html", java_script_enabled=False) as found:
        assert found.page.locator("table.ratings tbody tr").first.is_visible()
        assert found.page.locator("#theme").is_hidden()
    with opened(browser, site / "games" / "he.html", java_script_enabled=False) as found:
        assert found.page.locator("section.prompt").count() == 4
        assert found.page.locator("#tools").is_hidden()


def test_columns_sort_and_say_so(browser, site) -> None:
    with opened(browser, site / "index.html") as found:
        table = found.page.locator("table.ratings").first
        names = lambda: [name.replace("†", "").strip() for name in table.locator("tbody th").all_inner_texts()]  # noqa: E731
        assert names()[0] == "aya-expanse-8b"
        rate = table.locator("thead th", has_text="Win rate")
        rate.locator("button").click()
        assert rate.get_attribute("aria-sort") == "ascending"
        assert names()[0] == "qwen3-0.6b"
        table.locator("thead th", has_text="Model").locator("button").press("Enter")
        assert names() == sorted(names())
        assert rate.get_attribute("aria-sort") is None


def test_unknown_numbers_sort_last_both_ways(browser, run, tmp_path) -> None:
    summary = deepcopy(run.summary)
    summary["ratings"]["pairwise-logprob/gemma-3-270m"]["all"][1] |= {"win_rate": None, "ci_low": None, "ci_high": None}
    with opened(browser, write_site(tmp_path / "site", summary, run.manifest, ())) as found:
        table = found.page.locator("table.ratings").first
        button = table.locator("thead th", has_text="Win rate").locator("button")
        for _ in range(2):
            button.click()
            assert "gemma" in table.locator("tbody th").last.inner_text()


def test_the_theme_can_be_chosen(browser, site) -> None:
    with opened(browser, site / "index.html", color_scheme="light") as found:
        paper = lambda: found.page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
        light = paper()
        found.page.locator("#theme").click()
        assert found.page.locator("#theme").inner_text() == "Theme: dark"
        assert paper() != light
        found.silent()


def test_games_can_be_filtered_and_walked_by_keys(browser, small_site) -> None:
    with opened(browser, small_site / "games" / "de.html") as found:
        page = found.page
        shown = lambda: page.locator("section.prompt:visible").count()  # noqa: E731
        before = shown()
        flagged = page.locator('section.prompt[data-flags~="disagree"]').count()
        assert 0 < flagged < before
        page.locator('[data-flag="disagree"]').check()
        assert shown() == flagged
        assert page.locator("#found").inner_text() == f"{flagged} of {before} prompts"
        page.locator('[data-flag="disagree"]').uncheck()
        page.locator("#search").fill("q0002")
        assert shown() == 1
        page.locator("#search").fill("")
        page.locator(".pair").first.select_option("0")
        page.locator(".pair").last.select_option("2")
        assert page.locator("section.prompt").first.locator("article:visible").count() == 2
        assert page.locator("section.prompt").first.locator(".match:visible").count() == 2  # one a judge
        page.locator("#search").blur()
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.id") == page.locator("section.prompt").nth(1).get_attribute("id")
        found.silent()


def test_a_link_to_a_prompt_that_moved_to_another_page_still_finds_it(browser, run, tmp_path) -> None:
    samples = [{**run.samples[0], "prompt_id": f"p{number:05d}"} for number in range(201)]
    games = write_site(tmp_path / "site", run.summary, run.manifest, samples).parent / "games"
    last = re.search(r'id="(p-[0-9a-f]{12})"', (games / "ar-3.html").read_text("utf-8"))
    assert last is not None
    with opened(browser, games / "ar-2.html", "#" + last[1]) as found:
        found.page.wait_for_url(f"**/ar-3.html#{last[1]}")
        found.silent()


def test_a_phone_keeps_the_first_column_in_sight(browser, site) -> None:
    with opened(browser, site / "index.html", viewport={"width": 360, "height": 780}) as found:
        page = found.page
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        cell = page.locator("table.ratings tbody th").first
        before = cell.bounding_box()["x"]
        page.evaluate("document.querySelector('.scroll').scrollLeft = 300")
        assert cell.bounding_box()["x"] == pytest.approx(before, abs=2)


def test_a_judges_text_beside_an_answer_runs_in_its_own_direction(browser, scored_site) -> None:
    with opened(browser, scored_site / "games" / "ar.html", viewport={"width": 360, "height": 800}) as found:
        found.page.evaluate("document.querySelectorAll('.review details').forEach(d => { d.open = true; })")
        directions = found.page.evaluate(
            "[...document.querySelectorAll('.review .text')].map(t => getComputedStyle(t).direction)"
        )
        assert directions and set(directions) == {"rtl"}
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
        found.silent()


def test_scores_sort_by_value(browser, scored_site) -> None:
    with opened(browser, scored_site / "index.html") as found:
        table = found.page.locator("table.ratings").first
        values = lambda: table.locator("tbody td.rate data").evaluate_all("all => all.map(d => Number(d.value))")  # noqa: E731
        assert values() == sorted(values(), reverse=True)
        table.locator("thead th", has_text="Mean score").locator("button").click()
        assert values() == sorted(values())
        found.silent()
