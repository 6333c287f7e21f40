#!/usr/bin/env python3
"""Each function in entry_points.def is exported by the vendor's library that the table names.

usage: vendor_names.py ENTRY_POINTS_DEF FOLDER...
Exits with 77 (skipped) where none of the libraries is installed.
"""
import os
import re
import subprocess
import sys

FILES = {"kCublas": "libcublas.so", "kCublasLt": "libcublasLt.so", "kCudnn": "libcudnn.so",
         "kNccl": "libnccl.so"}


def find(prefix, folders):
    for folder in folders:
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            if name.startswith(prefix):
                return os.path.join(folder, name)
    return None


def exports(path):
    lines = subprocess.run(["readelf", "--dyn-syms", "-W", path], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    fields = (line.split() for line in lines)
    return {f[7].split("@")[0] for f in fields if len(f) >= 8 and f[6] != "UND"}


def main():
    table, folders = sys.argv[1], sys.argv[2:]
    rows = re.findall(r"^MFU_ENTRY\((\w+), (\w+),", open(table).read(), re.MULTILINE)
    assert rows, "no rows in " + table
    missing, checked = [], 0
    for library, prefix in FILES.items():
        path = find(prefix, folders)
        if path is None:
            print(f"skipped: {prefix} is in none of {' '.join(folders)}")
            continue
        available = exports(path)
        names = [symbol for symbol, owner in rows if owner == library]
        checked += len(names)
        missing += [f"{name} is not in {path}" for name in names if name not in available]
    print(f"{checked} names checked, {len(missing)} missing", *missing, sep="\n")
    if missing:
        return 1
    return 0 if checked else 77


sys.exit(main())
