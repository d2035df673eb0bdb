"""A Dask cluster in one process: `python -m tests.executors.cluster PORT`; prints the address of its scheduler."""

import sys
import warnings


def main(port: int) -> None:
    """Serve until the input ends."""
    from distributed import LocalCluster

    with LocalCluster(
        processes=False, n_workers=1, threads_per_worker=2, scheduler_port=port, protocol="tcp://",
        dashboard_address="127.0.0.1:0", resources={"gpu": 1},
    ) as cluster:  # fmt: skip
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]))
