// libcublasLt.so.13: Create, Init, Set, Get and Destroy of the descriptors. Host memory only.
#include "cublaslt/descriptors.h"

#include <cstddef>
#include <cstring>

namespace simgpu {
namespace {

struct Attribute {
  int id;
  size_t size;
  size_t offset;
};

#define SIM_FIELD(id, type, field) \
  { id, sizeof(type::field), offsetof(type, field) }
#define SIM_ELEMENT(id, type, field, index) \
  { id, sizeof(type::field[0]), offsetof(type, field) + (index) * sizeof(type::field[0]) }

constexpr Attribute kMatmul[] = {
    SIM_FIELD(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, MatmulDesc, compute),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_SCALE_TYPE, MatmulDesc, scale_type),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_POINTER_MODE, MatmulDesc, pointer_mode),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_TRANSA, MatmulDesc, trans_a),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_TRANSB, MatmulDesc, trans_b),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_TRANSC, MatmulDesc, trans_c),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_FILL_MODE, MatmulDesc, fill_mode),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE, MatmulDesc, epilogue),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_BIAS_POINTER, MatmulDesc, bias),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, MatmulDesc, bias_batch_stride),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, MatmulDesc, aux),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, MatmulDesc, aux_ld),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, MatmulDesc, aux_batch_stride),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, MatmulDesc,
              alpha_vector_batch_stride),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, MatmulDesc, sm_count_target),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, MatmulDesc, scales, 0),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, MatmulDesc, scales, 1),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, MatmulDesc, scales, 2),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, MatmulDesc, scales, 3),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, MatmulDesc, amax_d),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, MatmulDesc, aux_type),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_POINTER, MatmulDesc, aux_scale),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_AMAX_POINTER, MatmulDesc, aux_amax),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_FAST_ACCUM, MatmulDesc, fast_accum),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, MatmulDesc, bias_type),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, MatmulDesc, scale_modes, 0),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, MatmulDesc, scale_modes, 1),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_C_SCALE_MODE, MatmulDesc, scale_modes, 2),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_D_SCALE_MODE, MatmulDesc, scale_modes, 3),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_MODE, MatmulDesc, scale_modes, 4),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_D_OUT_SCALE_POINTER, MatmulDesc, d_out_scale),
    SIM_ELEMENT(CUBLASLT_MATMUL_DESC_D_OUT_SCALE_MODE, MatmulDesc, scale_modes, 5),
    SIM_FIELD(CUBLASLT_MATMUL_DESC_EMULATION_DESCRIPTOR, MatmulDesc, emulation),
};

constexpr Attribute kLayout[] = {
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_TYPE, MatrixLayout, type),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_ORDER, MatrixLayout, order),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_ROWS, MatrixLayout, rows),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_COLS, MatrixLayout, cols),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_LD, MatrixLayout, ld),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, MatrixLayout, batch_count),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, MatrixLayout, batch_stride),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, MatrixLayout, plane_offset),
    SIM_FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, MatrixLayout, batch_mode),
};

constexpr Attribute kPreference[] = {
    SIM_FIELD(CUBLASLT_MATMUL_PREF_SEARCH_MODE, Preference, search_mode),
    SIM_FIELD(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Preference, workspace_bytes),
    SIM_FIELD(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, Preference, reduction_mask),
    SIM_ELEMENT(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Preference, alignment_bytes, 0),
    SIM_ELEMENT(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Preference, alignment_bytes, 1),
    SIM_ELEMENT(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, Preference, alignment_bytes, 2),
    SIM_ELEMENT(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, Preference, alignment_bytes, 3),
    SIM_FIELD(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, Preference, max_waves),
    SIM_FIELD(CUBLASLT_MATMUL_PREF_IMPL_MASK, Preference, implementation_mask),
};

constexpr Attribute kTransform[] = {
    SIM_FIELD(CUBLASLT_MATRIX_TRANSFORM_DESC_SCALE_TYPE, TransformDesc, scale_type),
    SIM_FIELD(CUBLASLT_MATRIX_TRANSFORM_DESC_POINTER_MODE, TransformDesc, pointer_mode),
    SIM_FIELD(CUBLASLT_MATRIX_TRANSFORM_DESC_TRANSA, TransformDesc, trans_a),
    SIM_FIELD(CUBLASLT_MATRIX_TRANSFORM_DESC_TRANSB, TransformDesc, trans_b),
};

constexpr Attribute kEmulation[] = {
    SIM_FIELD(CUBLASLT_EMULATION_DESC_STRATEGY, EmulationDesc, strategy),
    SIM_FIELD(CUBLASLT_EMULATION_DESC_SPECIAL_VALUES_SUPPORT, EmulationDesc, special_values),
    SIM_FIELD(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MANTISSA_CONTROL, EmulationDesc, mantissa_control),
    SIM_FIELD(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MAX_MANTISSA_BIT_COUNT, EmulationDesc,
              max_mantissa_bits),
    SIM_FIELD(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MANTISSA_BIT_OFFSET, EmulationDesc,
              mantissa_bit_offset),
    SIM_FIELD(CUBLASLT_EMULATION_DESC_FIXEDPOINT_MANTISSA_BIT_COUNT_POINTER, EmulationDesc,
              mantissa_bit_count),
};

template <size_t kCount>
const Attribute* Find(const Attribute (&table)[kCount], int id) {
  for (const Attribute& attribute : table) {
    if (attribute.id == id) return &attribute;
  }
  return nullptr;
}

template <typename T, size_t kCount>
cublasStatus_t Set(const Attribute (&table)[kCount], T* object, int id, const void* from,
                   size_t size) {
  const Attribute* attribute = Find(table, id);
  if (object == nullptr || object->magic != T::kMagic || attribute == nullptr || from == nullptr ||
      size != attribute->size) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(reinterpret_cast<char*>(object) + attribute->offset, from, size);
  return CUBLAS_STATUS_SUCCESS;
}

// With room for nothing it only says how much there would be.
template <typename T, size_t kCount>
cublasStatus_t Get(const Attribute (&table)[kCount], const T* object, int id, void* to, size_t room,
                   size_t* written) {
  const Attribute* attribute = Find(table, id);
  if (object == nullptr || object->magic != T::kMagic || attribute == nullptr ||
      (room == 0 && written == nullptr) ||
      (room != 0 && (to == nullptr || room < attribute->size))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (written != nullptr) *written = attribute->size;
  if (room != 0) {
    std::memcpy(to, reinterpret_cast<const char*>(object) + attribute->offset, attribute->size);
  }
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T>
T* As(void* opaque) {
  return static_cast<T*>(opaque);
}

void InitMatmul(MatmulDesc* desc, cublasComputeType_t compute, cudaDataType_t scale_type) {
  std::memset(desc, 0, sizeof *desc);
  desc->magic = MatmulDesc::kMagic;
  desc->compute = compute;
  desc->scale_type = scale_type;
  desc->fill_mode = CUBLAS_FILL_MODE_FULL;
  desc->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  desc->aux_type = -1;
  desc->bias_type = -1;
}

void InitLayout(MatrixLayout* layout, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld) {
  std::memset(layout, 0, sizeof *layout);
  layout->magic = MatrixLayout::kMagic;
  layout->type = static_cast<uint32_t>(type);
  layout->rows = rows;
  layout->cols = cols;
  layout->ld = ld;
  layout->batch_count = 1;
}

void InitPreference(Preference* preference) {
  std::memset(preference, 0, sizeof *preference);
  preference->magic = Preference::kMagic;
  preference->reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
  for (uint32_t& bytes : preference->alignment_bytes) bytes = 256;
  preference->implementation_mask = UINT64_MAX;
}

}  // namespace
}  // namespace simgpu

using simgpu::As;  // NOLINT: the C face below is made of the templates above

extern "C" {

cublasStatus_t CUBLASWINAPI cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t desc, size_t size,
                                                            cublasComputeType_t compute,
                                                            cudaDataType_t scale_type) {
  if (desc == nullptr || size < sizeof(simgpu::MatmulDesc)) return CUBLAS_STATUS_INVALID_VALUE;
  simgpu::InitMatmul(As<simgpu::MatmulDesc>(desc), compute, scale_type);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc,
                                                     cublasComputeType_t compute,
                                                     cudaDataType_t scale_type) {
  if (desc == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *desc = new cublasLtMatmulDescOpaque_t{};
  return cublasLtMatmulDescInit_internal(*desc, sizeof **desc, compute, scale_type);
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  if (desc != nullptr) As<simgpu::MatmulDesc>(desc)->magic = 0;
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           const void* from, size_t size) {
  return simgpu::Set(simgpu::kMatmul, As<simgpu::MatmulDesc>(desc), attribute, from, size);
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           void* to, size_t room, size_t* written) {
  return simgpu::Get(simgpu::kMatmul, As<simgpu::MatmulDesc>(desc), attribute, to, room, written);
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout,
                                                              size_t size, cudaDataType type,
                                                              uint64_t rows, uint64_t cols,
                                                              int64_t ld) {
  if (layout == nullptr || size < sizeof(simgpu::MatrixLayout)) return CUBLAS_STATUS_INVALID_VALUE;
  simgpu::InitLayout(As<simgpu::MatrixLayout>(layout), type, rows, cols, ld);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout,
                                                       cudaDataType type, uint64_t rows,
                                                       uint64_t cols, int64_t ld) {
  if (layout == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *layout = new cublasLtMatrixLayoutOpaque_t{};
  return cublasLtMatrixLayoutInit_internal(*layout, sizeof **layout, type, rows, cols, ld);
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  if (layout != nullptr) As<simgpu::MatrixLayout>(layout)->magic = 0;
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutSetAttribute(
    cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void* from,
    size_t size) {
  return simgpu::Set(simgpu::kLayout, As<simgpu::MatrixLayout>(layout), attribute, from, size);
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixLayoutGetAttribute(
    cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, void* to, size_t room,
    size_t* written) {
  return simgpu::Get(simgpu::kLayout, As<simgpu::MatrixLayout>(layout), attribute, to, room,
                     written);
}

cublasStatus_t CUBLASWINAPI
cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference, size_t size) {
  if (preference == nullptr || size < sizeof(simgpu::Preference))
    return CUBLAS_STATUS_INVALID_VALUE;
  simgpu::InitPreference(As<simgpu::Preference>(preference));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  if (preference == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *preference = new cublasLtMatmulPreferenceOpaque_t{};
  return cublasLtMatmulPreferenceInit_internal(*preference, sizeof **preference);
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
    const void* from, size_t size) {
  return simgpu::Set(simgpu::kPreference, As<simgpu::Preference>(preference), attribute, from,
                     size);
}

cublasStatus_t CUBLASWINAPI cublasLtMatmulPreferenceGetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, void* to,
    size_t room, size_t* written) {
  return simgpu::Get(simgpu::kPreference, As<simgpu::Preference>(preference), attribute, to, room,
                     written);
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixTransformDescInit_internal(
    cublasLtMatrixTransformDesc_t desc, size_t size, cudaDataType scale_type) {
  if (desc == nullptr || size < sizeof(simgpu::TransformDesc)) return CUBLAS_STATUS_INVALID_VALUE;
  *As<simgpu::TransformDesc>(desc) = {simgpu::TransformDesc::kMagic, scale_type, 0, 0, 0};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixTransformDescCreate(cublasLtMatrixTransformDesc_t* desc,
                                                              cudaDataType scale_type) {
  if (desc == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *desc = new cublasLtMatrixTransformDescOpaque_t{};
  return cublasLtMatrixTransformDescInit_internal(*desc, sizeof **desc, scale_type);
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixTransformDescDestroy(cublasLtMatrixTransformDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixTransformDescSetAttribute(
    cublasLtMatrixTransformDesc_t desc, cublasLtMatrixTransformDescAttributes_t attribute,
    const void* from, size_t size) {
  return simgpu::Set(simgpu::kTransform, As<simgpu::TransformDesc>(desc), attribute, from, size);
}

cublasStatus_t CUBLASWINAPI cublasLtMatrixTransformDescGetAttribute(
    cublasLtMatrixTransformDesc_t desc, cublasLtMatrixTransformDescAttributes_t attribute, void* to,
    size_t room, size_t* written) {
  return simgpu::Get(simgpu::kTransform, As<simgpu::TransformDesc>(desc), attribute, to, room,
                     written);
}

cublasStatus_t CUBLASWINAPI cublasLtEmulationDescInit_internal(cublasLtEmulationDesc_t desc,
                                                               size_t size) {
  if (desc == nullptr || size < sizeof(simgpu::EmulationDesc)) return CUBLAS_STATUS_INVALID_VALUE;
  *As<simgpu::EmulationDesc>(desc) = {simgpu::EmulationDesc::kMagic, 0, 0xffff, 0, 0, 0, 0};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtEmulationDescCreate(cublasLtEmulationDesc_t* desc) {
  if (desc == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *desc = new cublasLtEmulationDescOpaque_t{};
  return cublasLtEmulationDescInit_internal(*desc, sizeof **desc);
}

cublasStatus_t CUBLASWINAPI cublasLtEmulationDescDestroy(cublasLtEmulationDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasLtEmulationDescSetAttribute(
    cublasLtEmulationDesc_t desc, cublasLtEmulationDescAttributes_t attribute, const void* from,
    size_t size) {
  return simgpu::Set(simgpu::kEmulation, As<simgpu::EmulationDesc>(desc), attribute, from, size);
}

cublasStatus_t CUBLASWINAPI cublasLtEmulationDescGetAttribute(
    cublasLtEmulationDesc_t desc, cublasLtEmulationDescAttributes_t attribute, void* to,
    size_t room, size_t* written) {
  return simgpu::Get(simgpu::kEmulation, As<simgpu::EmulationDesc>(desc), attribute, to, room,
                     written);
}

}  // extern "C"
