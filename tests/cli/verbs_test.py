"""The program as a whole, `report`, `info` and `peaks`: what goes where, messages, exit codes."""

import gzip
import json
import os
import pathlib
import re
import shutil
import struct
import unittest

import bench
import trace_maker
from trace_maker import GEMM_FLOP

OK, BAD_USE, UNREADABLE = 0, 2, 4
H100_BF16_PEAK = 989_400_000_000_000  # NVIDIA H100 datasheet, SXM column


def kineto(events, **top):
    return json.dumps({"schemaVersion": 1, "traceEvents": events, **top})


KERNEL = {"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": 1000, "dur": 500,
          "args": {"device": 0, "stream": 7}}


class Program(bench.CliTest):
    def test_alone_it_lists_the_verbs(self):
        done = self.tool()
        self.assertEqual((done.status, done.err), (OK, ""))
        for verb in ("run", "report", "reduce", "info", "peaks"):
            self.assertRegex(done.out, rf"(?m)^  mfutrace {verb} ")
        for line in done.out.splitlines():
            self.assertLessEqual(len(line), 100)
        self.assertEqual(self.tool("--help"), done)
        self.assertEqual(self.tool("help"), done)

    def test_version(self):
        done = self.tool("--version")
        self.assertRegex(done.out, r"^mfutrace \d+\.\d+\.\d+( \([0-9a-f]{12}(-dirty)?\))?\n$")

    def test_every_verb_has_help(self):
        for verb in ("run", "report", "reduce", "info", "peaks"):
            done = self.tool(verb, "--help")
            self.assertEqual((done.status, done.err), (OK, ""))
            self.assertIn(f"Usage: mfutrace {verb} ", done.out)
            self.assertEqual(self.tool("help", verb), done)

    def test_a_wrong_verb_suggests_the_nearest(self):
        self.refused(self.tool("reprot"), BAD_USE, "reprot", "did you mean report?")
        self.refused(self.tool("Info"), BAD_USE, "did you mean info?")
        done = self.tool("xyzzy")
        self.refused(done, BAD_USE, "xyzzy")
        self.assertNotIn("did you mean", done.err)

    def test_a_wrong_option_suggests_the_nearest(self):
        self.refused(self.tool("report", "--jsn", "-"), BAD_USE, "--jsn", "did you mean --json?")
        self.refused(self.tool("report", "--jsn=-"), BAD_USE, "--jsn", "did you mean --json?")
        self.refused(self.tool("peaks", "A", "B"), BAD_USE, "B")

    def test_is_statically_linked(self):
        with open(bench.TOOL, "rb") as file:
            data = file.read(4096)
        offset, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        kinds = {struct.unpack_from("<I", data, offset + i * size)[0] for i in range(count)}
        if os.environ.get("MFU_STATIC_TOOLS") != "1":
            self.skipTest("built with -DMFUTRACE_STATIC_TOOLS=OFF")
        self.assertNotIn(3, kinds, "PT_INTERP: the program asks for a dynamic loader")


class Report(bench.CliTest):
    def run_folder(self, **options):
        folder = self.folder / "mfutrace-train"
        folder.mkdir()
        for rank in (0, 1):
            trace_maker.gemm_trace(folder / f"node1.{4000 + rank}.1.mfut", rank=rank, **options)
        return folder

    def result(self, *args):
        done = self.tool("report", *args, "--json", "-")
        self.assertEqual(done.status, OK, done)
        return json.loads(done.out)

    def test_json_on_stdout_is_alone_and_true(self):
        folder = self.run_folder()
        done = self.tool("report", folder, "--json", "-")
        self.assertEqual((done.status, done.err), (OK, ""))
        result = json.loads(done.out)
        self.assertEqual(result["schema"], 1)
        run = result["run"]
        self.assertEqual(run["flop_executed"], 2 * 100 * GEMM_FLOP)
        self.assertEqual(run["flop_by_kind"],
                         {"gemm": 2 * 100 * GEMM_FLOP, "attention": 0, "convolution": 0, "rnn": 0,
                          "other": 0})
        self.assertEqual((run["gpu"], run["world_size"], run["devices"], run["timing"]),
                         ("NVIDIA H100 80GB HBM3", 2, 2, "events"))
        self.assertEqual(run["peak_flop_per_s"], H100_BF16_PEAK)
        self.assertIsNone(run["coverage"])
        self.assertAlmostEqual(
            run["mfu"], 200 * GEMM_FLOP / (H100_BF16_PEAK * run["window_ns"] / 1e9), places=12)
        for rank in result["ranks"]:
            self.assertEqual(rank["compute_ns"], 100 * 10_000)
            self.assertIsNone(rank["idle_ns"])
            self.assertEqual(rank["compute_only_ns"] + rank["unattributed_ns"], rank["window_ns"])
        self.assertEqual([rank["rank"] for rank in result["ranks"]], [0, 1])

    def test_text_on_stdout(self):
        folder = self.run_folder()
        done = self.tool("report", folder)
        self.assertEqual((done.status, done.err), (OK, ""))
        self.assertNotIn("\033", done.out)
        self.assertLessEqual(len(done.out.splitlines()), 40)
        self.assertIn("989.4 TFLOP/s", done.out)
        self.assertIn("lower bound", done.out)
        rate = 200 * GEMM_FLOP / (self.result(folder)["run"]["window_ns"] * 1000)
        self.assertIn(f"{rate:.1f} TFLOP/s per GPU", done.out)

    def test_colour_only_where_wanted(self):
        folder = self.run_folder()
        self.assertIn("\033[", self.tool("report", folder, "--color=always").out)
        self.assertNotIn("\033[", self.tool("report", folder, "--color=never").out)
        self.refused(self.tool("report", folder, "--color=blue"), BAD_USE, "blue")

    def test_the_newest_run_is_the_default(self):
        self.run_folder()
        newer = self.folder / "mfutrace-later"
        newer.mkdir()
        trace_maker.gemm_trace(newer / "node1.1.1.mfut", calls=7, world=1)
        os.utime(self.folder / "mfutrace-train", (1, 1))
        done = self.tool("report", "--json", "-")
        self.assertIn("mfutrace-later", done.err)
        self.assertEqual(json.loads(done.out)["run"]["flop_executed"], 7 * GEMM_FLOP)

    def test_several_files_and_one_rank(self):
        folder = self.run_folder()
        files = sorted(folder.iterdir())
        self.assertEqual(self.result(*files)["run"]["flop_executed"], 200 * GEMM_FLOP)
        self.assertEqual(self.result(files[0])["run"]["flop_executed"], 100 * GEMM_FLOP)
        one = self.result(folder, "--rank", 1)
        self.assertEqual([rank["rank"] for rank in one["ranks"]], [1])
        self.assertEqual(one["run"]["flop_executed"], 100 * GEMM_FLOP)
        self.refused(self.tool("report", folder, "--rank", 9), BAD_USE, "9")

    def test_sections_and_rows(self):
        folder = self.run_folder()
        done = self.tool("report", folder, "--only", "ops,quality")
        self.assertIn("operations", done.out)
        self.assertIn("quality", done.out)
        self.assertNotIn("MFU", done.out)
        self.refused(self.tool("report", folder, "--only", "opps"), BAD_USE, "did you mean ops?")
        self.refused(self.tool("report", folder, "--top", "0"), BAD_USE, "--top")
        self.refused(self.tool("report", folder, "--skip-warmup", "many"), BAD_USE, "many")

    def test_files_are_not_overwritten(self):
        folder = self.run_folder()
        out = self.folder / "report.json"
        self.assertEqual(self.tool("report", folder, "--json", out).status, OK)
        text = out.read_text()
        self.assertEqual(json.loads(text)["schema"], 1)
        out.write_text("mine")
        done = self.tool("report", folder, "--json", out)
        self.refused(done, BAD_USE, f"refusing to overwrite {out} (use --force)")
        self.assertEqual(out.read_text(), "mine")
        self.assertEqual(self.tool("report", folder, "--json", out, "-f").status, OK)
        self.assertEqual(out.read_text(), text)
        self.refused(self.tool("report", folder, "--json", "/no/such/folder/x.json"), BAD_USE,
                     "/no/such/folder/x.json")

    def test_an_unknown_gpu_has_no_mfu(self):
        folder = self.run_folder(gpu="NVIDIA H20-3e")
        done = self.tool("report", folder, "--json", "-")
        self.assertEqual(done.status, OK)
        run = json.loads(done.out)["run"]
        self.assertEqual((run["mfu"], run["hfu"], run["peak_flop_per_s"]), (None, None, None))
        self.assertEqual(run["flop_executed"], 200 * GEMM_FLOP)
        lines = done.err.splitlines()
        self.assertIn('"NVIDIA H20-3e"', lines[0])
        self.assertEqual(len(lines), 3)
        self.assertIn("--peak bf16=", lines[2])

    def test_peaks_of_the_user(self):
        folder = self.run_folder(gpu="NVIDIA H20-3e")
        given = self.tool("report", folder, "--json", "-", "--peak", "bf16=148e12")
        self.assertEqual((given.status, given.err), (OK, ""))
        run = json.loads(given.out)["run"]
        self.assertEqual(run["peak_flop_per_s"], 148_000_000_000_000)
        self.assertAlmostEqual(run["mfu"], 200 * GEMM_FLOP / (148e12 * run["window_ns"] / 1e9),
                               places=12)
        peaks = self.folder / "peaks.toml"
        peaks.write_text('[[gpu]]\nname = "NVIDIA H20-3e"\n'
                         'peak_flop_per_s = { bf16 = 148e12 }\nsource = "a data sheet"\n')
        self.assertEqual(self.result(folder, "--peaks", peaks)["run"]["mfu"], run["mfu"])
        self.assertIn("a data sheet", self.tool("report", folder, "--peaks", peaks).out)
        home = self.folder / "home" / ".config" / "mfutrace"
        home.mkdir(parents=True)
        shutil.copy(peaks, home / "peaks.toml")
        self.assertEqual(self.result(folder)["run"]["mfu"], run["mfu"])
        self.refused(self.tool("report", folder, "--peak", "bf16=fast"), BAD_USE, "bf16=fast")
        peaks.write_text("[[gpu]\n")
        self.refused(self.tool("report", folder, "--peaks", peaks), BAD_USE, peaks)

    def test_drops_are_counted_and_shown(self):
        folder = self.folder / "run"
        folder.mkdir()
        trace_maker.gemm_trace(folder / "a.mfut", calls=10, world=1, dropped=5)
        result = self.result(folder)
        self.assertEqual(result["ranks"][0]["dropped"], 5)
        self.assertEqual(result["run"]["flop_executed"], 15 * GEMM_FLOP)
        self.assertIn("5 dropped", self.tool("report", folder).out)

    def test_no_such_file_and_empty_folder(self):
        self.refused(self.tool("report", "/no/such/run"), BAD_USE, "/no/such/run")
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused(self.tool("report", empty), BAD_USE, empty)
        self.refused(self.tool("report"), BAD_USE, "mfutrace run")

    def test_files_that_are_no_trace(self):
        cases = {"notes.mfut": b"these are my notes", "empty.mfut": b"", "text.json": b"not json",
                 "loss.json": b'{"loss": [1, 2, 3]}', "loss.json.gz": gzip.compress(b'{"loss": 1}'),
                 "cpu.json": kineto([dict(KERNEL, cat="cpu_op")]).encode()}
        for name, data in cases.items():
            with self.subTest(name):
                path = self.folder / name
                path.write_bytes(data)
                self.refused(self.tool("report", path), BAD_USE, path)

    def test_a_profiler_trace_is_told_by_its_content(self):
        for name, pack in (("trace.json", bytes), ("trace.json.gz", gzip.compress),
                           ("odd.name", bytes), ("odd.mfut", gzip.compress)):
            with self.subTest(name):
                path = self.folder / name
                path.write_bytes(pack(kineto([KERNEL]).encode()))
                rank = self.result(path)["ranks"][0]
                self.assertEqual(rank["compute_ns"], 500_000)
                self.assertEqual(rank["idle_ns"], 0)

    def test_a_torn_trace_is_reported_up_to_the_tear(self):
        path = trace_maker.gemm_trace(self.folder / "torn.mfut", calls=100, world=1, blocks=10)
        data = path.read_bytes()
        path.write_bytes(data[:len(data) - 600])
        done = self.tool("report", path, "--json", "-")
        self.assertEqual(done.status, OK, done)
        self.assertIn(path.name, done.err)
        calls, rest = divmod(json.loads(done.out)["run"]["flop_executed"], GEMM_FLOP)
        self.assertEqual((calls % 10, rest), (0, 0))
        self.assertTrue(0 < calls < 100)
        self.assertIn("1 files damaged", self.tool("report", path).out)

    def test_nothing_readable_and_a_newer_format(self):
        path = trace_maker.gemm_trace(self.folder / "a.mfut")
        data = path.read_bytes()
        newer = self.folder / "newer.mfut"
        newer.write_bytes(trace_maker.file_header(1, version=99) + data[64:])
        self.refused(self.tool("report", newer), UNREADABLE, newer)
        headless = self.folder / "headless.mfut"
        headless.write_bytes(data[:80])
        self.refused(self.tool("report", headless), UNREADABLE, headless)

    def test_one_unreadable_file_does_not_hide_the_others(self):
        folder = self.run_folder()
        (folder / "node9.1.1.mfut").write_bytes(b"garbage")
        done = self.tool("report", folder, "--json", "-")
        self.assertEqual(done.status, OK, done)
        self.assertEqual(json.loads(done.out)["run"]["flop_executed"], 200 * GEMM_FLOP)
        self.assertIn("node9.1.1.mfut", done.err)


class Info(bench.CliTest):
    def test_describes_one_file(self):
        path = trace_maker.gemm_trace(self.folder / "a.mfut", calls=50, rank=1, dropped=3)
        done = self.tool("info", path)
        self.assertEqual((done.status, done.err), (OK, ""))
        for text in ("pid 4001 on node1, rank 1 of 2 (RANK)", "./train --steps 3",
                     "2026-01-01 00:00:00 UTC", "ended in order", "NVIDIA H100 80GB HBM3",
                     "132 SMs", "80.0 GiB", "events (auto: no CUPTI)", "53: 50 recorded",
                     "3 dropped (ring full)", "the process counted the same", "50 timed",
                     "53  cublasGemmEx", "every block is whole", "calls_dropped_ring_full"):
            self.assertIn(text, done.out)
        self.assertIn(f"{path.stat().st_size / 53:.1f} bytes a call", done.out)

    def test_lists_a_folder(self):
        for rank in (0, 1):
            trace_maker.gemm_trace(self.folder / f"{rank}.mfut", rank=rank, end=rank == 0)
        rows = [line.split() for line in self.tool("info", self.folder).out.splitlines()]
        self.assertEqual(rows[1][:4] + rows[1][-1:], ["0.mfut", "0", "100", "100", "whole"])
        self.assertEqual(rows[2][-2:], ["no", "end"])

    def test_dump_prints_a_line_a_record(self):
        path = trace_maker.gemm_trace(self.folder / "a.mfut", calls=5)
        lines = self.tool("info", path, "--dump").out.splitlines()
        self.assertEqual(sum(line.startswith("call ") for line in lines), 5)
        self.assertTrue(lines[0].startswith("header "))

    def test_damage_is_told(self):
        path = trace_maker.gemm_trace(self.folder / "a.mfut", blocks=10)
        data = bytearray(path.read_bytes())
        data[-700] ^= 1
        path.write_bytes(bytes(data))
        done = self.tool("info", path)
        self.assertEqual(done.status, OK)
        self.assertIn("bytes lost", done.out)
        self.assertNotIn("every block is whole", done.out)

    def test_bad_files(self):
        self.refused(self.tool("info", "/no/such.mfut"), BAD_USE, "/no/such.mfut")
        path = self.folder / "notes"
        path.write_text("my notes")
        self.refused(self.tool("info", path), BAD_USE, path)


class Documents(unittest.TestCase):
    def test_every_variable_is_documented_and_no_other(self):
        source = pathlib.Path(__file__).resolve().parents[2]
        contract = set(re.findall(r'"(MFUTRACE_[A-Z_]+)"', (source / "trace/contract.h").read_text()))
        document = set(re.findall(r"\bMFUTRACE_[A-Z_]+", (source / "docs/ENVIRONMENT.md").read_text()))
        self.assertGreater(len(contract), 5)
        self.assertEqual(document, contract)


    def test_files_of_summaries_are_documented_field_by_field(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        source = (root / "report/analyze/summary_fields.h").read_text()
        text = " ".join((root / "docs/SUMMARIES.md").read_text().split())
        described = re.findall(r"Archive& archive, ([\w:]+)& value\).*?archive\((.*?)\);", source, re.S)
        self.assertGreater(len(described), 15)
        for name, fields in described:
            name = name.split("::")[-1]
            listed = re.search(rf"\*\*{name}\*\* \(.*?\): ((?:`\w+`(?:, )?)+)", text)
            self.assertTrue(listed, name)
            self.assertEqual(re.findall(r"`(\w+)`", listed.group(1)),
                             [field.strip().removeprefix("value.") for field in fields.split(",")], name)


class Peaks(bench.CliTest):
    def test_the_table_has_a_row_a_gpu(self):
        done = self.tool("peaks")
        self.assertEqual(done.status, OK)
        self.assertRegex(done.out, r"(?m)^NVIDIA H100 80GB HBM3 .* 989 ")
        gpus = json.loads(self.tool("peaks", "--json", "-").out)["gpus"]
        self.assertEqual(len(gpus), len(done.out.splitlines()) - 1)

    def test_names_are_exact_before_they_are_parts(self):
        names = lambda *args: [gpu["name"] for gpu in json.loads(
            self.tool("peaks", *args, "--json", "-").out)["gpus"]]
        self.assertEqual(names("NVIDIA H200"), ["NVIDIA H200"])
        self.assertGreater(len(names("h100")), 1)
        self.assertTrue(all("H100" in name for name in names("h100")))

    def test_figures_are_the_datasheets(self):
        gpu, = json.loads(self.tool("peaks", "NVIDIA H100 80GB HBM3", "--json", "-").out)["gpus"]
        self.assertEqual(gpu["peak_flop_per_s"]["bf16"], H100_BF16_PEAK)
        self.assertIsNone(gpu["peak_flop_per_s"]["f4"])
        self.assertTrue(gpu["source"])

    def test_an_unknown_name_suggests_the_nearest(self):
        self.refused(self.tool("peaks", "NVIDA H200"), BAD_USE, "did you mean NVIDIA H200?")
        self.refused(self.tool("peaks", "Voodoo 2"), BAD_USE, "Voodoo 2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
