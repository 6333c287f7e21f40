// What lies inside the semi-opaque descriptors of cublasLt.h: any attribute of any kind is a number
// kept under its id, so that Set and Get are one table each.
#pragma once

#include <cublasLt.h>

#include <cstdint>

namespace simgpu {

struct MatmulDesc {
  static constexpr uint32_t kMagic = 0x4d4d4431;
  uint32_t magic;
  int32_t compute;
  int32_t scale_type;
  int32_t pointer_mode;
  int32_t trans_a;
  int32_t trans_b;
  int32_t trans_c;
  int32_t fill_mode;
  uint32_t epilogue;
  int32_t sm_count_target;
  int32_t aux_type;
  int32_t bias_type;
  int32_t scale_modes[6];  // A, B, C, D, aux, D out
  int8_t fast_accum;
  uint64_t bias;
  uint64_t aux;
  int64_t bias_batch_stride;
  int64_t aux_ld;
  int64_t aux_batch_stride;
  int64_t alpha_vector_batch_stride;
  uint64_t scales[4];  // A, B, C, D
  uint64_t amax_d;
  uint64_t aux_scale;
  uint64_t aux_amax;
  uint64_t d_out_scale;
  uint64_t emulation;
};
static_assert(sizeof(MatmulDesc) <= sizeof(cublasLtMatmulDescOpaque_t));

struct MatrixLayout {
  static constexpr uint32_t kMagic = 0x4c415931;
  uint32_t magic;
  uint32_t type;
  uint64_t rows;
  uint64_t cols;
  int64_t ld;
  int64_t batch_stride;
  int64_t plane_offset;
  int32_t order;
  int32_t batch_count;
  uint32_t batch_mode;
};
static_assert(sizeof(MatrixLayout) <= sizeof(cublasLtMatrixLayoutOpaque_t));

struct Preference {
  static constexpr uint32_t kMagic = 0x50524631;
  uint32_t magic;
  uint32_t search_mode;
  uint32_t reduction_mask;
  uint32_t alignment_bytes[4];
  float max_waves;
  uint64_t workspace_bytes;
  uint64_t implementation_mask;
};
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));

// Kept for their callers; nothing here reads them.
struct TransformDesc {
  static constexpr uint32_t kMagic = 0x54444331;
  uint32_t magic;
  int32_t scale_type;
  int32_t pointer_mode;
  int32_t trans_a;
  int32_t trans_b;
};
static_assert(sizeof(TransformDesc) <= sizeof(cublasLtMatrixTransformDescOpaque_t));

struct EmulationDesc {
  static constexpr uint32_t kMagic = 0x454d4431;
  uint32_t magic;
  int32_t strategy;
  int32_t special_values;
  int32_t mantissa_control;
  int32_t max_mantissa_bits;
  int32_t mantissa_bit_offset;
  uint64_t mantissa_bit_count;
};
static_assert(sizeof(EmulationDesc) <= sizeof(cublasLtEmulationDescOpaque_t));

// Null unless `handle` was initialised by this library.
inline const MatmulDesc* Read(cublasLtMatmulDesc_t handle) {
  const auto* desc = reinterpret_cast<const MatmulDesc*>(handle);
  return desc != nullptr && desc->magic == MatmulDesc::kMagic ? desc : nullptr;
}
inline const MatrixLayout* Read(cublasLtMatrixLayout_t handle) {
  const auto* layout = reinterpret_cast<const MatrixLayout*>(handle);
  return layout != nullptr && layout->magic == MatrixLayout::kMagic ? layout : nullptr;
}

}  // namespace simgpu
