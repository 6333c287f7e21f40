// What variant packs hold: pointers by the uids of tensors, and dimensions that replace a plan's.
// cuDNN does not give a pack's contents back (cudnnBackendGetAttribute: not supported in 9.19), so
// they are noted when they are set, for every pack, since what a plan needs of its pack is known
// only when it runs.
//
// A pack usually lives for one call. The table is bounded and forgets old ones; a pack that is not
// in it leaves a bound where an exact figure would have been.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mfutrace::interpose {

struct CudnnPack {
  static constexpr uint32_t kMaxTensors = 96;
  static constexpr uint32_t kMaxOverrides = 32;
  static constexpr uint32_t kMaxRank = 8;

  // Dimensions of one tensor at this run, in place of those in the plan.
  struct Shape {
    uint32_t rank;
    int64_t dims[kMaxRank];
  };

  uint32_t uid_count;
  uint32_t pointer_count;
  uint32_t override_count;
  bool is_unreadable;  // dimensions are replaced in a way that we do not understand
  int64_t uids[kMaxTensors];
  const void* pointers[kMaxTensors];
  int64_t override_uids[kMaxOverrides];
  Shape override_shapes[kMaxOverrides];

  const void* Find(int64_t uid) const;  // nullptr if it is not there
};

// One attribute of a pack as it is set. `attribute`: CUDNN_ATTR_VARIANT_PACK_...
void NoteCudnnPack(const void* pack, int attribute, int64_t count, const void* data);
void ForgetCudnnPack(const void* pack);
// Copies what is known; false if nothing is.
bool FindCudnnPack(const void* pack, CudnnPack* found);

// True once any pack of the process has replaced dimensions.
bool CudnnPacksReplaceShapes();

// Reads a std::vector<std::vector<int64_t>> as libstdc++ and libc++ lay it out: begin, end, end of
// storage. False, and nothing is written beyond `capacity`, if it does not look like one.
bool ReadNestedVector(const void* vector, CudnnPack::Shape* shapes, uint32_t capacity,
                      uint32_t* count);

}  // namespace mfutrace::interpose
