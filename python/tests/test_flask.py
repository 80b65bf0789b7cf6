"""A Flask app, with the decorator and the helper, in both states of a flag."""

import asyncio

import pytest
from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
from flipper.decorators import is_enabled
from servers import package

flask = package("flask")

from flask import Flask, render_template_string, stream_with_context  # noqa: E402
from flask.views import MethodView  # noqa: E402
from flipper.flask import Flipper  # noqa: E402

features = FeatureFlagClient(MemoryFeatureFlagStore())
flipper = Flipper(attributes=lambda: {"plan": flask.request.args.get("plan", "free")})


def make_app(setting=features):
    app = Flask(__name__)
    app.config["FLIPPER"] = setting
    flipper.init_app(app)
    return app


app = make_app()


def old(**kwargs):
    return "old"


flag = is_enabled(features, "F", redirect=old)


@app.get("/function")
@flag
def function():
    return "new"


@app.get("/function-async")
@flag
async def function_async():
    await asyncio.sleep(0)
    return "new"


@app.get("/with/<int:number>")
@flag
def with_argument(number):
    return "new" if number == 3 else "another"


class Methods(MethodView):
    decorators = [flag]

    def get(self):
        return "new"


class MethodsAsync(MethodView):
    decorators = [flag]

    async def get(self):
        await asyncio.sleep(0)
        return "new"


app.add_url_rule("/methods", view_func=Methods.as_view("methods"))
app.add_url_rule("/methods-async", view_func=MethodsAsync.as_view("methods-async"))


def old_chunks():
    yield "old"


@is_enabled(features, "F", redirect=old_chunks)
def chunks():
    yield "ne"
    yield "w"


@app.get("/stream")
def stream():
    return app.response_class(stream_with_context(chunks()))


@app.get("/scoped")
def scoped():
    flipper.scope.is_enabled("TARGETED")
    return render_template_string("{% if features.TARGETED %}on{% else %}off{% endif %}")


@app.get("/scoped-async")
async def scoped_async():
    return "on" if flipper.scope.is_enabled("TARGETED") else "off"


VIEWS = ["function", "function-async", "with/3", "methods", "methods-async", "stream"]


@pytest.mark.parametrize("state", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("view", VIEWS)
def test_views(view, state):
    if "async" in view:
        package("asgiref")
    features.create("F", is_enabled=state)
    answer = app.test_client().get(f"/{view}")
    assert (answer.status_code, answer.text) == (200, "new" if state else "old")


def test_names_are_kept():
    assert {"function", "function_async", "with_argument"} <= app.view_functions.keys()


@pytest.mark.parametrize("view", ["scoped", "scoped-async"])
def test_the_callers_attributes(view):
    features.create("TARGETED", is_enabled=True)
    features.add_condition("TARGETED", Condition(plan="pro"))
    for plan, expected in [("pro", "on"), ("free", "off")]:
        assert app.test_client().get(f"/{view}?plan={plan}").text == expected


def test_the_client_of_the_configuration():
    with app.app_context():
        assert flipper.features is features
    other = make_app("memory:")
    with other.app_context():
        assert flipper.features is not features and not flipper.features.exists("F")
        made = flipper.features
    with other.app_context():
        assert flipper.features is made


@pytest.mark.parametrize("setting", [None, 3])
def test_configurations_that_are_wrong(setting):
    with pytest.raises(TypeError, match="must be a URL or a FeatureFlagClient"):
        make_app(setting)


def test_by_the_constructor():
    app = Flask(__name__)
    app.config["FLIPPER"] = features
    with app.test_request_context():
        assert Flipper(app).scope.attributes == {}
