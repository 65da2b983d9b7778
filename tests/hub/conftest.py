"""Fixtures that tests of the hub share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from hub_models import put_into_hub, save_tiny_model
from hub_server import Server, serve_hub
from missing import miss

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP hub.test 127.0.0.1",
]


@pytest.fixture(scope="session")
def predicting_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hub with two models to try, `lab/open` and the private `lab/hidden`. Both also lie next to the hub's folder."""
    folder = tmp_path_factory.mktemp("predicting")
    with serve_hub(folder, inference=f"{sys.executable} -m muybridge serve-predictions") as server:
        put_into_hub(server.hub, "lab/open", save_tiny_model(folder / "open", seed=1))
        put_into_hub(server.hub, "lab/hidden", save_tiny_model(folder / "hidden", seed=2), private=True)
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        miss(f"there is no {CHROMIUM}: Debian has it as the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
