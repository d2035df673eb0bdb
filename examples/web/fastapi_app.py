"""
Orders over HTTP with FastAPI, whose models are those of the workflow.

    uvicorn examples.web.fastapi_app:app
    curl -H 'Idempotency-Key: A1' --json '{"item": "tea", "quantity": 2}' localhost:8000/orders
    curl localhost:8000/orders/A1/parcel
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse

from examples.web.orders import Fulfilment, Order, Parcel, lifespan, status_of
from orchwf import Orchestrator, OrchwfError


async def told(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OrchwfError)
    return JSONResponse({"error": str(error)}, status_of(error))


def orchestrator_of(request: Request) -> Orchestrator:
    orchestrator: Orchestrator = request.state.orchestrator
    return orchestrator


app = FastAPI(title="Orders", lifespan=lifespan, exception_handlers={OrchwfError: told})
Runs = Annotated[Orchestrator, Depends(orchestrator_of)]


@app.post("/orders", status_code=202)
async def place(order: Order, runs: Runs, idempotency_key: Annotated[str | None, Header()] = None) -> dict[str, str]:
    """Begin a run. It is durable before this is answered; who asks again with the same key gets the same run."""
    run = await runs.start(Fulfilment(order=order), run_id=idempotency_key, on_duplicate="attach")
    return {"id": run.id}


@app.get("/orders/{run_id}")
async def look(run_id: str, runs: Runs) -> dict[str, str]:
    """How far it is: step -> where that is."""
    run = await runs.get(run_id)
    return {name: record.status for name, record in (await run.steps()).items()}


@app.get("/orders/{run_id}/parcel")
async def parcel(run_id: str, runs: Runs) -> Parcel:
    """What came of it, as soon as something has: 202 while it goes on."""
    run = await runs.get(run_id, workflow=Fulfilment)
    await run.wait(timeout="20s")
    return (await run.result())[Fulfilment.ship]
