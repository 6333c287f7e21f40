"""Communicators, groups and collectives of several ranks, against the simulator's log."""

from collections import Counter, defaultdict

import harness
import match
import mfut
import truth

RANKS = 4


def by_id(traces):
    """{communicator id: [(rank of the job, its record)]}"""
    members = defaultdict(list)
    for trace in traces:
        for communicator in trace.communicators.values():
            members[communicator.id].append((trace.rank, communicator))
    return members


class Collectives(harness.JobTest):
    def run_all(self, ranks=RANKS, timing="events"):
        run = self.bench.good_job("nccl_all", ranks=ranks, env={"MFUTRACE_TIMING": timing})
        self.assertEqual([trace.rank for trace in sorted(run.traces, key=lambda t: t.rank)],
                         list(range(ranks)))
        return run

    def test_every_collective_is_recorded_as_the_log_has_it(self):
        run = self.run_all()
        log = run.log
        for trace in run.traces:
            logged = Counter((op.function, truth.numbers(op)["count"]) for op in log
                             if op.pid == trace.pid and op.kind == "collective")
            found = Counter((s.entry, s.count) for s in (trace.collectives[call.signature]
                                                         for call in trace.calls))
            self.assertEqual(found, logged)
            self.assertEqual(sum(found.values()), 3 * 16)

    def test_roots_types_and_reductions(self):
        trace = self.run_all(ranks=2).traces[0]
        by_count = {s.count: s for s in trace.collectives.values()}
        # ncclRedOp_t: sum 0, prod 1, max 2, min 3, avg 4.
        expected = {1001: ("AllReduce", 2, 0), 1002: ("AllReduce", 4, 2), 1003: ("AllGather", 3, None),
                    1004: ("ReduceScatter", 2, 4), 1005: ("Broadcast", 14, None),
                    1006: ("Broadcast", 19, None), 1007: ("Reduce", 1, 1),
                    1008: ("AlltoAll", 12, None), 1009: ("Gather", 3, None),
                    1010: ("Scatter", 2, None)}
        for count, (kind, dtype, reduction) in expected.items():
            signature = by_count[count]
            self.assertEqual(mfut.COLLECTIVE_KINDS[signature.kind], kind)
            self.assertEqual(signature.dtype, dtype, signature)
            if reduction is not None:
                self.assertEqual(signature.reduction, reduction, signature)
        self.assertEqual([by_count[c].peer for c in (1005, 1006, 1007, 1009, 1010)],
                         [0, 1, 0, 0, 1])

    def test_sequence_numbers_pair_calls_across_ranks(self):
        run = self.run_all()
        calls = defaultdict(dict)
        for trace in run.traces:
            sequences = defaultdict(list)
            for call in trace.calls:
                signature = trace.collectives[call.signature]
                communicator = trace.communicators[signature.communicator]
                sequences[communicator.id].append(call.sequence)
                kind = mfut.COLLECTIVE_KINDS[signature.kind]
                if kind not in ("Send", "Recv"):
                    calls[communicator.id, call.sequence][trace.rank] = (kind, signature.count)
            for found in sequences.values():
                self.assertEqual(sorted(found), list(range(1, len(found) + 1)))
        for key, ranks in calls.items():
            self.assertEqual(len(ranks), RANKS, key)
            self.assertEqual(len(set(ranks.values())), 1, (key, ranks))

    def test_group_members_share_the_interval_of_their_stream(self):
        run = self.run_all()
        for trace in run.traces:
            pairs = match.pairs(trace, run.log)
            epochs = match.epochs(pairs, trace)
            groups = defaultdict(set)
            for call, op, opened_ns, closed_ns, _ in pairs:
                signature = trace.collectives[call.signature]
                self.assertIsNotNone(call.gpu_begin, signature)
                epoch = epochs[trace.lanes[call.lane].device]
                self.assertLessEqual(abs(call.gpu_begin + epoch - opened_ns), 1000, op)
                self.assertLessEqual(abs(call.gpu_end + epoch - closed_ns), 1000, op)
                self.assertEqual(bool(call.flags & mfut.GROUPED), signature.count >= 2000)
                groups[signature.count].add((call.gpu_begin, call.gpu_end))
            self.assertEqual(groups[3001], groups[3002])

    def test_count_mode_adds_no_events(self):
        run = self.run_all(timing="count")
        self.assertFalse([op for op in run.log if op.kind == "event"])
        self.assertEqual(sum(len(trace.calls) for trace in run.traces), RANKS * 3 * 16)


class Lifecycle(harness.JobTest):
    def test_ids_names_parents_and_ends(self):
        run = self.bench.good_job("nccl_lifecycle", ranks=RANKS)
        traces = sorted(run.traces, key=lambda trace: trace.rank)
        members = by_id(traces)
        found = sorted((m[0][1].name, sorted(rank for rank, _ in m)) for m in members.values())
        self.assertEqual(found, [("", [0, 1, 2]), ("", [0, 1, 2, 3]), ("halves", [0, 2]),
                                 ("halves", [1, 3]), ("inner", [0, 1, 2, 3]),
                                 ("reversed", [0, 1, 2, 3]), ("survivors", [0, 2])])
        names = {}
        for key, its_members in members.items():
            records = [record for _, record in its_members]
            self.assertEqual(sorted(record.rank for record in records), list(range(len(records))))
            self.assertEqual({record.size for record in records}, {len(records)})
            self.assertEqual(len({record.parent_id for record in records}), 1)
            self.assertEqual(len({record.name for record in records}), 1)
            names.setdefault(records[0].name or f"size {len(records)}", []).append(key)
        world = names["size 4"][0]
        self.assertEqual(members[world][0][1].parent_id, 0)
        for child, parent in (("halves", world), ("reversed", world), ("size 3", world), ("survivors", world),
                              ("inner", names["reversed"][0])):
            for key in names[child]:
                self.assertEqual(members[key][0][1].parent_id, parent, child)
        # Keys of "reversed" turn the order of ranks round.
        self.assertEqual([record.rank for _, record in sorted(members[names["reversed"][0]])],
                         [3, 2, 1, 0])
        for trace in traces:
            ends = Counter(end.event for end in trace.communicator_ends)
            self.assertEqual(ends[2], 1)  # the aborted one
            self.assertEqual(ends[4], 1)  # the world, revoked before it is shrunk
            self.assertGreaterEqual(ends[1], 3 if trace.rank < 3 else 2)
            counts = sorted(trace.collectives[call.signature].count for call in trace.calls)
            expected = [101, 102, 103, 104, 105, 106] if trace.rank < 3 else [101, 102, 103, 104, 106]
            self.assertEqual(counts, expected + [107] * (trace.rank in (0, 2)))
            # A group that was only estimated ran nothing; groups after it are whole.
            self.assertEqual({op.pid for op in run.log if truth.numbers(op).get("count") == 108}, set())
            self.assertEqual(trace.counters["nccl_buffers_registered"], 1)
            self.assertEqual(trace.counters["nccl_windows_registered"], 2)


class NonBlocking(harness.JobTest):
    def test_calls_are_recorded_though_they_are_launched_later(self):
        run = self.assert_same_as_without("nccl_non_blocking", ranks=RANKS,
                                          env={"MFUTRACE_TIMING": "events"})
        self.assertEqual(run.status, 0, run)
        members = by_id(run.traces)
        sizes = sorted((len(m), m[0][1].name) for m in members.values())
        self.assertEqual(sizes, [(2, ""), (2, ""), (4, "patient")])
        world = next(key for key, m in members.items() if len(m) == RANKS)
        for key, its_members in members.items():
            self.assertEqual(sorted(record.rank for _, record in its_members),
                             list(range(len(its_members))))
            self.assertEqual({record.size for _, record in its_members}, {len(its_members)})
            self.assertEqual({record.parent_id for _, record in its_members},
                             {0 if key == world else world})
        for trace in run.traces:
            logged = Counter((op.function, truth.numbers(op)["count"]) for op in run.log
                             if op.pid == trace.pid and op.kind == "collective")
            called = [trace.collectives[call.signature] for call in trace.calls]
            self.assertEqual(Counter((s.entry, s.count) for s in called), logged)
            self.assertEqual(len(called), 8)
            # Launched by another thread, after the brackets would have closed.
            self.assertTrue(all(call.gpu_begin is None for call in trace.calls))
            self.assertEqual(trace.counters.get("collectives_on_unknown_communicators", 0), 0)


if __name__ == "__main__":
    harness.main()
