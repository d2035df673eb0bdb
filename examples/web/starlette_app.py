"""
Orders over HTTP with Starlette.

    uvicorn examples.web.starlette_app:app
    curl -H 'Idempotency-Key: A1' --json '{"item": "tea", "quantity": 2}' localhost:8000/orders
    curl localhost:8000/orders/A1/parcel
"""

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.web.orders import Fulfilment, Order, lifespan, status_of
from orchwf import OrchwfError


async def place(request: Request) -> Response:
    """Begin a run. It is durable before this is answered; who asks again with the same key gets the same run."""
    order = Order.model_validate_json(await request.body())
    key = request.headers.get("idempotency-key")
    run = await request.state.orchestrator.start(Fulfilment(order=order), run_id=key, on_duplicate="attach")
    return JSONResponse({"id": run.id}, 202)


async def look(request: Request) -> Response:
    """How far it is: step -> where that is."""
    run = await request.state.orchestrator.get(request.path_params["run_id"])
    return JSONResponse({name: record.status for name, record in (await run.steps()).items()})


async def parcel(request: Request) -> Response:
    """What came of it, as soon as something has: 202 while it goes on."""
    run = await request.state.orchestrator.get(request.path_params["run_id"], workflow=Fulfilment)
    await run.wait(timeout="20s")
    return JSONResponse((await run.result())[Fulfilment.ship].model_dump(mode="json"))


async def told(request: Request, error: Exception) -> Response:
    status = status_of(error) if isinstance(error, OrchwfError) else 422
    return JSONResponse({"error": str(error)}, status)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/orders", place, methods=["POST"]),
        Route("/orders/{run_id}", look),
        Route("/orders/{run_id}/parcel", parcel),
    ],
    exception_handlers={OrchwfError: told, ValidationError: told},
)
