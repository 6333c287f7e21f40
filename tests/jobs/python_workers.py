"""Products in a Python process and in its workers: python_workers.py fork|spawn|idle.

fork: workers of a parent that has not used the GPU yet, as os.fork servers have. spawn: after it has. idle:
DataLoader's, forked from a parent that uses the GPU, which never touch it themselves.
"""

import multiprocessing
import sys
import time

import ctypes_cublas


def work(calls):
    failures = ctypes_cublas.multiply(calls)
    time.sleep(0.3)  # multiprocessing ends forked workers by os._exit: a flush must have been
    sys.exit(failures)


def main():
    how = sys.argv[1]
    context = multiprocessing.get_context("spawn" if how == "spawn" else "fork")
    failures = ctypes_cublas.multiply(30) if how != "fork" else 0
    target, arguments = (time.sleep, [(0.1,)] * 2) if how == "idle" else (work, [(10,), (20,)])
    workers = [context.Process(target=target, args=its_arguments) for its_arguments in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    failures += ctypes_cublas.multiply(30) if how == "fork" else 0
    print(f"failures {failures}, workers {[worker.exitcode for worker in workers]}")


if __name__ == "__main__":
    main()
