// Attention that is computed again: forwards beyond one for each backward of the same shape, step
// by step. Fused attention keeps nothing of its scores, so frameworks recompute it alone (selective
// activation checkpointing) or with all of its layer. Called by summary.cc.
#pragma once

#include "report/analyze/steps.h"
#include "report/analyze/summary.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// Takes what was recomputed out of the model's FLOPs of each step, and of the run. Outside of steps
// an evaluation's forwards look the same, so nothing is taken there.
void SubtractAttentionRecompute(const Timeline& timeline, const StepWindows& steps,
                                DeviceSummary& summary);

}  // namespace mfutrace::report
