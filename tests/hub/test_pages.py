"""The HTML of the pages: what they show, to whom, and that no card can break them."""

import json
import re
import struct
import time
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from hub_client import Client
from hub_filling import fill_hub
from hub_server import serve_hub
from muybridge_hub.names import RepoName
from muybridge_hub.pages.cards import MAX_RENDERED, render_card
from muybridge_hub.pages.formatting import format_count, format_size
from muybridge_hub.pages.results import read_first_result, read_results

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
NAME = RepoName("model", "lab", "model")
ODD_NAMES = ["a b.txt", "100%.txt", "what?.txt", "c#.txt", "ü/<b>ö</b>.txt", "a&b;\"'.txt", "%2e%2e.txt"]

CARD = """---
library_name: muybridge
license: mit
pipeline_tag: video-classification
datasets: [clips, others]
model-index:
- name: A network
  results:
  - dataset: {name: clips, type: clips, split: test}
    metrics:
    - {type: accuracy, name: video Hit@1, value: 0.875, args: {protocol: 10 clips × 3 crops}}
    - {type: nll, name: negative log likelihood, value: 0.43, args: {protocol: 10 clips × 3 crops}}
---

# A network

Look at the [code](train.py), and at ![its curves](curves.png).
"""


def make_safetensors(num_parameters: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F16", "shape": [num_parameters], "data_offsets": [0, 2 * num_parameters]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes(2 * num_parameters)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("pages")) as server:
        client = Client(server.url, server.create_token("lab"))
        for name, architecture in {"model": "slowfast", "hidden": "x3d"}.items():
            client.create(f"lab/{name}", private=name == "hidden")
            config = json.dumps({"model_type": architecture}).encode()
            client.commit(f"lab/{name}", {"README.md": CARD.encode(), "config.json": config}, title="A card")
        files = {"model.safetensors": client.upload("lab/model", make_safetensors(1234))}
        client.commit("lab/model", {"curves.png": b"\x89PNG", "train.py": b"<script>alert(1)</script>"}, files)
        client.create("lab/odd")
        client.commit("lab/odd", dict.fromkeys(ODD_NAMES, b"odd"), title="<b>odd</b> & so on")
        client.ask("POST", "/api/models/lab/odd/branch/" + "some%2Fbranch", json={})
        client.create("lab/clips", type="dataset")
        client.create("lab/empty")
        yield server


@pytest.fixture
def browser(server):
    with httpx2.Client(base_url=server.url, headers=BROWSER, timeout=30) as client:
        yield client


def show(browser: httpx2.Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def sign_in(browser: httpx2.Client, token: str, **form: str) -> httpx2.Response:
    headers = {"Sec-Fetch-Site": "same-origin"}
    return browser.post("/login", data={"token": token, **form}, headers=headers)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.found if attribute in attributes]


# Lists


def find_listed(html: str) -> list[str]:
    return re.findall(r'<h2><a href="/([^"]+)">', html)


def test_a_list_shows_public_models_with_task_result_and_licence(browser):
    html = show(browser, "/models")
    assert set(find_listed(html)) == {"lab/model", "lab/odd", "lab/empty"}
    for text in (
        "video-classification",
        "slowfast",
        "87.5%",
        "video Hit@1, clips test",
        "3 models",
        "<time datetime=",
    ):
        assert text in html


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=MOD", {"lab/model"}),
        ("architecture=slowfast", {"lab/model"}),
        ("architecture=x3d", set()),  # the private one
        ("pipeline_tag=video-classification&license=mit&dataset=others", {"lab/model"}),
        ("tag=muybridge", {"lab/model"}),
        ("search=mod&license=apache-2.0", set()),
        ("author=lab", {"lab/model", "lab/odd", "lab/empty"}),
    ],
)
def test_a_list_can_be_searched_and_filtered(browser, query, expected):
    assert set(find_listed(show(browser, f"/models?{query}"))) == expected


def test_filters_are_links_with_counts_and_can_be_removed(browser):
    html = show(browser, "/models?search=model&license=mit")
    assert 'href="/models?search=model&amp;license=mit&amp;architecture=slowfast"' in html
    assert re.search(
        r'href="/models\?search=model" aria-current="true">\s*<span>mit</span> <span class="amount">1<', html
    )
    assert "Remove: </span>licence: mit" in html


def test_an_unknown_order_gives_an_error_page(browser):
    answer = browser.get("/models?sort=beauty")
    assert answer.status_code == 400
    assert "<h1>Bad Request</h1>" in answer.text
    assert "Sort is &#39;beauty&#39;" in answer.text


def test_an_empty_list_explains_how_to_publish(browser, server):
    html = show(browser, "/spaces")
    assert f"export HF_ENDPOINT={server.url}" in html
    assert "hf upload YOU/NAME FOLDER --repo-type space" in html


def test_the_page_of_a_lab_lists_what_it_has_published(browser):
    html = show(browser, "/lab")
    assert {"lab/model", "datasets/lab/clips"} < set(find_listed(html))
    assert "hidden" not in html
    assert browser.get("/nobody").status_code == 404


def test_each_page_of_10000_models_takes_at_most_100_ms(tmp_path):
    with serve_hub(tmp_path) as server, httpx2.Client(base_url=server.url, headers=BROWSER) as browser:
        fill_hub(server.hub, 10_000, 10)
        seconds, seen, path = [], [], "/models"
        for _ in range(8):
            started = time.perf_counter()
            html = show(browser, path)
            seconds.append(time.perf_counter() - started)
            seen += find_listed(html)
            path = re.search(r'<a rel="next" href="([^"]+)"', html)[1].replace("&amp;", "&")
        assert "10,000 models" in html
        assert len(set(seen)) == len(seen) == 200
        assert min(seconds) < 0.1


# A repository


def test_a_model_page_shows_card_results_facts_and_usage(browser, server):
    html = show(browser, "/lab/model")
    for text in (
        '<h2 id="card-a-network">A network</h2>',
        '<a href="/lab/model/blob/main/train.py" rel="nofollow">code</a>',
        'src="/lab/model/resolve/main/curves.png"',
        '<meter min="0" max="1" value="0.875" aria-label="video Hit@1">87.5%</meter>',
        "10 clips × 3 crops",
        '<td class="value">0.43</td>',
        '<dd title="1,234">1.23 k</dd>',
        f"export HF_ENDPOINT={server.url}",
        "hf download lab/model",
        'href="/models?dataset=others"',
        'href="/models?pipeline_tag=video-classification"',
    ):
        assert text in html
    assert html.count("<h1") == 1


def test_a_data_set_page_shows_how_to_load_it(browser):
    html = show(browser, "/datasets/lab/clips")
    assert "load_dataset(&#34;lab/clips&#34;)" in html
    assert "hf download lab/clips --repo-type dataset" in html


def test_files_are_listed_with_sizes_hashes_and_download_links(browser):
    html = show(browser, "/lab/model/tree/main")
    entries = {entry["path"]: entry for entry in browser.get("/api/models/lab/model/tree/main").json()}
    assert f'title="sha256 {entries["model.safetensors"]["lfs"]["oid"]}"' in html
    assert f'title="git {entries["train.py"]["oid"]}"' in html
    assert f'title="{entries["model.safetensors"]["size"]:,} bytes"' in html
    assert 'href="/lab/model/resolve/main/model.safetensors" download' in html


def test_text_is_shown_escaped_and_binary_files_are_not_shown(browser):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in show(browser, "/lab/model/blob/main/train.py")
    html = show(browser, "/lab/model/blob/main/model.safetensors")
    assert "Not shown" in html
    assert "/lab/model/resolve/main/model.safetensors" in html
    assert '<img src="/lab/model/resolve/main/curves.png"' in show(browser, "/lab/model/blob/main/curves.png")


def test_folder_and_file_urls_redirect_to_the_right_page(browser):
    answer = browser.get("/lab/model/tree/main/train.py")
    assert (answer.status_code, answer.headers["location"]) == (307, "/lab/model/blob/main/train.py")
    answer = browser.get("/lab/odd/blob/some%2Fbranch/%C3%BC")
    assert (answer.status_code, answer.headers["location"]) == (307, "/lab/odd/tree/some%2Fbranch/%C3%BC")


def test_history_lists_commits_and_commits_list_changed_files(server, browser):
    client = Client(server.url, server.create_token("lab"))
    client.create("lab/long")
    client.commit("lab/long", {"folder/a.txt": b"1", "b.txt": b"1"}, title="First")
    for number in range(55):
        client.commit("lab/long", {"folder/a.txt": str(number).encode()}, title=f"Number {number}")
    last = client.commit("lab/long", {"c.txt": b"1"}, deleted=("b.txt",), title="Last")
    assert "Number 10<" in show(browser, "/lab/long/commits/main")
    older = show(browser, "/lab/long/commits/main?p=1")
    assert "First<" in older
    assert "Number 10<" not in older
    changes = re.findall(r'<span class="(added|changed|deleted)">', show(browser, f"/lab/long/commit/{last}"))
    assert changes == ["deleted", "added"]
    parent = browser.get("/api/models/lab/long/commits/main").json()[1]["id"]
    html = show(browser, f"/lab/long/commit/{parent}")
    assert re.findall(r'<span class="(added|changed|deleted)">', html) == ["changed"]
    assert "folder/a.txt" in html


def test_every_link_works_and_every_page_is_valid(server, browser):
    """Follows all links from the first page, also to files and branches with unusual names."""
    pending, seen = ["/", "/lab/odd/tree/some%2Fbranch", "/login"], set()
    while pending:
        path = pending.pop()
        if path in seen or "&" in path:  # not followed, because filters combine without end
            continue
        seen.add(path)
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text[:300])
        if "/resolve/" in path or not answer.headers["content-type"].startswith("text/html"):
            continue
        tags = Tags(answer.text)
        check_page(tags)
        urls = [urljoin(server.url + path, url) for url in (*tags.values("href"), *tags.values("src"))]
        pending += [parts.path + "?" * bool(parts.query) + parts.query for parts in map(urlsplit, urls)]
        assert {urlsplit(url).netloc for url in urls} == {urlsplit(server.url).netloc}
    assert len([path for path in seen if path.startswith("/lab/odd/blob/")]) >= 2 * len(ODD_NAMES)


def check_page(tags: Tags) -> None:
    names = [name for name, _ in tags.found]
    assert "style" not in names
    assert not {name for _, attributes in tags.found for name in attributes if name == "style" or name.startswith("on")}
    assert all(attributes.get("src") for name, attributes in tags.found if name == "script")
    assert all("alt" in attributes for name, attributes in tags.found if name == "img")
    assert names.count("h1") == 1
    assert {"header", "main", "footer", "nav", "title"} <= set(names)
    identifiers = tags.values("id")
    assert len(identifiers) == len(set(identifiers))


# Who sees what


@pytest.mark.parametrize("page", ["", "/tree/main", "/blob/main/README.md", "/commits/main", "/resolve/main/README.md"])
def test_a_private_page_looks_like_a_missing_page(browser, page):
    hidden, missing = (browser.get(f"/lab/{name}{page}") for name in ("hidden", "absent"))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("lab/hidden", "lab/absent") == missing.text


def test_signed_in_users_see_their_private_models_until_they_sign_out(browser, server):
    answer = sign_in(browser, server.create_token("lab"), next="/lab/hidden")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab/hidden")
    cookie = answer.headers["set-cookie"].lower()
    assert all(text in cookie for text in ("httponly", "samesite=strict", "path=/", "max-age="))
    assert "A network" in show(browser, "/lab/hidden")
    assert "export HF_TOKEN" in show(browser, "/lab/hidden")
    assert browser.get("/lab/hidden/resolve/main/README.md").status_code == 200
    assert "lab/hidden" in find_listed(show(browser, "/models"))
    assert browser.post("/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert browser.get("/lab/hidden").status_code == 404


def test_a_session_ends_with_its_token_and_gives_no_access_to_others_models(browser, server):
    sign_in(browser, server.create_token("someone"))
    assert "someone" in show(browser, "/models")
    assert browser.get("/lab/hidden").status_code == 404
    server.hub.tokens.revoke(server.hub.tokens.list()[-1].id)
    assert "Sign in" in show(browser, "/models")


def test_a_forged_session_is_anonymous(browser, server):
    sign_in(browser, server.create_token("lab"))
    number, _, signature = browser.cookies["muybridge_hub_session"].partition(".")
    for forged in (f"{int(number) + 1}.{signature}", f"{number}.", f"{number}.{'0' * 64}", "x", ".", f"{number}.ü"):
        answer = httpx2.get(f"{server.url}/lab/hidden", headers={"Cookie": f"muybridge_hub_session={forged}".encode()})
        assert answer.status_code == 404


def test_a_wrong_token_is_refused_and_not_repeated_on_the_page(browser):
    answer = sign_in(browser, "hf_wrong")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "hf_wrong" not in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_forms_of_other_sites_are_refused(server, browser, headers):
    token = server.create_token("lab")
    for path in ("/login", "/logout"):
        answer = browser.post(path, data={"token": token}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "url",
    [
        "//elsewhere.example",
        "https://elsewhere.example",
        "/\\elsewhere.example",
        "/\t/elsewhere.example",
        "x",
        "/a\r\nb",
    ],
)
def test_signing_in_never_redirects_to_another_site(server, browser, url):
    assert sign_in(browser, server.create_token("lab"), next=url).headers["location"] == "/"


# Errors and static files


def test_errors_are_pages_for_browsers_and_json_for_programs(browser, server):
    page = browser.get("/lab/absent")
    assert page.headers["x-error-code"] == "RepoNotFound"
    assert 'href="/login?next=/lab/absent"' in page.text
    check_page(Tags(page.text))
    program = httpx2.get(f"{server.url}/lab/absent")
    assert program.status_code == 404
    assert program.json()["error"].startswith("there is no model lab/absent")
    assert "error" in browser.get("/api/models/lab/absent").json()


@pytest.mark.parametrize("path", ["/datasets/lab", "/a/b/c/d", "/lab/model/tree/nope", "/--/x", "/static/0/site.css"])
def test_unknown_urls_give_a_not_found_page(browser, path):
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "<h1>Not Found</h1>" in answer.text


def test_static_files_can_be_cached_for_a_year(browser):
    urls = re.findall(r'"(/static/[^"]+)"', show(browser, "/"))
    assert len(set(urls)) == 3
    for url in urls:
        assert browser.get(url).headers["cache-control"] == "public, max-age=31536000, immutable"


def test_pages_are_not_stored_by_shared_caches(browser):
    headers = browser.get("/").headers
    assert headers["cache-control"] == "private, no-cache"
    assert headers["vary"] == "Cookie"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_health_answers_ok(server):
    answer = httpx2.get(f"{server.url}/health")
    assert (answer.status_code, answer.text) == (200, "ok\n")


# Cards


HOSTILE_CARDS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><style>*{display:none}</style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src=https://elsewhere.example></iframe>",
    "<form action=https://elsewhere.example><input name=token><button>Sign in</button></form>",
    "<p style='position:fixed' class=skip id=main tabindex=1 onclick=alert(1)>x</p>",
    "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,x) [v](vbscript:x)",
    "<a href='&#106;avascript:alert(1)'>x</a> <a href=' java\tscript:alert(1)'>y</a>",
    "![x](javascript:alert(1)) ![y](data:image/svg+xml,x)",
    "![x](https://elsewhere.example/a.png) ![y](//elsewhere.example/a.png)",
    "<img src=https://elsewhere.example/a.png srcset='https://elsewhere.example/b.png 2x'>",
    "<img src='../../other/resolve/main/a.png'> ![](%2e%2e/%2e%2e/x.png) ![](/login)",
    "<base href=https://elsewhere.example><meta http-equiv=refresh content='0;url=https://elsewhere.example'>",
    "<link rel=stylesheet href=https://elsewhere.example/a.css><object data=x></object><embed src=x>",
    "<video src=x autoplay></video><audio src=x></audio><template><script>x</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "`<script>` &lt;script&gt; <!-- <script> --> <![CDATA[<script>alert(1)</script>]]> <?php x ?>",
    "# <img src=x onerror=alert(1)> \"onmouseover=alert(1) x='",
    "[x](http://[) <img src='http://['> ![x](<http://[>)",
    "</article></main><main>",
    "<" * 500 + "a" * 500 + "[" * 500,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE_CARDS)
def test_no_card_can_inject_scripts_styles_or_page_structure(text):
    html = render_card(text, NAME, "main")
    tags = Tags(html)
    forbidden = {
        "script",
        "style",
        "svg",
        "math",
        "iframe",
        "form",
        "input",
        "button",
        "base",
        "meta",
        "link",
        "object",
    }
    forbidden |= {"embed", "video", "audio", "template", "noscript", "main", "article", "header", "footer", "nav", "h1"}
    assert not forbidden & {tag for tag, _ in tags.found}
    allowed = {"align", "alt", "class", "href", "id", "loading", "open", "rel", "src", "height", "width"}
    assert {name for _, attributes in tags.found for name in attributes} <= allowed
    assert set(tags.values("class")) <= {"scroll"}
    assert all(name.startswith("card-") for name in tags.values("id"))
    assert all(source.startswith("/lab/model/resolve/main/") for source in tags.values("src"))
    assert not [source for source in tags.values("src") if "/.." in source or "%2e" in source.lower()]
    assert all(re.match(r"https?://|mailto:|[/#]", url) for url in tags.values("href"))


def test_external_links_in_cards_are_nofollow():
    html = render_card(
        "[x](https://elsewhere.example) <a href=https://elsewhere.example target=_blank>y</a>", NAME, "main"
    )
    assert html.count('<a href="https://elsewhere.example" rel="nofollow noopener">') == 2


def test_images_from_other_sites_become_links():
    html = render_card("![A badge](https://elsewhere.example/a.png)", NAME, "main")
    link = '<a href="https://elsewhere.example/a.png" rel="nofollow noopener">A badge (elsewhere.example)</a>'
    assert link in html
    inside = render_card("[![A badge](https://elsewhere.example/a.png)](https://elsewhere.example)", NAME, "main")
    assert inside.count("<a ") == 1
    assert ">A badge</a>" in inside


def test_headings_of_cards_are_lowered_and_get_anchors():
    html = render_card("# Use\n\n## Use\n\n###### Deep\n\n[there](#use)\n\n<h1 id=main>Raw</h1>", NAME, "main")
    assert re.findall(r'<(h\d) id="([^"]+)">', html) == [
        ("h2", "card-use"), ("h3", "card-use-1"), ("h6", "card-deep"), ("h2", "card-raw"),
    ]  # fmt: skip
    assert '<a href="#card-use">there</a>' in html


def test_tables_in_cards_keep_their_alignment_and_can_scroll():
    html = render_card("| a | b |\n| --- | ---: |\n| 1 | 2 |", NAME, "main")
    assert '<div class="scroll"><table>' in html
    assert '<td align="right">2</td>' in html


def test_relative_urls_in_cards_lead_to_files_of_the_revision():
    html = render_card("[a](docs/a%20b.md#x) ![c](./c.png)", RepoName("dataset", "lab", "set"), "some/branch")
    assert 'href="/datasets/lab/set/blob/some%2Fbranch/docs/a%20b.md"' in html
    assert 'src="/datasets/lab/set/resolve/some%2Fbranch/c.png"' in html


def test_a_very_long_card_is_shown_as_plain_text():
    assert render_card("<b>" * MAX_RENDERED, NAME, "main").startswith("<pre>&lt;b&gt;")


# Results and formatting


@pytest.mark.parametrize(
    "index",
    [5, "x", [], [5], [{"results": 5}], [{"results": [None, {"metrics": 5}, {"metrics": ["x", {"value": "high"}]}]}],
     [{"results": [{"dataset": [], "metrics": [{"value": True}, {"value": None}]}]}]],
)  # fmt: skip
def test_invalid_results_are_not_shown(index):
    assert read_results({"card": {"model-index": index}}) == {}
    assert read_first_result({"card": {"model-index": index}}) is None
    assert read_results({}) == {}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({"type": "accuracy", "value": 0.5}, "50%"),
        ({"type": "accuracy", "value": 76.69}, "76.69%"),
        ({"type": "map", "name": "mAP", "value": 1}, "100%"),
        ({"type": "video-hit-5", "name": "video Hit@5", "value": 0.98765}, "98.77%"),
        ({"type": "loss", "value": 0.5}, "0.5"),
        ({"type": "accuracy", "value": -3}, "-3"),
        ({"value": 12345.6}, "1.235e+04"),
    ],
)
def test_fractions_are_shown_in_percent_and_other_values_as_they_are(metric, expected):
    facts = {"card": {"model-index": [{"results": [{"metrics": [metric]}]}]}}
    assert str(read_first_result(facts)[1]) == expected


def test_sizes_and_counts_are_shown_with_three_digits():
    assert [format_size(size) for size in (0, 999, 1000, 999_499, 999_500, 123_456_789, 4 * 10**12)] == [
        "0 B", "999 B", "1 kB", "999 kB", "1 MB", "123 MB", "4 TB",
    ]  # fmt: skip
    assert [format_count(count) for count in (0, 999, 1234, 999_999, 86_567_656, 7 * 10**9, 2 * 10**12)] == [
        "0", "999", "1.23 k", "1 M", "86.6 M", "7 B", "2,000 B",
    ]  # fmt: skip
