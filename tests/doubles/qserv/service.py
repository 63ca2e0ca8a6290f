"""What controller and workers have in common: one door for all calls, strict about form, version and key."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from qserv.faults import Faults


class Refused(Exception):
    """Success 0; status 200 unless the newer services say otherwise."""

    def __init__(self, text: str, ext: dict[str, Any] | None = None, status: int = 200) -> None:
        self.text, self.ext, self.status = text, ext or {}, status
        super().__init__(text)


@dataclass
class Call:
    """A request as a handler sees it."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    found: re.Match[str]
    request: web.Request

    def need(self, key: str, kind: type | tuple[type, ...]) -> Any:
        """A key of the body that must be there, of the very JSON type."""
        if key not in self.body:
            raise Refused(f"invalid parameters of the request, ex: required parameter {key} is missing")
        return self.of_kind(key, kind)

    def get(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        return self.of_kind(key, kind) if key in self.body else default

    def of_kind(self, key: str, kind: type | tuple[type, ...]) -> Any:
        value = self.body[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kinds):
            raise Refused(f"invalid parameters of the request, ex: parameter {key} is of another type")
        return value


@dataclass
class Seen:
    """A request that reached a service, for the tests to look at."""

    place: str
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answer: dict[str, Any] | None = None


Handler = Callable[[Call], Awaitable[dict[str, Any]]]


@dataclass
class Route:
    """``least``: the first version that a client may speak here. ``keyed``: the key is looked at."""

    method: str
    path: re.Pattern[str]
    handler: Handler
    least: int
    keyed: bool = True
    admin: bool = False


class Service:
    """One HTTP server on a port of its own.

    Parameters
    ----------
    place
        Its name in the log of requests.
    """

    def __init__(self, place: str, key: str, admin_key: str, version: int, faults: Faults, log: list[Seen]) -> None:
        self.place = place
        self.key = key
        self.admin_key = admin_key
        self.version = version
        self.instance = "sky-instance"
        self.faults = faults
        self.log = log
        self.routes: list[Route] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    def route(self, method: str, path: str, handler: Handler, least: int, *, keyed: bool = True) -> None:
        self.routes.append(Route(method, re.compile(path), handler, least, keyed and method != "GET"))

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    # ---- one request

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(self.place, request.method, request.path, dict(request.query), headers=dict(request.headers))
        self.log.append(seen)
        about = (self.place, request.method, request.path)
        fault = self.faults.take(("status", "garbage", "refuse", "drop", "hang"), *about)
        if fault is not None:
            if fault.kind == "drop":
                await request.read()
                return self.reset(request)
            if fault.kind == "status":
                text = "<html><body><h1>Bad Gateway</h1>openresty</body></html>"
                return web.Response(status=fault.status, text=text, content_type="text/html")
            if fault.kind == "garbage":
                return web.Response(text="It works!", content_type="text/html")
            if fault.kind == "refuse":
                await request.read()
                return _json({"success": 0, "error": fault.text, "error_ext": fault.ext, "warning": ""})
            await fault.hang()
        self.faults.take(("notice",), *about)
        answer, status = await self.answered(request, seen)
        seen.answer = answer
        after = self.faults.take(("drop_after", "half_after"), *about)
        if after is not None and after.kind == "drop_after":
            return self.reset(request)
        if after is not None:
            whole = json.dumps(answer).encode()
            response = web.StreamResponse(headers={"Content-Length": str(len(whole))})
            await response.prepare(request)
            await response.write(whole[: len(whole) // 2])
            return self.reset(request)
        return _json(answer, status)

    async def answered(self, request: web.Request, seen: Seen) -> tuple[dict[str, Any], int]:
        head = {"success": 1, "error": "", "error_ext": {}, "warning": ""}
        try:
            route, found = self._routed(request)
            body = await self._body(request)
            seen.body = body
            call = Call(request.method, request.path, dict(request.query), body, found, request)
            if route.keyed:
                self.check_key(body)
            head["warning"] = self.check_version(call, route.least)
            return {**head, **await route.handler(call)}, 200
        except Refused as refused:
            failed = {"success": 0, "error": refused.text, "error_ext": refused.ext}
            return {**head, **failed}, refused.status
        except web.HTTPNotFound:
            return {"message": "no such page"}, 404

    def _routed(self, request: web.Request) -> tuple[Route, re.Match[str]]:
        for route in self.routes:
            found = route.path.fullmatch(request.path)
            if found is not None and route.method == request.method:
                return route, found
        raise web.HTTPNotFound

    async def _body(self, request: web.Request) -> dict[str, Any]:
        """The object of the body; another content type than exactly this one makes it empty."""
        data = await request.read()
        if request.headers.get("Content-Type") != "application/json" or not data:
            return {}
        assert "Content-Length" in request.headers, "bodies come with their length"
        try:
            body = json.loads(data)
        except ValueError as error:
            raise Refused("invalid parameters of the request, ex: broken JSON") from error
        if not isinstance(body, dict):
            raise Refused("invalid parameters of the request, ex: the body is no object")
        return body

    def check_key(self, body: dict[str, Any]) -> None:
        if "admin_auth_key" in body:
            if body["admin_auth_key"] == self.admin_key:
                return
        elif body.get("auth_key") == self.key:
            return
        why = "wrong key" if "auth_key" in body or "admin_auth_key" in body else "no key"
        raise Refused(f"failed to pass authorization requirements, ex: {why} in the request")

    def check_version(self, call: Call, least: int) -> str:
        spoken = call.body.get("version", call.query.get("version"))
        if spoken is None:
            return "no version number in the request"
        number = int(spoken)
        if not least <= number <= self.version:
            ext = {"min_version": least, "max_version": self.version}
            raise Refused(f"the requested version {number} of the API is not in {least}..{self.version}", ext)
        return ""

    def reset(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


def _json(answer: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=json.dumps(answer).encode(), content_type="application/json")
