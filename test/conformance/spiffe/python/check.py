"""Checks a SPIFFE Workload API socket with py-spiffe, which shares no code with the server behind it.

The runner starts it as it starts the Go program beside it: the socket in SPIFFE_ENDPOINT_SOCKET, what it knows of the
server as JSON in the only argument, `ask <what>` on stdout answered by a line on stdin.
"""

import importlib
import sys

from conversation import checks, known
from spiffe import WorkloadApiClient


def parts():
    if "other" in known:
        return ["federation"]
    return ["restart"] if known.get("isNode") else ["alone", "restart"]


def main():
    for part in parts():
        importlib.import_module(part)
    failed = 0
    for name, run in checks:
        try:
            with WorkloadApiClient() as client:
                run(client)
            print("ok py-spiffe:", name, flush=True)
        except Exception as error:  # noqa: BLE001 whatever it is, the others are to run
            failed += 1
            print(f"FAILED py-spiffe: {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
