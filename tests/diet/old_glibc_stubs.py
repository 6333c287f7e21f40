#!/usr/bin/env python3
"""Links a program against the library as a machine with glibc 2.17 would.

`zig cc -target x86_64-linux-gnu.2.17` (Python package ziglang) brings stubs of that glibc's libraries
with exactly the symbols they had, and the linker must find every reference of libmfutrace.so in them.
(That the library names the right ones as NEEDED is scripts/check_preload.sh's to say: zig always links
them all.) Exits with 77 (skipped) without ziglang or on another architecture.

usage: old_glibc_stubs.py LIBMFUTRACE
"""
import os
import platform
import subprocess
import sys
import tempfile


def main():
    if platform.machine() != "x86_64":
        print("skipped: the stubs are tried on x86-64 only")
        return 77
    try:
        import ziglang  # noqa: F401
    except ImportError:
        print("skipped: no Python package ziglang (pip install ziglang)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "main.c")
        with open(source, "w") as file:
            file.write("int main(void) { return 0; }\n")
        # --no-allow-shlib-undefined: references of the shared library itself must resolve too.
        link = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17", source,
                sys.argv[1], "-ldl", "-lpthread", "-Wl,--no-allow-shlib-undefined", "-o",
                os.path.join(folder, "main")]
        env = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=folder, ZIG_LOCAL_CACHE_DIR=folder)
        result = subprocess.run(link, env=env, text=True, stderr=subprocess.PIPE)
        sys.stderr.write(result.stderr)
        print("links against the stubs of glibc 2.17" if result.returncode == 0 else "does not link")
        return 1 if result.returncode else 0


sys.exit(main())
