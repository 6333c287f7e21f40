"""Multiplies two matrices a number of times with CuPy; run by scripts/gpu_check under mfutrace.

Usage: cupy_matmul.py M N K CALLS
"""

import sys

import cupy


def main():
    m, n, k, calls = map(int, sys.argv[1:])
    a = cupy.ones((m, k), cupy.float32)
    b = cupy.ones((k, n), cupy.float32)
    for _ in range(calls):
        a @ b
    cupy.cuda.Device().synchronize()


main()
