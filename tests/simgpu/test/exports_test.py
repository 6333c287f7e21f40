#!/usr/bin/env python3
"""Holds the simulated libraries' sonames and symbol versions against NVIDIA's installed ones.

usage: exports_test.py FOLDER_OF_SIMULATED FOLDER_OF_REAL. Status 77: nothing to compare with.
"""

import os
import subprocess
import sys

LIBRARIES = {"libcuda.so.1": "stubs/libcuda.so", "libcudart.so.13": "libcudart.so.13",
             "libcublas.so.13": "libcublas.so.13", "libcublasLt.so.13": "libcublasLt.so.13",
             "libnccl.so.2": "libnccl.so.2", "libcudnn.so.9": "libcudnn.so.9",
             **{f"libcudnn_{part}.so.9": f"libcudnn_{part}.so.9" for part in ("graph", "ops", "cnn", "adv")}, "libcupti.so.13": "libcupti.so.13"}
OURS = {"simgpu_api"}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def exports(path):
    """{(name@version, binding)} of the defined functions."""
    found = set()
    for line in run("readelf", "--dyn-syms", "-W", path).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] == "FUNC" and fields[6] != "UND":
            found.add((fields[7], fields[4]))
    return found


def soname(path):
    for line in run("readelf", "-d", "-W", path).splitlines():
        if "SONAME" in line:
            return line.split("[")[1].rstrip("]")
    return None


def main():
    simulated, real = sys.argv[1:3]
    compared = failures = 0
    for name, real_name in LIBRARIES.items():
        real_path = os.path.join(real, real_name)
        if not os.path.exists(real_path):
            print(f"{name}: not compared, {real_path} is not installed")
            continue
        compared += 1
        path = os.path.join(simulated, name)
        wrong = sorted(s for s in exports(path) - exports(real_path) if s[0] not in OURS)
        for symbol in wrong:
            print(f"{name}: {symbol} is not what the real library exports")
        if soname(path) != soname(real_path):
            print(f"{name}: soname {soname(path)}, the real one has {soname(real_path)}")
            failures += 1
        failures += len(wrong)
        print(f"{name}: {len(exports(path))} functions compared")
    archive = os.path.join(simulated, "libcudart_static.a")
    visible = [line.split()[7] for line in run("readelf", "-sW", archive).splitlines()
               if " FUNC " in line and " GLOBAL " in line and " UND " not in line
               and " HIDDEN " not in line]
    if visible:
        print(f"libcudart_static.a: visible {visible}")
        failures += 1
    needed = run("readelf", "-d", "-W", os.path.join(simulated, "libcudart.so.13"))
    if "libstdc++" in needed:
        print("libcudart.so.13 needs a C++ library")
        failures += 1
    if compared == 0 and failures == 0:
        return 77
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
