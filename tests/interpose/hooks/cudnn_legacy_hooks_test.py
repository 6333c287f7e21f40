"""Every function of cuDNN's older interface, called as its header declares it: which descriptor the hooks
take for what, and that nothing of the job changes.
"""

import os
import re
import subprocess
import unittest

LIBRARY, FAKES, JOBS = (os.environ[name] for name in ("HOOKS_LIBRARY", "HOOKS_FAKES", "HOOKS_JOBS"))


def run(preload):
    env = {key: value for key, value in os.environ.items() if key != "NVIDIA_TF32_OVERRIDE"}
    env["LD_LIBRARY_PATH"] = FAKES
    if preload:
        env["LD_PRELOAD"] = LIBRARY
    done = subprocess.run([os.path.join(JOBS, "cudnn_legacy_job")], env=env, text=True,
                          capture_output=True, timeout=60, check=True)
    return done.stdout.splitlines()


class Legacy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lines = run(True)
        cls.said = [line[4:] for line in cls.lines if line.startswith("  | ")]

    def words(self, kind):
        return [line for line in self.said if line.split()[0] == kind]

    def test_job_sees_no_difference(self):
        self.assertEqual([line for line in self.lines if not line.startswith("  | ")], run(False))

    def test_convolutions(self):
        shape = "b2 6>8 g2 direction"
        self.assertEqual(self.words("convolution"), [
            f"convolution cudnnConvolutionForward {shape} 0 type 3",
            f"convolution cudnnConvolutionBackwardData {shape} 1 type 3",
            f"convolution cudnnConvolutionBackwardFilter {shape} 2 type 3",
            f"convolution cudnnConvolutionBiasActivationForward {shape} 0 type 3",
            f"convolution cudnnConvolutionForward {shape} 0 type 3"])

    def test_what_cannot_be_counted_is_named(self):
        searches = [f"opaque cudnnFindConvolution{what}Algorithm{ex}: runs the convolution an unknown number "
                    "of times" for what in ("Forward", "BackwardData", "BackwardFilter")
                    for ex in ("", "Ex")]
        self.assertEqual(self.words("opaque"), [
            "opaque cudnnConvolutionForward: descriptors not readable", *searches,
            "opaque cudnnFusedOpsExecute: fused operations cannot be read back"])

    def test_networks_have_the_steps_of_their_input(self):
        self.assertEqual(self.words("rnn"), ["rnn cudnnRNNForward steps 10 pass 0",
                                             "rnn cudnnRNNBackwardData_v8 steps 11 pass 1",
                                             "rnn cudnnRNNBackwardWeights_v8 steps 12 pass 2"])

    def test_attention_is_its_projections_and_itself(self):
        # 2 heads; q 24 > 4 of 6 tokens, k 20 > 4 and v 28 > 6 of 8, out 2 x 6 > 10 of 6.
        shapes = [re.search(r"^gemm (\S+) (\S+)", line).groups() for line in self.words("gemm")]
        forward = ["8x6x24", "8x8x20", "12x8x28", "10x6x12"]
        data = ["24x6x8", "20x8x8", "28x8x12", "12x6x10"]
        weights = ["8x24x6", "8x20x8", "12x28x8", "10x12x6"]
        self.assertEqual(shapes, [
            *(("cudnnMultiHeadAttnForward", s) for s in forward),
            *(("cudnnMultiHeadAttnBackwardData", s) for s in data),
            *(("cudnnMultiHeadAttnBackwardWeights", s) for s in weights)])
        self.assertEqual(self.words("attention"), ["attention cudnnMultiHeadAttnForward b2",
                                                   "attention cudnnMultiHeadAttnBackwardData b2"])
        self.assertEqual([line.split()[-1] for line in self.words("compound")], ["5", "5", "4"])
        counts = [line.split()[-1] for line in self.words("part")]
        self.assertEqual(counts, ["x1"] * 5 + ["x1"] * 4 + ["x2"] + ["x1"] * 4)

    def test_calls_run_on_the_handles_stream_and_failures_are_forgotten(self):
        begun = self.words("begin")
        self.assertEqual(len(begun), 6 + 7 + 3 + 3)
        self.assertTrue(all(line.startswith("begin stream 77 ") for line in begun))
        self.assertEqual([line for line in self.words("end") if "forgotten" in line],
                         ["end stream 77 forgotten"])


if __name__ == "__main__":
    unittest.main()
