"""Clips tried over HTTP: with the real command, and with one that hangs and crashes when it is asked to."""

import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import psutil
import pytest

from clips import moving_square, write_clip
from hub_models import put_into_hub
from hub_server import serve_hub
from muybridge import VideoClassificationPipeline
from muybridge_hub.inference import Predictor

# What the clip says is done.
COMMAND = """
import json, os, sys, time
for line in sys.stdin:
    question = json.loads(line)
    words = open(question["clip"], "rb").read().decode().split()
    if words[0] == "sleep":
        time.sleep(float(words[1]))
    elif words[0] == "exit":
        sys.exit(int(words[1]))
    elif words[0] == "print":
        print(words[1], flush=True)
        continue
    facts = {"pid": os.getpid(), "nice": os.nice(0), "question": question, "endpoint": os.environ["HF_ENDPOINT"]}
    answer = {"id": question["id"], "labels": [], "frames": [], "seconds": facts}
    print(json.dumps(answer | ({"error": question["clip"] + " is odd"} if words[0] == "fail" else {})), flush=True)
"""
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tried")


@pytest.fixture(scope="module")
def clip(folder):
    return write_clip(folder / "clip.mp4", moving_square(num_frames=20, height=48, width=64))


@pytest.fixture(scope="module")
def odd(folder):
    """A hub with a command that does as it is told. Nothing of any clip remains, whatever it did."""
    (folder / "command.py").write_text(COMMAND)
    with odd_hub(folder, "odd") as server:
        yield server
        assert list(clips_of(server)) == []


def odd_hub(folder, name):
    settings = {"prediction_seconds": 1.0, "prediction_start_seconds": 10.0, "max_waiting_predictions": 1}
    command = f"{sys.executable} {folder / 'command.py'}"
    return serve_hub(folder / name, inference=command, max_clip_size=100_000, max_tried_model_size=1000, **settings)


@pytest.fixture(scope="module")
def model(odd, folder):
    return put_config(odd, folder, "lab/model")


def put_config(server, folder, name, *, architecture="XForVideoClassification", size=0, **options):
    (folder / name).mkdir(parents=True)
    (folder / name / "config.json").write_text(
        f'{{"model_type": "x", "architectures": ["{architecture}"]}}' + " " * size
    )
    put_into_hub(server.hub, name, folder / name, **options)
    return name


def try_clip(server, model, clip, *, token=None, headers=BINARY, **query):
    headers = headers | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx2.post(f"{server.url}/api/models/{model}/try", params=query, content=clip, headers=headers, timeout=60)


def clips_of(server):
    return (server.root / "predictions" / "clips").iterdir()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# The real command


def test_labels_are_those_of_the_pipeline(predicting_hub, clip):
    answer = try_clip(predicting_hub, "lab/open", clip.read_bytes(), name="clip.mp4").json()
    labels = VideoClassificationPipeline(predicting_hub.root.parent / "open")(str(clip))
    assert [label["label"] for label in answer["labels"]] == [label["label"] for label in labels]
    assert [label["score"] for label in answer["labels"]] == pytest.approx([label["score"] for label in labels])
    assert len(answer["frames"]) == 4
    assert len(answer["commit"]) == 40
    assert list(clips_of(predicting_hub)) == []


def test_a_private_model_is_tried_by_those_who_may_read_it(predicting_hub, clip):
    data = clip.read_bytes()
    assert try_clip(predicting_hub, "lab/hidden", data).status_code == 404
    assert try_clip(predicting_hub, "lab/hidden", data, token=predicting_hub.token("other")).status_code == 404
    allowed = try_clip(predicting_hub, "lab/hidden", data, token=predicting_hub.token("lab", can_write=False))
    assert len(allowed.json()["labels"]) == 5


def test_a_file_that_is_no_video_is_named_without_its_place(predicting_hub):
    answer = try_clip(predicting_hub, "lab/open", b"this is no video")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the clip: ")
    assert str(predicting_hub.root) not in answer.text


# A command that does as it is told


def test_the_command_is_asked_as_it_is_documented_and_runs_beside_the_server(odd, model):
    facts = try_clip(odd, model, b"work", name="../../a.b/clip.mp4").json()["seconds"]
    assert set(facts["question"]) == {"id", "model", "revision", "clip", "top_k"}
    assert facts["question"]["model"] == model
    assert facts["question"]["clip"].endswith(".mp4")
    assert facts["nice"] >= 10
    assert facts["endpoint"] == odd.url


@pytest.mark.parametrize("name", ["clip", "clip.", "clip.m p4", "clip.mp4/", "clip." + "a" * 50, "\0.mp4\0"])
def test_odd_names_give_no_ending_that_is_odd(odd, model, name):
    clip = try_clip(odd, model, b"work", name=name).json()["seconds"]["question"]["clip"]
    assert clip.rpartition("/")[0] == str(odd.root / "predictions" / "clips")
    assert "." not in clip.rpartition("/")[2] or clip.endswith(".mp4")


@pytest.mark.parametrize(
    ("clip", "status", "message"),
    [
        (b"sleep 30", 504, "longer than 1 s; try a shorter clip"),
        (b"exit 3", 502, "ended with the exit status 3"),
        (b"print nonsense", 502, "failed"),
        (b'print {"id":"other"}', 502, "not to what it was asked"),
        (b"print " + b"x" * 90_000, 502, "failed"),
    ],
)
def test_a_command_that_fails_is_ended_and_started_anew(odd, model, clip, status, message):
    before = try_clip(odd, model, b"work").json()["seconds"]["pid"]
    answer = try_clip(odd, model, clip)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True)
    assert not psutil.pid_exists(before)
    assert try_clip(odd, model, b"work").json()["seconds"]["pid"] != before


def test_a_command_that_ended_while_nobody_asked_is_started_anew(odd, model):
    pid = try_clip(odd, model, b"work").json()["seconds"]["pid"]
    os.kill(pid, 9)
    wait_until(lambda: not psutil.pid_exists(pid))
    assert try_clip(odd, model, b"work").status_code == 200


def test_what_the_command_says_is_wrong_is_answered_and_it_lives_on(odd, model):
    before = try_clip(odd, model, b"work").json()["seconds"]["pid"]
    answer = try_clip(odd, model, b"fail")
    assert (answer.status_code, answer.json()) == (422, {"error": "the clip is odd"})
    assert try_clip(odd, model, b"work").json()["seconds"]["pid"] == before


def test_no_more_wait_than_may(odd, model):
    try_clip(odd, model, b"work")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: try_clip(odd, model, b"sleep 0.6"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
    assert try_clip(odd, model, b"work").status_code == 200


def test_clips_that_are_too_large_are_refused_announced_or_not(odd, model):
    assert try_clip(odd, model, b"x" * 100_001).status_code == 413
    answer = try_clip(odd, model, (b"x" * 10_000 for _ in range(11)))
    assert (answer.status_code, answer.json()["error"][:33]) == (413, "the clip is larger than 0 MB; try")
    assert list(clips_of(odd)) == []


def test_a_clip_that_stops_coming_leaves_nothing(odd, model):
    with socket.create_connection(("127.0.0.1", int(odd.url.rpartition(":")[2]))) as connection:
        head = (
            f"POST /api/models/{model}/try HTTP/1.1\r\nHost: a\r\nContent-Type: video/mp4\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head.encode() + b"work")
        wait_until(lambda: list(clips_of(odd)))
    wait_until(lambda: not list(clips_of(odd)))


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"model": "lab/none"}, 404, "there is no model lab/none"),
        ({"revision": "none"}, 404, "has no revision 'none'"),
        ({"headers": {"Content-Type": "text/plain"}}, 415, "it must be video/"),
        ({"headers": {}}, 415, "it must be video/"),
        ({"clip": b""}, 400, "no clip was sent"),
        ({"token": "hf_wrong"}, 401, "Invalid credentials"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(odd, model, request_, status, message):
    answer = try_clip(odd, **{"model": model, "clip": b"work", **request_})
    assert (answer.status_code, message in answer.json()["error"]) == (status, True)


def test_models_for_something_else_and_large_ones_are_not_tried(odd, folder):
    other = put_config(odd, folder, "lab/text", architecture="XForCausalLM")
    assert "is 'text-generation'" in try_clip(odd, other, b"work").json()["error"]
    large = put_config(odd, folder, "lab/large", size=1000)
    assert (try_clip(odd, large, b"work").status_code, "GB" in try_clip(odd, large, b"work").text) == (400, True)


def test_the_session_of_a_browser_counts_on_our_own_page_alone(odd, folder):
    hidden = put_config(odd, folder, "lab/hidden", private=True)
    odd.token("lab")
    token = odd.hub.tokens.list()[-1]
    session = f"muybridge_hub_session={token.id}.{odd.hub.tokens.sign('session', token.id)}"

    def status(**headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return try_clip(odd, hidden, b"work", headers={**BINARY, "Cookie": session, **names}).status_code

    assert status(sec_fetch_site="same-origin") == 200
    assert status(origin=odd.url) == 200
    assert status() == 403
    assert status(sec_fetch_site="cross-site") == 403
    assert status(origin="http://elsewhere.example") == 403


def test_the_servers_own_token_reads_everything_and_writes_nothing(odd):
    viewer = odd.hub.tokens.identify(odd.hub.tokens.own)
    assert viewer.can_see("anyone")
    assert not viewer.can_write


def test_without_a_command_nothing_is_tried(tmp_path):
    with serve_hub(tmp_path) as server:
        answer = try_clip(server, "lab/model", b"work")
    assert (answer.status_code, "--inference" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.usefixtures("odd")  # which writes the command
def test_the_command_ends_with_the_server(folder, end):
    with odd_hub(folder, end) as server:
        pid = try_clip(server, put_config(server, folder, f"{end}/model"), b"work").json()["seconds"]["pid"]
        getattr(server, end)()
        wait_until(lambda: not psutil.pid_exists(pid))


def test_a_command_that_is_not_there_is_refused_at_the_start(odd):
    with pytest.raises(ValueError, match="no such program is found"):
        Predictor(replace(odd.settings, inference="no-such-program --fast"), "token")


def test_old_clips_of_a_killed_server_are_removed_and_large_caches_emptied(odd, tmp_path):
    clips, cache = tmp_path / "predictions" / "clips", tmp_path / "predictions" / "cache"
    clips.mkdir(parents=True)
    cache.mkdir()
    for name in ("old", "young"):
        (clips / name).touch()
    os.utime(clips / "old", (0, 0))
    (cache / "weights").write_bytes(bytes(10))
    predictor = Predictor(replace(odd.settings, root=tmp_path, max_prediction_cache_size=10), "token")
    assert [path.name for path in clips.iterdir()] == ["young"]
    predictor.bound_cache()
    assert cache.exists()
    (cache / "more").write_bytes(bytes(1))
    predictor.bound_cache()
    assert not cache.exists()
