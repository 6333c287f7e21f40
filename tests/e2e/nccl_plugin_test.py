"""NCCL that cannot be intercepted, seen through its profiler plugin interface, against the simulator's log."""

from collections import Counter, defaultdict
from types import SimpleNamespace

import harness
import match
import mfut
import truth

RANKS = 4
PLUGIN = harness.BUILD / "interpose/libmfutrace_nccl.so"
WITH_PLUGIN = {"NCCL_PROFILER_PLUGIN": PLUGIN}
SEEN = "nccl_calls_seen_by_profiler_plugin"
# What NCCL carries out as messages, and tells of as such: messages of one rank, by its place.
AS_MESSAGES = ("ncclAlltoAll", "ncclGather", "ncclScatter")
NONE = -1


def told(op):
    """[(entry, elements)] that NCCL tells a plugin of one logged operation."""
    dims = truth.numbers(op)
    is_root = dims.get("root") == dims["rank"]
    sends = receives = 0
    if op.function == "ncclAlltoAll":
        sends = receives = dims["nranks"]
    elif op.function == "ncclGather":
        sends, receives = 1, dims["nranks"] if is_root else 0
    elif op.function == "ncclScatter":
        sends, receives = dims["nranks"] if is_root else 0, 1
    else:
        function = "ncclBroadcast" if op.function == "ncclBcast" else op.function
        return [(function, dims["count"])]
    return [("ncclSend", dims["count"])] * sends + [("ncclRecv", dims["count"])] * receives


class StaticNccl(harness.JobTest):
    def run_static(self, job="nccl_static", **env):
        harness.require(PLUGIN)
        run = self.bench.good_job(job, ranks=RANKS,
                                  env={"MFUTRACE_TIMING": "events", **WITH_PLUGIN, **env})
        self.assertEqual(sorted(trace.rank for trace in run.traces), list(range(RANKS)))
        return run

    def expected(self, run, trace):
        return Counter(call for op in run.log if op.pid == trace.pid and op.kind == "collective"
                       for call in told(op))

    def found(self, trace):
        return Counter((s.entry, s.count) for s in (trace.collectives[call.signature]
                                                    for call in trace.calls))

    def test_without_the_plugin_nothing_of_it_is_seen(self):
        run = self.bench.good_job("nccl_static", ranks=RANKS)
        self.assertEqual(run.traces, [])
        self.assertEqual(sum(op.kind == "collective" for op in run.log), RANKS * 3 * 16)

    def test_every_call_is_recorded_as_the_log_has_it(self):
        run = self.run_static()
        for trace in run.traces:
            self.assertEqual(self.found(trace), self.expected(run, trace))
            self.assertEqual(trace.counters[SEEN], len(trace.calls))
            self.assertEqual(trace.counters.get("nested_calls_not_counted", 0), 0)

    def test_types_sizes_and_places(self):
        run = self.run_static()
        dtypes = {op.function + str(truth.numbers(op)["count"]): truth.numbers(op)["dtype"]
                  for op in run.log if op.kind == "collective"}
        self.assertEqual(dtypes["ncclAllReduce1002"], "bf16")
        for trace in run.traces:
            by_count = {s.count: s for s in trace.collectives.values()}
            # Dtypes as in test_roots_types_and_reductions of nccl_test.py; NCCL names no ncclUint8.
            self.assertEqual([by_count[c].dtype for c in (1001, 1002, 1003, 1005, 1006, 1007)],
                             [2, 4, 3, 14, 0, 1])
            self.assertEqual([by_count[c].peer for c in (1001, 1005, 1006, 1007)],
                             [NONE, 0, RANKS - 1, 0])
            called = [trace.collectives[call.signature] for call in trace.calls]
            peers = Counter((s.entry, s.count, s.peer) for s in called
                            if s.entry in ("ncclSend", "ncclRecv"))
            everybody = range(RANKS)
            expected = Counter({("ncclSend", 2001, (trace.rank + 1) % RANKS): 3,
                                ("ncclRecv", 2001, (trace.rank - 1) % RANKS): 3,
                                ("ncclSend", 1009, 0): 3, ("ncclRecv", 1010, RANKS - 1): 3})
            for peer in everybody:
                expected.update({("ncclSend", 1008, peer): 3, ("ncclRecv", 1008, peer): 3})
                if trace.rank == 0:
                    expected["ncclRecv", 1009, peer] = 3
                if trace.rank == RANKS - 1:
                    expected["ncclSend", 1010, peer] = 3
            self.assertEqual(peers, expected)
        self.assertEqual({s.kind for s in run.traces[0].collectives.values()}, {1, 2, 3, 4, 5, 6, 7})

    def test_members_have_one_identity_and_an_end(self):
        run = self.run_static()
        members = defaultdict(list)
        for trace in run.traces:
            for communicator in trace.communicators.values():
                members[communicator.id].append((trace.rank, communicator.rank, communicator.size))
            self.assertEqual([end.event for end in trace.communicator_ends], [1, 1])
        self.assertEqual(len(members), 2)  # the world and its twin
        for places in members.values():
            self.assertEqual(sorted(places), [(rank, rank, RANKS) for rank in range(RANKS)])

    def test_sequence_numbers_pair_calls_across_ranks(self):
        run = self.run_static()
        calls = defaultdict(dict)
        for trace in run.traces:
            for call in trace.calls:
                signature = trace.collectives[call.signature]
                if signature.count in (1001, 1002, 3001, 3002, 4001, 4002):
                    key = trace.communicators[signature.communicator].id, call.sequence
                    calls[key][trace.rank] = signature.count
        # A root sends and receives more messages than the others, so numbers agree up to the
        # first gather; the twin has no gather.
        twins = [ranks for ranks in calls.values() if 4002 in ranks.values()]
        self.assertEqual(len(twins), 3)
        for ranks in twins:
            self.assertEqual(ranks, dict.fromkeys(range(RANKS), 4002))

    def test_intervals_are_the_logs(self):
        run = self.run_static()
        timed = 0
        for trace in run.traces:
            plain = [call for call in trace.calls
                     if trace.collectives[call.signature].entry not in ("ncclSend", "ncclRecv")
                     and trace.collectives[call.signature].count != 1006]
            log = [op for op in run.log if op.kind == "event" or
                   (op.function not in AS_MESSAGES + ("ncclBcast", "ncclSend", "ncclRecv"))]
            view = SimpleNamespace(calls=plain, lanes=trace.lanes, collectives=trace.collectives,
                                   pid=trace.pid)
            pairs = match.pairs(view, log)
            epochs = match.epochs(pairs, trace)
            groups = defaultdict(set)
            for call, op, opened_ns, closed_ns, _ in pairs:
                self.assertIsNotNone(call.gpu_begin, op)
                epoch = epochs[trace.lanes[call.lane].device]
                self.assertLessEqual(abs(call.gpu_begin + epoch - opened_ns), 1000, op)
                self.assertLessEqual(abs(call.gpu_end + epoch - closed_ns), 1000, op)
                groups[trace.collectives[call.signature].count].add((call.gpu_begin, call.gpu_end))
                timed += 1
            self.assertEqual(groups[3001], groups[3002])
        self.assertEqual(timed, RANKS * 3 * 10)

    def test_an_older_nccl_tells_less(self):
        run = self.run_static(SIMGPU_NCCL_PROFILER="4")
        for trace in run.traces:
            expected = Counter()
            for op in run.log:
                if op.pid != trace.pid or op.kind != "collective":
                    continue
                for function, count in told(op):
                    width = {"i8": 1, "u8": 1, "f16": 2}.get(truth.numbers(op)["dtype"])
                    is_bytes = function in ("ncclAllGather", "ncclBroadcast")
                    expected[function, count * width if is_bytes else count] += 1
            self.assertEqual(self.found(trace), expected)
            self.assertTrue(all(call.gpu_begin is None for call in trace.calls))
            peers = {s.peer for s in trace.collectives.values() if s.count == 2001}
            self.assertEqual(peers, {(trace.rank + 1) % RANKS, (trace.rank - 1) % RANKS})

    def test_collectives_of_the_copy_engines(self):
        copied = {"ncclAllGather", "ncclAlltoAll", "ncclGather", "ncclScatter"}
        for version in ("5", "6"):
            run = self.run_static(SIMGPU_NCCL_PROFILER=version, SIMGPU_NCCL_COPY_ENGINES="1")
            for trace in run.traces:
                logged = Counter(("ncclBroadcast" if op.function == "ncclBcast" else op.function,
                                  truth.numbers(op)["count"]) for op in run.log
                                 if op.pid == trace.pid and op.kind == "collective")
                self.assertEqual(self.found(trace), logged)
                for call in trace.calls:
                    entry = trace.collectives[call.signature].entry
                    # Version 5 does not tell when they are launched.
                    is_timed = entry not in copied or version == "6"
                    self.assertEqual(call.gpu_begin is not None, is_timed, entry)

    def test_intercepted_calls_are_not_counted_twice(self):
        for version in ("4", "5"):
            run = self.run_static(job="nccl_all", SIMGPU_NCCL_PROFILER=version)
            for trace in run.traces:
                logged = Counter((op.function, truth.numbers(op)["count"]) for op in run.log
                                 if op.pid == trace.pid and op.kind == "collective")
                self.assertEqual(self.found(trace), logged)
                self.assertEqual(trace.counters.get(SEEN, 0), 0)

    def test_a_plugin_without_the_library_does_nothing(self):
        run = self.run_bare()
        self.assertEqual((run.status, run.stdout, run.stderr), (0, b"done\n", b""))
        self.assertEqual(run.trace_paths(), [])

    def test_run_names_the_plugin_where_the_job_has_none(self):
        harness.require(harness.TOOL, PLUGIN)
        job = ["--", harness.sys.executable, harness.LAUNCH, RANKS, "--",
               harness.JOBS / "job_nccl_static"]
        run = self.bench.tool("run", "--timing", "count", "-o", self.bench.folder / "named", *job)
        self.assertEqual(run.status, 0, run)
        traces = [mfut.Trace(path) for path in (self.bench.folder / "named").glob("*.mfut")]
        self.assertEqual(len(traces), RANKS)
        for env in ({"NCCL_PROFILER_PLUGIN": "none"}, {"NCCL_PROFILER_PLUGIN": "/no/such.so"}):
            run = self.bench.tool("run", "-o", self.bench.folder / "own", *job, env=env)
            self.assertEqual(run.status, 0, run)
            self.assertIn(b"no trace was written", run.stderr)

    def run_bare(self):
        harness.require(PLUGIN)
        return self.bench.good_job("nccl_static", ranks=RANKS, preload=False, env=WITH_PLUGIN)


if __name__ == "__main__":
    harness.main()
