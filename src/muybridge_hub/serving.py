"""The web server: uvicorn, extended to let the kernel send files and to disconnect clients that keep it waiting."""

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

MAX_HEADERS_SIZE = 64 << 10


def make_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """Makes the protocol class, of which uvicorn creates one object for each connection."""

    class Protocol(HttpToolsProtocol):
        """Gives `send_file` to the application. Limits the size of request headers and the time until they arrive."""

        headers_size = 0
        headers_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            # Send small answers at once. asyncio sets this only on sockets that it created itself.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.start_headers_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_headers_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.headers_timer is not None:
                self.headers_size += len(data)
                if self.headers_size > MAX_HEADERS_SIZE + len(data):
                    self.send_400_response("The headers of the request are too large.")
                    return
            super().data_received(data)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.start_headers_timer()

        def on_header(self, name: bytes, value: bytes) -> None:
            if self.headers_timer is not None:  # ignore trailers after the body: they could go on forever
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self.stop_headers_timer()
            super().on_headers_complete()

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            cycle.scope["state"]["send_file"] = make_send_file(cycle, settings.idle_seconds)
            cycle.scope["state"]["abort"] = cycle.transport.abort
            super()._start_asgi_task(cycle, app)

        def start_headers_timer(self) -> None:
            self.stop_headers_timer()
            self.headers_size = 0
            self.headers_timer = self.loop.call_later(settings.header_seconds, self.transport.abort)

        def stop_headers_timer(self) -> None:
            if self.headers_timer is not None:
                self.headers_timer.cancel()
                self.headers_timer = None

    return Protocol


def make_send_file(cycle: RequestResponseCycle, idle_seconds: float) -> Callable[..., Awaitable[None]]:
    async def send_file(send_headers: Callable[[], Awaitable[None]], file: BinaryIO, start: int, end: int) -> None:
        """Sends the headers of a response, and the bytes [start, end) of a file as its body."""
        if os.fstat(file.fileno()).st_size < end:
            raise OSError(f"{file.name} is shorter than it was")
        transport: Any = cycle.transport
        set_corked(transport, True)
        await send_headers()
        is_reading = transport.is_reading()
        transport.pause_reading()  # what the client sends now belongs to its next request
        try:
            async with asyncio.timeout(idle_seconds):
                while transport.get_write_buffer_size() and not transport.is_closing():
                    await asyncio.sleep(0.001)  # rare: the headers nearly always fit into the socket's buffer
            await FileSender(transport, file, start, end, idle_seconds).run()
        except (TimeoutError, OSError):
            cycle.disconnected = True  # the client is gone, or counts as gone
            transport.abort()
            return
        finally:
            cycle.expected_content_length = 0
            if is_reading and not transport.is_closing():
                transport.resume_reading()
        set_corked(transport, False)

    return send_file


class FileSender:
    """Lets the kernel send a file, as fast as the network takes it. This is faster than asyncio's `loop.sendfile`."""

    def __init__(self, transport: Any, file: BinaryIO, start: int, end: int, idle_seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        # A duplicate descriptor: asyncio allows only the transport to watch its own, and may close it at any time.
        self.socket = os.dup(transport.get_extra_info("socket").fileno())
        self.file, self.position, self.end = file.fileno(), start, end
        self.idle_seconds, self.done = idle_seconds, self.loop.create_future()

    async def run(self) -> None:
        """Sends the file. Raises TimeoutError if the client receives nothing for a while, OSError if it is gone."""
        self.loop.add_writer(self.socket, self.send_more)
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

    def send_more(self) -> None:
        """Sends as much as the socket takes now. The loop calls this whenever the socket is writable."""
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
    """Tells the kernel whether to send only full packets, where it can (Linux): this makes fewer packets of a file."""
    if hasattr(socket, "TCP_CORK"):
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_corked)


def make_config(app: ASGIApp, settings: Settings, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=make_protocol(settings),
        loop="asyncio",  # uvloop does not let the kernel send files
        ws="none",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        **options,
    )


class QueryHider(logging.Filter):
    """Removes query strings from the log, because upload URLs contain their signatures there."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, *rest = record.args
            record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


def serve(app: ASGIApp, settings: Settings, host: str, port: int, *, log_level: str = "info") -> None:
    """Serves the application until the process is told to stop."""
    logging.getLogger("uvicorn.access").addFilter(QueryHider())
    log = deepcopy(uvicorn.config.LOGGING_CONFIG)
    for formatter in log["formatters"].values():
        formatter["fmt"] = f"%(asctime)s {formatter['fmt']}"
    uvicorn.Server(make_config(app, settings, host=host, port=port, log_level=log_level, log_config=log)).run()
