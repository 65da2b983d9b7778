"""The pages in a real browser: searched, read on a phone, used by keyboard, seen in light and dark, without scripts."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from hub_client import Client
from hub_server import Server, serve_hub

CARD = Path(__file__).parents[2] / "model_cards" / "sprites-r2plus1d"
LEAST_CONTRAST = 4.5

# What the browser says of pages that are not there, and of addresses that it does not trust.
EXPECTED = ("the server responded with a status of 40", "The Cross-Origin-Opener-Policy header has been ignored")

PAGES = {
    "list": "/models",
    "filtered": "/models?search=sprites&architecture=video_resnet",
    "model": "/lab/sprites",
    "files": "/lab/sprites/tree/main",
    "file": "/lab/sprites/blob/main/README.md",
    "history": "/lab/sprites/commits/main",
    "empty list": "/datasets",
    "sign in": "/login",
    "not found": "/lab/none",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with serve_hub(tmp_path_factory.mktemp("browser")) as server:
        client = Client(server.url, server.token("lab"))
        files = {path.name: path.read_bytes() for path in CARD.iterdir()}
        for name, architecture in {
            "sprites": "video_resnet",
            "slow-" + "and-fast" * 9: "slowfast",
            "mine": "x3d",
        }.items():
            client.create(f"lab/{name}", private=name == "mine")
            config = json.dumps({"model_type": architecture}).encode()
            client.commit(f"lab/{name}", files | {"config.json": config}, title=f"Publish {name}")
        yield server


class Look:
    """Opens pages, and holds against them whatever the browser complains about or asks of other sites."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.browser, self.server = browser, server
        self.complaints: list[str] = []

    def open(self, path: str, base: str = "", **options: Any) -> Page:
        page = self.browser.new_context(**options).new_page()
        base = base or self.server.url
        page.on("console", lambda message: self.complain(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complain(str(error)))
        page.on("request", lambda request: None if request.url.startswith(base) else self.complain(request.url))
        page.goto(base + path)
        return page

    def complain(self, text: str) -> None:
        if not any(words in text for words in EXPECTED):
            self.complaints.append(text)


@pytest.fixture
def look(browser, server) -> Iterator[Look]:
    look = Look(browser, server)
    yield look
    for context in browser.contexts:
        context.close()
    assert look.complaints == []


def test_a_model_is_searched_for_found_and_read(look):
    page = look.open("/")
    page.get_by_role("searchbox", name="Search models by name").fill("sprites")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("status")).to_have_text("1 model")
    page.get_by_role("link", name="lab/sprites").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lab/sprites")
    expect(page.get_by_role("table", name="10 clips × 1 crop").get_by_role("row", name="video Hit@1")).to_contain_text(
        "99%"
    )
    expect(page.locator("meter").first).to_have_attribute("value", "0.985")
    picture = page.get_by_role("img", name="The curves of the run")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth > 100", arg=picture.element_handle())


def test_filters_stand_beside_a_wide_list_and_fold_away_on_a_phone(look):
    page = look.open("/models")
    page.get_by_role("link", name="slowfast 1").click()
    expect(page.get_by_role("status")).to_have_text("1 model")
    page.get_by_role("link", name="Remove: architecture: slowfast").click()
    expect(page.get_by_role("status")).to_have_text("2 models")
    page = look.open("/models", viewport={"width": 390, "height": 844})
    expect(page.get_by_role("link", name="slowfast 1")).to_be_hidden()
    page.get_by_text("Filters", exact=True).click()
    page.get_by_role("link", name="slowfast 1").click()
    expect(page.get_by_role("status")).to_have_text("1 model")


def test_all_works_without_scripts(look):
    page = look.open("/", java_script_enabled=False)
    page.get_by_role("link", name="video_resnet").click()
    page.get_by_role("link", name="lab/sprites").click()
    expect(page.get_by_role("button", name="Copy the name")).to_have_count(0)
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("link", name="config.json", exact=True).click()
    expect(page.locator("pre")).to_have_text('{"model_type": "video_resnet"}')
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="Publish sprites").click()
    expect(page.get_by_role("row", name="curves.png")).to_contain_text("added")


def test_what_to_type_is_copied_with_this_hubs_address(look, server):
    page = look.open("/lab/sprites", permissions=["clipboard-read", "clipboard-write"])
    for label, expected in {
        "Copy the name lab/sprites": "lab/sprites",
        "Copy: where this hub is": f"export HF_ENDPOINT={server.url}",
        "Copy: Download it": "hf download lab/sprites",
    }.items():
        page.get_by_role("button", name=label).click()
        page.wait_for_function("async text => await navigator.clipboard.readText() == text", arg=expected)


@pytest.mark.parametrize("host", ["127.0.0.1", "hub.test"])
def test_one_signs_in_looks_at_what_is_private_and_signs_out(look, server, host):
    """Also where browsers trust the address less, and leave out the header that tells where a form was sent from."""
    page = look.open("/lab/mine", base=server.url.replace("127.0.0.1", host))
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    page.get_by_role("main").get_by_role("link", name="sign in").click()
    page.get_by_label("Token").fill("hf_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    page.get_by_label("Token").fill(server.token("lab"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("lab/mine")
    expect(page.get_by_text("private", exact=True)).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.goto(page.url + "lab/mine")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")


def test_the_keyboard_leads_to_the_content_and_shows_where_it_is(look):
    page = look.open("/models")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_no_page_is_wider_than_a_phone(look, path):
    page = look.open(path, viewport={"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_every_text_stands_out_from_what_is_behind_it_in_light_and_dark(look, path):
    page = look.open(path, reduced_motion="reduce")
    pages_behind = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(CONTRASTS)
        assert len(found) > 5
        assert [text for text in found if text["contrast"] < LEAST_CONTRAST] == []
        pages_behind.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(pages_behind) == 2


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_every_page_can_be_found_ones_way_in(look, path):
    page = look.open(path)
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    levels = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(
        "all => all.map(heading => Number(heading.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    unnamed = page.locator("a, button, input:not([type=hidden])").evaluate_all(UNNAMED)
    assert unnamed == []
    navigations = page.locator("nav").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(set(navigations)) == len(navigations)
    assert None not in navigations


# The contrast of each text with the nearest colour behind it, as WCAG 2 computes it.
CONTRASTS = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const linear = part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility()) continue;
    const [one, other] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push({text: text.slice(0, 40), contrast});
  }
  return found;
}"""

UNNAMED = """all => all.filter(one => !(
  one.textContent.trim() || one.getAttribute("aria-label") || (one.labels && one.labels.length)
)).map(one => one.outerHTML)"""
