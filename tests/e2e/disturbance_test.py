"""What timing must not do to a job, and that mfutrace measures what it costs itself."""

import unittest

import harness


class SafeEvents(harness.JobTest):
    """CUDA_DEVICE_MAX_CONNECTIONS=1: the simulated node lets a timing event hold back all streams."""

    MODEL = ["--layers", 8, "--hidden", 1024, "--heads", 8, "--seq", 1024, "--batch", 2, "--vocab",
             8000, "--dp", 2, "--steps", 4]
    # Slow, so that the host is far ahead of the devices and only their order matters.
    ENVIRONMENT = {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "SIMGPU_TIME_SCALE": "0.02",
                   "MFUTRACE_SAMPLE": "all"}

    def overlap(self, preload=True, **env):
        """(share of communication that ran beside compute, outcome), by the simulator's log."""
        run = self.bench.good_job("gpt_train", *self.MODEL, ranks=2, preload=preload,
                                  env={**self.ENVIRONMENT, **env})
        hidden = total = 0
        for pid in {op.pid for op in run.log}:
            ops = [op for op in run.log if op.pid == pid]
            # The first step makes streams and communicators known.
            gemms = [op for op in ops if op.kind == "gemm"]
            begin = gemms[len(gemms) // 2].start_ns
            compute = [(op.start_ns, op.end_ns) for op in gemms if op.start_ns >= begin]
            comm = [(op.start_ns, op.end_ns) for op in ops
                    if op.kind == "collective" and op.start_ns >= begin]
            hidden += harness.overlap(compute, comm)
            total += harness.length(comm)
        return hidden / total, run

    def test_the_jobs_overlap_is_what_it_is_without_us(self):
        bare, _ = self.overlap(preload=False)
        self.assertGreater(bare, 0.3)
        auto, run = self.overlap()
        print(f"hidden communication: {bare:.3f} without, {auto:.3f} in auto mode")
        self.assertAlmostEqual(auto, bare, delta=0.03)
        self.assertEqual([op for op in run.log if op.kind == "event"], [])
        self.assertEqual(run.traces[0].facts["timing"], "cupti")

        auto, run = self.overlap(CUDA_INJECTION64_PATH="/of/another/profiler.so")
        print(f"in auto mode without CUPTI: {auto:.3f}")
        self.assertAlmostEqual(auto, bare, delta=0.03)
        self.assertEqual([op for op in run.log if op.kind == "event"], [])
        self.assertEqual(run.traces[0].facts["timing"], "count")
        harness.require(harness.TOOL)
        text = self.bench.tool("report", run.out, "--only", "quality").stdout.decode()
        notes = " ".join(text.split())
        self.assertIn("no GPU times", notes)
        self.assertIn("--timing cupti", notes)

        events, run = self.overlap(MFUTRACE_TIMING="events")
        print(f"events where they are safe: {events:.3f}")
        self.assertAlmostEqual(events, bare, delta=0.03)
        for trace in run.traces:
            self.assertEqual(trace.facts["timing"], "count")
            self.assertIn("second stream", trace.facts["timing_reason"])

        forced, run = self.overlap(MFUTRACE_TIMING="events", MFUTRACE_FORCE_EVENTS="1")
        print(f"forced events: {forced:.3f}")
        self.assertLess(forced, bare / 2)
        self.assertTrue(all(call.gpu_begin is not None for call in run.traces[0].calls))

    def test_a_job_of_one_stream_is_timed(self):
        run = self.bench.good_job("gemm_loop", "--count", 500,
                                  env={"CUDA_DEVICE_MAX_CONNECTIONS": "1",
                                       "MFUTRACE_TIMING": "events"})
        self.assertEqual(run.trace.facts["timing"], "events")
        self.assertTrue(all(call.gpu_begin is not None for call in run.trace.calls))


class SlowDisk(harness.JobTest):
    CALLS = 30000

    def test_calls_never_wait_for_a_write(self):
        """No write returns before all calls have been made, so a call that waited would wait for ever."""
        for sample in ("all", "20ms/100ms"):
            with self.subTest(sample):
                held = harness.JOBS / "job_held_writes.so"
                harness.require(held)
                done = self.bench.new_folder() / "done"
                run = self.bench.good_job(
                    "disk_waits", self.CALLS, done, timeout=60,
                    env={"LD_PRELOAD": f"{held}:{harness.PRELOAD}", "HELD_WRITES_UNTIL": done,
                         "MFUTRACE_FLUSH_MS": "5", "MFUTRACE_RING": "1024",
                         "MFUTRACE_SAMPLE": sample})
                self.assertEqual(run.stdout, f"{self.CALLS} calls\n".encode())
                self.assertEqual(run.trace.end.calls, self.CALLS)
                self.assertEqual(run.trace.total_calls(), self.CALLS)
                self.assertEqual(run.trace.gemm_flop(), self.CALLS * 2 * 64 * 32 * 16)
                dropped = sum(c.calls for c in run.trace.counted if c.reason == 0)
                self.assertEqual(run.trace.counters.get("calls_dropped_ring_full", 0), dropped)
                print(f"{sample}: {len(run.trace.calls)} recorded, {dropped} dropped")
                if sample == "all":
                    self.assertGreater(dropped, self.CALLS // 2)


class OwnCost(harness.JobTest):
    def test_the_trace_tells_what_mfutrace_costs(self):
        run = self.bench.good_job("gemm_loop", "--count", 20000, "--m", 64, "--n", 32, "--k", 16,
                                  env={"MFUTRACE_SAMPLE": "all", "MFUTRACE_TIMING": "events",
                                       "SIMGPU_EVENT_QUANTUM_NS": "500"})
        counters = run.trace.counters
        self.assertGreaterEqual(counters["own_cost_probed_calls"], 10)
        self.assertLessEqual(counters["own_cost_probed_calls"], 20000 // 1024 + 1)
        per_call = counters["own_cost_probed_ns"] / counters["own_cost_probed_calls"]
        print(f"{per_call:.0f} ns a call, flusher {counters['flusher_cpu_ns'] / 1e6:.1f} ms")
        self.assertGreater(per_call, 20)
        self.assertLess(per_call, 100_000)
        self.assertGreater(counters["flusher_cpu_ns"], 0)
        # The simulated device's events are that coarse.
        self.assertEqual(counters["event_resolution_ns"] % 500, 0)
        harness.require(harness.TOOL)
        cost = run.report()["run"]["own_cost"]
        self.assertAlmostEqual(cost["ns_per_call"], per_call)
        self.assertEqual(cost["flusher_cpu_ns"], counters["flusher_cpu_ns"])
        text = self.bench.tool("info", run.out).stdout.decode()
        self.assertRegex(text, r"own cost +\d+ ns a recorded call")
        text = self.bench.tool("report", run.out).stdout.decode()
        self.assertRegex(text, r"own cost \d+ ns a call")

    def test_clocks_are_tied_at_start_and_end(self):
        run = self.bench.good_job("gemm_loop", "--count", 30000,
                                  env={"MFUTRACE_TIMING": "events", "MFUTRACE_FLUSH_MS": "5"})
        self.assertGreaterEqual(len(run.trace.host_clock), 2)
        for monotonic, realtime, residual in run.trace.host_clock:
            self.assertGreater(residual, 0)
            self.assertLess(abs((realtime - monotonic) - (run.trace.start_realtime
                                                          - run.trace.start_monotonic)), 10_000_000)
        self.assertGreaterEqual(len(run.trace.clock_samples), 2)
        self.assertLessEqual(run.trace.clock_samples[0].host_min, run.trace.clock_samples[-1].host_max)


if __name__ == "__main__":
    harness.main()
