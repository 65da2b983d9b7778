"""Malformed requests: each is refused with a message, none changes anything, none stops the server."""

import hashlib
import itertools
import json
import os
import socket
import time

import httpx2
import pytest

from hub_client import Client
from hub_server import serve_hub

SECRET = b"only the owner may read this"
NASTY_STRINGS = (
    *("..", "../..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..", "%00", "a%00b", "%ff%fe", "%0d%0aX-Evil:1"),
    *("a" * 300, "-", ".", "a--b", "x.git", "api", "'%20OR%201=1--", "%25s%25n", "{{7*7}}", "<script>", "%f0%9f%8e%ac"),
    *("0" * 40, "refs%2fheads%2fmain", "-1", "1e999", "NaN", "null", "%C0%AE%C0%AE"),
)
URLS = (
    *("/api/models/{}/model", "/api/models/lab/{}", "/api/{}/lab/model", "/api/models/lab/model/revision/{}"),
    *("/api/models/lab/model/tree/{}", "/api/models/lab/model/tree/main/{}", "/api/models/lab/model/commits/{}"),
    *("/lab/model/resolve/{}/README.md", "/lab/model/resolve/main/{}", "/{}/model/resolve/main/README.md"),
    *("/datasets/lab/{}/resolve/main/x", "/lfs/whole/1/{}", "/lfs/part/1/{}/x/1/1", "/api/models?cursor={}"),
    *("/api/models?limit={}", "/api/models?sort={}", "/api/models?search={}", "/api/models?filter={}&author={}"),
    *(
        "/api/models/lab/model/tree/main?cursor={}",
        "/api/models/lab/model/commits/main?p={}",
        "/{}",
        "/{}/{}",
        "/static/{}",
    ),
)
BODIES = (
    *(b"", b"{", b"[]", b"null", b"0", b'"x"', b"\xff\xfe", b"{}" * 100, b'{"a":' * 3000, b"[" * 100_000),
    *(json.dumps(value).encode() for value in (
        {"name": 1}, {"name": None}, {"name": "a/b/c"}, {"name": "../x"}, {"name": "x", "type": "oven"},
        {"name": "x", "organization": ["y"]}, {"name": "x", "visibility": "loud"}, {"name": "\ud800"}, {"name": "\0"},
        {"fromRepo": "lab/model", "toRepo": "others/model"}, {"fromRepo": {}, "toRepo": 5},
        {"files": 1}, {"files": [1]}, {"files": [{"path": "../x"}]}, {"files": [{"path": "x", "sample": "?"}]},
        {"operation": "upload", "objects": [{"oid": "x", "size": 1}]}, {"operation": "upload", "objects": "all"},
        {"operation": "upload", "objects": [{"oid": "a" * 64, "size": -5}]},
        {"operation": "upload", "objects": [{"oid": "a" * 64, "size": 10**30}]}, {"operation": "download"},
        {"tag": "../x"}, {"tag": "a" * 9999}, {"startingPoint": 3}, {"paths": "../../x"}, {"paths": 7},
        {"key": "header", "value": {"summary": "s"}}, {"key": "file", "value": []}, {"key": [], "value": {}},
        {"key": "file", "value": {"path": "../x", "content": "eA==", "encoding": "base64"}},
        {"key": "file", "value": {"path": "x", "content": "?", "encoding": "base64"}},
        {"key": "lfsFile", "value": {"path": "x", "oid": "../../x"}},
        {"key": "deletedFile", "value": {"path": ".git/config"}},
        {"content": 5}, {"private": "yes"}, {"gated": "auto"}, {"target": {"name": 5}, "files": [{}]},
    )),
)  # fmt: skip
WRITES = (
    *(("POST", "/api/repos/create"), ("DELETE", "/api/repos/delete"), ("POST", "/api/repos/move")),
    *(("PUT", "/api/models/lab/model/settings"), ("POST", "/api/models/lab/model/commit/main")),
    *(("POST", "/api/models/lab/model/preupload/main"), ("POST", "/lab/model.git/info/lfs/objects/batch")),
    *(("POST", "/api/models/lab/model/branch/x"), ("DELETE", "/api/models/lab/model/branch/main")),
    *(("POST", "/api/models/lab/model/tag/main"), ("DELETE", "/api/models/lab/model/tag/x")),
    *(("POST", "/api/models/lab/model/super-squash/main"), ("POST", "/lfs/verify/models/lab/model")),
    *(("POST", "/api/models/lab/model/lfs-files/duplicate"), ("POST", "/api/models/lab/model/paths-info/main")),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("hub"), header_seconds=0.5, idle_seconds=1.0) as server:
        client = Client(server.url, server.create_token())
        client.create("lab/model")
        client.create("lab/secret", private=True)
        client.commit("lab/model", {"README.md": b"# Hi", "page.html": b"<script>alert(1)</script>"})
        client.commit("lab/secret", {"secret.txt": SECRET})
        client.commit("lab/secret", large={"large.bin": client.upload("lab/secret", SECRET * 100)})
        yield server


@pytest.fixture(scope="module")
def state_before(server):
    return read_state(server)


def read_state(server) -> dict[str, object]:
    client = Client(server.url, server.create_token())
    return {name: [client.list_titles(name), client.list_files(name)] for name in ("lab/model", "lab/secret")}


def send_raw(server, request: bytes, wait: float = 5) -> bytes:
    """Sends bytes that no HTTP library would send, and returns the answer."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except TimeoutError:
            pass
    return answer


def test_malformed_requests_cause_no_server_error_and_reveal_no_secret(server, state_before):
    token = server.create_token("stranger")
    tried = 0
    with httpx2.Client(base_url=server.url, timeout=20) as http:
        all_headers = ({}, {"Authorization": f"Bearer {token}"})
        for url, nasty, headers in itertools.product(URLS, NASTY_STRINGS, all_headers):
            for method in ("GET", "HEAD") if headers else ("GET",):
                answer = request_raw_path(http, method, url.format(*[nasty] * url.count("{}")), headers)
                assert answer.status_code < 500 or answer.status_code == 501, (method, url, nasty, answer.text)
                assert SECRET not in answer.content
                tried += 1
        for (method, url), body in itertools.product(WRITES, BODIES):
            for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer hf_wrong"}):
                answer = http.request(method, url, content=body, headers=headers)
                assert answer.status_code < 500 or answer.status_code == 501, (method, url, body[:200], answer.text)
                assert SECRET not in answer.content
                tried += 1
    assert tried > 300
    assert read_state(server) == state_before


def request_raw_path(http: httpx2.Client, method: str, path: str, headers: dict[str, str]) -> httpx2.Response:
    """Sends a request without the normalisation that clients apply to paths."""
    request = http.build_request(method, "/", headers=headers)
    request.url = request.url.copy_with(raw_path=path.encode("ascii", "ignore").replace(b" ", b"%20"))
    return http.send(request)


def test_malformed_requests_of_the_owner_change_nothing(server, state_before):
    token = server.create_token()
    with httpx2.Client(base_url=server.url, timeout=20, headers={"Authorization": f"Bearer {token}"}) as http:
        for (method, url), body in itertools.product(WRITES, BODIES):
            if "squash" in url or url.endswith(("branch/x", "tag/x")):
                continue  # some of these bodies are valid there
            answer = http.request(method, url, content=body)
            assert answer.status_code < 500 or answer.status_code == 501, (method, url, body[:200], answer.text)
    assert read_state(server) == state_before


def test_requests_without_a_valid_write_token_change_nothing(server, state_before):
    sha256 = "a" * 64
    valid_requests = [
        ("POST", "/api/repos/create", {"name": "lab/new"}),
        ("DELETE", "/api/repos/delete", {"name": "lab/model"}),
        ("POST", "/api/repos/move", {"fromRepo": "lab/model", "toRepo": "lab/moved"}),
        ("PUT", "/api/models/lab/model/settings", {"private": True}),
        (
            "POST",
            "/lab/model.git/info/lfs/objects/batch",
            {"operation": "upload", "objects": [{"oid": sha256, "size": 1}]},
        ),
        ("POST", "/api/models/lab/model/branch/x", {}),
        ("POST", "/api/models/lab/model/tag/main", {"tag": "x"}),
        ("POST", "/api/models/lab/model/super-squash/main", {}),
        ("POST", "/api/models/lab/model/commit/main", {"key": "header", "value": {"summary": "s"}}),
    ]
    reader = server.create_token(can_write=False)
    for method, url, body in valid_requests:
        assert httpx2.request(method, server.url + url, json=body).status_code == 401, url
        wrong = {"Authorization": "Bearer hf_wrong"}
        assert httpx2.request(method, server.url + url, json=body, headers=wrong).status_code == 401, url
        read_only = {"Authorization": f"Bearer {reader}"}
        assert httpx2.request(method, server.url + url, json=body, headers=read_only).status_code == 403, url
    forged = f"/lfs/whole/1/{sha256}?size=1&expires=99999999999&signature={'0' * 64}"
    assert httpx2.put(server.url + forged, content=b"x").status_code == 403
    assert read_state(server) == state_before


def test_a_private_repository_looks_like_a_missing_one(server):
    stranger = Client(server.url, server.create_token("stranger"))
    paths = (
        "/api/models/lab/{}",
        "/api/models/lab/{}/tree/main",
        "/lab/{}/resolve/main/secret.txt",
        "/api/models/lab/{}/refs",
    )
    for path in paths:
        answers = [stranger.http.get(path.format(name)) for name in ("secret", "absent")]
        texts = [answer.text.replace("secret", "absent") for answer in answers]
        assert answers[0].status_code == answers[1].status_code == 404
        assert texts[0] == texts[1]
    assert [model["id"] for model in stranger.ask("GET", "/api/models")] == ["lab/model"]


def test_knowing_the_hash_of_a_private_file_gives_no_access_to_it(server):
    """Neither by LFS, which skips the upload of files that the hub has, nor by a commit that names the hash."""
    stranger = Client(server.url, server.create_token("stranger"))
    stranger.create("stranger/mine")
    sha256 = hashlib.sha256(SECRET * 100).hexdigest()
    body = {"operation": "upload", "objects": [{"oid": sha256, "size": len(SECRET) * 100}]}
    (answer,) = stranger.ask("POST", "/stranger/mine.git/info/lfs/objects/batch", json=body)["objects"]
    assert "actions" in answer, "the hub asks for the upload of the whole file"
    with pytest.raises(httpx2.HTTPStatusError, match="400"):
        stranger.commit("stranger/mine", large={"stolen.bin": sha256})
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(SECRET) * 100}\n".encode()
    stranger.commit("stranger/mine", {"large.bin": pointer})
    assert stranger.download("stranger/mine", "large.bin") == pointer
    assert stranger.upload("stranger/mine", SECRET * 100) == sha256
    stranger.commit("stranger/mine", large={"mine.bin": sha256})
    assert stranger.download("stranger/mine", "mine.bin") == SECRET * 100


def test_an_uploaded_html_file_is_downloaded_and_not_shown(server):
    answer = httpx2.get(f"{server.url}/lab/model/resolve/main/page.html")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/repos/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_bytes_that_are_not_valid_http_are_refused(server, request_bytes):
    answer = send_raw(server, request_bytes)
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert httpx2.get(f"{server.url}/api/models").status_code == 200


def test_clients_that_send_too_slowly_are_disconnected(server):
    started = time.monotonic()
    assert send_raw(server, b"") == b""
    assert send_raw(server, b"GET /api/mod") == b""
    client = Client(server.url, server.create_token())
    head = (
        f"POST /api/models/lab/model/commit/main HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
        f"Content-Length: 1000000\r\n\r\n"
    )
    assert b" 408 " in send_raw(server, head.encode() + b'{"key": ').split(b"\r\n")[0]
    assert time.monotonic() - started < 8


def test_bodies_that_are_too_large_are_refused(server):
    client = Client(server.url, server.create_token())
    answer = client.http.post("/api/repos/create", content=b"x" * (11 << 20))
    assert answer.status_code == 413
    long_line = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"x","content":"' + b"A" * (
        24 << 20
    )
    assert client.http.post("/api/models/lab/model/commit/main", content=long_line).status_code == 413
    too_large = {"operation": "upload", "objects": [{"oid": "a" * 64, "size": 10**15}]}
    assert client.http.post("/lab/model.git/info/lfs/objects/batch", json=too_large).status_code == 413


def test_an_upload_that_differs_from_its_announcement_is_refused(server):
    client = Client(server.url, server.create_token())
    content = os.urandom(2_000_000)
    url = client.request_upload_url("lab/model", content)
    for wrong in (os.urandom(2_000_000), content[:-1], content + b"x", b""):
        assert client.http.put(url, content=wrong).status_code == 400
    unfinished = server.root / "storage" / "unfinished"
    assert list(unfinished.iterdir()) == []
