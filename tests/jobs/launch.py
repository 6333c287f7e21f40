#!/usr/bin/env python3
"""Starts N ranks of a job as processes of this machine, like a small torchrun.

usage: launch.py N [--timeout SECONDS] -- COMMAND [ARGUMENT...]

Each rank gets RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE and RENDEZVOUS_FILE (a fresh path). The
exit status is that of the first rank that fails (128 + signal if one killed it); the others are then
stopped. 124 after the timeout.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def stop(ranks):
    for rank in ranks:
        if rank.poll() is None:
            rank.terminate()
    deadline = time.monotonic() + 5
    for rank in ranks:
        try:
            rank.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            rank.kill()
            rank.wait()


def watch(ranks, deadline):
    """Waits for all ranks; returns the exit status of the first failure, or 0."""
    running = list(ranks)
    while running:
        for rank in list(running):
            status = rank.poll()
            if status is None:
                continue
            running.remove(rank)
            if status != 0:
                stop(running)
                return 128 - status if status < 0 else status
        if time.monotonic() > deadline:
            sys.stderr.write("launch.py: timed out\n")
            stop(running)
            return 124
        time.sleep(0.005)
    return 0


def main():
    arguments = sys.argv[1:]
    timeout_s = 3600.0
    if "--" not in arguments:
        sys.exit(__doc__)
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1:]
    if "--timeout" in options:
        at = options.index("--timeout")
        timeout_s = float(options[at + 1])
        del options[at:at + 2]
    if len(options) != 1 or not options[0].isdigit() or int(options[0]) < 1 or not command:
        sys.exit(__doc__)
    count = int(options[0])

    folder = tempfile.mkdtemp(prefix="rendezvous-")
    ranks = []
    try:
        for rank in range(count):
            environment = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(count),
                               LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(count),
                               RENDEZVOUS_FILE=os.path.join(folder, "unique_id"))
            try:
                ranks.append(subprocess.Popen(command, env=environment))
            except OSError as error:
                sys.stderr.write(f"launch.py: {command[0]}: {error.strerror}\n")
                stop(ranks)
                return 127 if isinstance(error, FileNotFoundError) else 126
        return watch(ranks, time.monotonic() + timeout_s)
    except KeyboardInterrupt:
        stop(ranks)
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
