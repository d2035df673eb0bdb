"""
The same three steps in six engines: the first run, which fails, its picture, and the run that is mended and resumed.

Each program runs by itself in this folder, in an environment into which its engine was installed; with `LENIENT` in the
environment the step that fails is mended. `docs/comparison.md` has the commands, and counts them and these lines:

    ours        orchwf run ours.py            orchwf graph last -o run.svg      orchwf resume
    prefect     python prefect_first.py       in the browser                    prefect flow-run retry RUN
    dagster     dagster job execute -f dagster_first.py -j sales                python dagster_again.py RUN
    langgraph   python langgraph_first.py     python langgraph_first.py draw    python langgraph_first.py resume
    dbos        python dbos_first.py          not on this machine               python dbos_first.py resume
    hamilton    python hamilton_first.py      needs Graphviz                    python hamilton_first.py
"""
