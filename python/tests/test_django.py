"""A Django project: function and class views, sync and async, with the decorator and the helpers, in both states of a flag."""

import asyncio
import sys
import types

import pytest
from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
from flipper.decorators import is_enabled
from flipper.testing import override_flags
from servers import package

django = package("django")

from django.conf import settings  # noqa: E402

features = FeatureFlagClient(MemoryFeatureFlagStore())


def attributes(request):
    return {"plan": request.GET.get("plan", "free")}


settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="flipper_test_urls",
    INSTALLED_APPS=["flipper.django"],
    MIDDLEWARE=["flipper.django.middleware.FlipperMiddleware"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"context_processors": ["flipper.django.context_processors.features"]},
        }
    ],
    FLIPPER=features,
    FLIPPER_ATTRIBUTES=attributes,
)
django.setup()

from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.template import RequestContext, Template  # noqa: E402
from django.test import AsyncClient, Client, RequestFactory, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils.decorators import method_decorator  # noqa: E402
from django.views import View  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from flipper.django import features as configured  # noqa: E402
from flipper.django.context_processors import features as processor  # noqa: E402


def old(request, **kwargs):
    return HttpResponse("old")


async def old_async(request, **kwargs):
    return HttpResponse("old")


class OldView(View):
    def get(self, request):
        return HttpResponse("old")


class OldAsyncView(View):
    async def get(self, request):
        return HttpResponse("old")


flag = is_enabled(features, "F", redirect=old)
flag_async = is_enabled(features, "F", redirect=old_async)


@flag
def function(request):
    return HttpResponse("new")


@flag
async def function_async(request):
    await asyncio.sleep(0)
    return HttpResponse("new")


@flag_async
async def function_async_to_async(request):
    return HttpResponse("new")


class New(View):
    def get(self, request):
        return HttpResponse("new")


class NewAsync(View):
    async def get(self, request):
        await asyncio.sleep(0)
        return HttpResponse("new")


@method_decorator(flag, name="dispatch")
class Dispatch(New):
    pass


@method_decorator(flag, name="dispatch")
class DispatchAsync(NewAsync):
    pass


@method_decorator(flag_async, name="dispatch")
class DispatchAsyncToAsync(NewAsync):
    pass


class Get(New):
    @method_decorator(flag)
    def get(self, request):
        return super().get(request)


class GetAsync(NewAsync):
    @method_decorator(flag)
    async def get(self, request):
        return await super().get(request)


def old_get(self, request):
    return HttpResponse("old")


class Own(New):
    @is_enabled(features, "F", redirect=old_get)
    def get(self, request):
        return HttpResponse("new")


class OwnAsync(NewAsync):
    @is_enabled(features, "F", redirect=old_get)
    async def get(self, request):
        return HttpResponse("new")


class OwnDispatch(NewAsync):
    @is_enabled(features, "F", redirect=old_get)
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


VIEWS = {
    "function": function,
    "function-async": function_async,
    "function-async-to-async": function_async_to_async,
    "exempt": csrf_exempt(function),
    "exempt-async": csrf_exempt(function_async),
    "as-view": flag(New.as_view()),
    "as-view-async": flag(NewAsync.as_view()),
    "as-view-async-to-class": is_enabled(features, "F", redirect=OldAsyncView.as_view())(NewAsync.as_view()),
    "as-view-to-class": is_enabled(features, "F", redirect=OldView.as_view())(New.as_view()),
    "dispatch": Dispatch.as_view(),
    "dispatch-async": DispatchAsync.as_view(),
    "dispatch-async-to-async": DispatchAsyncToAsync.as_view(),
    "get": Get.as_view(),
    "get-async": GetAsync.as_view(),
    "own": Own.as_view(),
    "own-async": OwnAsync.as_view(),
    "own-dispatch-async": OwnDispatch.as_view(),
}


def scoped(request):
    return HttpResponse(str(request.features.is_enabled("TARGETED")))


async def scoped_async(request):
    return HttpResponse(str(request.features.is_enabled("TARGETED")))


def page(request):
    template = Template("{% if features.TARGETED %}on{% else %}off{% endif %}")
    return HttpResponse(template.render(RequestContext(request)))


urls = types.ModuleType("flipper_test_urls")
urls.urlpatterns = [path(name, view) for name, view in VIEWS.items()]
urls.urlpatterns += [path("scoped", scoped), path("scoped-async", scoped_async), path("page", page)]
sys.modules["flipper_test_urls"] = urls


@pytest.fixture(autouse=True)
def _targeted():
    features.create("TARGETED", is_enabled=True)
    features.add_condition("TARGETED", Condition(plan="pro"))


@pytest.mark.parametrize("state", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("view", VIEWS)
def test_views(view, state):
    features.create("F", is_enabled=state)
    expected = (200, b"new" if state else b"old")
    answer = Client().get(f"/{view}")
    assert (answer.status_code, answer.content) == expected
    answer = asyncio.run(AsyncClient().get(f"/{view}"))
    assert (answer.status_code, answer.content) == expected


@pytest.mark.parametrize("view", [scoped, scoped_async, page])
def test_the_callers_attributes(view):
    url = f"/{view.__name__.replace('_', '-')}"
    for plan, expected in [("pro", (b"True", b"on")), ("free", (b"False", b"off"))]:
        assert Client().get(url, {"plan": plan}).content in expected
        assert asyncio.run(AsyncClient().get(url, {"plan": plan})).content in expected


def test_attributes_by_path_and_without():
    with override_settings(FLIPPER_ATTRIBUTES=f"{__name__}.attributes"):
        assert Client().get("/scoped?plan=free").content == b"False"
    with override_settings(FLIPPER_ATTRIBUTES=None):
        assert Client().get("/scoped?plan=free").content == b"True"
    with override_settings(MIDDLEWARE=[]):
        assert Client().get("/page?plan=free").content == b"on"


def test_a_template_without_the_middleware():
    assert processor(RequestFactory().get("/"))["features"]["TARGETED"] is True


def test_the_client_of_the_settings():
    assert configured.get("TARGETED").exists() and isinstance(configured, FeatureFlagClient)
    with override_settings(FLIPPER="memory:"):
        assert not configured.exists("TARGETED")
        configured.create("NEW")
        assert configured.exists("NEW")
    assert configured.exists("TARGETED") and not configured.exists("NEW")
    with override_flags(configured, TARGETED=False):
        assert not features.is_enabled("TARGETED") and Client().get("/scoped?plan=pro").content == b"False"


@pytest.mark.parametrize("setting", [None, 3])
def test_settings_that_are_wrong(setting):
    with override_settings(FLIPPER=setting), pytest.raises(ImproperlyConfigured, match="FLIPPER must be a URL"):
        configured.exists("F")


def test_checks_of_the_project_pass():
    from django.core.management import call_command

    call_command("check", fail_level="WARNING")
