#!/usr/bin/env python3
"""Holds the sources against the include rules of docs/ARCHITECTURE.md.

Each row of ROOMS names a folder (longest match wins), the project headers its files may include, and
the system headers it may not. A new edge between rooms is a change of architecture: it belongs in
the table here and in the document, in the same commit. Exit 1 and one line per offence otherwise.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What runs inside the job has no C++ runtime: these headers need libstdc++ or allocate.
NO_RUNTIME = {
    "absl/", "iostream", "string", "map", "unordered_map", "thread", "mutex", "functional", "vector",
    "memory", "sstream", "fstream", "set", "deque", "list", "condition_variable", "future", "regex",
    "filesystem", "stdexcept", "exception", "iomanip", "variant", "any", "chrono",
}
VENDOR = {"cuda.h", "cuda_runtime_api.h", "cuda_runtime.h", "cublas", "nccl.h", "cudnn", "cupti",
          "nvml.h", "library_types.h", "driver_types.h"}
SHAPES_ALLOWED = {"cstdint", "cstddef", "cstring", "array", "span", "string_view", "limits",
                  "optional", "bit"}

# folder or file -> (project prefixes it may include, forbidden system headers)
ROOMS = {
    "shapes/": (["shapes/"], NO_RUNTIME | VENDOR),
    "trace/": (["shapes/", "trace/"], VENDOR),
    "trace/contract.h": (["trace/contract.h"], NO_RUNTIME | VENDOR),
    "trace/format.h": (["shapes/op.h"], NO_RUNTIME | VENDOR),
    "trace/writer": (["trace/format.h", "trace/writer.h"], NO_RUNTIME | VENDOR),
    "trace/crc32c": (["trace/format.h"], NO_RUNTIME | VENDOR),
    "interpose/": (["shapes/", "trace/contract.h", "trace/format.h", "trace/writer.h", "interpose/"],
                   NO_RUNTIME),
    "report/model/": (["shapes/", "report/model/"], VENDOR),
    "report/model/load": (["shapes/", "trace/contract.h", "trace/format.h", "trace/reader.h",
                           "trace/signatures.h", "report/model/"], VENDOR),
    "report/import/": (["shapes/", "report/model/", "report/import/"], VENDOR),
    "report/estimate/": (["report/estimate/"], VENDOR),
    "report/estimate/compare": (["shapes/", "report/estimate/", "report/analyze/results.h"], VENDOR),
    "report/analyze/": (["shapes/", "report/model/", "report/analyze/"], VENDOR),
    "report/render/": (["shapes/", "report/model/timeline.h", "report/analyze/results.h",
                        "report/analyze/rates.h", "report/render/"], VENDOR),
    "report/render/comparison": (["report/estimate/", "report/render/"], VENDOR),
    "report/render/estimate": (["report/estimate/", "report/render/"], VENDOR),
    "gate/": (["shapes/", "report/analyze/results.h", "report/analyze/rates.h", "gate/"], VENDOR),
    "gate/print": (["report/render/units.h", "report/render/table.h", "report/render/json.h", "gate/"], VENDOR),
    "cli/": (["shapes/", "trace/contract.h", "trace/format.h", "trace/reader.h", "trace/dump.h",
              "report/", "gate/", "cli/"], VENDOR),
    "probe/": (["shapes/peaks.h", "trace/contract.h", "probe/"], set()),
    # The simulated node is tests' independent witness: it may know nothing of the product.
    "tests/simgpu/": (["tests/simgpu/"], set()),
    "tests/jobs/": (["tests/jobs/"], set()),
    "tests/": (["shapes/", "trace/", "interpose/", "report/", "gate/", "cli/", "tests/"], set()),
    "bench/": (["shapes/", "trace/", "interpose/", "report/", "gate/", "bench/"], set()),
}

# Vendor headers inside interpose appear only where vendor types are read.
INTERPOSE_VENDOR_FILES = re.compile(
    r"interpose/(entry_points|entry_types|hook|hooks|observe_\w+|gpu_clock|driver|shadow|"
    r"cublas_\w+|cudnn_\w+|nccl_\w+|lt_\w+|cupti/\w+)\.(h|cc|def)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    matches = [prefix for prefix in ROOMS if path.startswith(prefix)]
    return max(matches, key=len) if matches else None


def offences(path):
    room = room_of(path)
    if room is None:
        return
    allowed, forbidden = ROOMS[room]
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, header = match.groups()
        where = f"{path}:{number}"
        if bracket == '"' and "/" in header and (ROOT / header.split("/")[0]).is_dir() \
                and not header.startswith("absl/"):
            if not any(header.startswith(prefix) for prefix in allowed):
                yield f"{where}: {room.rstrip('/')} may not include {header}"
            continue
        for banned in forbidden:
            hit = header.startswith(banned) if banned.endswith("/") or banned in VENDOR \
                else header == banned
            if hit:
                yield f"{where}: {room.rstrip('/')} may not include <{header}>"
        if room == "shapes/" and bracket == "<" and header not in SHAPES_ALLOWED:
            yield f"{where}: shapes includes only {', '.join(sorted(SHAPES_ALLOWED))}"
        if path.startswith("interpose/") and any(header.startswith(v) for v in VENDOR) \
                and not INTERPOSE_VENDOR_FILES.search(path):
            yield f"{where}: vendor headers belong in entry_points, hook, observe_*, driver, gpu_clock"


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.h", "*.cc", "*.c",
                             "*.def", "*.S"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = listed.stdout.split()
    found = [line for path in files if (ROOT / path).exists() for line in offences(path)]
    for line in found:
        print(f"check_includes: {line}")
    if found:
        return 1
    print(f"check_includes: ok ({len(files)} files)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
