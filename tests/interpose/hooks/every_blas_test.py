#!/usr/bin/env python3
"""Every cuBLAS function of the table is called once; what the hooks recorded is held against what the
vendor's headers call the arguments.

The job gives each integer its position + 1000 (and each array of dimensions its position in steps), so
that two dimensions taken for each other show. This test knows nothing of the observers: which position
is m is read from the parameter names of cublas_api.h, cublas.h and cublasXt.h.
"""
import os
import re
import subprocess
import unittest

LIBRARY = os.environ["HOOKS_LIBRARY"]
FAKES = os.environ["HOOKS_FAKES"]
JOBS = os.environ["HOOKS_JOBS"]
HEADERS = os.environ["HOOKS_CUDA_INCLUDE"]
SOURCE = os.environ["HOOKS_SOURCE"]

# shapes::Dtype of the formats by the letters of BLAS
F64, F32, F16, BF16, I32, U8, C64, C32 = 1, 2, 3, 4, 12, 19, 21, 22
LETTERS = {"S": F32, "D": F64, "C": C32, "Z": C64, "H": F16, "T": BF16}
ACCUMULATE = {F32: F32, C32: F32, F64: F64, C64: F64, F16: F32, BF16: F32}
# Packed storage is another way to keep the same matrix; conjugation is no other work.
SAME_ROUTINE = {"spmv": "symv", "hpmv": "hemv", "tpmv": "trmv", "tpsv": "trsv", "spr": "syr", "hpr": "her",
                "spr2": "syr2", "hpr2": "her2", "geru": "ger", "gerc": "ger", "spmm": "symm",
                "sbmv": "symv", "hbmv": "hemv", "tbmv": "trmv", "tbsv": "trsv"}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def declarations():
    """Name of each function: the names and types of its parameters, in order."""
    found = {}
    for header in ("cublas_api.h", "cublas.h", "cublasXt.h"):
        text = read(HEADERS, header)
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
        for name, parameters in re.findall(r"CUBLASWINAPI\s+(cublas\w+)\s*\(([^;{]*)\)\s*;", text):
            names = []
            for parameter in parameters.split(","):
                words = re.findall(r"\w+", parameter.replace("[]", ""))
                names.append((words[-1] if words else "", parameter))
            found.setdefault(name, names)
    return found


def routines():
    text = read(SOURCE, "shapes/op.h")
    body = re.search(r"enum class MatrixRoutine.*?\{(.*?)\};", text, re.DOTALL).group(1)
    return {name.lower(): int(value) for name, value in re.findall(r"k(\w+) = (\d+),", body)}


def table():
    text = read(SOURCE, "interpose/entry_points.def")
    return re.findall(r"^MFU_ENTRY\((\w+), kCublas,", text, re.MULTILINE)


class Call:
    """What a call of `name` should leave in the log, by the header alone."""

    def __init__(self, name, parameters):
        self.name = name
        self.names = [n for n, _ in parameters]
        self.types = [t for _, t in parameters]
        base = re.sub(r"(_v2)?(_64)?$", "", name)
        self.is_host = base.startswith("cublasXt")
        base = re.sub("^cublas(Xt)?", "", base)
        self.is_legacy = "handle" not in self.names
        self.is_3m = "3m" in base
        match = re.match(r"(HS|TS)?([SDCZHT])(\w+)$", base)
        self.routine = ""
        if base.startswith("Gemm"):
            self.letter, self.routine = None, "gemm"
        elif base == "Uint8gemmBias":
            self.letter, self.routine = "U", "gemm"
        else:
            self.letter = match.group(1)[0] if match.group(1) else match.group(2)
            self.result_letter = match.group(2)
            rest = re.sub("3m", "", match.group(3))
            self.routine = re.sub("(Grouped)?(Strided)?(Batched)?(Ex)?$", "", rest)
        self.is_banded = self.routine in ("sbmv", "hbmv", "tbmv", "tbsv")
        self.routine = SAME_ROUTINE.get(self.routine, self.routine)

    def value(self, *names):
        for name in names:
            if name in self.names:
                return 1000 + self.names.index(name)
        return None

    def beta(self):
        for name in ("beta", "beta_array"):
            if name in self.names:
                return self.names.index(name)
        return -1

    def formats(self):
        if self.letter == "U":
            return [U8] * 4
        if any("cudaDataType" in t for t in self.types):
            # A, B, C and D like C; or A and C.
            return [BF16, F16, F32, F32] if sum("cudaDataType" in t for t in self.types) == 3 else [BF16, F16]
        return [LETTERS[self.letter]] * 4

    def gemm(self):
        formats = ",".join(map(str, self.formats()))
        operation = 3 if self.is_legacy else 1
        accumulate = {"U": I32, None: F32}.get(self.letter) or ACCUMULATE[LETTERS[self.letter]]
        if self.letter == "H":
            accumulate = F16  # cublasHgemm: half in, half inside, half out
        math = 3 if any("cublasComputeType_t" in t for t in self.types) else 0
        code = 75 if math else {F32: 68, F64: 70, F16: 64, I32: 72}[accumulate]
        beta = 2 if self.beta() >= 0 else 0
        batch = self.value("batchCount", "batchSize") or 1
        return (f"gemm {self.name} {self.value('m')}x{self.value('n')}x{self.value('k')} b{batch} types "
                f"{formats} acc {accumulate} math {math} op {operation}{operation} beta {beta} bcast 00 "
                f"code {code}{' 3m' if self.is_3m else ''}")

    def matrix(self, numbers):
        formats = self.formats()
        result = formats[1] if any("cudaDataType" in t for t in self.types) else LETTERS[self.result_letter]
        dtype = formats[0]
        accumulate = ACCUMULATE[LETTERS[self.letter]]
        k = self.value("k", "nrhs") or 0
        if self.is_banded:
            k += 1  # stored diagonals: the main one and k others
        if "kl" in self.names:
            k = self.value("kl") + self.value("ku") + 1
        side = (2 if self.is_legacy and self.names[0] != "side" else 1) \
            if {"side", "mode"} & set(self.names) else 2
        return (f"matrix {self.name} routine {numbers[self.routine]} {self.value('m') or 0}x"
                f"{self.value('n') or 0}x{k} b{self.value('batchCount', 'batchSize') or 1} types "
                f"{dtype},{result} acc {accumulate} math 0 side {side} beta {2 if self.beta() >= 0 else 0} "
                f"3m {int(self.is_3m)} code {70 if accumulate == F64 else 68}")

    def grouped(self):
        count = self.value("group_count")
        wide = self.name.endswith("_64")
        step = 10000000000 if wide else 10000
        at = {name: self.names.index(f"{name}_array") * step for name in "mnk"}
        formats = ",".join(map(str, self.formats()))
        accumulate = ACCUMULATE[LETTERS[self.letter]] if self.letter else F32
        math = 3 if self.letter is None else 0
        code = 75 if math else {F32: 68, F64: 70}[accumulate]
        for i in range(count):
            operation = 1 if i % 2 == 0 else 0
            yield (f"gemm {self.name} {at['m'] + i}x{at['n'] + i}x{at['k'] + i} b1 types {formats} acc "
                   f"{accumulate} math {math} op {operation}{operation} beta 2 bcast 00 code {code}")


class EveryFunction(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        known = declarations()
        cls.calls = {name: Call(name, known[name]) for name in table()}
        lines = "".join(f"{call.name} {call.beta()}\n" for call in cls.calls.values())
        env = dict(os.environ, LD_PRELOAD=LIBRARY)
        result = subprocess.run([os.path.join(JOBS, "every_blas_job"), FAKES], env=env, input=lines, text=True,
                                timeout=100, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert result.returncode == 0, result.stdout[-2000:]
        cls.said = {}
        current = None
        for line in result.stdout.splitlines():
            if line.startswith("call "):
                current = cls.said.setdefault(line[5:], [])
            else:
                assert line.startswith("  | "), line
                current.append(line[4:])

    def of(self, kind):
        return [call for call in self.calls.values() if kind(call)]

    def test_all_were_called(self):
        self.assertGreater(len(self.calls), 480)
        self.assertEqual(set(self.said), set(self.calls))

    def test_products(self):
        calls = self.of(lambda c: c.routine == "gemm" and "group_count" not in c.names)
        self.assertGreater(len(calls), 55)
        for call in calls:
            self.assertEqual(self.said[call.name][0], call.gemm())

    def test_other_routines(self):
        numbers = routines()
        calls = self.of(lambda c: c.routine != "gemm")
        self.assertGreater(len(calls), 400)
        seen = set()
        for call in calls:
            seen.add(call.routine)
            self.assertEqual(self.said[call.name][0], call.matrix(numbers))
        self.assertEqual(seen, set(numbers) - {"unknown"})

    def test_grouped_products(self):
        calls = self.of(lambda c: "group_count" in c.names)
        self.assertEqual(len(calls), 6)
        for call in calls:
            said = self.said[call.name]
            count = call.value("group_count")
            for line, expected in zip(said[:count], call.grouped()):
                self.assertEqual(line, expected)
            self.assertEqual(said[count], f"compound {call.name} of {count}")
            step = 10000000000 if call.name.endswith("_64") else 10000
            first = call.names.index("group_size") * step
            sizes = [int(line.split("x")[-1]) for line in said[count + 1:2 * count + 1]]
            self.assertEqual(sizes, [first + i for i in range(count)])
            parts = [int(line.split()[2]) for line in said[count + 1:2 * count + 1]]
            self.assertEqual(parts, list(range(parts[0], parts[0] + count)))

    def test_streams(self):
        for call in self.calls.values():
            end = self.said[call.name][-2:]
            if call.is_legacy or call.is_host:
                self.assertEqual(end, ["hold stream 0 sequence 0", "recorded held sequence 0 bracket 0"])
            else:
                self.assertEqual(end, ["begin stream 77 sequence 0", "end stream 77 recorded"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
