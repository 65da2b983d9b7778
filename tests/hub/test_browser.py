"""The pages in a real browser: search, phone screens, keyboard, light and dark colours, without JavaScript."""

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
MIN_CONTRAST = 4.5

# Console messages of the browser about missing pages and about plain HTTP.
EXPECTED_MESSAGES = (
    "the server responded with a status of 40",
    "The Cross-Origin-Opener-Policy header has been ignored",
)

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
        client = Client(server.url, server.create_token("lab"))
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


class PageOpener:
    """Opens pages, and collects errors of the browser and requests to other sites as complaints."""

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
        if not any(message in text for message in EXPECTED_MESSAGES):
            self.complaints.append(text)


@pytest.fixture
def opener(browser, server) -> Iterator[PageOpener]:
    opener = PageOpener(browser, server)
    yield opener
    for context in browser.contexts:
        context.close()
    assert opener.complaints == []


def test_a_visitor_searches_finds_and_reads_a_model(opener):
    page = opener.open("/")
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


def test_filters_are_open_on_a_wide_screen_and_folded_on_a_phone(opener):
    page = opener.open("/models")
    page.get_by_role("link", name="slowfast 1").click()
    expect(page.get_by_role("status")).to_have_text("1 model")
    page.get_by_role("link", name="Remove: architecture: slowfast").click()
    expect(page.get_by_role("status")).to_have_text("2 models")
    page = opener.open("/models", viewport={"width": 390, "height": 844})
    expect(page.get_by_role("link", name="slowfast 1")).to_be_hidden()
    page.get_by_text("Filters", exact=True).click()
    page.get_by_role("link", name="slowfast 1").click()
    expect(page.get_by_role("status")).to_have_text("1 model")


def test_pages_work_without_javascript(opener):
    page = opener.open("/", java_script_enabled=False)
    page.get_by_role("link", name="video_resnet").click()
    page.get_by_role("link", name="lab/sprites").click()
    expect(page.get_by_role("button", name="Copy the name")).to_have_count(0)
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("link", name="config.json", exact=True).click()
    expect(page.locator("pre")).to_have_text('{"model_type": "video_resnet"}')
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="Publish sprites").click()
    expect(page.get_by_role("row", name="curves.png")).to_contain_text("added")


def test_copy_buttons_copy_names_and_commands_with_the_url_of_this_hub(opener, server):
    page = opener.open("/lab/sprites", permissions=["clipboard-read", "clipboard-write"])
    for label, expected in {
        "Copy the name lab/sprites": "lab/sprites",
        "Copy: the address of this hub": f"export HF_ENDPOINT={server.url}",
        "Copy: Download it": "hf download lab/sprites",
    }.items():
        page.get_by_role("button", name=label).click()
        page.wait_for_function("async text => await navigator.clipboard.readText() == text", arg=expected)


@pytest.mark.parametrize("host", ["127.0.0.1", "hub.test"])
def test_a_user_signs_in_sees_a_private_model_and_signs_out(opener, server, host):
    """Also on a host name without TLS, for which browsers leave out the header Sec-Fetch-Site."""
    page = opener.open("/lab/mine", base=server.url.replace("127.0.0.1", host))
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    page.get_by_role("main").get_by_role("link", name="sign in").click()
    page.get_by_label("Token").fill("hf_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    page.get_by_label("Token").fill(server.create_token("lab"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("lab/mine")
    expect(page.get_by_text("private", exact=True)).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.goto(page.url + "lab/mine")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")


def test_the_keyboard_can_skip_to_the_content_and_focus_is_visible(opener):
    page = opener.open("/models")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_no_page_is_wider_than_a_phone(opener, path):
    page = opener.open(path, viewport={"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_every_text_has_enough_contrast_in_light_and_dark(opener, path):
    page = opener.open(path, reduced_motion="reduce")
    backgrounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(MEASURE_CONTRASTS)
        assert len(found) > 5
        assert [text for text in found if text["contrast"] < MIN_CONTRAST] == []
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_every_page_has_landmarks_ordered_headings_and_names_for_all_controls(opener, path):
    page = opener.open(path)
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    levels = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(
        "all => all.map(heading => Number(heading.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    unnamed = page.locator("a, button, input:not([type=hidden])").evaluate_all(FIND_UNNAMED)
    assert unnamed == []
    navigations = page.locator("nav").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(set(navigations)) == len(navigations)
    assert None not in navigations


# Measures the contrast of each text with its background, by the formula of WCAG 2.
MEASURE_CONTRASTS = """() => {
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

FIND_UNNAMED = """all => all.filter(one => !(
  one.textContent.trim() || one.getAttribute("aria-label") || (one.labels && one.labels.length)
)).map(one => one.outerHTML)"""
