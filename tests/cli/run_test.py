"""`mfutrace run` as a launcher: the command's own status, streams, arguments and signals come through,
whatever the preloaded library does."""

import os
import pathlib
import signal
import socket
import subprocess
import unittest

import bench

OWN_FAILURE, CANNOT_EXECUTE, NOT_FOUND = 125, 126, 127


class Run(bench.CliTest):
    def script(self, text, name="job.sh", mode=0o755):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def variables(self, *options, env=None):
        """The environment the command sees, as a dictionary."""
        done = self.tool("run", *options, "--", "env", "-0", env=env)
        self.assertEqual(done.status, 0, done)
        return dict(entry.split("=", 1) for entry in done.out.split("\0") if entry)

    def test_statuses_come_through(self):
        for status in (0, 1, 3, 125, 255):
            self.assertEqual(self.tool("run", "-q", "--", "sh", "-c", f"exit {status}").status, status)
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
            done = self.tool("run", "--", "sh", "-c", f"kill -{int(number)} $$")
            self.assertEqual(done.status, 128 + number)
            self.assertIn(f"killed by signal {int(number)}", done.err)

    def test_streams_and_arguments_are_untouched(self):
        done = self.tool("run", "-q", "sh", "-c", 'cat; echo "$0 $@"; echo talk >&2', "--lr", "3e-4",
                         "--", "-o", "--timing=x", "", stdin=b"given\n")
        self.assertEqual(done, (0, "given\n--lr 3e-4 -- -o --timing=x \n", "talk\n"))

    def test_options_end_at_the_command(self):
        for separator in ([], ["--"]):
            done = self.tool("run", "-q", *separator, "echo", "-q", "--help", "--json", "-", "report")
            self.assertEqual(done, (0, "-q --help --json - report\n", ""))

    def test_a_verb_is_a_command_like_any_other(self):
        self.script("#!/bin/sh\necho mine\n", "info")
        done = self.tool("run", "-q", "info", env={"PATH": f"{self.folder}:{os.environ['PATH']}"})
        self.assertEqual(done, (0, "mine\n", ""))

    def test_a_mistyped_option_is_not_a_command(self):
        self.refused(self.tool("run", "--tming=count", "true"), OWN_FAILURE, "did you mean --timing?")
        self.refused(self.tool("run", "--timing", "maybe", "true"), OWN_FAILURE, "maybe")
        self.refused(self.tool("run", "--only", "cufft", "true"), OWN_FAILURE, "cufft")
        self.refused(self.tool("run", "--max-size", "big", "true"), OWN_FAILURE, "big")
        self.refused(self.tool("run"), OWN_FAILURE, "mfutrace run -- ")

    def test_commands_that_cannot_be_run(self):
        self.refused(self.tool("run", "--", "no-such-command"), NOT_FOUND, "no-such-command")
        self.refused(self.tool("run", "--", "./no/such"), NOT_FOUND, "./no/such")
        plain = self.script("#!/bin/sh\n", "plain", 0o644)
        self.refused(self.tool("run", "--", plain), CANNOT_EXECUTE, plain)
        self.refused(self.tool("run", "--", self.folder), CANNOT_EXECUTE, self.folder)
        lost = self.script("#!/no/such/interpreter\n", "lost")
        self.refused(self.tool("run", "--", lost), NOT_FOUND, lost)
        self.assertEqual(list(self.folder.glob("mfutrace-*")), [])

    def test_a_script_without_a_first_line_is_for_the_shell(self):
        path = self.script("echo plain $1\n", "bare")
        self.assertEqual(self.tool("run", "-q", "--", path, "x"), (0, "plain x\n", ""))

    def test_the_library_is_preloaded_before_the_users_own(self):
        library = str(bench.harmless_library())
        self.assertEqual(self.variables()["LD_PRELOAD"], library)
        libc = next(pathlib.Path("/lib").glob("*-linux-gnu/libdl.so.2"), None)
        if libc is None:
            self.skipTest("no second library to preload")
        self.assertEqual(self.variables(env={"LD_PRELOAD": f"{libc} {library}"})["LD_PRELOAD"],
                         f"{library}:{libc}")

    def test_options_become_variables(self):
        seen = self.variables("-o", "out/%%x", "--timing", "count", "--only", "cublas,nccl",
                              "--max-size", "256M", "--events", "128", "--role", "prefill", "-q",
                              "--kernels", "each")
        self.assertEqual(seen["MFUTRACE_OUT"], f"{self.folder}/out/%x")
        self.assertEqual({name: seen["MFUTRACE_" + name] for name in
                          ("TIMING", "ONLY", "MAX_SIZE", "EVENTS", "ROLE", "QUIET", "KERNELS")},
                         {"TIMING": "count", "ONLY": "cublas,nccl", "MAX_SIZE": "256M",
                          "EVENTS": "128", "ROLE": "prefill", "QUIET": "1",
                          "KERNELS": "each"})
        plain = self.variables(env={"MFUTRACE_TIMING": "events"})
        self.assertEqual(plain["MFUTRACE_TIMING"], "events")
        self.assertNotIn("MFUTRACE_QUIET", plain)

    def test_folder_names(self):
        host = socket.gethostname()
        job = {"SLURM_JOB_ID": "48121"}
        self.assertEqual(self.variables("-o", "t-%h-%j", env=job)["MFUTRACE_OUT"],
                         f"{self.folder}/t-{host}-48121")
        self.assertRegex(self.variables("-o", "t-%p")["MFUTRACE_OUT"], r"/t-\d+$")
        self.assertEqual(self.variables(env=job)["MFUTRACE_OUT"], f"{self.folder}/mfutrace-env-j48121")
        self.assertRegex(self.variables()["MFUTRACE_OUT"], r"/mfutrace-env-\d{8}-\d{6}$")
        done = self.tool("run", "-q", "--", "sh", "-c", "echo $MFUTRACE_OUT", "x/train.py", env=job)
        self.assertEqual(done.out, f"{self.folder}/mfutrace-train.py-j48121\n")

    def test_the_folder_must_be_writable(self):
        self.refused(self.tool("run", "-o", "/proc/no", "--", "true"), OWN_FAILURE, "/proc/no")
        file = self.folder / "file"
        file.write_text("")
        self.refused(self.tool("run", "-o", file, "--", "true"), OWN_FAILURE, file)

    def test_no_trace_is_explained_and_leaves_no_folder(self):
        done = self.tool("run", "--", "sh", "-c", "exit 7")
        self.assertEqual((done.status, done.out), (7, ""))
        lines = done.err.splitlines()
        self.assertEqual(lines[0], "mfutrace: no trace was written")
        self.assertRegex(lines[1], r"^  sh \(pid \d+\) started and ended")
        self.assertEqual(len(lines), 3)
        self.assertEqual(list(self.folder.glob("mfutrace-*")), [])

    def test_a_static_program_is_told_to_be_out_of_reach(self):
        if os.environ.get("MFU_STATIC_TOOLS") != "1":
            self.skipTest("built with -DMFUTRACE_STATIC_TOOLS=OFF")
        done = self.tool("run", "--", bench.TOOL, "--version")
        self.assertEqual(done.status, 0)
        self.assertIn("linked statically", done.err)

    def test_print_env_is_for_eval(self):
        done = self.tool("run", "-o", "it's here", "--timing", "count", "--print-env")
        self.assertEqual((done.status, done.err), (0, ""))
        script = done.out + 'printf "%s\\n" "$LD_PRELOAD" "$MFUTRACE_OUT" "$MFUTRACE_TIMING"'
        shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True,
                               env={"PATH": os.environ["PATH"]})
        self.assertEqual(shell.stdout.splitlines(), [str(bench.harmless_library()),
                                                     f"{self.folder}/it's here", "count"])
        self.assertFalse((self.folder / "it's here").exists())

    def test_the_library_must_exist(self):
        self.refused(self.tool("run", "true", env={"MFUTRACE_LIBRARY": "/no/lib.so"}), OWN_FAILURE,
                     "MFUTRACE_LIBRARY=/no/lib.so")
        spaced = self.folder / "a b"
        spaced.mkdir()
        (spaced / "lib.so").write_bytes(b"")
        self.refused(self.tool("run", "true", env={"MFUTRACE_LIBRARY": str(spaced / "lib.so")}),
                     OWN_FAILURE, "LD_PRELOAD")

    def start(self, *args, **options):
        return subprocess.Popen([str(bench.TOOL), "run", "-q", "--", *map(str, args)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=self.folder, env=self.environment({}), **options)

    def test_signals_are_passed_on(self):
        script = self.script("#!/bin/sh\ntrap 'echo caught; exit 9' TERM\necho ready\n"
                             "while :; do sleep 0.05; done\n")
        process = self.start(script)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, out, err), (9, "caught\n", ""))

    def test_a_signal_that_kills_the_command_is_told(self):
        process = self.start("sh", "-c", "echo ready; exec sleep 30")
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 128 + signal.SIGINT)

    def test_dispositions_and_mask_are_inherited(self):
        show = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"
        bare = subprocess.run(["sh", "-c", f"exec {show}"], capture_output=True, text=True)
        self.assertEqual(self.tool("run", "-q", "--", "sh", "-c", f"exec {show}").out, bare.stdout)

        def ignore():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        process = self.start("sh", "-c", f"{show}; exit 5", preexec_fn=ignore)
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 5)
        ignored = int(next(line for line in out.splitlines() if line.startswith("SigIgn"))[8:], 16)
        self.assertTrue(ignored & 1 << (signal.SIGHUP - 1))

    def test_one_of_many_ranks_stays_quiet(self):
        many = {"SLURM_NTASKS": "8", "SLURM_PROCID": "3"}
        self.assertEqual(self.tool("run", "--", "sh", "-c", "exit 4", env=many), (4, "", ""))


class InstallTree(bench.CliTest):
    def test_the_library_is_found_beside_the_program(self):
        if not bench.LIBRARY.exists():
            self.skipTest("libmfutrace.so is not built")
        tree = self.folder / "usr"
        (tree / "bin").mkdir(parents=True)
        (tree / "lib" / "mfutrace").mkdir(parents=True)
        os.link(bench.TOOL, tree / "bin" / "mfutrace") if os.stat(bench.TOOL).st_dev == os.stat(
            tree).st_dev else (tree / "bin" / "mfutrace").write_bytes(bench.TOOL.read_bytes())
        (tree / "bin" / "mfutrace").chmod(0o755)
        library = tree / "lib" / "mfutrace" / "libmfutrace.so"
        library.write_bytes(bench.LIBRARY.read_bytes())
        done = subprocess.run([tree / "bin" / "mfutrace", "run", "-q", "--", "sh", "-c",
                               "echo $LD_PRELOAD"], capture_output=True, text=True,
                              cwd=self.folder, env=self.environment({"MFUTRACE_LIBRARY": None}))
        self.assertEqual(done.stdout, f"{library}\n", done)

    def test_a_missing_library_says_where_it_was_looked_for(self):
        tool = self.folder / "mfutrace"
        tool.write_bytes(bench.TOOL.read_bytes())
        tool.chmod(0o755)
        done = subprocess.run([tool, "run", "true"], capture_output=True, text=True,
                              env=self.environment({"MFUTRACE_LIBRARY": None}))
        self.assertEqual(done.returncode, OWN_FAILURE)
        self.assertIn("libmfutrace.so", done.stderr)
        self.assertIn("MFUTRACE_LIBRARY", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
