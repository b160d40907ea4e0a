"""Toxiproxy's HTTP API, so that its clients work here and the real Toxiproxy can replace it.

Source: https://github.com/Shopify/toxiproxy#http-api
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, request

from chaos_tests.proxy.links import Proxy
from chaos_tests.proxy.toxics import InvalidError, Toxic, read_toxic

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
ANSWER_SECONDS = 10.0
VERSION = {"version": "holdfast"}
Answer = tuple[Any, int]


class Proxies:
    """All proxies, which run in the event loop and are used from Flask's threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.by_name: dict[str, Proxy] = {}

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)

    async def create(self, name: str, listen: str, upstream: str, *, enabled: bool) -> Proxy:
        proxy = Proxy(name, listen, upstream)
        if enabled:
            await proxy.enable()
        self.by_name[name] = proxy
        return proxy

    async def switch(self, proxy: Proxy, *, enabled: bool, upstream: str) -> None:
        proxy.upstream = upstream
        await (proxy.enable() if enabled else proxy.disable())

    async def delete(self, proxy: Proxy) -> None:
        await proxy.disable()
        self.by_name.pop(proxy.name, None)

    async def put(self, proxy: Proxy, toxic: Toxic) -> None:
        proxy.toxics[toxic.name] = toxic
        proxy.touched()

    async def remove(self, proxy: Proxy, name: str) -> None:
        proxy.toxics.pop(name, None)
        proxy.touched()

    async def reset(self) -> None:
        for proxy in self.by_name.values():
            proxy.toxics.clear()
            proxy.touched()
            await proxy.enable()


class NotFoundError(LookupError):
    pass


def make_app(proxies: Proxies) -> Flask:
    app = Flask(__name__)
    app.register_error_handler(InvalidError, lambda error: ({"error": str(error), "status": 400}, 400))
    app.register_error_handler(NotFoundError, lambda error: ({"error": str(error), "status": 404}, 404))
    app.register_error_handler(OSError, lambda error: ({"error": str(error), "status": 500}, 500))
    _register_all(app, proxies)
    _register_proxies(app, proxies)
    _register_toxics(app, proxies)
    return app


def _register_all(app: Flask, proxies: Proxies) -> None:
    @app.get("/version")
    def version() -> Answer:
        return VERSION, 200

    @app.post("/reset")
    def reset() -> Answer:
        proxies.do(proxies.reset())
        return "", 204

    @app.post("/populate")
    def populate() -> Answer:
        documents = request.get_json(silent=True)
        if not isinstance(documents, list):
            raise InvalidError("a list of proxies is expected")
        return {"proxies": [_create(proxies, document).document() for document in documents]}, 201


def _register_proxies(app: Flask, proxies: Proxies) -> None:
    @app.get("/proxies")
    def index() -> Answer:
        return {name: proxy.document() for name, proxy in proxies.by_name.items()}, 200

    @app.post("/proxies")
    def create() -> Answer:
        return _create(proxies, _body()).document(), 201

    @app.get("/proxies/<name>")
    def show(name: str) -> Answer:
        return _proxy(proxies, name).document(), 200

    @app.route("/proxies/<name>", methods=["POST", "PATCH"])
    def change(name: str) -> Answer:
        proxy, body = _proxy(proxies, name), _body()
        enabled = bool(body.get("enabled", proxy.enabled))
        proxies.do(proxies.switch(proxy, enabled=enabled, upstream=str(body.get("upstream", proxy.upstream))))
        return proxy.document(), 200

    @app.delete("/proxies/<name>")
    def delete(name: str) -> Answer:
        proxies.do(proxies.delete(_proxy(proxies, name)))
        return "", 204


def _register_toxics(app: Flask, proxies: Proxies) -> None:
    @app.get("/proxies/<name>/toxics")
    def toxics(name: str) -> Answer:
        return [toxic.document() for toxic in _proxy(proxies, name).toxics.values()], 200

    @app.post("/proxies/<name>/toxics")
    def add(name: str) -> Answer:
        proxy, toxic = _proxy(proxies, name), read_toxic(_body())
        if toxic.name in proxy.toxics:
            return {"error": f"toxic {toxic.name} exists", "status": 409}, 409
        proxies.do(proxies.put(proxy, toxic))
        return toxic.document(), 200

    @app.get("/proxies/<name>/toxics/<toxic>")
    def show_toxic(name: str, toxic: str) -> Answer:
        return _toxic(_proxy(proxies, name), toxic).document(), 200

    @app.route("/proxies/<name>/toxics/<toxic>", methods=["POST", "PATCH"])
    def change_toxic(name: str, toxic: str) -> Answer:
        proxy = _proxy(proxies, name)
        changed = read_toxic(_body(), _toxic(proxy, toxic))
        proxies.do(proxies.put(proxy, changed))
        return changed.document(), 200

    @app.delete("/proxies/<name>/toxics/<toxic>")
    def remove(name: str, toxic: str) -> Answer:
        proxy = _proxy(proxies, name)
        proxies.do(proxies.remove(proxy, _toxic(proxy, toxic).name))
        return "", 204


def _create(proxies: Proxies, document: Any) -> Proxy:
    if not isinstance(document, dict) or not all(document.get(name) for name in ("name", "listen", "upstream")):
        raise InvalidError("a proxy has a name, listen and upstream")
    name, listen, upstream = (str(document[field]) for field in ("name", "listen", "upstream"))
    if name in proxies.by_name:
        proxies.do(proxies.delete(proxies.by_name[name]))
    return proxies.do(proxies.create(name, listen, upstream, enabled=bool(document.get("enabled", True))))


def _proxy(proxies: Proxies, name: str) -> Proxy:
    try:
        return proxies.by_name[name]
    except KeyError:
        message = f"there is no proxy {name}"
        raise NotFoundError(message) from None


def _toxic(proxy: Proxy, name: str) -> Toxic:
    try:
        return proxy.toxics[name]
    except KeyError:
        message = f"{proxy.name} has no toxic {name}"
        raise NotFoundError(message) from None


def _body() -> dict[str, Any]:
    document = request.get_json(silent=True)
    if not isinstance(document, dict):
        raise InvalidError("a JSON object is expected")
    return document
