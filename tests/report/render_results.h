// Hand-made results for the render tests: figures chosen on paper, not computed by any analysis.
#pragma once

#include "report/analyze/results.h"

namespace mfutrace::report::test {

// Four ranks of a training run on a known GPU, timed by events, steps found by period.
RunResult TrainingRun();
// The same on a GPU nobody knows the peak of.
RunResult UnknownGpuRun();
// Counts without any GPU time.
RunResult CountOnlyRun();
// A profiler's trace without shapes: every kernel is known, no FLOP is.
RunResult ImportWithoutShapes();
// More than 100 % of peak, because the peak is wrong.
RunResult ImpossibleRun();
// Half of the FLOPs in f8, whose peak is twice that of bf16.
RunResult MixedFormatsRun();
// Operations of every kind and bound, an upper bound and one that is not understood.
RunResult MixedOpsRun();
// 64 ranks on two hosts, many operations, communicators and notes.
RunResult LargeRun();
// FLOPs beyond 64 bits, odd text, unknown rank and device.
RunResult ExtremeRun();

}  // namespace mfutrace::report::test
