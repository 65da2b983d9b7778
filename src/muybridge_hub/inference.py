"""Models are tried by a command in a process of its own: what computes, hangs, crashes and fills memory is not us.

The command, such as `muybridge serve-predictions`, reads a line of JSON for each clip, {"id", "model", "revision",
"clip", "top_k"}, and answers with one: {"id", "labels", "frames", "seconds"} or {"id", "error"}.
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

MAX_ANSWER = 16 << 20
NICENESS = 10  # whoever downloads comes first
LEFTOVER_SECONDS = 3600.0  # no clip is still wanted then
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


class Predictor:
    """Asks the command one thing at a time. The others wait, and not too many of them."""

    def __init__(self, settings: Settings, token: str) -> None:
        self.settings, self.token = settings, token
        self.command = find_command(settings.inference or "")
        folder = settings.root.absolute() / "predictions"
        self.clips, self.cache = folder / "clips", folder / "cache"
        self.clips.mkdir(parents=True, exist_ok=True)
        self.remove_leftovers()
        self.turn, self.num_present = asyncio.Lock(), 0
        self.process: Process | None = None

    def remove_leftovers(self) -> None:
        """Clips of a server that was killed. Younger ones may be those of another server on the same folder."""
        for clip in self.clips.iterdir():
            if clip.stat().st_mtime < time.time() - LEFTOVER_SECONDS:
                clip.unlink(missing_ok=True)

    @contextmanager
    def place_in_line(self) -> Iterator[None]:
        """Held from before a clip is sent until it is answered, so that clips do not fill the disk either."""
        if self.num_present > self.settings.max_waiting_predictions:
            raise HubError(
                f"{self.num_present} clips are before this one, and no more may wait; try again in a while",
                status=503,
                headers={"Retry-After": str(round(self.settings.prediction_seconds))},
            )
        self.num_present += 1
        try:
            yield
        finally:
            self.num_present -= 1

    @contextmanager
    def clip_file(self, name: str) -> Iterator[IO[bytes]]:
        """A file for a clip that is called so; it does not stay."""
        suffix = PurePosixPath(name).suffix
        with tempfile.NamedTemporaryFile(dir=self.clips, suffix=suffix if SUFFIX.fullmatch(suffix) else "") as file:
            yield file

    async def predict(
        self, address: str, model: str, commit: str, clip: str, is_gone: Callable[[], Awaitable[bool]]
    ) -> dict[str, Any]:
        """What the command answers, when it is this clip's turn and somebody still waits for it.

        `address` is where the command finds this server.
        """
        question = {"id": secrets.token_hex(8), "model": model, "revision": commit, "clip": clip, "top_k": 5}
        async with self.turn:
            if await is_gone():
                raise ClientDisconnect
            await run_in_threadpool(self.bound_cache)
            async with self.running(address) as (process, seconds):
                try:
                    async with asyncio.timeout(seconds):
                        return await ask(process, question)
                except TimeoutError as error:
                    raise HubError(f"this took longer than {seconds:g} s; try a shorter clip", status=504) from error
                except (OSError, ValueError) as error:
                    raise HubError(f"what predicts here failed: {error}", status=502) from error

    @asynccontextmanager
    async def running(self, address: str) -> AsyncIterator[tuple[Process, float]]:
        """The process, and how long it may take. If anything goes wrong with it, the next one gets a new process."""
        seconds = self.settings.prediction_seconds
        if self.process is None or self.process.returncode is not None:
            self.process = await self.start(address)
            seconds += self.settings.prediction_start_seconds
        is_well = False
        try:
            yield self.process, seconds
            is_well = True
        finally:
            if not is_well:
                await self.stop()

    async def start(self, address: str) -> Process:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=PIPE,  # which closes with us, even if we are killed: then it ends
                stdout=PIPE,
                env=self.environment(address),
                limit=MAX_ANSWER,
                start_new_session=True,  # so that it can be stopped with all that it starts
            )
        except OSError as error:
            raise HubError(f"what predicts here cannot be started: {error}", status=502) from error
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return process

    def environment(self, address: str) -> dict[str, str]:
        """As of any client of this hub, and of no other, whoever starts the server."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return inherited | {
            "HF_ENDPOINT": address,
            "HF_TOKEN": self.token,
            "HF_HOME": str(self.cache),
            "NO_PROXY": "*",
            "no_proxy": "*",
        }

    def bound_cache(self) -> None:
        """Models are fetched anew now and then, or all that were ever tried would lie here a second time."""
        size = sum(path.lstat().st_size for path in self.cache.rglob("*"))
        if size > self.settings.max_prediction_cache_size:
            shutil.rmtree(self.cache)

    async def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def find_command(text: str) -> list[str]:
    words = shlex.split(text)
    if not words or shutil.which(words[0]) is None:
        raise ValueError(f"the command of --inference is {text!r}, and no such program is found; name it by its path")
    return words


async def ask(process: Process, question: dict[str, Any]) -> dict[str, Any]:
    """The answer of a process; ValueError or OSError where it has none."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise ValueError(f"it ended with the exit status {await process.wait()}; the server's log may say why")
    answer = json.loads(line)
    if not isinstance(answer, dict) or answer.get("id") != question["id"]:
        raise ValueError(f"it answered {line[:100]!r}, and not to what it was asked")
    return answer
