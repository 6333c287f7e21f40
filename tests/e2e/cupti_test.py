"""Kernel times from CUPTI: every call and every graph launch against the simulator's log, kernels of
nobody's call, and giving way to others."""

import unittest

import harness
import match
import truth

MICROSECOND_NS = 1000
# Slow enough that the run outlasts the first rounds of the flusher, in which CUPTI is started.
CONFIG = ["--layers", 2, "--hidden", 512, "--heads", 8, "--ffn", 2048, "--seq", 512, "--batch", 2,
          "--vocab", 8000, "--steps", 30]
ENVIRONMENT = {"MFUTRACE_TIMING": "cupti", "SIMGPU_TIME_SCALE": "0.1", "MFUTRACE_FLUSH_MS": "20"}


class Cupti(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS)
        cls.bench = harness.Bench()

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    def pairs(self, trace, log):
        """(call, operation) of every stream in order; a shape that differs is an error."""
        calls, ops = match._by_stream(trace, log)
        for stream, its_calls in calls.items():
            work = [op for op in ops[stream] if op.kind != "event"]
            self.assertEqual(len(work), len(its_calls), stream)
            for call, op in zip(its_calls, work):
                self.assertTrue(match._same(trace, call, op), f"{call} is not {op}")
                yield call, op

    def check(self, run, ranks):
        log = run.log
        self.assertEqual(len(run.traces), ranks)
        for trace in run.traces:
            self.assertEqual(trace.facts["timing"], "cupti")
            sample = trace.clock_samples[-1]
            host_minus_device = (sample.host_min + sample.host_max) // 2 - sample.gpu
            # Calls before CUPTI had started have two events around them in the log.
            last_event_ns = {}
            for op in log:
                if op.pid == trace.pid and op.kind == "event":
                    last_event_ns[op.stream] = max(op.end_ns, last_event_ns.get(op.stream, 0))
            compared, epoch = 0, None
            for call, op in self.pairs(trace, log):
                self.assertIsNotNone(call.gpu_begin, f"untimed: {op}")
                if op.start_ns <= last_event_ns.get(op.stream, 0):
                    continue
                compared += 1
                if epoch is None:
                    epoch = op.start_ns - call.gpu_begin
                begin, end = call.gpu_begin + epoch, call.gpu_end + epoch
                self.assertLess(abs(begin - op.start_ns), MICROSECOND_NS, op)
                self.assertLess(abs(end - op.end_ns), MICROSECOND_NS, op)
            # Where the epoch lies on the host's clock, the trace knows to within a launch.
            self.assertLess(abs(epoch - host_minus_device), 100 * MICROSECOND_NS)
            self.assertGreater(compared, len(trace.calls) // 2)
            logged = sum(op.flop for op in harness.gemm_ops(log, trace.pid))
            self.assertEqual(trace.gemm_flop(), logged)

    def test_one_rank(self):
        self.check(self.bench.good_job("gpt_train", *CONFIG, env=ENVIRONMENT), 1)

    def test_ranks_with_collectives(self):
        self.check(self.bench.good_job("gpt_train", *CONFIG, "--tp", 2, ranks=2, env=ENVIRONMENT), 2)

    def test_without_cupti_there_are_events_and_the_reason(self):
        run = self.bench.good_job("gpt_train", *CONFIG,
                                  env={**ENVIRONMENT, "MFUTRACE_CUPTI": "/nonexistent/libcupti.so"})
        self.assertEqual(run.trace.facts["timing"], "events")
        self.assertEqual(run.trace.facts["timing_reason"], "libcupti was not found")


def spans(log, replay):
    """The intervals of graph launches, each of so many operations; with events: between them."""
    ops = [op for op in log if op.kind in ("gemm", "event")]
    found = []
    for i, op in enumerate(ops):
        if not op.graph or (i > 0 and ops[i - 1].graph and len(found[-1]) % replay):
            if op.graph:
                found[-1].append(i)
            continue
        found.append([i])
    intervals = []
    for parts in found:
        assert len(parts) == replay, parts
        before, after = ops[parts[0] - 1], ops[parts[-1] + 1] if parts[-1] + 1 < len(ops) else None
        if before.kind == "event" and after is not None and after.kind == "event":
            intervals.append((before.end_ns, after.end_ns))
        else:
            intervals.append((min(ops[i].start_ns for i in parts), max(ops[i].end_ns for i in parts)))
    return intervals


class Graphs(harness.JobTest):
    """Each launch of a graph from its first kernel to its last."""

    REPLAYS, CAPTURES, PARTS = 100, 4, 4

    def check(self, backend, env=None):
        run = self.bench.good_job("graph_forms", "loop", self.REPLAYS, self.CAPTURES,
                                  env={"MFUTRACE_TIMING": backend, "SIMGPU_TIME_SCALE": "0.02",
                                       "MFUTRACE_FLUSH_MS": "20", **(env or {})})
        trace = run.trace
        self.assertEqual(trace.facts["timing"], backend)
        launches = trace.launches()
        wanted = spans(run.log, self.PARTS)
        self.assertEqual(len(launches), len(wanted))
        self.assertEqual([call for call in launches if call.gpu_begin is None], [])
        self.assertEqual(trace.launched_gemm_flop(),
                         sum(op.flop for op in run.log if op.graph and op.kind == "gemm"))
        # The first launches may come before CUPTI.
        start = next(at for at, name, _ in trace.timing_changes if name == backend)
        timed = [pair for pair in zip(launches, wanted) if pair[0].host_begin > start]
        self.assertGreater(len(timed), 50)
        epoch = timed[0][1][0] - timed[0][0].gpu_begin
        for call, (begin, end) in timed:
            self.assertLess(abs(call.gpu_begin + epoch - begin), MICROSECOND_NS)
            self.assertLess(abs(call.gpu_end + epoch - end), MICROSECOND_NS)

    def test_cupti_tells_a_launch_as_one_piece(self):
        self.check("cupti")

    def test_cupti_tells_a_launch_kernel_by_kernel(self):
        self.check("cupti", {"MFUTRACE_KERNELS": "each"})

    def test_events(self):
        self.check("events")


def kernel_of(op):
    return truth.numbers(op)["kernel"]


class Foreign(harness.JobTest):
    """Kernels of nobody's call: all of them, by name and in time; and launches without any CUPTI."""

    TIMES = 4000
    LAUNCHED = {"linked_kernel": 4000, "extended_kernel": 2000, "looked_up_kernel": 1334,
                "cooperative_kernel": 1000, "kernel": 800, "captured_kernel": 1}

    def run_job(self, **env):
        return self.bench.good_job("launches", self.TIMES, 500, env=env)

    def by_name(self, run):
        ran = {}
        for op in run.log:
            if op.kind == "kernel":
                ran.setdefault(kernel_of(op), []).append(op)
        return ran

    def test_launches_are_counted_by_name(self):
        for timing in ("count", "events", "cupti"):
            with self.subTest(timing):
                run = self.run_job(MFUTRACE_TIMING=timing)
                self.assertEqual(run.trace.kernel_launches(), self.LAUNCHED)
                # The log has what ran: all but what was only captured.
                ran = {name: len(ops) for name, ops in self.by_name(run).items()}
                self.assertEqual({**ran, "captured_kernel": 1}, self.LAUNCHED)
                harness.require(harness.TOOL)
                told = {row["name"]: row["launches"] for row in run.report()["other_kernels"]}
                self.assertEqual(told, self.LAUNCHED)

    def after_start(self, run):
        """Kernels of the log that began when CUPTI was at work for certain, and the device's epoch."""
        trace = run.trace
        started = [at for at, backend, _ in trace.timing_changes if backend == "cupti"]
        self.assertEqual(len(started), 1)
        sample = trace.clock_samples[-1]
        epoch = (sample.host_min + sample.host_max) // 2 - sample.gpu
        return [op for ops in self.by_name(run).values() for op in ops
                if op.enqueue_ns > started[0]], epoch

    def test_sums_by_name(self):
        run = self.run_job(MFUTRACE_TIMING="cupti")
        kernels, _ = self.after_start(run)
        self.assertGreater(len(kernels), self.TIMES)
        least = {}
        for op in kernels:
            count, busy = least.get(kernel_of(op), (0, 0))
            least[kernel_of(op)] = (count + 1, busy + op.end_ns - op.start_ns)
        told = {}
        for row in run.trace.foreign:
            if row.family == 0:
                count, busy = told.get(row.name, (0, 0))
                told[row.name] = (count + row.kernels, busy + row.busy)
        self.assertEqual(set(told), set(least))
        for name, (count, busy) in told.items():
            # A few may have begun while CUPTI did.
            self.assertGreaterEqual(count, least[name][0])
            self.assertLessEqual(count, len(self.by_name(run)[name]))
            self.assertAlmostEqual(busy / count, least[name][1] / least[name][0], delta=2)
        self.assertEqual(run.trace.foreign_each, [])

    def test_each_by_itself(self):
        run = self.run_job(MFUTRACE_TIMING="cupti", MFUTRACE_KERNELS="each")
        kernels, epoch = self.after_start(run)
        self.assertGreater(len(kernels), self.TIMES)
        told = {}
        for each in run.trace.foreign_each:
            told.setdefault(each.name, []).append(each)
        for name in {kernel_of(op) for op in kernels}:
            wanted = sorted(op.start_ns for op in kernels if kernel_of(op) == name)
            found = sorted(each.begin + epoch for each in told[name])[-len(wanted):]
            for a, b in zip(wanted, found):
                self.assertLess(abs(a - b), 100 * MICROSECOND_NS)
            self.assertEqual({op.end_ns - op.start_ns for op in kernels if kernel_of(op) == name},
                             {each.end - each.begin for each in told[name]})
        self.assertEqual(run.trace.foreign_runs, [])

    def test_idle_is_what_the_log_leaves(self):
        harness.require(harness.TOOL)
        # CUPTI is not there from the first call on; idle time is told where it was for 99 % of the window.
        run = self.bench.good_job("gpt_train", *CONFIG[:-1], 600,
                                  env={**ENVIRONMENT, "MFUTRACE_FLUSH_MS": "2"})
        report = run.report()
        told = report["ranks"][0]["idle_ns"]
        work = [(op.start_ns, op.end_ns) for op in run.log if op.kind not in ("event", "host")]
        window = max(end for _, end in work) - min(begin for begin, _ in work)
        idle = window - harness.length(work)
        self.assertIsNotNone(told)
        self.assertLess(abs(told - idle), window / 50)
        self.assertGreater(report["run"]["coverage"]["exact"], 0.5)


class Yields(harness.JobTest):
    """A profiler of the job's own gets CUPTI as if we were not there, and we come back after it."""

    def check(self, how, backends):
        run = self.assert_same_as_without("profiled", how, 500, env={"MFUTRACE_FLUSH_MS": "20"})
        self.assertEqual(run.status, 0, run)
        self.assertEqual(run.stdout, b"every kernel once\n")
        trace = run.trace
        self.assertEqual([backend for _, backend, _ in trace.timing_changes][-len(backends):], backends)
        self.assertEqual([call for call in trace.calls if call.gpu_begin is None], [])
        self.assertEqual(trace.gemm_flop(), sum(op.flop for op in harness.gemm_ops(run.log)))
        # Products of the second phase have two events of ours each, those after the return none.
        shape = {id: gemm.m for id, gemm in trace.gemms.items()}
        second = [call for call in trace.calls if shape[call.signature] == 256]
        back = trace.timing_changes[-1][0]
        events = [op.enqueue_ns for op in run.log if op.kind == "event"]
        begin, end = second[0].host_begin, second[-1].host_end
        self.assertEqual(sum(begin < at < end for at in events) // 2, len(second) - 1)
        last = [call for call in trace.calls if call.host_begin > back]
        self.assertGreater(len(last), 100)
        reasons = {reason for _, backend, reason in trace.timing_changes if backend == "events"}
        self.assertIn("another profiler in the process uses CUPTI", reasons)
        if harness.TOOL.exists():
            report = run.report()
            self.assertIsNone(report["ranks"][0]["idle_ns"])  # CUPTI was not there all the time
        return trace

    def test_linked(self):
        self.check("linked", ["cupti", "events", "cupti"])

    def test_looked_up(self):
        self.check("looked_up", ["cupti", "events", "cupti"])

    def test_finalized(self):
        self.check("finalized", ["cupti", "events", "cupti"])

    def test_there_before_us(self):
        self.check("subscribed", ["events", "cupti"])


class Automatic(harness.JobTest):
    """`auto` takes CUPTI where it may, and says why not where it does not."""

    def timing_of(self, **env):
        run = self.bench.good_job("gemm_loop", "--count", 20000,
                                  env={"MFUTRACE_TIMING": "auto", **env})
        facts = run.trace.facts
        untimed = [call for call in run.trace.calls if call.gpu_begin is None]
        # Calls this fast may find all event pairs in use.
        self.assertLess(len(untimed), len(run.trace.calls) / 2)
        return facts["timing"], facts["timing_reason"]

    def test_takes_cupti(self):
        self.assertEqual(self.timing_of(), ("cupti", "every kernel's own time"))

    def test_takes_cupti_where_events_would_serialise(self):
        run = self.bench.good_job("gemm_loop", "--count", 20000,
                                  env={"MFUTRACE_TIMING": "auto", "CUDA_DEVICE_MAX_CONNECTIONS": "1"})
        self.assertEqual(run.trace.facts["timing"], "cupti")
        self.assertEqual([op for op in run.log if op.kind == "event"], [])

    def test_leaves_it_alone(self):
        cases = [
            ({"CUDA_INJECTION64_PATH": "/opt/tool.so"}, "CUDA_INJECTION64_PATH"),
            ({"NVTX_INJECTION64_PATH": "/opt/tool.so"}, "NVTX_INJECTION64_PATH"),
            ({"KINETO_USE_DAEMON": "1"}, "KINETO_USE_DAEMON"),
            ({"NSYS_PROFILING_SESSION_ID": "17"}, "Nsight Systems"),
            ({"NV_COMPUTE_PROFILER_PERFWORKS_DIR": "/opt"}, "Nsight Compute"),
            ({"SIMGPU_DRIVER_VERSION": "12040"}, "the driver is older than CUDA 12.6"),
            ({"SIMGPU_CUPTI_VERSION": "23"}, "CUPTI is older than 12.6"),
            ({"SIMGPU_CUPTI": "denied"}, "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"),
            ({"SIMGPU_CUPTI": "busy"}, "another profiler holds CUPTI"),
            ({"MFUTRACE_CUPTI": "/nonexistent/libcupti.so"}, "libcupti was not found"),
        ]
        for env, expected in cases:
            with self.subTest(env):
                timing, reason = self.timing_of(**env)
                self.assertEqual(timing, "events")
                self.assertIn(expected, reason)

    def test_variables_that_say_nothing(self):
        for env in ({"KINETO_USE_DAEMON": "0"}, {"CUDA_INJECTION64_PATH": ""}, {"NSYSTEM": "1"}):
            with self.subTest(env):
                self.assertEqual(self.timing_of(**env)[0], "cupti")

    def test_asked_for_by_name_it_is_taken_all_the_same(self):
        timing, _ = self.timing_of(MFUTRACE_TIMING="cupti", CUDA_INJECTION64_PATH="/opt/tool.so")
        self.assertEqual(timing, "cupti")


if __name__ == "__main__":
    harness.main()
