// What each execution plan of the process computes, by the plan's pointer, from its first run to
// its destruction.
//
// Finding is lock-free: every run does it. Reading a plan takes a lock, once for each plan.
#pragma once

#include <cstdint>

#include "interpose/cudnn_work.h"
#include "interpose/resolve.h"

namespace mfutrace::interpose {

// nullptr if the plan cannot be read.
const CudnnWork* WorkOfCudnnPlan(const VendorLibrary& library, const void* plan);
// The same with the dimensions that a pack sets, read anew. False if the plan cannot be read.
bool WorkOfCudnnPlan(const VendorLibrary& library, const void* plan, const CudnnPack& pack,
                     CudnnWork* work);
// Before a descriptor is destroyed; its address may come back as another plan's.
void ForgetCudnnPlan(const void* plan);

}  // namespace mfutrace::interpose
