"""Predictions over HTTP: with the real command, and with a scripted one that hangs and crashes on demand."""

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

# A command that does what the text in the clip file says: work, sleep, exit, print or fail.
SCRIPTED_COMMAND = """
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
def scripted(folder):
    """A hub with the scripted command. At the end, checks that no clip file is left."""
    (folder / "command.py").write_text(SCRIPTED_COMMAND)
    with serve_scripted_hub(folder, "scripted") as server:
        yield server
        assert list(list_clips(server)) == []


def serve_scripted_hub(folder, name):
    settings = {"prediction_seconds": 1.0, "prediction_start_seconds": 10.0, "max_waiting_predictions": 1}
    command = f"{sys.executable} {folder / 'command.py'}"
    return serve_hub(folder / name, inference=command, max_clip_size=100_000, max_tried_model_size=1000, **settings)


@pytest.fixture(scope="module")
def model(scripted, folder):
    return publish_config(scripted, folder, "lab/model")


def publish_config(server, folder, name, *, architecture="XForVideoClassification", size=0, **options):
    (folder / name).mkdir(parents=True)
    (folder / name / "config.json").write_text(
        f'{{"model_type": "x", "architectures": ["{architecture}"]}}' + " " * size
    )
    put_into_hub(server.hub, name, folder / name, **options)
    return name


def try_clip(server, model, clip, *, token=None, headers=BINARY, **query):
    headers = headers | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx2.post(f"{server.url}/api/models/{model}/try", params=query, content=clip, headers=headers, timeout=60)


def list_clips(server):
    return (server.root / "predictions" / "clips").iterdir()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# The real command


def test_predictions_equal_those_of_the_pipeline(predicting_hub, clip):
    answer = try_clip(predicting_hub, "lab/open", clip.read_bytes(), name="clip.mp4").json()
    labels = VideoClassificationPipeline(predicting_hub.root.parent / "open")(str(clip))
    assert [label["label"] for label in answer["labels"]] == [label["label"] for label in labels]
    assert [label["score"] for label in answer["labels"]] == pytest.approx([label["score"] for label in labels])
    assert len(answer["frames"]) == 4
    assert len(answer["commit"]) == 40
    assert list(list_clips(predicting_hub)) == []


def test_a_private_model_can_be_tried_only_by_those_who_may_read_it(predicting_hub, clip):
    data = clip.read_bytes()
    assert try_clip(predicting_hub, "lab/hidden", data).status_code == 404
    assert try_clip(predicting_hub, "lab/hidden", data, token=predicting_hub.create_token("other")).status_code == 404
    allowed = try_clip(predicting_hub, "lab/hidden", data, token=predicting_hub.create_token("lab", can_write=False))
    assert len(allowed.json()["labels"]) == 5


def test_the_error_for_a_file_that_is_no_video_hides_its_path(predicting_hub):
    answer = try_clip(predicting_hub, "lab/open", b"this is no video")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the clip: ")
    assert str(predicting_hub.root) not in answer.text


# The scripted command


def test_the_command_gets_the_documented_request_and_runs_at_low_priority(scripted, model):
    facts = try_clip(scripted, model, b"work", name="../../a.b/clip.mp4").json()["seconds"]
    assert set(facts["question"]) == {"id", "model", "revision", "clip", "top_k"}
    assert facts["question"]["model"] == model
    assert facts["question"]["clip"].endswith(".mp4")
    assert facts["nice"] >= 10
    assert facts["endpoint"] == scripted.url


@pytest.mark.parametrize("name", ["clip", "clip.", "clip.m p4", "clip.mp4/", "clip." + "a" * 50, "\0.mp4\0"])
def test_unsafe_clip_names_give_no_unsafe_file_ending(scripted, model, name):
    clip = try_clip(scripted, model, b"work", name=name).json()["seconds"]["question"]["clip"]
    assert clip.rpartition("/")[0] == str(scripted.root / "predictions" / "clips")
    assert "." not in clip.rpartition("/")[2] or clip.endswith(".mp4")


@pytest.mark.parametrize(
    ("clip", "status", "message"),
    [
        (b"sleep 30", 504, "longer than 1 s; try a shorter clip"),
        (b"exit 3", 502, "ended with the exit status 3"),
        (b"print nonsense", 502, "failed"),
        (b'print {"id":"other"}', 502, "not an answer to the request"),
        (b"print " + b"x" * 90_000, 502, "failed"),
    ],
)
def test_a_command_that_fails_is_stopped_and_restarted(scripted, model, clip, status, message):
    before = try_clip(scripted, model, b"work").json()["seconds"]["pid"]
    answer = try_clip(scripted, model, clip)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True)
    assert not psutil.pid_exists(before)
    assert try_clip(scripted, model, b"work").json()["seconds"]["pid"] != before


def test_a_command_that_was_killed_between_clips_is_restarted(scripted, model):
    pid = try_clip(scripted, model, b"work").json()["seconds"]["pid"]
    os.kill(pid, 9)
    wait_until(lambda: not psutil.pid_exists(pid))
    assert try_clip(scripted, model, b"work").status_code == 200


def test_an_error_from_the_command_is_answered_and_the_command_keeps_running(scripted, model):
    before = try_clip(scripted, model, b"work").json()["seconds"]["pid"]
    answer = try_clip(scripted, model, b"fail")
    assert (answer.status_code, answer.json()) == (422, {"error": "the clip is odd"})
    assert try_clip(scripted, model, b"work").json()["seconds"]["pid"] == before


def test_more_clips_than_may_wait_are_refused(scripted, model):
    try_clip(scripted, model, b"work")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: try_clip(scripted, model, b"sleep 0.6"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
    assert try_clip(scripted, model, b"work").status_code == 200


def test_clips_that_are_too_large_are_refused_with_and_without_a_content_length(scripted, model):
    assert try_clip(scripted, model, b"x" * 100_001).status_code == 413
    answer = try_clip(scripted, model, (b"x" * 10_000 for _ in range(11)))
    assert (answer.status_code, answer.json()["error"][:33]) == (413, "the clip is larger than 0 MB; try")
    assert list(list_clips(scripted)) == []


def test_an_interrupted_clip_leaves_no_file(scripted, model):
    with socket.create_connection(("127.0.0.1", int(scripted.url.rpartition(":")[2]))) as connection:
        head = (
            f"POST /api/models/{model}/try HTTP/1.1\r\nHost: a\r\nContent-Type: video/mp4\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head.encode() + b"work")
        wait_until(lambda: list(list_clips(scripted)))
    wait_until(lambda: not list(list_clips(scripted)))


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
def test_each_wrong_request_gets_a_clear_error(scripted, model, request_, status, message):
    answer = try_clip(scripted, **{"model": model, "clip": b"work", **request_})
    assert (answer.status_code, message in answer.json()["error"]) == (status, True)


def test_models_for_other_tasks_and_large_models_cannot_be_tried(scripted, folder):
    other = publish_config(scripted, folder, "lab/text", architecture="XForCausalLM")
    assert "is 'text-generation'" in try_clip(scripted, other, b"work").json()["error"]
    large = publish_config(scripted, folder, "lab/large", size=1000)
    assert (try_clip(scripted, large, b"work").status_code, "GB" in try_clip(scripted, large, b"work").text) == (
        400,
        True,
    )


def test_a_browser_session_is_accepted_only_from_pages_of_this_hub(scripted, folder):
    hidden = publish_config(scripted, folder, "lab/hidden", private=True)
    scripted.create_token("lab")
    token = scripted.hub.tokens.list()[-1]
    session = f"muybridge_hub_session={token.id}.{scripted.hub.tokens.sign('session', token.id)}"

    def status(**headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return try_clip(scripted, hidden, b"work", headers={**BINARY, "Cookie": session, **names}).status_code

    assert status(sec_fetch_site="same-origin") == 200
    assert status(origin=scripted.url) == 200
    assert status() == 403
    assert status(sec_fetch_site="cross-site") == 403
    assert status(origin="http://elsewhere.example") == 403


def test_the_server_token_can_read_everything_and_write_nothing(scripted):
    viewer = scripted.hub.tokens.identify(scripted.hub.tokens.server_token)
    assert viewer.can_see("anyone")
    assert not viewer.can_write


def test_without_a_command_models_cannot_be_tried(tmp_path):
    with serve_hub(tmp_path) as server:
        answer = try_clip(server, "lab/model", b"work")
    assert (answer.status_code, "--inference" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.usefixtures("scripted")  # it writes the command
def test_the_command_ends_with_the_server(folder, end):
    with serve_scripted_hub(folder, end) as server:
        pid = try_clip(server, publish_config(server, folder, f"{end}/model"), b"work").json()["seconds"]["pid"]
        getattr(server, end)()
        wait_until(lambda: not psutil.pid_exists(pid))


def test_a_missing_command_is_refused_at_the_start(scripted):
    with pytest.raises(ValueError, match="there is no such program"):
        Predictor(replace(scripted.settings, inference="no-such-program --fast"), "token")


def test_old_clips_are_deleted_at_the_start_and_large_caches_are_emptied(scripted, tmp_path):
    clips, cache = tmp_path / "predictions" / "clips", tmp_path / "predictions" / "cache"
    clips.mkdir(parents=True)
    cache.mkdir()
    for name in ("old", "young"):
        (clips / name).touch()
    os.utime(clips / "old", (0, 0))
    (cache / "weights").write_bytes(bytes(10))
    predictor = Predictor(replace(scripted.settings, root=tmp_path, max_prediction_cache_size=10), "token")
    assert [path.name for path in clips.iterdir()] == ["young"]
    predictor.limit_cache()
    assert cache.exists()
    (cache / "more").write_bytes(bytes(1))
    predictor.limit_cache()
    assert not cache.exists()
