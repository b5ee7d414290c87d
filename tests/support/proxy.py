"""A TCP proxy that makes outages: it refuses, hangs up, goes deaf, cuts; speaks TLS if asked."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from tests.support import processes

T = TypeVar("T")
Mode = Literal["forward", "refuse", "deaf", "hangup"]

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Proxy:
    """A proxy on 127.0.0.1 before the server on `upstream`, forwarding until told otherwise.

    With `tls` it is the TLS end of a PostgreSQL server: it grants the client's wish for TLS and
    hands on the plain protocol.
    """

    host = "127.0.0.1"

    def __init__(self, upstream: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = processes.free_port()
        self.accepted = 0
        self._upstream = upstream
        self._tls = tls
        self._mode: Mode = "forward"
        self._server: asyncio.Server | None = None
        self._live: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.forward()

    # -- what tests say ---------------------------------------------------------------------------

    def url(self, url: str) -> str:
        """The same URL by way of this proxy."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        netloc = f"{login}@{self.host}:{self.port}" if login else f"{self.host}:{self.port}"
        return parts._replace(netloc=netloc).geturl()

    @property
    def live(self) -> int:
        """How many clients are connected now."""
        return self._do(self._count)

    def forward(self) -> None:
        """Let everything through again; what a deaf spell held back arrives now."""
        self._do(lambda: self._enter("forward"))

    def refuse(self) -> None:
        """Close the port: a new client is refused. Live connections stay."""
        self._do(lambda: self._enter("refuse"))

    def deaf(self) -> None:
        """Accept new clients and never answer them; live connections stand still too."""
        self._do(lambda: self._enter("deaf"))

    def hangup(self) -> None:
        """Accept new clients and close at once, like a balancer with no server behind it."""
        self._do(lambda: self._enter("hangup"))

    def cut(self) -> None:
        """Reset the live connections; what happens to new ones stays as it is."""
        self._do(self._cut)

    def close(self) -> None:
        """End the proxy with all its connections."""
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- in the proxy's thread --------------------------------------------------------------------

    def _do(self, action: Callable[[], Awaitable[T]]) -> T:
        async def act() -> T:
            return await action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(timeout=30)

    async def _count(self) -> int:
        return len(self._live)

    async def _enter(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        if mode != "refuse" and self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)
        if mode == "deaf":
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _cut(self) -> None:
        for writer in self._live:
            # With this option closing sends a reset instead of a polite end.
            connection: socket.socket = writer.get_extra_info("socket")
            if connection.fileno() != -1:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._live.clear()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        self._live.add(writer)
        try:
            # A reset, an end in the middle or a failed handshake is what tests do on purpose.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self._mode != "hangup":
                    await self._serve(reader, writer)
        finally:
            self._live.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        first = b""
        if self._tls is not None:
            first = await reader.readexactly(len(_SSL_REQUEST))
            if first == _SSL_REQUEST:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._tls)
                first = b""
        up_reader, up_writer = await asyncio.open_connection(self.host, self._upstream)
        try:
            up_writer.write(first)
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        finally:
            up_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        # Either end's goodbye ends both; no protocol here uses half-open connections.
        writer.close()
