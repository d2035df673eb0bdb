"""
Orders over HTTP with Django, in coroutines and in plain views.

Django tells nobody when its server begins: Starlette, around it, does, with the lifespan of the others.

    uvicorn examples.web.django_app:app
    curl -H 'Idempotency-Key: A1' --json '{"item": "tea", "quantity": 2}' localhost:8000/orders
    curl localhost:8000/orders/A1/parcel
"""

from typing import Any

import django
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import async_only_middleware
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.routing import Mount

from examples.web.orders import Fulfilment, Order, lifespan, status_of
from orchwf import Orchestrator, OrchwfError

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"], ROOT_URLCONF=__name__, SECRET_KEY="no cookie is signed",  # noqa: S106
    MIDDLEWARE=[f"{__name__}.told"],
)  # fmt: skip
django.setup()


def orchestrator_of(request: Any) -> Orchestrator:
    """The orchestrator that was opened with the server."""
    orchestrator: Orchestrator = request.scope["state"]["orchestrator"]
    return orchestrator


async def place(request: HttpRequest) -> HttpResponse:
    """Begin a run. It is durable before this is answered; who asks again with the same key gets the same run."""
    order = Order.model_validate_json(request.body)
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    run = await orchestrator_of(request).start(Fulfilment(order=order), run_id=key, on_duplicate="attach")
    return JsonResponse({"id": run.id}, status=202)


@async_to_sync
async def look(request: HttpRequest, run_id: str) -> HttpResponse:
    """How far it is: step -> where that is. A plain view, whose questions are asked on the loop of the server."""
    run = await orchestrator_of(request).get(run_id)
    return JsonResponse({name: record.status for name, record in (await run.steps()).items()})


async def parcel(request: HttpRequest, run_id: str) -> HttpResponse:
    """What came of it, as soon as something has: 202 while it goes on."""
    run = await orchestrator_of(request).get(run_id, workflow=Fulfilment)
    await run.wait(timeout="20s")
    return JsonResponse((await run.result())[Fulfilment.ship].model_dump(mode="json"))


@async_only_middleware
def told(get_response: Any) -> Any:
    """Answers with what was wrong, where Django would have a page of its own."""

    async def answer(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = await get_response(request)
        return response

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OrchwfError):
            return JsonResponse({"error": str(error)}, status=status_of(error))
        return JsonResponse({"error": str(error)}, status=422) if isinstance(error, ValidationError) else None

    answer.process_exception = process_exception  # type: ignore[attr-defined]
    return answer


urlpatterns = [
    path("orders", place),
    path("orders/<str:run_id>", look),
    path("orders/<str:run_id>/parcel", parcel),
]

app = Starlette(lifespan=lifespan, routes=[Mount("/", get_asgi_application())])
