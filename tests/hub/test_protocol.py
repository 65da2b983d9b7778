"""Details of the protocol that clients rely on: conditional requests, ranges, download counts, pages of lists."""

import json
import os
import struct
import time

import pytest

from hub_client import Client
from hub_server import serve_hub


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, server.create_token())


CONTENT = os.urandom(200_000)
pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture(scope="module")
def model(client):
    client.create("lab/model")
    sha256 = client.upload("lab/model", CONTENT)
    client.commit("lab/model", {"small.txt": b"0123456789", "config.json": b"{}"}, {"large.bin": sha256})
    return "lab/model"


def get(client, path, method="GET", **headers):
    return client.http.request(method, f"/lab/model/resolve/main/{path}", headers=headers)


@pytest.mark.parametrize(("path", "content"), [("small.txt", b"0123456789"), ("large.bin", CONTENT)])
def test_head_has_the_same_headers_as_get(client, path, content):
    head, whole = get(client, path, "HEAD"), get(client, path)
    assert head.content == b""
    assert whole.content == content
    for name in ("Content-Length", "ETag", "X-Repo-Commit", "Accept-Ranges", "Content-Type", "Content-Disposition"):
        assert head.headers[name] == whole.headers[name]
    assert int(head.headers["Content-Length"]) == len(content)
    assert ("X-Linked-Size" in head.headers) == (path == "large.bin")


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=2-5", 2, 6),
        ("bytes=5-", 5, None),
        ("bytes=-3", -3, None),
        ("bytes=8-99999999", 8, None),
        ("bytes=-99999999", 0, None),
    ],
)
@pytest.mark.parametrize(("path", "content"), [("small.txt", b"0123456789"), ("large.bin", CONTENT)])
def test_ranges_return_the_requested_bytes(client, path, content, header, start, end):
    answer = get(client, path, Range=header)
    assert answer.status_code == 206
    assert answer.content == content[start:end]
    first = start % len(content)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(content)}"


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99999999-", "bytes=-0"])
def test_ranges_beyond_the_end_are_refused_and_the_size_is_told(client, header):
    answer = get(client, "small.txt", Range=header)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */10"


@pytest.mark.parametrize("header", ["bytes=a-b", "lines=0-1", "bytes=5-2", "bytes=0-1,3-4", "bytes"])
def test_invalid_ranges_are_ignored(client, header):
    answer = get(client, "small.txt", Range=header)
    assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_files_that_the_client_has_are_not_sent_again(client):
    etag = get(client, "large.bin", "HEAD").headers["ETag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = get(client, "large.bin", **{"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == etag
    assert get(client, "large.bin", **{"If-None-Match": '"other"'}).status_code == 200
    assert get(client, "large.bin", Range="bytes=0-9", **{"If-Range": etag}).status_code == 206
    assert get(client, "large.bin", Range="bytes=0-9", **{"If-Range": '"other"'}).content == CONTENT


def test_only_get_requests_for_the_config_count_as_downloads(client):
    before = client.ask("GET", "/api/models/lab/model")["downloads"]
    get(client, "config.json", "HEAD")
    get(client, "small.txt")
    get(client, "config.json")
    deadline = time.monotonic() + 10
    while client.ask("GET", "/api/models/lab/model")["downloads"] == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert client.ask("GET", "/api/models/lab/model")["downloads"] == before + 1


def read_all_pages(client: Client, url: str) -> list[str]:
    """Reads all pages of a list, and returns the names of the models."""
    names = []
    while url:
        answer = client.http.get(url)
        page = answer.json()
        assert len(page) <= 7
        names += [model["id"] for model in page]
        url = answer.links.get("next", {}).get("url")
    return names


@pytest.fixture(scope="module")
def many_client(server):
    """A client of a user with 25 models with tags; every fifth is private."""
    client = Client(server.url, server.create_token("many"))
    for number in range(25):
        name = f"many/model-{number:02}"
        client.ask("POST", "/api/repos/create", json={"name": name, "private": number % 5 == 0})
        card = (
            f"---\ntags: [tag-{number % 2}]\npipeline_tag: video-classification\nlicense: mit\ndatasets: [a/set]\n---\n"
        )
        client.commit(name, {"README.md": card.encode()})
    return client


@pytest.mark.parametrize("sort", ["lastModified", "createdAt", "downloads", "trendingScore"])
def test_pages_of_a_list_contain_each_model_once(many_client, sort):
    names = read_all_pages(many_client, f"/api/models?author=many&limit=7&sort={sort}")
    assert sorted(names) == [f"many/model-{number:02}" for number in range(25)]
    if sort in ("lastModified", "createdAt"):
        assert names == sorted(names, reverse=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter=tag-1", range(1, 25, 2)),
        ("filter=tag-1&filter=license:mit", range(1, 25, 2)),
        ("filter=tag-1,tag-0", ()),
        ("search=model-1", range(10, 20)),
        ("search=MANY+09", [9]),
        ("pipeline_tag=video-classification", range(25)),
        ("pipeline_tag=other", ()),
        ("filter=dataset:a/set", range(25)),
        ("search=%25", ()),
    ],
)
def test_lists_are_filtered_and_hide_private_models(server, many_client, query, expected):
    url = f"/api/models?author=many&limit=7&{query}"
    assert sorted(read_all_pages(many_client, url)) == [f"many/model-{number:02}" for number in expected]
    public = [f"many/model-{number:02}" for number in expected if number % 5]
    assert sorted(read_all_pages(Client(server.url), url)) == public


def test_pages_of_a_folder_contain_each_file_once(client):
    client.create("lab/wide")
    client.commit("lab/wide", {f"folder/{number:04}.txt": b"x" for number in range(120)})
    url, names = "/api/models/lab/wide/tree/main/folder?limit=50", []
    while url:
        answer = client.http.get(url)
        names += [entry["path"] for entry in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert names == [f"folder/{number:04}.txt" for number in range(120)]


def make_safetensors(**shapes: list[int]) -> bytes:
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def test_parameters_are_counted_from_safetensors_headers(client):
    client.create("lab/weights")
    shards = {"model-1.safetensors": make_safetensors(a=[2, 3]), "model-2.safetensors": make_safetensors(b=[5], c=[])}
    large = {name: client.upload("lab/weights", content) for name, content in shards.items()}
    index = {"metadata": {"total_size": 48}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    client.commit("lab/weights", {"model.safetensors.index.json": json.dumps(index).encode()}, large)
    info = client.ask("GET", "/api/models/lab/weights")
    assert info["safetensors"] == {"parameters": {"F32": 12}, "total": 12}
    metadata = client.ask("GET", "/api/models/lab/weights/safetensors-metadata/model.safetensors.index.json")
    assert metadata["index"]["metadata"] == {"total_size": 48}
    assert {name: sorted(header) for name, header in metadata["headers"].items()} == {
        "model-1.safetensors": ["a"],
        "model-2.safetensors": ["b", "c"],
    }
    client.commit("lab/weights", large={"broken.safetensors": client.upload("lab/weights", b"\xff" * 100)})
    assert client.ask("GET", "/api/models/lab/weights")["safetensors"]["total"] == 12
