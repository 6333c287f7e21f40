"""Work in CUDA graphs counts once for each launch of what holds it, however the graph was made.

The simulated node logs what every launch ran; the trace and the report must come to the same sum.
"""

import harness
import mfut


class GraphTest(harness.JobTest):
    OUTSIDE = 2 * 400 * 64 * 32  # the product that graph_forms runs outside any graph

    def run_form(self, name, *args, env=None):
        harness.require(harness.JOBS / f"job_{name}")
        return self.bench.good_job(name, *args, env={"MFUTRACE_TIMING": "count", **(env or {})})

    def assert_counts(self, run, outside=OUTSIDE):
        """What ran in graphs and outside them equals the log, and nothing is counted twice."""
        ops = harness.gemm_ops(run.log)
        in_graphs = sum(op.flop for op in ops if op.graph)
        self.assertGreater(in_graphs, 0)
        self.assertEqual(sum(op.flop for op in ops if not op.graph), outside)
        self.assertEqual(run.trace.launched_gemm_flop(), in_graphs)
        self.assertEqual(run.trace.gemm_flop(), outside)
        self.assertEqual(run.trace.counters.get("graph_operations_lost", 0), 0)
        if harness.TOOL.exists():
            self.assertEqual(run.report()["run"]["flop_executed"], in_graphs + outside)


class Replays(GraphTest):
    def test_ten_captures_replayed_a_thousand_times(self):
        run = self.run_form("graph_forms", "loop", 1000, 10)
        self.assert_counts(run)
        trace = run.trace
        captured = [call for call in trace.calls if call.flags & mfut.CAPTURED]
        self.assertEqual(len(captured), 40)
        self.assertEqual(trace.launched_gemm_flop(),
                         1000 * sum(trace.gemm_flop_of(call.signature) for call in captured))
        launches = {signature: times for signature, times in trace.times_executed().items()
                    if signature in trace.compounds}
        self.assertEqual(list(launches.values()), [1000] * 10)


class Forms(GraphTest):
    """Each with the shared runtime and with the one that a program has inside."""

    FORMS = ("loop", "modes", "threads", "executables", "clone", "child", "update", "enabled",
             "unused", "variants")

    def test_shared_runtime(self):
        for form in self.FORMS:
            with self.subTest(form):
                self.assert_counts(self.run_form("graph_forms", form))

    def test_runtime_inside_the_program(self):
        for form in self.FORMS:
            with self.subTest(form):
                self.assert_counts(self.run_form("graph_forms_static", form))

    def test_with_events_every_launch_is_timed(self):
        run = self.run_form("graph_forms", "executables", env={"MFUTRACE_TIMING": "events"})
        self.assert_counts(run)
        self.assertEqual([call for call in run.trace.launches() if call.gpu_begin is None], [])

    def test_what_never_ran_is_not_credited(self):
        run = self.run_form("graph_forms", "unused")
        trace = run.trace
        ran = {member for call in trace.launches()
               for member, _ in trace.compounds[call.signature].members}
        captured = {call.signature for call in trace.calls if call.flags & mfut.CAPTURED}
        self.assertEqual(len(captured - ran), 3)  # 320 and both of 336
        self.assertLess(ran, captured)
        harness.require(harness.TOOL)
        text = " ".join(self.bench.tool("report", run.out).stdout.decode().split())
        self.assertIn("5 calls were captured into CUDA graphs; each launch counts", text)
        self.assertIn(": 3 captured calls are in no CUDA graph whose launch was seen", text)

    def test_what_kernels_may_launch_is_named(self):
        trace = self.run_form("graph_forms", "variants").trace
        reasons = [reason for _, reason in trace.opaque.values()]
        self.assertEqual(reasons, ["may be launched from the device, uncounted"])
        named = [call for call in trace.calls if call.signature in trace.opaque]
        self.assertEqual(len(named), 2)  # one for each executable with that flag

    def test_the_job_sees_no_difference(self):
        for form in self.FORMS + ("conditional",):
            with self.subTest(form):
                self.assert_same_as_without("graph_forms", form)


class Driver(GraphTest):
    """A program of the driver API, as the linker or as cuGetProcAddress gives it."""

    def test_linked(self):
        self.assert_counts(self.run_form("graph_driver", "linked"), outside=0)

    def test_looked_up(self):
        self.assert_counts(self.run_form("graph_driver", "lookup"), outside=0)


class Conditional(GraphTest):
    REPLAYS = 4

    def test_bodies_are_marked_as_such(self):
        run = self.run_form("graph_forms", "conditional", self.REPLAYS)
        trace = run.trace
        if harness.TOOL.exists():  # how often a loop ran is not known, so neither is the sum
            self.assertEqual(run.report()["run"]["flop_executed"], self.OUTSIDE)
        shapes = {352: 1, 368: 1, 384: 2}  # m: at most once (not run, run), any number of times
        found = {}
        for call in trace.launches():
            for member, count in trace.compounds[call.signature].members:
                self.assertEqual(count, 1)
                found[trace.gemms[member].m] = trace.conditions[call.signature, member]
        self.assertEqual(found, shapes)
        self.assertEqual(len(trace.launches()), self.REPLAYS)
        # What the node ran: the first body not at all, the last three times a launch.
        ran = {}
        for op in harness.gemm_ops(run.log):
            if op.graph:
                ran[op.flop] = ran.get(op.flop, 0) + 1
        self.assertEqual(ran, {2 * 368 * 64 * 32: self.REPLAYS, 2 * 384 * 64 * 32: 3 * self.REPLAYS})


if __name__ == "__main__":
    harness.main()
