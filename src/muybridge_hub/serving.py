"""The web server: uvicorn, taught to let the kernel send files, and to let go of clients that keep it waiting."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, BinaryIO

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from muybridge_hub.settings import Settings

MAX_HEAD = 64 << 10


def make_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """The class that uvicorn makes one object of for each connection."""

    class Protocol(HttpToolsProtocol):
        """Gives `send_file` to the application, and bounds how large a head may be and how long it may take."""

        head_size = 0
        head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            # asyncio does so only for sockets that it made itself; a small answer shall not wait for the next one.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.head_timer is not None:
                self.head_size += len(data)
                if self.head_size > MAX_HEAD + len(data):
                    self.send_400_response("The head of the request is too large.")
                    return
            super().data_received(data)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.wait_for_head()

        def on_header(self, name: bytes, value: bytes) -> None:
            if self.head_timer is not None:  # none are wanted after the body, where they could come without end
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self.stop_waiting()
            super().on_headers_complete()

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            cycle.scope["state"]["send_file"] = make_send_file(cycle, settings.idle_seconds)
            cycle.scope["state"]["abort"] = cycle.transport.abort
            super()._start_asgi_task(cycle, app)

        def wait_for_head(self) -> None:
            self.stop_waiting()
            self.head_size = 0
            self.head_timer = self.loop.call_later(settings.header_seconds, self.transport.abort)

        def stop_waiting(self) -> None:
            if self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None

    return Protocol


def make_send_file(cycle: RequestResponseCycle, idle_seconds: float) -> Callable[..., Awaitable[None]]:
    async def send_file(send_head: Callable[[], Awaitable[None]], file: BinaryIO, start: int, end: int) -> None:
        """Sends the head of a response, and the bytes [start, end) of a file as its body."""
        if os.fstat(file.fileno()).st_size < end:
            raise OSError(f"{file.name} is shorter than it was")
        transport: Any = cycle.transport
        set_corked(transport, True)
        await send_head()
        is_reading = transport.is_reading()
        transport.pause_reading()  # what comes now is for the next request
        try:
            async with asyncio.timeout(idle_seconds):
                while transport.get_write_buffer_size() and not transport.is_closing():
                    await asyncio.sleep(0.001)  # the head of a response hardly ever does not fit
            await FileSending(transport, file, start, end, idle_seconds).run()
        except (TimeoutError, OSError):
            cycle.disconnected = True  # gone, or as good as that
            transport.abort()
            return
        finally:
            cycle.expected_content_length = 0
            if is_reading and not transport.is_closing():
                transport.resume_reading()
        set_corked(transport, False)

    return send_file


class FileSending:
    """Lets the kernel send a file whenever the network takes more. The loop's own way asks it anew for every piece."""

    def __init__(self, transport: Any, file: BinaryIO, start: int, end: int, idle_seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        # A descriptor of its own: that of the transport is the transport's to watch, and to close at any time.
        self.socket = os.dup(transport.get_extra_info("socket").fileno())
        self.file, self.position, self.end = file.fileno(), start, end
        self.idle_seconds, self.done = idle_seconds, self.loop.create_future()

    async def run(self) -> None:
        """TimeoutError where the client takes nothing for a while, OSError where it is gone."""
        self.loop.add_writer(self.socket, self.push)
        try:
            position, moved_at = self.position, self.loop.time()
            while not self.done.done():
                await asyncio.wait([self.done], timeout=self.idle_seconds / 4)
                if self.position != position:
                    position, moved_at = self.position, self.loop.time()
                elif self.loop.time() - moved_at > self.idle_seconds:
                    raise TimeoutError
            await self.done
        finally:
            self.loop.remove_writer(self.socket)
            os.close(self.socket)

    def push(self) -> None:
        if self.done.done():
            return
        try:
            sent = os.sendfile(self.socket, self.file, self.position, self.end - self.position)
        except BlockingIOError:
            return
        except OSError as error:
            self.done.set_exception(error)
            return
        self.position += sent
        if self.position == self.end:
            self.done.set_result(None)
        elif not sent:
            self.done.set_exception(OSError("the file is shorter than it was"))


def set_corked(transport: Any, is_corked: bool) -> None:
    """Whether the kernel, where it can, waits until a packet is full: fewer packets for the pieces of a file."""
    if hasattr(socket, "TCP_CORK"):
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_corked)


def make_config(app: ASGIApp, settings: Settings, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=make_protocol(settings),
        loop="asyncio",  # which can send files by the kernel; uvloop cannot
        ws="none",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        **options,
    )


class WithoutQuery(logging.Filter):
    """Keeps queries out of the log: addresses to upload to are signed there."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, *rest = record.args
            record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


def serve(app: ASGIApp, settings: Settings, host: str, port: int, *, log_level: str = "info") -> None:
    """Serves until it is stopped."""
    logging.getLogger("uvicorn.access").addFilter(WithoutQuery())
    log = deepcopy(uvicorn.config.LOGGING_CONFIG)
    for formatter in log["formatters"].values():
        formatter["fmt"] = f"%(asctime)s {formatter['fmt']}"
    uvicorn.Server(make_config(app, settings, host=host, port=port, log_level=log_level, log_config=log)).run()
