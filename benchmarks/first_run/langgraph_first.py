import os
import sys
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    amounts: list[float]
    total: float


def extract(state: State) -> State:
    print("extract runs")
    return {"amounts": [12.5, -12.5, 30.0]}


def validate(state: State) -> State:
    if "LENIENT" not in os.environ and min(state["amounts"]) < 0:
        raise ValueError("an amount is negative")
    return {"amounts": [amount for amount in state["amounts"] if amount > 0]}


def load(state: State) -> State:
    return {"total": sum(state["amounts"])}


builder = StateGraph(State)
builder.add_node(extract)
builder.add_node(validate)
builder.add_node(load)
builder.add_edge(START, "extract")
builder.add_edge("extract", "validate")
builder.add_edge("validate", "load")
builder.add_edge("load", END)

if __name__ == "__main__":
    with SqliteSaver.from_conn_string("first.db") as saver:
        graph = builder.compile(checkpointer=saver)
        if "draw" in sys.argv:
            print(graph.get_graph().draw_mermaid())
        else:
            given: State | None = None if "resume" in sys.argv else {}
            print(graph.invoke(given, {"configurable": {"thread_id": "monday"}}))
