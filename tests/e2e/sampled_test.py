"""Sampled windows: what is recorded is right, what is not is counted, and the report tells them apart."""

import bisect
import unittest

import harness
import match
import truth

MICROSECOND_NS = 1000
MODEL = ["--layers", 4, "--hidden", 512, "--heads", 8, "--ffn", 2048, "--swiglu", "--seq", 1024,
         "--batch", 2, "--vocab", 32000, "--tp", 2, "--steps", 400]
PERIOD_NS = 200_000_000
ENVIRONMENT = {"MFUTRACE_TIMING": "events", "MFUTRACE_SAMPLE": "50ms/200ms",
               "MFUTRACE_OVERHEAD_BUDGET": "off", "MFUTRACE_FLUSH_MS": "20",
               "SIMGPU_TIME_SCALE": "0.2"}


def is_sequence_of(trace, call):
    return trace.collectives[call.signature].communicator


class Sampled(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS)
        cls.bench = harness.Bench()
        cls.run_ = cls.bench.good_job("gpt_train", *MODEL, ranks=2, env=ENVIRONMENT)
        cls.log = cls.run_.log
        cls.traces = sorted(cls.run_.traces, key=lambda trace: trace.rank)

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    def pairs(self, trace):
        """(call, operation, time of its first event, time of its second) of all recorded calls.

        A recorded call has two timing events around it in the log; a counted one has none. So the
        log itself says which operations were recorded, and their order must be that of the calls.
        """
        calls, ops = match._by_stream(trace, self.log)
        for stream, its_calls in calls.items():
            its_ops = ops[stream]
            bracketed = [i for i in range(1, len(its_ops) - 1) if its_ops[i].kind != "event"
                         and its_ops[i - 1].kind == its_ops[i + 1].kind == "event"]
            self.assertEqual(len(bracketed), len(its_calls), f"stream {stream}")
            for call, i in zip(its_calls, bracketed):
                self.assertTrue(match._same(trace, call, its_ops[i]), f"{call} is not {its_ops[i]}")
                yield call, its_ops[i], its_ops[i - 1].end_ns, its_ops[i + 1].end_ns

    def test_flop_and_calls_equal_the_log_over_the_whole_run(self):
        for trace in self.traces:
            logged = harness.gemm_ops(self.log, trace.pid)
            self.assertEqual(trace.gemm_flop(), sum(op.flop for op in logged))
            self.assertEqual(trace.end.calls, trace.total_calls())
            counted = sum(c.calls for c in trace.counted if c.reason == 1)
            print(f"rank {trace.rank}: {len(trace.calls)} calls recorded, {counted} counted")
            self.assertGreater(counted, len(trace.calls))
            self.assertGreater(len(trace.calls), 0)
            self.assertEqual([c for c in trace.counted if c.reason != 1], [])

    def test_every_recorded_call_is_timed_within_a_microsecond(self):
        for trace in self.traces:
            pairs = list(self.pairs(trace))
            offsets = sorted(opened - call.gpu_begin for call, _, opened, _ in pairs)
            epoch, worst = offsets[len(offsets) // 2], 0
            for call, _, opened, closed in pairs:
                worst = max(worst, abs(call.gpu_begin + epoch - opened),
                            abs(call.gpu_end + epoch - closed))
            print(f"rank {trace.rank}: {len(pairs)} calls, worst difference {worst} ns")
            self.assertLessEqual(worst, MICROSECOND_NS)

    def test_windows_begin_at_multiples_of_the_period_on_all_ranks(self):
        opened = []
        for trace in self.traces:
            monotonic, realtime, residual = trace.host_clock[0]
            self.assertGreater(residual, 0)
            self.assertEqual(trace.facts["sample"], "50ms/200ms")
            events = [(w.number, w.event) for w in trace.windows]
            last = trace.windows[-1].number
            self.assertEqual(events, [(n, e) for n in range(trace.windows[0].number, last + 1)
                                      for e in (0, 1)])
            starts = [w for w in trace.windows if w.event == 0]
            # The first may have begun in the middle; a late thread is no matter of milliseconds here.
            phases = [(w.monotonic - monotonic + realtime) % PERIOD_NS for w in starts[1:]]
            self.assertGreater(len(phases), 3)
            self.assertLess(sorted(phases)[len(phases) // 2], 50_000_000, phases)
            opened.append({(w.monotonic + PERIOD_NS // 4) // PERIOD_NS for w in starts})
        common = opened[0] & opened[1]
        self.assertGreaterEqual(len(common), min(map(len, opened)) - 2)

    def test_recorded_calls_lie_in_windows_and_counted_ones_between(self):
        for trace in self.traces:
            windows = [(a.monotonic, b.monotonic)
                       for a, b in zip(trace.windows[::2], trace.windows[1::2])]
            for call in trace.calls:
                # The flag is read a moment before the call's clock.
                self.assertTrue(any(a - 10_000_000 <= call.host_begin <= b + 10_000_000
                                    for a, b in windows), call)
            for counted in trace.counted:
                self.assertLessEqual(counted.host_end - counted.host_begin, 1_500_000_000)
            inside = sum(b.calls - a.calls for a, b in zip(trace.windows[::2], trace.windows[1::2]))
            self.assertLess(abs(inside - len(trace.calls)), 0.05 * len(trace.calls) + 50)

    def test_windows_tell_where_communicators_are(self):
        for trace in self.traces:
            checked = 0
            for window, closed in zip(trace.windows[::2], trace.windows[1::2]):
                for communicator, sequence in window.sequences.items():
                    inside = [call.sequence for call in trace.calls if call.is_collective
                              and is_sequence_of(trace, call) == communicator
                              and window.monotonic <= call.host_begin <= closed.monotonic]
                    if inside:
                        self.assertLessEqual(sequence, min(inside))
                        self.assertLess(min(inside) - sequence, 20)
                        checked += 1
            self.assertGreater(checked, 3)

    def test_the_report_knows_what_it_did_not_see(self):
        harness.require(harness.TOOL)
        report = self.run_.report()
        total = sum(op.flop for op in harness.gemm_ops(self.log))
        run = report["run"]
        self.assertEqual(run["flop_executed"], total)
        self.assertEqual(sum(op["calls"] for op in report["ops"] if op["kind"] == "gemm"),
                         len(harness.gemm_ops(self.log)))
        sampling = run["sampling"]
        self.assertEqual(sampling["asked"], "50ms/200ms")
        self.assertGreater(sampling["timed_share"], 0.1)
        self.assertLess(sampling["timed_share"], 0.5)
        self.assertEqual(sampling["calls_outside"],
                         sum(c.calls for trace in self.traces for c in trace.counted))
        # Run-wide utilization is of all FLOPs over all of the time.
        self.assertAlmostEqual(run["mfu"], total / run["peak_flop_per_s"] / run["window_ns"] * 1e9,
                               places=9)
        self.assertAlmostEqual(sampling["run_ns"], run["window_ns"])
        ends = {trace.rank: [op for op in self.log if op.pid == trace.pid and op.kind != "event"]
                for trace in self.traces}
        spans = sum(max(op.end_ns for op in ops) - min(op.start_ns for op in ops)
                    for ops in ends.values())
        self.assertAlmostEqual(run["window_ns"], spans, delta=0.1 * spans)
        for row in report["ranks"]:
            self.assertEqual(row["window_ns"], sum(row[name] or 0 for name in (
                "compute_only_ns", "overlapped_ns", "exposed_ns", "mem_only_ns", "idle_ns",
                "unattributed_ns")))
            trace = self.traces[row["rank"]]
            busy = sum(call.gpu_end - call.gpu_begin for call in trace.calls)
            self.assertLessEqual(row["compute_ns"], busy)
            self.assertLess(row["window_ns"], 0.5 * run["window_ns"])
            self.assertEqual(row["untimed"], 0)
        self.assertEqual(sum(line["ns"] for line in run["budget"]), sampling["timed_ns"])

    def test_the_file_is_as_small_as_promised(self):
        """docs/ENVIRONMENT.md: 28 bytes a recorded call, 40 a counted signature and second (and window)."""
        for trace in self.traces:
            signatures = len(trace.gemms) + len(trace.collectives)
            seconds = (trace.end.monotonic - trace.start_monotonic) / 1e9
            windows = len(trace.windows) / 2
            bound = (28 * len(trace.calls) + 40 * signatures * (seconds + 2 * windows)
                     + 1000 * (seconds + windows) + 100 * signatures + 20_000)
            print(f"rank {trace.rank}: {trace.file_bytes} bytes, bound {bound:.0f}")
            self.assertLessEqual(trace.file_bytes, bound)

    def test_shares_of_the_timed_part_are_those_of_the_log(self):
        """The share of compute in the windows against that of the whole run, by the log alone."""
        harness.require(harness.TOOL)
        report = self.run_.report()
        for row in report["ranks"]:
            pid = self.traces[row["rank"]].pid
            ops = [op for op in self.log if op.pid == pid]
            gemms = [(op.start_ns, op.end_ns) for op in ops if op.kind == "gemm"]
            span = max(op.end_ns for op in ops) - min(begin for begin, _ in gemms)
            logged = harness.length(gemms) / span
            found = row["compute_ns"] / row["window_ns"]
            print(f"rank {row['rank']}: compute share {found:.3f} in windows, {logged:.3f} by the log")
            self.assertAlmostEqual(found, logged, delta=0.15)


class SampledCupti(harness.JobTest):
    """CUPTI runs in the windows and is stopped between them."""

    MODEL = ["--layers", 2, "--hidden", 512, "--heads", 8, "--ffn", 2048, "--seq", 512, "--batch", 2,
             "--vocab", 8000, "--steps", 1800]

    def test_recorded_calls_have_the_kernels_times_of_the_log(self):
        run = self.bench.good_job(
            "gpt_train", *self.MODEL,
            env={"MFUTRACE_TIMING": "cupti", "MFUTRACE_SAMPLE": "150ms/500ms",
                 "MFUTRACE_FLUSH_MS": "20", "SIMGPU_TIME_SCALE": "0.3"})
        trace, log = run.trace, run.log
        self.assertEqual(trace.facts["timing"], "cupti")
        self.assertEqual(trace.gemm_flop(), sum(op.flop for op in harness.gemm_ops(log)))
        self.assertEqual(trace.end.calls, trace.total_calls())
        # CUPTI is started by the flusher: the calls before that have two timing events around them.
        streams = {}
        for op in log:
            streams.setdefault(op.stream, []).append(op)
        by_events = {id(op) for ops in streams.values() for before, op, after in zip(ops, ops[1:], ops[2:])
                     if before.kind == after.kind == "event"}
        starts = {}
        for op in log:
            if op.kind == "gemm":
                dims = truth.numbers(op)
                starts.setdefault((op.stream, dims["m"], dims["n"], dims["k"]), []).append(op)
        sample = trace.clock_samples[-1]
        epoch = (sample.host_min + sample.host_max) // 2 - sample.gpu
        found, untimed, earlier, windows = [], 0, 0, set()
        opened = [w.monotonic for w in trace.windows if w.event == 0]
        for call in trace.calls:
            if call.gpu_begin is None:
                untimed += 1
                continue
            gemm = trace.gemms[call.signature]
            ops = starts[trace.lanes[call.lane].stream, gemm.m, gemm.n, gemm.k]
            at = bisect.bisect_left([op.start_ns for op in ops], call.gpu_begin + epoch)
            near = min(ops[max(0, at - 1):at + 1],
                       key=lambda op: abs(op.start_ns - call.gpu_begin - epoch))
            if id(near) in by_events:
                earlier += 1
                continue
            found.append((near.start_ns - call.gpu_begin, near.end_ns - call.gpu_end))
            windows.add(bisect.bisect_right(opened, call.host_begin))
        middle = sorted(begin for begin, _ in found)[len(found) // 2]
        worst = max(max(abs(begin - middle), abs(end - middle)) for begin, end in found)
        print(f"{len(found)} calls in {len(windows)} windows, {untimed} untimed, {earlier} by events, "
              f"worst {worst} ns")
        self.assertLessEqual(worst, MICROSECOND_NS)
        self.assertLess(abs(middle - epoch), 100 * MICROSECOND_NS)
        self.assertGreater(len(windows), 1)
        # Those whose work was still to come when CUPTI had to stop, if any.
        self.assertLess(untimed, 0.02 * len(found))
        self.assertLess(earlier, 0.3 * len(found))
        self.assertGreater(sum(c.calls for c in trace.counted if c.reason == 1), len(found))


class Choices(harness.JobTest):
    LOOP = ["--count", 20000, "--m", 64, "--n", 32, "--k", 16, "--sync", 0]
    FLOP = 20000 * 2 * 64 * 32 * 16

    def test_none_records_nothing_and_counts_everything(self):
        run = self.bench.good_job("gemm_loop", *self.LOOP, env={"MFUTRACE_SAMPLE": "none"})
        self.assertEqual(run.trace.calls, [])
        self.assertEqual(run.trace.gemm_flop(), self.FLOP)
        self.assertEqual(run.trace.end.calls, 20000)
        self.assertEqual([op for op in run.log if op.kind == "event"], [])
        harness.require(harness.TOOL)
        report = run.report()
        self.assertEqual(report["run"]["flop_executed"], self.FLOP)
        self.assertIsNone(report["ranks"][0]["compute_ns"])

    def test_the_first_minute_is_all_recorded(self):
        for sample in ({}, {"MFUTRACE_SAMPLE": "all"}, {"MFUTRACE_SAMPLE": "default"}):
            run = self.bench.good_job("gemm_loop", *self.LOOP,
                                      env={**sample, "MFUTRACE_RING": "65536"})
            self.assertEqual(len(run.trace.calls), 20000)
            self.assertEqual([(w.event, w.reason) for w in run.trace.windows], [(0, 0), (1, 3)])
            harness.require(harness.TOOL)
            self.assertIsNone(run.report()["run"]["sampling"])


class Governed(harness.JobTest):
    # Calls one after another: in events mode a call costs a good part more than without.
    LOOP = ["--count", 600000, "--m", 64, "--n", 32, "--k", 16, "--sync", 1000]
    ENVIRONMENT = {"MFUTRACE_TIMING": "events", "MFUTRACE_SAMPLE": "50ms/100ms", "SIMGPU_LOG": ""}

    def test_windows_shrink_until_their_cost_is_in_the_budget(self):
        # On a busy machine the paces of so short a job are mostly noise; it takes a quieter moment.
        for _ in range(5):
            run = self.bench.good_job("gemm_loop", *self.LOOP, env=self.ENVIRONMENT)
            self.assertEqual(run.trace.end.calls, run.trace.total_calls())
            if run.trace.counters.get("timed_cost_ppm", 0) > 20_000:
                break
        windows = [w for w in run.trace.windows if w.event == 0]
        self.assertEqual(run.trace.facts["overhead_budget"], "0.5000")
        cost = run.trace.counters["timed_cost_ppm"] / 1e6
        print(f"{len(windows)} windows, cost {cost:.3f}, last {windows[-1].length / 1e6} ms")
        self.assertGreater(len(windows), 6)
        self.assertGreater(cost, 0.02)
        # What the trace itself says of both paces: the job was slower while timed.
        events = run.trace.windows
        self.assertLess(self.pace(events[0::2], events[1::2]), self.pace(events[1::2], events[2::2]))
        # Of the last windows planned, cost times share is at most the budget, or they are as short as can be.
        tail = sorted(w.length for w in windows[-5:])
        self.assertLess(tail[2], 30e6)
        self.assertLessEqual(min(tail), max(0.005 / cost * 100e6 * 1.5, 0.6e6))
        harness.require(harness.TOOL)
        text = self.bench.tool("info", run.out).stdout.decode()
        self.assertIn("calls/s timed", text)
        text = self.bench.tool("report", run.out, "--only", "quality").stdout.decode()
        self.assertIn("timing costs", text)

    @staticmethod
    def pace(begins, ends):
        pairs = list(zip(begins, ends))
        return (sum(b.calls - a.calls for a, b in pairs)
                / sum(b.monotonic - a.monotonic for a, b in pairs))

    def test_without_a_budget_they_stay_as_asked_for(self):
        run = self.bench.good_job("gemm_loop", *self.LOOP,
                                  env={**self.ENVIRONMENT, "MFUTRACE_OVERHEAD_BUDGET": "off"})
        lengths = [w.length for w in run.trace.windows if w.event == 0]
        self.assertGreater(len(lengths), 3)
        for length in lengths[1:]:
            self.assertGreater(length, 20e6)


class Limited(harness.JobTest):
    LOOP = ["--count", 20000, "--m", 64, "--n", 32, "--k", 16, "--sync", 0]

    def test_at_the_size_limit_counting_goes_on_and_the_trace_says_since_when(self):
        run = self.bench.good_job("gemm_loop", *self.LOOP,
                                  env={"MFUTRACE_MAX_SIZE": "64K", "MFUTRACE_RING": "65536",
                                       "MFUTRACE_FLUSH_MS": "20"})
        trace = run.trace
        self.assertEqual(trace.end.calls, trace.total_calls())
        self.assertEqual(trace.gemm_flop(), 20000 * 2 * 64 * 32 * 16)
        self.assertEqual([(w.event, w.reason) for w in trace.windows], [(0, 0), (1, 2)])
        self.assertEqual({c.reason for c in trace.counted}, {2})
        limit = trace.windows[-1].monotonic
        self.assertGreaterEqual(limit, max(call.host_begin for call in trace.calls))
        harness.require(harness.TOOL)
        report = run.report()
        self.assertEqual(report["run"]["flop_executed"], 20000 * 2 * 64 * 32 * 16)
        text = self.bench.tool("report", run.out, "--only", "quality").stdout.decode()
        self.assertRegex(" ".join(text.split()), r"reached its size limit \d+\.\d s after its start, at 20\d\d-")


if __name__ == "__main__":
    harness.main()
