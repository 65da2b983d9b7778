"""The box for trying a model, in a real browser."""

import re

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return browser.new_page()


@pytest.fixture
def box(page, predicting_hub):
    """The box. At the end, checks that the browser reported no errors, such as violations of the page's CSP."""
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{predicting_hub.url}/lab/open")
    yield page.locator(".try")
    assert [text for text in complaints if "status of 4" not in text] == []


def test_trying_a_clip_shows_five_labels_and_its_frames(box, shared_data):
    box.get_by_label("Your clip").set_input_files(shared_data / "clips" / "v_SoccerJuggling_g23_c01.avi")
    box.get_by_role("button", name="Classify").press("Enter")
    expect(box.locator(".try-bars li")).to_have_count(5, timeout=30_000)
    values = box.locator("meter").evaluate_all("meters => meters.map(meter => meter.value)")
    assert values == sorted(values, reverse=True)
    assert 0 < sum(values) <= 1.0001
    widths = box.locator(".try-frames img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert len(widths) == 4
    assert min(widths) > 20
    expect(box.get_by_role("status")).to_contain_text("It took")
    expect(box.get_by_role("alert")).to_be_empty()


def test_a_signed_in_user_can_try_a_private_model(page, predicting_hub, shared_data):
    page.goto(f"{predicting_hub.url}/login?next=/lab/hidden")
    page.locator("input[name=token]").fill(predicting_hub.create_token("lab", can_write=False))
    page.locator("input[name=token]").press("Enter")
    page.get_by_label("Your clip").set_input_files(shared_data / "clips" / "v_SoccerJuggling_g23_c01.avi")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".try-bars li")).to_have_count(5, timeout=30_000)
    page.context.clear_cookies()


def test_a_bad_clip_gives_a_clear_message(box):
    wrong = {"name": "clip.mp4", "mimeType": "video/mp4", "buffer": b"this is no video"}
    box.get_by_label("Your clip").set_input_files(wrong)
    box.get_by_role("button", name="Classify").click()
    expect(box.get_by_role("alert")).to_contain_text("the clip: ", timeout=30_000)
    expect(box.get_by_role("button", name="Classify")).to_be_enabled()
    expect(box.locator(".try-result")).to_be_hidden()


def test_a_clip_can_be_dropped_and_a_too_large_one_is_not_sent(box, page):
    box.locator("form").evaluate("form => { form.dataset.limit = 1e6; }")
    dropped = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.items.add(new File([new Uint8Array(2e6)], 'a.mp4')); return d }"
    )
    box.locator(".try-drop").dispatch_event("drop", {"dataTransfer": dropped})
    assert box.locator("input").evaluate("input => input.files[0].name") == "a.mp4"
    box.get_by_role("button", name="Classify").click()
    expect(box.get_by_role("alert")).to_have_text("The clip has 2.0 MB; up to 1.0 MB are allowed.")


def test_without_javascript_the_page_shows_the_command_to_use(predicting_hub):
    # Not in the browser: if Playwright disables JavaScript, Chromium does not show the content of <noscript>.
    html = httpx2.get(f"{predicting_hub.url}/lab/open").text
    instead = html.split("<noscript>")[1].split("</noscript>")[0]
    assert "muybridge classify CLIP --model lab/open" in instead
    assert re.search(r'<form action="/api/models/lab/open/try"[^>]* hidden>', html)
