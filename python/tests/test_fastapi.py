"""A FastAPI app, with the decorator and the helpers, in both states of a flag. Run with old versions, too, by `old-fastapi`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
from flipper.aio import AsyncFeatureFlagClient
from flipper.decorators import is_enabled
from servers import package

package("httpx")
fastapi = package("fastapi")

from fastapi import APIRouter, Depends, FastAPI, Query, WebSocket  # noqa: E402
from fastapi.responses import PlainTextResponse, StreamingResponse  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402
from flipper.fastapi import flags_of, required  # noqa: E402
from flipper.scope import Scope  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.endpoints import HTTPEndpoint  # noqa: E402
from starlette.routing import Route  # noqa: E402

features = FeatureFlagClient(MemoryFeatureFlagStore())


class Horse(BaseModel):
    """Annotations are strings here, and this class must be found in this module."""

    name: str


def old(**kwargs):
    return "old"


async def old_async(**kwargs):
    return "old"


flag = is_enabled(features, "F", redirect=old)
flag_async = is_enabled(features, "F", redirect=old_async)

app = FastAPI()


@app.post("/function")
@flag
def function(horse: Horse, loud: Annotated[bool, Query()] = False):
    return "new" if (horse.name, loud) == ("Ed", True) else "another"


@app.post("/function-async")
@flag
async def function_async(horse: Horse, loud: Annotated[bool, Query()] = False):
    await asyncio.sleep(0)
    return "new" if (horse.name, loud) == ("Ed", True) else "another"


@app.post("/function-async-to-async")
@flag_async
async def function_async_to_async(horse: Horse):
    return "new"


@flag
def dependency(loud: bool):
    return "new" if loud else "another"


@flag
async def dependency_async(loud: bool):
    return "new" if loud else "another"


def old_resource(**kwargs):
    yield "old"


async def old_resource_async(**kwargs):
    yield "old"


closed = []


@is_enabled(features, "F", redirect=old_resource)
def resource(loud: bool):
    yield "new"
    closed.append("resource")


@is_enabled(features, "F", redirect=old_resource_async)
async def resource_async(loud: bool):
    yield "new"
    closed.append("resource_async")


@app.post("/dependency")
def of_dependency(value: Annotated[str, Depends(dependency)]):
    return value


@app.post("/dependency-async")
async def of_dependency_async(value: Annotated[str, Depends(dependency_async)]):
    return value


@app.post("/resource")
def of_resource(value: Annotated[str, Depends(resource)]):
    return value


@app.post("/resource-async")
async def of_resource_async(value: Annotated[str, Depends(resource_async)]):
    return value


def old_chunks():
    yield "old"


async def old_chunks_async():
    yield "old"


@is_enabled(features, "F", redirect=old_chunks)
def chunks():
    yield from ["ne", "w"]


@is_enabled(features, "F", redirect=old_chunks_async)
async def chunks_async():
    for chunk in ["ne", "w"]:
        yield chunk


@app.post("/stream")
def stream():
    return StreamingResponse(chunks())


@app.post("/stream-async")
async def stream_async():
    return StreamingResponse(chunks_async())


class Stable:
    """Methods of an object."""

    def __init__(self):
        self.router = APIRouter()
        self.router.add_api_route("/method", self.method, methods=["POST"])
        self.router.add_api_route("/method-async", self.method_async, methods=["POST"])

    @is_enabled(features, "F", redirect=lambda self, **kwargs: "old")
    def method(self, horse: Horse):
        return "new"

    @is_enabled(features, "F", redirect=lambda self, **kwargs: "old")
    async def method_async(self, horse: Horse):
        return "new"


app.include_router(Stable().router)


async def attributes(plan: str = "free") -> dict[str, Any]:
    return {"plan": plan}


Flags = Annotated[Scope, Depends(flags_of(features, attributes))]


@app.get("/scoped")
def scoped(flags: Flags):
    return "on" if flags["TARGETED"] else "off"


@app.get("/required", dependencies=[Depends(required(features, "TARGETED", attributes))])
async def of_required():
    return "on"


@app.get("/forbidden", dependencies=[Depends(required(features, "NONE", status_code=403))])
def forbidden():
    return "on"


@app.websocket("/socket")
@is_enabled(features, "F", redirect=lambda socket: socket.close())
async def socket(socket: WebSocket):
    await socket.accept()
    await socket.send_text("new")
    await socket.close()


VIEWS = ["function", "function-async", "function-async-to-async", "dependency", "dependency-async", "resource"]
VIEWS += ["resource-async", "stream", "stream-async", "method", "method-async"]


@pytest.fixture(params=[True, False], ids=["on", "off"])
def state(request):
    features.create("F", is_enabled=request.param)
    closed.clear()
    return request.param


@pytest.mark.parametrize("view", VIEWS)
def test_views(view, state):
    answer = TestClient(app).post(f"/{view}?loud=true", json={"name": "Ed"})
    assert answer.status_code == 200, answer.text
    assert answer.text.strip('"') == ("new" if state else "old")
    if "resource" in view:
        assert closed == ([view.replace("-", "_")] if state else [])


@pytest.mark.parametrize("view", ["function", "function-async", "method", "dependency", "resource-async"])
def test_what_is_refused(view, state):
    """By the function's signature, also while the flag is off."""
    assert TestClient(app).post(f"/{view}?loud=maybe", json={"name": 3}).status_code == 422


def test_off_without_another_function(state):
    other = FastAPI()

    @other.get("/")
    @is_enabled(features, "F")
    async def view():
        return "new"

    @other.get("/plain")
    @is_enabled(features, "F")
    def plain():
        return "new"

    for path in ("/", "/plain"):
        assert TestClient(other).get(path).json() == ("new" if state else None)


def test_a_web_socket(state):
    from starlette.websockets import WebSocketDisconnect

    try:
        with TestClient(app).websocket_connect("/socket") as opened:
            text = opened.receive_text()
    except WebSocketDisconnect:
        text = None
    assert text == ("new" if state else None)


def test_the_schema_has_the_signature():
    paths = TestClient(app).get("/openapi.json").json()["paths"]
    for view in ("function", "function-async"):
        operation = paths[f"/{view}"]["post"]
        assert [each["name"] for each in operation["parameters"]] == ["loud"]
        assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("Horse")


def test_starlette(state):
    old_text = is_enabled(features, "F", redirect=lambda request: PlainTextResponse("old"))

    @old_text
    def function(request):
        return PlainTextResponse("new")

    @old_text
    async def function_async(request):
        return PlainTextResponse("new")

    class Endpoint(HTTPEndpoint):
        @is_enabled(features, "F", redirect=lambda self, request: PlainTextResponse("old"))
        async def get(self, request):
            return PlainTextResponse("new")

    async def old_lifespan(app):
        yield {"name": "old"}

    @asynccontextmanager
    @is_enabled(features, "F", redirect=old_lifespan)
    async def lifespan(app):
        yield {"name": "new"}

    async def name(request):
        return PlainTextResponse(request.state.name)

    routes = [Route("/function", function), Route("/function-async", function_async), Route("/endpoint", Endpoint)]
    routes.append(Route("/lifespan", name))
    with TestClient(Starlette(routes=routes, lifespan=lifespan)) as client:
        for route in routes:
            assert client.get(route.path).text == ("new" if state else "old")


def test_the_callers_attributes():
    features.create("TARGETED", is_enabled=True)
    features.add_condition("TARGETED", Condition(plan="pro"))
    client = TestClient(app)
    for plan, expected in [("pro", "on"), ("free", "off")]:
        assert client.get(f"/scoped?plan={plan}").json() == expected
        assert client.get(f"/required?plan={plan}").status_code == (200 if expected == "on" else 404)
    assert client.get("/forbidden").status_code == 403
    features.create("NONE", is_enabled=True)
    assert client.get("/forbidden").json() == "on"
    features.destroy("NONE")


def test_an_asynchronous_client():
    own = AsyncFeatureFlagClient(features)
    other = FastAPI()

    @other.put("/{name}")
    async def enable(name: str):
        await own.create(name, is_enabled=True)
        return own.is_enabled(name)

    @other.get("/", dependencies=[Depends(required(own, "BY_PUT"))])
    async def view():
        return "on"

    client = TestClient(other)
    assert client.get("/").status_code == 404
    assert client.put("/BY_PUT").json() is True
    assert client.get("/").json() == "on"
    features.destroy("BY_PUT")
