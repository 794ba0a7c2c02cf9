"""HTTP and WebSocket of the page: the one file of the project that imports starlette and uvicorn.

It only carries. Who may come in is decided in `gate`, what is told in `hub`, and where STOP goes in `process`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from bci.web.gate import Gate
from bci.web.hub import Hub, Viewer
from bci.web.words import TYPES

__all__ = ["FRAMES_PER_S", "Actions", "listen", "make_app", "make_server", "run_ticks"]

FRAMES_PER_S = 40.0

#: Without anybody looking the server only keeps the history.
IDLE_S = 0.1

#: A browser that has taken nothing for so long is hung up on, s. It comes back by itself.
STALLED_S = 10.0

#: What may lie unread in the system on the way to a browser, bytes: more would only be old by the time it is seen.
SEND_BUFFER = 1 << 16

#: Longest message of a page, bytes.
LONGEST = 4096

#: Nothing of any other address is loaded, nothing inline runs, no other page may frame this one.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Actions:
    """What a page can do: press STOP, or one of the buttons that the session shows.

    Parameters
    ----------
    stop : callable
        Presses STOP; says where it went.
    act : callable
        Hands a button's action to the session.
    """

    def __init__(self, stop: Callable[[], Awaitable[dict[str, Any]]], act: Callable[[str], None]) -> None:
        self.stop, self.act = stop, act


class _Guard:
    """Every request passes the gate, whatever it is for."""

    def __init__(self, app: ASGIApp, gate: Gate, refusals: Mapping[int, str]) -> None:
        self._app, self._gate, self._refusals = app, gate, refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope.get("headers", ())}
        status = self._gate.refusal(
            headers,
            query=scope.get("query_string", b"").decode("latin-1"),
            acts=scope.get("method", "GET") not in ("GET", "HEAD"),
            socket=scope["type"] == "websocket",
        )
        if status and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif status:
            answer = PlainTextResponse(self._refusals.get(status, str(status)), status, headers=_headers(""))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def make_app(
    hub: Hub,
    gate: Gate,
    actions: Actions,
    *,
    page: str,
    files: Mapping[str, str],
    refusals: Mapping[int, str],
) -> ASGIApp:
    """The page of one address.

    Parameters
    ----------
    hub : Hub
    gate : Gate
    actions : Actions
    page : str
        HTML of the page itself.
    files : mapping
        Scripts and styles by name.
    refusals : mapping of int to str
        What a person is told with each status.
    """

    async def show_page(request: Request) -> Response:
        if gate.token_in(request.url.query):  # into the cookie, out of the address bar and its history
            return RedirectResponse("/", 303, headers={"Set-Cookie": gate.set_cookie(), **_headers("")})
        return Response(page, headers=_headers(request.headers["host"]), media_type=TYPES[".html"])

    async def show_file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files or name.endswith(".html"):
            return PlainTextResponse("", 404, headers=_headers(""))
        return Response(files[name], headers=_headers(""), media_type=TYPES["." + name.rpartition(".")[2]])

    async def press_stop(_request: Request) -> Response:
        return JSONResponse(await actions.stop(), headers=_headers(""))

    async def live(ws: WebSocket) -> None:
        viewer = hub.enter(read_only=gate.read_only)
        if viewer is None:
            await ws.close(1013)
            return
        teller: asyncio.Task[None] | None = None
        try:
            await ws.accept()
            teller = asyncio.create_task(_tell(ws, hub, viewer))
            while True:
                await _hear(await ws.receive_text(), viewer, hub, actions)
        except (WebSocketDisconnect, RuntimeError, KeyError, ValueError):
            pass  # it has gone, or does not speak our language
        finally:
            hub.leave(viewer)
            if teller is not None:
                teller.cancel()

    routes = [
        Route("/", show_page, methods=["GET"]),
        Route("/static/{name}", show_file, methods=["GET"]),
        Route("/stop", press_stop, methods=["POST"]),
        WebSocketRoute("/live", live),
    ]
    return _Guard(Starlette(routes=routes), gate, refusals)


async def _tell(ws: WebSocket, hub: Hub, viewer: Viewer) -> None:
    """Send what there is whenever the hub has ticked; a browser that takes nothing waits here, and only here."""
    try:
        while True:
            await viewer.ticked.wait()
            viewer.ticked.clear()
            viewer.busy = True
            for message in viewer.messages(time.monotonic_ns()):
                if isinstance(message, bytes):
                    hub.frames += 1
                    await asyncio.wait_for(ws.send_bytes(message), STALLED_S)
                else:
                    await asyncio.wait_for(ws.send_text(message), STALLED_S)
            viewer.busy = False
    except (WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
        hub.leave(viewer)
        try:
            await asyncio.wait_for(ws.close(1013), 1.0)
        except (RuntimeError, TimeoutError, OSError, WebSocketDisconnect):
            return


async def _hear(text: str, viewer: Viewer, hub: Hub, actions: Actions) -> None:
    """One message of a page. Raises ValueError for what no page of ours says."""
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("not an object")
    do = message.get("do")
    if do == "view":
        viewer.look_at(message)
        if viewer.read_only:  # filling a picture is work: a second screen may not keep us busy with it
            await asyncio.sleep(0.1)
    elif viewer.read_only:
        raise ValueError("a second screen only looks")
    elif do == "stop":
        viewer.answer({"is": "stop", "number": message.get("number"), **await actions.stop()})
    elif do == "action":
        name = message.get("name")
        taken = isinstance(name, str) and name in hub.buttons()
        if taken:
            actions.act(str(name))
        viewer.answer({"is": "action", "name": str(name)[:40], "taken": taken})
    else:
        raise ValueError(f"unknown message {text:.40}")
    viewer.ticked.set()


async def run_ticks(hub: Hub) -> None:
    """Work the signal into pictures and wake the viewers, until cancelled."""
    due = time.monotonic()
    while True:
        now_ns = time.monotonic_ns()
        hub.tick(now_ns)
        for viewer in hub.viewers:
            if viewer.busy:
                hub.skipped += 1
            else:
                viewer.ticked.set()
        due = max(due + (1 / FRAMES_PER_S if hub.viewers else IDLE_S), time.monotonic())
        await asyncio.sleep(due - time.monotonic())


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A quiet server for the app; `serve(sockets=[…])` runs it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=64,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            ws_max_size=LONGEST,
            ws_max_queue=8,
            ws_ping_interval=5.0,
            ws_ping_timeout=10.0,
            ws_per_message_deflate=False,  # noise does not get shorter, and trying costs more than all the rest
        )
    )


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError if the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: else two programs may share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.bind((address, port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


def _headers(host: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": POLICY.format(host=host or "127.0.0.1"),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
