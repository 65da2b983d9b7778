"""Runs models on clips with a command in its own process, so that the server survives if it hangs or crashes.

The command, such as `muybridge serve-predictions`, reads a line of JSON for each clip, {"id", "model", "revision",
"clip", "top_k"}, and answers with a line: {"id", "labels", "frames", "seconds"} or {"id", "error"}.
"""

import asyncio
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import PurePosixPath
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from muybridge_hub.errors import HubError
from muybridge_hub.settings import Settings

MAX_ANSWER_SIZE = 16 << 20
NICENESS = 10  # of the command: downloads have priority over it
LEFTOVER_SECONDS = 3600.0  # a clip file that is older is not used any more
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


class Predictor:
    """Sends clips to the command, one at a time. A limited number of clips may wait."""

    def __init__(self, settings: Settings, token: str) -> None:
        self.settings, self.token = settings, token
        self.command = parse_command(settings.inference or "")
        folder = settings.root.absolute() / "predictions"
        self.clips, self.cache = folder / "clips", folder / "cache"
        self.clips.mkdir(parents=True, exist_ok=True)
        self.remove_leftovers()
        self.lock, self.num_clips = asyncio.Lock(), 0
        self.process: Process | None = None

    def remove_leftovers(self) -> None:
        """Deletes old clips, left by a killed server. Younger clips may belong to another server with this folder."""
        for clip in self.clips.iterdir():
            if clip.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
                clip.unlink(missing_ok=True)

    @contextmanager
    def hold_place_in_queue(self) -> Iterator[None]:
        """Counts a clip as waiting, from before it is received until it is answered. Refuses it if too many wait."""
        if self.num_clips > self.settings.max_waiting_predictions:
            raise HubError(
                f"{self.num_clips} clips are waiting already, which is the limit; try again later",
                status=503,
                headers={"Retry-After": str(round(self.settings.prediction_seconds))},
            )
        self.num_clips += 1
        try:
            yield
        finally:
            self.num_clips -= 1

    @contextmanager
    def make_clip_file(self, name: str) -> Iterator[IO[bytes]]:
        """Makes a temporary file for a clip, with the ending of `name` if that is harmless."""
        suffix = PurePosixPath(name).suffix
        with tempfile.NamedTemporaryFile(dir=self.clips, suffix=suffix if SUFFIX.fullmatch(suffix) else "") as file:
            yield file

    async def predict(
        self, hub_url: str, model: str, commit: str, clip: str, is_client_gone: Callable[[], Awaitable[bool]]
    ) -> dict[str, Any]:
        """Waits for the clip's turn, then returns the command's answer. Stops if the client has gone meanwhile.

        `hub_url` is the URL at which the command reaches this server.
        """
        request = {"id": secrets.token_hex(8), "model": model, "revision": commit, "clip": clip, "top_k": 5}
        async with self.lock:
            if await is_client_gone():
                raise ClientDisconnect
            await run_in_threadpool(self.limit_cache)
            async with self.run_process(hub_url) as (process, seconds):
                try:
                    async with asyncio.timeout(seconds):
                        return await ask_process(process, request)
                except TimeoutError as error:
                    raise HubError(
                        f"the prediction took longer than {seconds:g} s; try a shorter clip", status=504
                    ) from error
                except (OSError, ValueError) as error:
                    raise HubError(f"the prediction failed: {error}", status=502) from error

    @asynccontextmanager
    async def run_process(self, hub_url: str) -> AsyncIterator[tuple[Process, float]]:
        """Yields the running process and its time limit. Starts the process first if there is none.

        After any failure, the process is stopped, and the next clip gets a new one.
        """
        seconds = self.settings.prediction_seconds
        if self.process is None or self.process.returncode is not None:
            self.process = await self.start(hub_url)
            seconds += self.settings.prediction_start_seconds
        has_succeeded = False
        try:
            yield self.process, seconds
            has_succeeded = True
        finally:
            if not has_succeeded:
                await self.stop()

    async def start(self, hub_url: str) -> Process:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=PIPE,  # closes when the server ends, even if it is killed; then the command ends too
                stdout=PIPE,
                env=self.make_environment(hub_url),
                limit=MAX_ANSWER_SIZE,
                start_new_session=True,  # so that it can be stopped together with its child processes
            )
        except OSError as error:
            raise HubError(f"the command for predictions cannot be started: {error}", status=502) from error
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process

    def make_environment(self, hub_url: str) -> dict[str, str]:
        """The environment of a client of this hub, without the settings for other hubs that the server may have."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return inherited | {
            "HF_ENDPOINT": hub_url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(self.cache),
            "NO_PROXY": "*",
            "no_proxy": "*",
        }

    def limit_cache(self) -> None:
        """Deletes the cache of downloaded models if it is too large. They are downloaded again when needed."""
        size = sum(path.lstat().st_size for path in self.cache.rglob("*"))
        if size > self.settings.max_prediction_cache_size:
            shutil.rmtree(self.cache)

    async def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def parse_command(text: str) -> list[str]:
    """Splits the command line of --inference, and checks that the program exists."""
    arguments = shlex.split(text)
    if not arguments or shutil.which(arguments[0]) is None:
        raise ValueError(f"the command of --inference is {text!r}, but there is no such program; give its path")
    return arguments


async def ask_process(process: Process, request: dict[str, Any]) -> dict[str, Any]:
    """Sends a request to the process and returns its answer. Raises ValueError or OSError if there is no answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise ValueError(f"the command ended with the exit status {await process.wait()}; the server's log may say why")
    answer = json.loads(line)
    if not isinstance(answer, dict) or answer.get("id") != request["id"]:
        raise ValueError(f"the command answered {line[:100]!r}, which is not an answer to the request")
    return answer
