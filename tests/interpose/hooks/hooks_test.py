#!/usr/bin/env python3
"""Runs each case of the small jobs without and with the hooks and reads both outputs.

Lines that start with "  | " are what the hooks said; the rest is the job's and the fake libraries' and
must not change. Expected log lines are written here by hand from what the job does.
"""
import os
import re
import subprocess
import unittest

LIBRARY = os.environ["HOOKS_LIBRARY"]
FAKES = os.environ["HOOKS_FAKES"]
JOBS = os.environ["HOOKS_JOBS"]
# For jobs of another architecture: "qemu-aarch64 -L /usr/aarch64-linux-gnu".
EMULATOR = os.environ.get("HOOKS_EMULATOR", "").split()
# shapes::Dtype and friends, as the log prints them
F64, F32, F16, BF16, E4M3, C64, UNKNOWN = 1, 2, 3, 4, 5, 21, 0


def run(job, *arguments, preload=None, **extra):
    ours = dict(extra, LD_LIBRARY_PATH=FAKES)
    if preload:
        ours["LD_PRELOAD"] = preload
    env = dict(os.environ)
    env.pop("LD_PRELOAD", None)
    command = [os.path.join(JOBS, job), *arguments]
    if EMULATOR:  # the emulator itself must not see them
        settings = [word for key, value in ours.items() for word in ("-E", f"{key}={value}")]
        command = EMULATOR + settings + command
    else:
        env.update(ours)
    result = subprocess.run(command, env=env, text=True, timeout=60, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    lines = result.stdout.splitlines()
    said = [line[4:] for line in lines if line.startswith("  | ")]
    rest = [line for line in lines if not line.startswith("  | ")]
    return result.returncode, rest, said


class Hooks(unittest.TestCase):
    maxDiff = None

    def both(self, job, *arguments, others=(), **extra):
        """What the hooks said; asserts that nothing else changed."""
        before = run(job, *arguments, preload=":".join(others) or None, **extra)
        after = run(job, *arguments, preload=":".join([LIBRARY, *others]), **extra)
        self.assertEqual(before[0], 0, before)
        self.assertEqual(after[:2], before[:2])
        self.assertEqual(before[2], [])
        return after[2]

    def blas(self, case):
        return self.both("hooks_job", case, FAKES)

    @staticmethod
    def gemm(entry, shape, types, rest):
        return f"gemm {entry} {shape} types {','.join(map(str, types))} {rest}"

    def test_two_versions_are_called_each_by_its_caller(self):
        said = self.blas("two_versions")
        streams = [line.split()[2] for line in said if line.startswith("begin")]
        # The fake's stream is the handle plus its version: PLT 12 and 13 twice, then dlsym 12 and 13.
        self.assertEqual(streams, ["200c", "200d", "200c", "200d", "100c", "100d"])
        self.assertEqual(said.count("count nested_calls_not_counted 1"), 0)
        gemms = [line for line in said if line.startswith("gemm")]
        self.assertEqual(gemms[0], self.gemm("cublasSgemm_v2", "10x2x3 b1", [F32] * 4,
                                             "acc 2 math 0 op 01 beta 2 bcast 00 code 68"))
        self.assertEqual(gemms[4], self.gemm("cublasSgemm_v2", "20x2x3 b1", [F32] * 4,
                                             "acc 2 math 0 op 00 beta 1 bcast 00 code 68"))

    def test_a_fifth_version_is_called_and_counted(self):
        said = self.blas("five_versions")
        self.assertEqual(sum(line.startswith("gemm") for line in said), 4)
        self.assertEqual(said.count("count real_functions_beyond_slots 1"), 1)

    def test_lookups_in_the_default_scope_find_what_is_really_there(self):
        said = self.blas("default_lookups")
        self.assertEqual([line.split()[2] for line in said if line.startswith("gemm")],
                         ["7x2x3", "8x2x3"])

    def test_versioned_lookups(self):
        self.assertEqual(sum(line.startswith("gemm") for line in self.blas("versioned_lookups")), 1)

    def test_vendor_libraries_look_up_real_functions(self):
        code, rest, _ = run("hooks_job", "vendor_requester", FAKES, preload=LIBRARY)
        self.assertEqual((code, rest), (0, ["shim sees libcublas.so.13"]))

    def test_failed_calls_are_forgotten(self):
        said = self.blas("failure")
        self.assertIn("end stream 100d forgotten", said)
        # A null handle has no stream: held, and recorded since the fake accepts it.
        self.assertEqual(said[-1], "recorded held sequence 0 bracket 0")

    def test_nested_calls_are_counted_once(self):
        said = self.blas("nested")
        gemms = [line for line in said if line.startswith("gemm")]
        self.assertEqual(gemms, [self.gemm("cublasGemmEx", "4x5x6 b1", [BF16, E4M3, F16, F16],
                                           "acc 2 math 0 op 12 beta 1 bcast 00 code 68")])
        self.assertEqual(said.count("count nested_calls_not_counted 1"), 1)

    def test_many_arguments_arrive(self):
        gemms = [line for line in self.blas("many_arguments") if line.startswith("gemm")]
        self.assertEqual(gemms, [
            self.gemm("cublasZgemmStridedBatched", "8x9x10 b77", [C64] * 4,
                      "acc 1 math 0 op 00 beta 2 bcast 10 code 70"),
            # Scalars on the device: beta unknown.
            self.gemm("cublasGemmStridedBatchedEx_64", "8589934592x9x10 b6", [F16, F16, F32, F32],
                      "acc 2 math 2 op 10 beta 0 bcast 01 code 74"),
            # A handle with TF32 on.
            self.gemm("cublasSgemm_v2_64", "4294967296x1x0 b1", [F32] * 4,
                      "acc 2 math 1 op 00 beta 2 bcast 00 code 68"),
        ])

    def test_tf32_override(self):
        for value, math in (("0", 0), ("1", 1)):
            code, _, said = run("hooks_job", "many_arguments", FAKES, preload=LIBRARY,
                                NVIDIA_TF32_OVERRIDE=value)
            self.assertEqual(code, 0)
            self.assertIn(f" math {math} ", [line for line in said if "Sgemm" in line][0])

    def test_calls_left_by_longjmp_or_exception_do_not_hide_later_ones(self):
        said = self.blas("escapes")
        recorded, current = [], None
        for line in said:
            if line.startswith("gemm"):
                current = line.split()[2].split("x")[0]
            elif line.startswith("end") and "recorded" in line:
                recorded.append(current)
        self.assertEqual(recorded, ["11", "12", "31", "32"])
        self.assertEqual(said.count("count nested_calls_not_counted 1"), 0)

    def test_a_library_that_is_unloaded_and_loaded_again(self):
        said = self.blas("reload")
        self.assertEqual([line.split()[2] for line in said if line.startswith("gemm")],
                         [f"{m}x2x3" for m in (1, 2, 10, 11, 20, 21)])

    def test_threads(self):
        code, rest, said = run("hooks_job", "threads", FAKES, preload=LIBRARY)
        self.assertEqual((code, rest[-1]), (0, "failures 0"))
        for version, stream in ((12, "200c"), (13, "200d")):
            self.assertEqual(sum(line.startswith(f"fake {version} ") for line in rest), 800)
            self.assertEqual(said.count(f"begin stream {stream} sequence 0"), 800)
            self.assertEqual(said.count(f"end stream {stream} recorded"), 800)

    def test_linked_program(self):
        said = self.both("linked_job")
        self.assertEqual([line for line in said if line.startswith("gemm")], [
            self.gemm("cublasSgemm_v2", f"{i}x2x3 b1", [F32] * 4,
                      "acc 2 math 0 op 20 beta 2 bcast 00 code 68") for i in (1, 2)])

    def test_another_interposer_and_rtld_next(self):
        other = os.path.join(FAKES, "libother_interposer.so")
        said = self.both("linked_job", others=[other])
        self.assertEqual(sum(line.startswith("gemm") for line in said), 2)
        # In front of us it is the one that calls us, with RTLD_NEXT.
        before = run("linked_job", preload=other)
        after = run("linked_job", preload=f"{other}:{LIBRARY}")
        self.assertEqual(after[:2], before[:2])
        self.assertEqual(sum(line.startswith("gemm") for line in after[2]), 2)


class Nccl(unittest.TestCase):
    maxDiff = None

    def said(self, case, **extra):
        before = run("nccl_job", case, **extra)
        after = run("nccl_job", case, preload=LIBRARY, **extra)
        self.assertEqual(before[0], 0, before)
        self.assertEqual(after[:2], before[:2])
        return after[2]

    @staticmethod
    def communicators(said):
        pattern = (r"communicator (\d+) rank (-?\d+) size (\d+) device (-?\d+) color (-?\d+) split (\d+) "
                   r"name (\S+) id (\w+) parent (\w+)")
        return [match.groups() for match in (re.fullmatch(pattern, line) for line in said) if match]

    def test_identity_and_sequence(self):
        said = self.said("identity")
        first, second, other, reused = self.communicators(said)
        self.assertEqual(first[1:7], ("0", "2", "0", "-1", "0", "-"))
        self.assertEqual(second[1:4], ("1", "2", "1"))
        self.assertEqual(first[7], second[7])
        self.assertEqual(len({first[7], other[7], reused[7]}), 3)
        self.assertEqual(reused[0], "4")
        calls = [line for line in said if line.startswith("collective")]
        self.assertEqual(calls, [
            "collective ncclAllReduce kind 1 count 10 type 4 ranks 2 peer -1 op 0 comm 1",
            "collective ncclAllReduce kind 1 count 11 type 4 ranks 2 peer -1 op 0 comm 1",
            "collective ncclAllReduce kind 1 count 12 type 4 ranks 2 peer -1 op 0 comm 2",
            "collective ncclBcast kind 4 count 13 type 2 ranks 2 peer 1 op 0 comm 3",
            "collective ncclReduce kind 5 count 14 type 11 ranks 2 peer 1 op 2 comm 3",
            "collective ncclAllGather kind 2 count 15 type 6 ranks 2 peer -1 op 0 comm 3",
            "collective ncclAllReduce kind 1 count 666 type 4 ranks 2 peer -1 op 0 comm 3",
            "collective ncclAllReduce kind 1 count 16 type 4 ranks 4 peer -1 op 0 comm 4",
        ])
        self.assertEqual([line.split()[4] for line in said if line.startswith("begin")],
                         ["1", "2", "1", "1", "2", "3", "4", "1"])
        self.assertEqual(said.count("count nested_calls_not_counted 1"), 1)  # ncclBcast's ncclBroadcast
        self.assertIn("end stream 10 forgotten", said)
        self.assertEqual([line for line in said if "ends" in line], [
            "communicator 1 ends, event 3", "communicator 1 ends, event 1", "communicator 2 ends, event 2"])

    def test_groups_share_a_bracket_per_stream(self):
        said = self.said("groups")
        held = [line for line in said if not line.startswith(("collective", "communicator"))]
        self.assertEqual(held, [
            "hold stream 10 sequence 1", "hold stream 20 sequence 2", "hold stream 20 sequence 3",
            "hold stream 10 sequence 4",
            "open bracket 1 on 10", "open bracket 2 on 20",
            "close bracket 1 on 10", "close bracket 2 on 20",
            # Each call has its share; the one the bracket came with is given back last.
            "share bracket 1", "recorded held sequence 1 bracket 1",
            "share bracket 2", "recorded held sequence 2 bracket 2",
            "share bracket 2", "recorded held sequence 3 bracket 2",
            "share bracket 1", "recorded held sequence 4 bracket 1",
            "discard bracket 1", "discard bracket 2",
            "begin stream 10 sequence 5", "end stream 10 recorded",
        ])

    def test_groups_that_are_only_estimated(self):
        said = self.said("simulated")
        self.assertEqual([line for line in said if not line.startswith(("collective", "communicator"))], [
            "hold stream 10 sequence 1", "hold stream 10 sequence 2",
            "begin stream 10 sequence 3", "end stream 10 recorded",
            # The first bracket was the single call's.
            "hold stream 10 sequence 4", "open bracket 2 on 10", "close bracket 2 on 10",
            "share bracket 2", "recorded held sequence 4 bracket 2", "discard bracket 2"])

    def test_shrinks(self):
        said = self.said("shrinks")
        parent, one, parent_too, same, third_parent, other = self.communicators(said)
        self.assertEqual(len({parent[7], parent_too[7], third_parent[7]}), 1)
        self.assertEqual(one[7], same[7])
        self.assertNotEqual(other[7], one[7])
        self.assertEqual({child[8] for child in (one, same, other)}, {parent[7]})
        self.assertEqual([child[2] for child in (one, same, other)], ["2", "2", "3"])

    def test_a_failed_group_records_nothing(self):
        said = self.said("groups", FAKE_GROUP_FAILS="1")
        self.assertEqual(sum(line.startswith("recorded held") for line in said), 0)
        self.assertIn("discard bracket 1", said)
        self.assertIn("discard bracket 2", said)
        self.assertIn("count failed_calls_not_counted 4", said)
        self.assertEqual(said[-1], "end stream 10 recorded")  # the call after the group

    def test_big_groups(self):
        said = self.said("big_group")
        recorded = [line for line in said if line.startswith("recorded held")]
        self.assertEqual([int(line.split()[3]) for line in recorded], list(range(1, 3001)))
        # 70 streams, 64 brackets: calls on the last six are recorded without a time.
        untimed = sum(line.endswith("bracket 0") for line in recorded)
        self.assertEqual(untimed, sum(i % 70 >= 64 for i in range(3000)))
        shares = sum(line.startswith("share") for line in said)
        self.assertEqual(shares, 3000 - untimed)
        self.assertEqual(sum(line.startswith("discard") for line in said), 64)

    def test_splits(self):
        said = self.said("splits")
        parent, first, third = self.communicators(said)
        self.assertEqual(first[1:6], ("0", "2", "0", "1", "1"))
        self.assertEqual(third[1:6], ("1", "2", "1", "1", "3"))  # the split without a colour counts
        self.assertEqual((first[8], third[8]), (parent[7], parent[7]))
        self.assertNotEqual(first[7], third[7])
        self.assertIn("collective ncclAllReduce kind 1 count 31 type 4 ranks 2 peer -1 op 0 comm 3", said)
        self.assertEqual(sum("unknown_communicators" in line for line in said), 0)

    def test_init_in_group(self):
        said = self.said("init_in_group")
        first, second = self.communicators(said)
        self.assertEqual((first[1:4], second[1:4]), (("0", "2", "0"), ("1", "2", "1")))
        self.assertEqual(first[7], second[7])

    def test_init_all(self):
        first, second = self.communicators(self.said("init_all"))
        self.assertEqual((first[1:4], second[1:4]), (("0", "2", "3"), ("1", "2", "1")))
        self.assertEqual(first[7], second[7])
        again = self.communicators(self.said("init_all"))
        self.assertNotEqual(first[7], again[0][7])  # another process, another id

    def test_non_blocking(self):
        said = self.said("non_blocking")  # equal output: the fake's warning was not provoked
        parent, child = self.communicators(said)
        self.assertEqual(parent[1:4] + parent[6:7], ("1", "2", "1", "tensor_parallel"))
        self.assertEqual(child[1:6], ("1", "2", "1", "5", "1"))
        self.assertEqual(child[8], parent[7])
        # Launched by another thread later: recorded, not timed.
        self.assertEqual([line for line in said if line.startswith("end")],
                         ["end stream 10 recorded untimed"] * 2)

    def test_old_config_has_no_name(self):
        self.assertEqual(self.communicators(self.said("old_config"))[0][6], "-")

    def test_scalable_hashes_all_ids(self):
        said = self.said("scalable")
        two, one = self.communicators(said)
        self.assertEqual(two[1:3], ("7", "8"))
        self.assertNotEqual(two[7], one[7])
        self.assertIn("communicator 1 ends, event 1", said)

    def test_the_same_id_on_every_rank_and_in_every_run(self):
        ids = {self.communicators(self.said("splits"))[1][7] for _ in range(2)}
        self.assertEqual(len(ids), 1)


@unittest.skipIf(EMULATOR, "there is no bash of that architecture here")
class Bystanders(unittest.TestCase):
    """Programs that have nothing to do with GPUs and inherit LD_PRELOAD."""

    def test_bash_is_left_alone(self):
        command = ["bash", "-c", "echo out; echo err >&2; ls /proc/self/task | wc -l; exit 3"]
        env = dict(os.environ)
        env.pop("LD_PRELOAD", None)
        plain = subprocess.run(command, env=env, capture_output=True)
        hooked = subprocess.run(command, env=dict(env, LD_PRELOAD=LIBRARY), capture_output=True)
        self.assertEqual((plain.returncode, plain.stdout, plain.stderr),
                         (hooked.returncode, hooked.stdout, hooked.stderr))
        self.assertEqual(plain.returncode, 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
