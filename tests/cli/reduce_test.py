"""`reduce`: files of summaries in place of traces, in any order and grouping."""

import json
import random
import subprocess
import unittest

import bench
import trace_maker

OK, BAD_USE, UNREADABLE = 0, 2, 4


class Reduce(bench.CliTest):
    RANKS = 6

    def setUp(self):
        super().setUp()
        self.traces = []
        for rank in range(self.RANKS):
            path = self.folder / f"node{rank % 2}.{100 + rank}.{rank}.mfut"
            trace_maker.gemm_trace(path, calls=200 + rank, rank=rank, world=self.RANKS,
                                   dropped=rank % 3)
            self.traces.append(path)

    def reduced(self, name, *inputs):
        done = self.tool("reduce", *inputs, "-o", self.folder / name, "-q")
        self.assertEqual((done.status, done.out, done.err), (OK, "", ""))
        return self.folder / name

    def report(self, *inputs):
        text = self.tool("report", *inputs, "--top", "100")
        data = self.tool("report", *inputs, "--json", "-", "-q")
        self.assertEqual((text.status, data.status), (OK, OK), text.err + data.err)
        self.assertTrue(json.loads(data.out)["ranks"])
        return text.out, data.out

    def test_any_grouping_prints_the_report_of_the_traces(self):
        whole = self.report(*self.traces)
        self.assertEqual(self.report(*reversed(self.traces), "--jobs", "1"), whole)
        everything = self.reduced("all", self.folder)
        self.assertEqual(self.report(everything), whole)
        rng = random.Random(5)
        for attempt in range(3):
            shards = [[], [], []]
            for path in self.traces:
                rng.choice(shards).append(path)
            files = [self.reduced(f"s{attempt}.{i}", *shard)
                     for i, shard in enumerate(shards) if shard]
            rng.shuffle(files)
            self.assertEqual(self.report(*files), whole)
            merged = self.reduced(f"m{attempt}", *files)
            self.assertEqual(merged.read_bytes(), everything.read_bytes())
        # Summaries and traces side by side.
        half = self.reduced("half", *self.traces[:3])
        self.assertEqual(self.report(half, *self.traces[3:]), whole)

    def test_what_could_not_be_read_is_said_by_both(self):
        bad = self.folder / "bad.mfut"
        bad.write_bytes(b"")
        done = self.tool("reduce", *self.traces, bad, "-o", self.folder / "all", "-q")
        self.assertEqual(done.status, OK)
        self.assertIn("bad.mfut: is not", done.err.replace("is empty", "is not"))
        self.assertEqual(self.report(self.folder / "all"), self.report(*self.traces, bad))

    def test_damaged_and_newer_files_are_refused(self):
        good = self.reduced("good", *self.traces)
        data = good.read_bytes()
        bad = self.folder / "bad"
        bad.write_bytes(data[:len(data) // 2])
        self.refused(self.tool("report", bad), UNREADABLE, "bad", "is damaged", "ends early")
        bad.write_bytes(data[:8] + b"\x02" + data[9:])
        self.refused(self.tool("report", bad), UNREADABLE, "newer mfutrace")
        bad.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        self.refused(self.tool("report", bad), UNREADABLE, "checksum")

    def test_usage(self):
        done = self.tool("reduce", *self.traces)
        self.assertEqual(done.status, BAD_USE)
        self.assertIn("--output", done.err)
        out = self.reduced("out", *self.traces)
        self.refused(self.tool("reduce", *self.traces, "-o", out), BAD_USE, "refusing to overwrite")
        done = self.tool("reduce", *self.traces, "-o", out, "-f")
        self.assertEqual(done.status, OK)
        self.assertRegex(done.err, r"6 devices in .*out, \d+ bytes")
        piped = subprocess.run([bench.TOOL, "reduce", *self.traces, "-o", "-"], check=True,
                               capture_output=True)
        self.assertEqual(piped.stdout, out.read_bytes())

    def test_other_peaks_are_refused(self):
        out = self.reduced("out", *self.traces)
        done = self.tool("report", out, "--peak", "bf16=123e12")
        self.assertNotEqual(done.status, OK)
        self.assertIn("other peaks", done.err)
        done = self.tool("reduce", *self.traces, "--peak", "bf16=123e12", "-o", out, "-f", "-q")
        self.assertEqual(done.status, OK)
        self.assertEqual(self.tool("report", out, "--peak", "bf16=123e12").out,
                         self.tool("report", *self.traces, "--peak", "bf16=123e12").out)


if __name__ == "__main__":
    unittest.main()
