"""Products of cuBLAS through ctypes, as Python packages call libraries: ctypes_cublas.py [CALLS]."""

import ctypes
import sys


def multiply(calls):
    """Returns the sum of all statuses."""
    cudart = ctypes.CDLL("libcudart.so.13")
    cublas = ctypes.CDLL("libcublas.so.13")
    handle, operands = ctypes.c_void_p(), ctypes.c_void_p()
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    failures = cudart.cudaMalloc(ctypes.byref(operands), ctypes.c_size_t(1 << 20))
    failures += cublas.cublasCreate_v2(ctypes.byref(handle))
    for _ in range(calls):
        failures += cublas.cublasSgemm_v2(handle, 0, 0, 64, 32, 16, ctypes.byref(one), operands, 64,
                                          operands, 16, ctypes.byref(zero), operands, 64)
    return failures + cudart.cudaDeviceSynchronize() + cublas.cublasDestroy_v2(handle)


if __name__ == "__main__":
    COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    FAILURES = multiply(COUNT)
    print(f"{COUNT} calls, failures {FAILURES}")
    sys.exit(FAILURES != 0)
