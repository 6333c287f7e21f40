#!/usr/bin/env python3
"""Masks of attention graphs by stretches of keys (mask_lines.cc) against pair by pair (mask.cc), and both against
counting here.

usage: cudnn_masks_test.py FOLDER_OF_SIMULATED FOLDER_OF_JOBS. Status 77: the jobs are not built.
"""

import os
import subprocess
import sys
import tempfile

EACH_PAIR, STRETCHES = "1000000000000", "0"
SHAPES = [(q, k) for q in (1, 7, 40, 64) for k in (1, 5, 40, 97)]
MASKS = ["none", "causal_tl", "causal_br"]


def is_kept(mask, row, key, queries, keys):
    return mask == "none" or key <= row + (keys - queries if mask == "causal_br" else 0)


def flop_of(direction, mask, queries, keys):
    """Two sequences, six heads on three, widths 24 and 16: two products forward, five backward."""
    pairs = sum(is_kept(mask, i, j, queries, keys) for i in range(queries) for j in range(keys))
    width = 24 + 16 if direction == "fwd" else 3 * 24 + 2 * 16
    return 2 * 2 * 6 * pairs * width


def logged(job, pairs, *args):
    with tempfile.TemporaryDirectory() as log:
        environment = {**os.environ, "LD_LIBRARY_PATH": sys.argv[1], "SIMGPU_LOG": log, "SIMGPU_MASK_PAIRS": pairs}
        environment.pop("LD_PRELOAD", None)
        subprocess.run([os.path.join(sys.argv[2], job), *args], env=environment, check=True, stdout=subprocess.DEVNULL)
        lines = [line.split("\t") for name in sorted(os.listdir(log)) if name.startswith("truth.")
                 for line in open(os.path.join(log, name), encoding="utf-8") if not line.startswith("#")]
    # dims, flop and bytes of attention alone
    return [(fields[9], int(fields[10]), int(fields[11])) for fields in lines if fields[7] == "attention"]


def main():
    if not os.path.exists(os.path.join(sys.argv[2], "job_cudnn_graphs")):
        print("skipped: job_cudnn_graphs is not built")
        return 77
    graphs = logged("job_cudnn_graphs", EACH_PAIR)
    assert len(graphs) > 20, f"{len(graphs)} attention graphs in the log"
    assert logged("job_cudnn_graphs", STRETCHES) == graphs

    calls = [(direction, mask, q, k) for direction in ("fwd", "bwd") for mask in MASKS for q, k in SHAPES]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        for direction, mask, q, k in calls:
            file.write(f"attention {direction} 6 3 24 16 {mask} 1 2 {q} {k}\n")
        file.flush()
        for pairs in (EACH_PAIR, STRETCHES):
            found = [flop for _, flop, _ in logged("job_replay_calls", pairs, file.name)]
            assert found == [flop_of(*call) for call in calls], pairs
    print(f"{len(graphs)} graphs and {len(calls)} masks agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
