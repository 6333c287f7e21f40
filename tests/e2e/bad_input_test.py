"""What the program says to bad input: one clear line, a documented exit code (docs/ENVIRONMENT.md)."""

import gzip
import json
import struct

import harness

BAD_FILE, NOTHING, UNREADABLE = 2, 3, 4


class BadInput(harness.JobTest):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.TOOL)

    def check(self, done, status, *words):
        """The status; on stderr one message that names what it is about, and nothing on stdout."""
        text = done.stderr.decode()
        self.assertEqual(done.status, status, done)
        self.assertEqual(done.stdout, b"")
        messages = [line for line in text.splitlines() if line.startswith("mfutrace: ")]
        helpful = [line for line in text.splitlines() if line.startswith("  ")]
        self.assertEqual(len(messages), 1, text)
        self.assertEqual(len(messages) + len(helpful), len(text.splitlines()), text)
        self.assertLessEqual(len(helpful), 2, text)
        for word in words:
            self.assertIn(str(word), text)
        self.assertNotIn("terminate called", text)

    def report(self, *args):
        return self.bench.tool("report", *args)

    def write(self, name, data):
        path = self.bench.new_folder() / name
        path.write_bytes(data)
        return path

    def test_no_such_file(self):
        self.check(self.report("/no/such/trace.mfut"), BAD_FILE, "/no/such/trace.mfut")
        self.check(self.report("/no/such/trace.json.gz"), BAD_FILE, "/no/such/trace.json.gz")

    def test_empty_folder(self):
        folder = self.bench.new_folder()
        done = self.report(folder)
        self.assertIn(done.status, (BAD_FILE, NOTHING))
        self.check(done, done.status, folder)

    def test_no_run_here(self):
        done = self.bench.tool("report", cwd=self.bench.new_folder())
        self.assertIn(done.status, (BAD_FILE, NOTHING))
        self.check(done, done.status)

    def test_a_file_that_is_no_trace(self):
        for name, data in (("notes.mfut", b"these are my notes\n" * 100), ("empty.mfut", b""),
                           ("short.mfut", b"mfutrace")):
            with self.subTest(name):
                path = self.write(name, data)
                done = self.report(path)
                self.assertIn(done.status, (BAD_FILE, UNREADABLE))
                self.check(done, done.status, path)

    def test_json_that_is_not_a_trace(self):
        for name, data in (("object.json", b'{"loss": [1, 2, 3]}'), ("list.json", b"[1, 2, 3]"),
                           ("broken.json", b'{"traceEvents": [{"ph": "X", '), ("no.json", b""),
                           ("text.json", b"not json at all"),
                           ("packed.json.gz", gzip.compress(b'{"loss": 1}')),
                           ("fake.json.gz", b'{"traceEvents": []}'),
                           ("torn.json.gz", gzip.compress(b'{"traceEvents": []}' * 9)[:-9])):
            with self.subTest(name):
                path = self.write(name, data)
                done = self.report(path)
                self.assertIn(done.status, (BAD_FILE, NOTHING, UNREADABLE))
                self.check(done, done.status, path)

    def test_a_trace_without_gpu_events(self):
        events = [{"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 1, "dur": 2, "pid": 1,
                   "tid": 1, "args": {}}]
        path = self.write("cpu.json", json.dumps({"schemaVersion": 1,
                                                  "traceEvents": events}).encode())
        done = self.report(path)
        self.assertIn(done.status, (BAD_FILE, NOTHING))
        self.check(done, done.status, path)

    def test_wrong_use(self):
        self.check(self.bench.tool("reprot"), BAD_FILE, "reprot", "report")
        self.check(self.report("--jsno", "-"), BAD_FILE, "--jsno")
        self.check(self.report("--peak", "bf16=fast"), BAD_FILE, "bf16=fast")

    def test_commands_that_cannot_be_run(self):
        script = self.write("script", b"#!/bin/sh\n")
        out = self.bench.new_folder() / "out"
        self.check(self.bench.tool("run", "-o", out, "--", "no-such-command"), 127,
                   "no-such-command")
        self.check(self.bench.tool("run", "-o", out, "--", script), 126, script)
        self.check(self.bench.tool("run", "-o", "/proc/no", "--", "true"), 125, "/proc/no")
        self.check(self.bench.tool("run"), 125)


class DamagedTraces(harness.JobTest):
    CALLS = 40000

    def setUp(self):
        super().setUp()
        harness.require(harness.TOOL)
        run = self.bench.good_job("gemm_loop", "--count", self.CALLS,
                                  env={"MFUTRACE_FLUSH_MS": "5"})
        self.whole = run.trace_paths()[0].read_bytes()
        self.flop = run.trace.gemm_flop() // self.CALLS

    def report_of(self, data):
        path = self.bench.new_folder() / "host.1.1.mfut"
        path.write_bytes(data)
        return self.bench.tool("report", path, "--json", "-"), path

    def calls_in(self, done):
        flop = json.loads(done.stdout)["run"]["flop_executed"]
        self.assertEqual(flop % self.flop, 0)
        return flop // self.flop

    def test_what_is_before_the_damage_is_reported(self):
        for share in (0.99, 0.7, 0.4):
            with self.subTest(share):
                done, path = self.report_of(self.whole[:int(len(self.whole) * share)])
                self.assertEqual(done.status, 0, done)
                self.assertTrue(0 < self.calls_in(done) < self.CALLS)
                self.assertIn(path.name, done.stderr.decode())

    def test_a_flipped_byte_ends_the_data_there(self):
        data = bytearray(self.whole)
        data[len(data) // 2] ^= 0x40
        done, path = self.report_of(bytes(data))
        self.assertEqual(done.status, 0, done)
        self.assertTrue(0 < self.calls_in(done) < self.CALLS)
        self.assertIn(path.name, done.stderr.decode())

    def test_a_header_alone_and_a_newer_format(self):
        done, path = self.report_of(self.whole[:64])
        self.assertNotEqual(done.status, 0)
        self.assertIn(path.name, done.stderr.decode())
        newer = bytearray(self.whole)
        struct.pack_into("<I", newer, 8, 99)
        done, path = self.report_of(bytes(newer))
        self.assertEqual(done.status, UNREADABLE, done)
        self.assertIn(path.name, done.stderr.decode())

    def test_info_tells_whole_from_damaged(self):
        for data, status in ((self.whole, 0), (self.whole[:len(self.whole) // 2], 0)):
            path = self.bench.new_folder() / "host.1.1.mfut"
            path.write_bytes(data)
            done = self.bench.tool("info", path)
            self.assertEqual(done.status, status, done)


class Run(harness.JobTest):
    """`mfutrace run`: the job's own status and output, and what is said at the end."""

    def setUp(self):
        super().setUp()
        harness.require(harness.TOOL)
        self.out = self.bench.folder / "recorded"

    def run_verb(self, job, *args, options=()):
        return self.bench.tool("run", "-o", self.out, *options, "--",
                               harness.JOBS / f"job_{job}", *args)

    def test_statuses_come_through_and_traces_stay(self):
        for how, status in (("exit", 3), ("abort", 128 + 6), ("kill", 128 + 9)):
            with self.subTest(how):
                done = self.run_verb("ends", how, 300, 1000)
                self.assertEqual(done.status, status, done)
                self.assertEqual(done.stdout, b"300 calls\n")
        self.assertEqual(len(list(self.out.glob("*.mfut"))), 3)
        report = self.bench.tool("report", self.out, "--json", "-")
        self.assertEqual(json.loads(report.stdout)["run"]["flop_executed"],
                         3 * 300 * 2 * 64 * 32 * 16)

    def test_quiet_run_adds_not_a_byte(self):
        done = self.run_verb("stdio", options=["-q"])
        bare = self.bench.job("stdio", preload=False)
        self.assertEqual((done.status, done.stdout, done.stderr), (42, bare.stdout, bare.stderr))

    def test_a_job_without_gpu_work_is_explained(self):
        done = self.run_verb("no_gpu_work")
        self.assertEqual(done.status, 0)
        self.assertIn("no trace was written", done.stderr.decode())

    def test_print_env_can_be_evaluated(self):
        script = (f'eval "$({harness.TOOL} run -o {self.out} --print-env)" && '
                  f'{harness.JOBS / "job_gemm_loop"} --count 7')
        done = self.bench.run(["bash", "-c", script], preload=False)
        self.assertEqual((done.status, done.stdout), (0, b"7 calls\n"), done)
        self.assertEqual(len(list(self.out.glob("*.mfut"))), 1)


if __name__ == "__main__":
    harness.main()
