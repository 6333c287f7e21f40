"""What the library promises to a job: it changes nothing, and its trace survives what happens to jobs."""

import os
import resource
import shutil
import subprocess
import unittest

import harness
import mfut

FAST_FLUSH = {"MFUTRACE_FLUSH_MS": "50"}
OWN_WORDS = b"mfutrace["


class ChangesNothing(harness.JobTest):
    def test_output_and_status_are_untouched(self):
        run = self.assert_same_as_without("stdio")
        self.assertEqual(run.status, 42)
        self.assertEqual(len(run.trace.calls), 100)

    def test_endings_are_untouched(self):
        for how, status in (("return", 0), ("exit", 3), ("_exit", 4), ("quick_exit", 5),
                            ("abort", -6), ("kill", -9), ("term", -15), ("throw", -6),
                            ("throw_at_exit", -6), ("late", 7)):
            with self.subTest(how):
                run = self.assert_same_as_without("ends", how, 50)
                self.assertEqual(run.status, status)

    def test_refused_calls_keep_their_status_and_errno_and_are_not_counted(self):
        run = self.assert_same_as_without("failing_calls")
        self.assertEqual(run.status, 0)
        self.assertEqual(run.trace.total_calls(), 6)
        self.assertEqual(run.trace.gemm_flop(), 6 * 2 * 64 * 32 * 16)
        self.assertEqual(run.trace.counters.get("failed_calls_not_counted"), 14)

    def test_a_program_without_gpu_work_is_left_alone(self):
        run = self.assert_same_as_without("no_gpu_work")
        self.assertFalse(run.out.exists())

    def test_ordinary_commands_are_left_alone(self):
        script = "echo out; echo err >&2; ls /proc/self/task | wc -l; ls /proc/self/fd | wc -l; exit 9"
        for preload in (False, True):
            run = self.bench.run(["bash", "-c", script], preload=preload)
            self.assertEqual((run.status, run.stdout, run.stderr), (9, b"out\n1\n4\n", b"err\n"))
            self.assertFalse(run.out.exists())

    def test_a_compiler_under_the_preload_works_and_leaves_nothing(self):
        if shutil.which("gcc") is None:
            self.skipTest("no gcc here")
        source = self.bench.folder / "empty.c"
        source.write_text("int main(void) { return 0; }\n")
        run = self.bench.run(["gcc", "-c", source, "-o", self.bench.folder / "empty.o"])
        self.assertEqual((run.status, run.stderr), (0, b""))
        self.assertFalse(run.out.exists())

    def test_working_directory_is_the_jobs_own(self):
        run = self.assert_same_as_without("cwd_change", "/", "/usr")
        self.assertEqual(run.stdout, b"/\n/usr\n")
        self.assertEqual(run.trace.total_calls(), 30)

    def test_a_relative_folder_is_that_of_the_start(self):
        folder = self.bench.new_folder()
        run = self.bench.good_job("cwd_change", "/", "/usr", cwd=folder,
                                  env={"MFUTRACE_OUT": "relative/traces"})
        self.assertEqual(run.stdout, b"/\n/usr\n")
        self.assertEqual(len(list((folder / "relative/traces").glob("*.mfut"))), 1)

    def test_files_opened_where_ours_was_closed_stay_clean(self):
        out = self.bench.folder / "traces"
        own = self.bench.new_folder()
        run = self.bench.job("closes_fds", out, own,
                             env={**FAST_FLUSH, "MFUTRACE_OUT": out})
        self.assertEqual((run.status, run.stdout), (0, b"own files touched: 0\n"), run)
        for path in own.glob("own*"):
            self.assertEqual(path.read_bytes(), b"mine", path)
        for trace in run.traces:  # the last flush before the close is still good
            self.assertGreaterEqual(trace.total_calls(), 100)

    def test_disabled_means_absent(self):
        run = self.bench.good_job("gemm_loop", "--count", 10, env={"MFUTRACE_DISABLE": "1"})
        self.assertFalse(run.out.exists())
        self.assertEqual(len([op for op in run.log if op.kind == "event"]), 0)


class Processes(harness.JobTest):
    def test_forked_workers_leave_the_parents_trace_alone(self):
        for how in ("exit", "_exit"):
            with self.subTest(how):
                run = self.assert_same_as_without("fork_then_gemm", "worker", how, env=FAST_FLUSH)
                self.assertEqual(run.status, 0)
                self.assertEqual(run.trace.damage, "")
                self.assertEqual(run.trace.total_calls(), 100)
                self.assertEqual(run.trace.end.calls, 100)

    def test_parent_and_child_each_have_a_trace(self):
        for how in ("exit", "_exit"):
            with self.subTest(how):
                run = self.bench.good_job("fork_then_gemm", "before", how, env=FAST_FLUSH)
                traces = sorted(run.traces, key=lambda trace: trace.total_calls())
                self.assertEqual([trace.total_calls() for trace in traces], [30, 70])
                self.assertNotEqual(traces[0].pid, traces[1].pid)
                for trace, m in zip(traces, (128, 64)):
                    self.assertEqual(trace.gemm_flop(), trace.total_calls() * 2 * m * 32 * 16)
                self.assertEqual(traces[0].end is not None, how == "exit")

    def test_exec_gives_each_image_its_own_trace(self):
        run = self.bench.good_job("exec_after_gemm", env=FAST_FLUSH)
        traces = sorted(run.traces, key=lambda trace: trace.start_monotonic)
        self.assertEqual([trace.total_calls() for trace in traces], [40, 60])
        self.assertEqual(traces[0].pid, traces[1].pid)
        self.assertIsNone(traces[0].end)
        self.assertIsNotNone(traces[1].end)

    def test_what_was_flushed_survives_every_ending(self):
        for how in ("kill", "term", "_exit", "quick_exit", "abort", "throw", "throw_at_exit"):
            with self.subTest(how):
                run = self.bench.job("ends", how, 2000, 1500, env=FAST_FLUSH)
                self.assertIn(run.trace.damage, ("", "ends in the middle of a block"))
                self.assertEqual(run.trace.total_calls(), 2000)
                self.assertEqual(run.trace.gemm_flop(), 2000 * 2 * 64 * 32 * 16)

    def test_a_kill_at_any_moment_leaves_a_readable_file(self):
        for pause_ms in (0, 1, 20, 60):
            run = self.bench.job("ends", "kill", 3000, pause_ms, env={"MFUTRACE_FLUSH_MS": "5"})
            self.assertEqual(run.status, -9)
            for trace in run.traces:
                self.assertLessEqual(trace.total_calls(), 3000)
                self.assertIsNone(trace.end)

    def test_calls_of_destructors_and_of_daemon_threads_at_exit(self):
        late = self.bench.job("ends", "late", 100, env=FAST_FLUSH)
        self.assertEqual(late.status, 7, late)
        self.assertGreaterEqual(late.trace.total_calls(), 100)
        daemon = self.bench.job("ends", "daemon", 100, env=FAST_FLUSH)
        self.assertEqual(daemon.status, 8, daemon)
        self.assertEqual(daemon.trace.damage, "")
        logged = len(harness.gemm_ops(daemon.log))
        self.assertGreater(daemon.trace.total_calls(), 100)
        self.assertLessEqual(daemon.trace.total_calls(), logged + 1)

    def test_workers_of_python(self):
        script = harness.SOURCE / "tests/jobs/python_workers.py"
        env = {**FAST_FLUSH, "PYTHONDONTWRITEBYTECODE": "1"}
        for how, calls in (("fork", [10, 20, 30]), ("spawn", [10, 20, 30]), ("idle", [30])):
            with self.subTest(how):
                bare, run = (self.bench.run([harness.sys.executable, script, how], preload=preload,
                                            env=env) for preload in (False, True))
                self.assertEqual((run.status, run.stdout, run.stderr),
                                 (0, b"failures 0, workers [0, 0]\n", b""))
                self.assertEqual((run.status, run.stdout, run.stderr),
                                 (bare.status, bare.stdout, bare.stderr))
                self.assertEqual(sorted(trace.total_calls() for trace in run.traces), calls)
                self.assertEqual({trace.damage for trace in run.traces}, {""})
                self.assertEqual(len({trace.pid for trace in run.traces}), len(calls))
                # Forked workers end by os._exit, which runs no handler.
                ended = [trace.total_calls() for trace in run.traces if trace.end is not None]
                self.assertEqual(sorted(ended), [30] if how == "fork" else calls)

    def test_children_that_the_preload_cannot_follow(self):
        child = self.bench.folder / "setuid-true"
        shutil.copy(shutil.which("true"), child)
        child.chmod(0o4755)
        if os.geteuid() == 0:
            os.chown(child, 65534, 65534)  # not ourselves, or the loader would trust it
            child.chmod(0o4755)
        loop = harness.JOBS / "job_gemm_loop"
        script = (f"{child} && env -i LD_LIBRARY_PATH={harness.SIMGPU} {loop} --count 10 && "
                  f"{loop} --count 20")
        for preload in (False, True):
            run = self.bench.run(["sh", "-c", script], preload=preload, env=FAST_FLUSH)
            self.assertEqual((run.status, run.stdout, run.stderr),
                             (0, b"10 calls\n20 calls\n", b""))
        self.assertEqual(run.trace.total_calls(), 20)  # the stripped environment's are not seen

    def test_the_report_says_that_a_process_was_killed(self):
        harness.require(harness.TOOL)
        run = self.bench.job("ends", "kill", 200, 1000, env=FAST_FLUSH)
        self.assertEqual(run.report()["run"]["flop_executed"], 200 * 2 * 64 * 32 * 16)
        text = self.bench.tool("report", run.out)
        self.assertEqual(text.status, 0, text)
        self.assertRegex((text.stdout + text.stderr).decode(), "(?i)did not end|killed|not.*in order")


class Threads(harness.JobTest):
    def check(self, run, calls):
        self.assertEqual(run.trace.total_calls(), calls)
        self.assertEqual(run.trace.end.calls, calls)
        self.assertEqual(run.trace.gemm_flop(), sum(op.flop for op in harness.gemm_ops(run.log)))

    def test_two_thousand_short_threads(self):
        self.check(self.bench.good_job("many_threads", 2000, 5, 8), 10000)

    def test_eight_threads_at_once(self):
        self.check(self.bench.good_job("many_threads", 8, 2000, 8), 16000)

    def test_three_hundred_threads_alive_together(self):
        self.check(self.bench.good_job("many_threads", 300, 10, 300), 3000)


class WaysToCall(harness.JobTest):
    def test_every_way_of_finding_a_function(self):
        for how in ("local", "default", "versioned", "next"):
            with self.subTest(how):
                run = self.assert_same_as_without("dlopen_cublas", how, 25)
                self.assertEqual(run.status, 0, run)
                self.assertEqual(run.trace.gemm_flop(), 25 * 2 * 48 * 32 * 16)

    def test_a_plugin_however_it_is_opened(self):
        plugin = harness.JOBS / "job_plugin_new.so"
        for how, seen in (("local", 25), ("global", 25), ("deepbind", 0)):
            with self.subTest(how):
                run = self.assert_same_as_without("opened_plugin", how, plugin, 25)
                self.assertEqual(run.stdout, b"25 calls, failure 0\n")
                self.assertEqual(len(harness.gemm_ops(run.log)), 25)
                self.assertEqual(sum(trace.total_calls() for trace in run.traces), seen)

    def test_trampolines_that_define_the_vendors_names(self):
        plugin = harness.JOBS / "job_plugin_stubs.so"
        for how in ("local", "global", "deepbind"):
            with self.subTest(how):
                run = self.assert_same_as_without("opened_plugin", how, plugin, 25)
                # With RTLD_DEEPBIND even dlsym is not ours.
                seen = 0 if how == "deepbind" else 25
                self.assertEqual(sum(trace.total_calls() for trace in run.traces), seen)

    def test_ctypes(self):
        script = harness.SOURCE / "tests/jobs/ctypes_cublas.py"
        run = self.bench.run([harness.sys.executable, script, 30])
        self.assertEqual((run.status, run.stdout), (0, b"30 calls, failures 0\n"), run)
        self.assertEqual(run.trace.gemm_flop(), 30 * 2 * 64 * 32 * 16)

    def test_calls_without_a_procedure_linkage_table(self):
        run = self.bench.good_job("noplt", "--count", 300)
        self.assertEqual(run.trace.total_calls(), 300)

    def test_a_runtime_linked_statically(self):
        run = self.bench.good_job("static_cudart", "--count", 300)
        self.assertEqual(run.trace.total_calls(), 300)
        self.assertTrue(all(call.gpu_begin is not None for call in run.trace.calls))

    def test_two_versions_in_one_process(self):
        jobs = harness.JOBS
        libraries = f"{harness.SIMGPU}:{jobs}/cuda-12"
        run = self.assert_same_as_without(
            "two_versions", jobs / "job_plugin_new.so", jobs / "job_plugin_old.so",
            jobs / "cuda-12/libcublas.so.12", env={"LD_LIBRARY_PATH": libraries})
        self.assertEqual(run.stdout, b"failures 0, calls of the old library 10\n")
        self.assertEqual(run.status, 0)
        self.assertEqual(len(harness.gemm_ops(run.log)), 15)
        self.assertEqual(run.trace.gemm_flop(), 15 * 2 * 64 * 32 * 16 + 10 * 2 * 128 * 32 * 16)

    def test_every_entry_point_is_counted_with_its_shape(self):
        run = self.bench.good_job("cublas_all")
        expected, flop = [], 0
        for line in run.stdout.decode().splitlines():
            entry, m, n, k, batch, field = line.split()
            expected.append((entry, int(m), int(n), int(k), int(batch)))
            flop += (8 if field == "complex" else 2) * int(m) * int(n) * int(k) * int(batch)
        calls = sorted(run.trace.calls, key=lambda call: call.host_begin)
        shapes = [run.trace.gemms[call.signature] for call in calls]
        self.assertEqual([(s.entry, s.m, s.n, s.k, s.batch) for s in shapes], expected)
        self.assertEqual(run.trace.gemm_flop(), flop)
        self.assertEqual(sum(op.flop for op in harness.gemm_ops(run.log)), flop)

    def test_a_subset_can_be_asked_for(self):
        run = self.bench.good_job("cublas_all", env={"MFUTRACE_ONLY": "cublaslt"})
        self.assertEqual({run.trace.gemms[call.signature].entry for call in run.trace.calls},
                         {"cublasLtMatmul"})


class Loss(harness.JobTest):
    CALLS = 20000
    SHAPE = ["--count", CALLS, "--m", 64, "--n", 32, "--k", 16, "--sync", 0]
    FLOP = CALLS * 2 * 64 * 32 * 16

    def check_total(self, run):
        self.assertEqual(run.trace.total_calls(), self.CALLS)
        self.assertEqual(run.trace.end.calls, self.CALLS)
        self.assertEqual(run.trace.gemm_flop(), self.FLOP)

    def test_a_full_ring_drops_records_and_never_counts(self):
        run = self.bench.good_job("gemm_loop", *self.SHAPE,
                                  env={"MFUTRACE_RING": "16", "MFUTRACE_FLUSH_MS": "500"})
        self.check_total(run)
        dropped = sum(counted.calls for counted in run.trace.counted if counted.reason == 0)
        self.assertGreater(dropped, 0)
        self.assertEqual(run.trace.counters.get("calls_dropped_ring_full"), dropped)

    def test_an_empty_event_pool_leaves_calls_untimed_and_says_so(self):
        run = self.bench.good_job("gemm_loop", *self.SHAPE,
                                  env={"MFUTRACE_EVENTS": "16", "MFUTRACE_TIMING": "events",
                                       "MFUTRACE_RING": "65536"})
        self.check_total(run)
        untimed = sum(call.gpu_begin is None for call in run.trace.calls)
        self.assertGreater(untimed, 0)
        self.assertGreaterEqual(run.trace.counters.get("untimed_event_pool_empty", 0), untimed)

    def test_a_size_limit_stops_records_and_never_counts(self):
        run = self.bench.good_job("gemm_loop", *self.SHAPE,
                                  env={"MFUTRACE_MAX_SIZE": "64K", "MFUTRACE_RING": "65536",
                                       **FAST_FLUSH})
        self.check_total(run)
        self.assertLessEqual(run.trace.file_bytes, 80 << 10)

    def limited(self, file_bytes):
        # The simulator's log would meet the limit too, so it is off.
        return {"env": {"SIMGPU_LOG": "", **FAST_FLUSH},
                "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                         (file_bytes, file_bytes))}

    def test_files_that_may_not_grow_do_not_hurt_the_job(self):
        bare = self.bench.job("gemm_loop", *self.SHAPE, preload=False, **self.limited(32 << 10))
        run = self.bench.job("gemm_loop", *self.SHAPE, **self.limited(32 << 10))
        self.assertEqual((run.status, run.stdout), (bare.status, bare.stdout), run)
        for line in run.stderr.splitlines():
            self.assertTrue(line.startswith(OWN_WORDS), line)
        self.assertLessEqual(len(run.stderr.splitlines()), 3)
        self.assertLessEqual(run.trace.file_bytes, 32 << 10)
        self.assertIsNone(run.trace.end)
        self.assertLess(run.trace.total_calls(), self.CALLS)

    def test_a_full_disk_does_not_hurt_the_job(self):
        disk = self.bench.new_folder()
        mount = f"mount -t tmpfs -o size=48k none {disk}"
        try:
            probe = subprocess.run(["unshare", "-rm", "sh", "-c", mount], check=False,
                                   capture_output=True)
        except FileNotFoundError:
            self.skipTest("no unshare here")
        if probe.returncode != 0:
            self.skipTest(f"may not mount a small disk here: {probe.stderr.decode().strip()}")
        job = " ".join(str(word) for word in [harness.JOBS / "job_gemm_loop", *self.SHAPE])
        script = f"{mount} && {job}; s=$?; cp {disk}/*.mfut {self.bench.folder}/; exit $s"
        run = self.bench.run(["unshare", "-rm", "sh", "-c", script],
                             env={"MFUTRACE_OUT": disk, **FAST_FLUSH})
        self.assertEqual((run.status, run.stdout), (0, f"{self.CALLS} calls\n".encode()), run)
        for line in run.stderr.splitlines():
            self.assertTrue(line.startswith(OWN_WORDS), line)
        copies = list(self.bench.folder.glob("*.mfut"))
        self.assertEqual(len(copies), 1)
        self.assertLess(mfut.Trace(copies[0]).total_calls(), self.CALLS)

    def test_a_folder_that_cannot_be_made_does_not_hurt_the_job(self):
        blocked = self.bench.folder / "file"
        blocked.write_text("in the way")
        run = self.bench.good_job("gemm_loop", "--count", 100,
                                  env={"MFUTRACE_OUT": blocked / "traces"})
        self.assertEqual(run.stdout, b"100 calls\n")
        self.assertTrue(run.stderr.startswith(OWN_WORDS), run)
        self.assertEqual(len(run.stderr.splitlines()), 1)

    def test_quiet_is_quiet(self):
        run = self.bench.good_job("gemm_loop", "--count", 100,
                                  env={"MFUTRACE_OUT": "/proc/no/such", "MFUTRACE_QUIET": "1"})
        self.assertEqual(run.stderr, b"")


class Size(harness.JobTest):
    def test_a_call_costs_at_most_32_bytes(self):
        calls = 200000
        run = self.bench.good_job("gemm_loop", "--count", calls, "--m", 16, "--n", 16, "--k", 16,
                                  "--sync", 2000, env={"SIMGPU_TIME_SCALE": "0.1"})
        self.assertEqual(run.trace.total_calls(), calls)
        recorded = len(run.trace.calls)
        self.assertGreater(recorded, calls // 2)
        print(f"{run.trace.file_bytes / recorded:.2f} bytes a call, {recorded} of {calls} recorded")
        self.assertLessEqual(run.trace.file_bytes, 32 * recorded)


if __name__ == "__main__":
    os.umask(0o022)
    harness.main()
