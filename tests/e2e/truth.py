"""Reads the simulated node's own log (tests/simgpu/README.md): what its devices really did."""

import os
from collections import namedtuple

COLUMNS = ["seq", "pid", "rank", "device", "stream", "start_ns", "end_ns", "kind", "function",
           "dims", "flop", "bytes", "queued", "graph", "enqueue_ns"]
TEXT = {"kind", "function", "dims"}

Op = namedtuple("Op", COLUMNS)


def read(folder):
    """All operations of all processes, in the order in which each process logged them."""
    ops = []
    if not os.path.isdir(folder):
        return ops
    for name in sorted(os.listdir(folder)):
        if not name.startswith("truth."):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for line in file:
                if line.startswith("# seq"):
                    found = line[2:].rstrip("\n").split("\t")
                    assert found == COLUMNS, f"{name}: columns {found}"
                if line.startswith("#") or not line.endswith("\n"):
                    continue
                values = line.rstrip("\n").split("\t")
                ops.append(Op(*(value if column in TEXT else int(value, 0)
                                for column, value in zip(COLUMNS, values))))
    return ops


def numbers(op):
    """{"m": 64, ...} of the dimensions column; words stay text."""
    found = {}
    for part in op.dims.replace(",", " ").split():
        key, _, value = part.partition("=")
        found[key] = int(value) if value.lstrip("-").isdigit() else value
    return found
