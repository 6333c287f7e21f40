// See cudnn_attributes.h.
#include "interpose/cudnn_attributes.h"

#include <cstddef>

namespace mfutrace::interpose {

using shapes::Dtype;

namespace {

using Port = CudnnPort;

struct Owner {
  int16_t first;
  int16_t last;
  CudnnRole role;
  char operation[28];  // in place: a pointer would cost a relocation
};
constexpr Owner kOwners[] = {
    {0, 199, CudnnRole::kParameters, ""},  // pointwise, convolution
    {200, 499, CudnnRole::kCarrier, ""},   // heuristic, engine configuration, plan
    {700, 705, CudnnRole::kOperation, "CONVOLUTION_FORWARD"},
    {706, 711, CudnnRole::kOperation, "CONVOLUTION_BACKWARD_DATA"},
    {712, 717, CudnnRole::kOperation, "CONVOLUTION_BACKWARD_FILTER"},
    {750, 769, CudnnRole::kOperation, "POINTWISE"},
    {770, 779, CudnnRole::kOperation, "GEN_STATS"},
    {780, 799, CudnnRole::kOperation, "BN_FINALIZE_STATISTICS"},
    {800, 899, CudnnRole::kGraph, ""},
    {900, 999, CudnnRole::kTensor, ""},
    {1300, 1399, CudnnRole::kCarrier, ""},  // engine
    {1500, 1519, CudnnRole::kParameters, ""},
    {1520, 1599, CudnnRole::kOperation, "MATMUL"},
    {1600, 1609, CudnnRole::kParameters, ""},
    {1610, 1619, CudnnRole::kOperation, "REDUCTION"},
    {1620, 1699, CudnnRole::kOperation, "BN_BWD_WEIGHTS"},
    {1700, 1709, CudnnRole::kParameters, ""},
    {1710, 1719, CudnnRole::kOperation, "RESAMPLE_FWD"},
    {1720, 1799, CudnnRole::kOperation, "RESAMPLE_BWD"},
    {1800, 1899, CudnnRole::kOperation, "CONCAT"},
    {1900, 1949, CudnnRole::kOperation, "SIGNAL"},
    {1950, 1999, CudnnRole::kOperation, "PAGED_CACHE_LOAD"},
    {2000, 2099, CudnnRole::kOperation, "NORM_FORWARD"},
    {2100, 2199, CudnnRole::kOperation, "NORM_BACKWARD"},
    {2200, 2249, CudnnRole::kOperation, "RESHAPE"},
    {2250, 2269, CudnnRole::kOperation, "EXPAND_BAND_MATRIX"},
    {2270, 2299, CudnnRole::kOperation, "CONTRACT_BAND_MATRIX"},
    {2300, 2309, CudnnRole::kParameters, ""},
    {2310, 2399, CudnnRole::kOperation, "RNG"},
    {2500, 2599, CudnnRole::kOperation, "BLOCK_SCALE_QUANTIZE"},
    {2600, 2699, CudnnRole::kOperation, "BLOCK_SCALE_DEQUANTIZE"},
    {2800, 2850, CudnnRole::kOperation, "SDPA_FWD"},
    {2851, 2899, CudnnRole::kOperation, "SDPA_BWD"},
    {2900, 2999, CudnnRole::kOperation, "MOE_GROUPED_MATMUL"},
    {3000, 9999, CudnnRole::kOperation, "operation of a later cuDNN"},
};

struct AttributePort {
  int16_t attribute;
  Port port;
};
constexpr AttributePort kPorts[] = {
    {703, Port::kW},           {704, Port::kX},           {705, Port::kY},
    {709, Port::kW},           {710, Port::kDx},          {711, Port::kDy},
    {715, Port::kDw},          {716, Port::kX},           {717, Port::kDy},
    {751, Port::kX},           {752, Port::kB},           {753, Port::kY},
    {756, Port::kDx},          {757, Port::kDy},          {758, Port::kT},
    {1520, Port::kMatA},       {1521, Port::kMatB},       {1522, Port::kMatC},
    {1525, Port::kMOverride},  {1526, Port::kNOverride},  {1527, Port::kKOverride},
    {1610, Port::kX},          {1611, Port::kY},          {1710, Port::kX},
    {1711, Port::kY},          {1903, Port::kX},          {1904, Port::kY},
    {1950, Port::kX},          {1951, Port::kY},          {1952, Port::kHarmless},
    {1953, Port::kHarmless},   {2002, Port::kX},          {2013, Port::kY},
    {2101, Port::kX},          {2104, Port::kDy},         {2109, Port::kDx},
    {2200, Port::kX},          {2201, Port::kY},          {2250, Port::kX},
    {2251, Port::kY},          {2270, Port::kX},          {2271, Port::kY},
    {2310, Port::kY},          {2500, Port::kX},          {2501, Port::kY},
    {2600, Port::kX},          {2601, Port::kScale},      {2602, Port::kY},
    {2800, Port::kQ},          {2801, Port::kK},          {2802, Port::kV},
    {2803, Port::kO},          {2804, Port::kStats},      {2805, Port::kScale},
    {2806, Port::kBlockMask},  {2807, Port::kPageTableK}, {2808, Port::kHarmless},
    {2809, Port::kSeqLenQ},    {2810, Port::kSeqLenK},    {2851, Port::kQ},
    {2852, Port::kK},          {2853, Port::kV},          {2854, Port::kO},
    {2855, Port::kStats},      {2856, Port::kScale},      {2857, Port::kSeqLenQ},
    {2858, Port::kSeqLenK},    {2859, Port::kDQ},         {2860, Port::kDK},
    {2861, Port::kDV},         {2862, Port::kHarmless},   {2902, Port::kToken},
    {2903, Port::kWeight},     {2904, Port::kHarmless},   {2905, Port::kOutput},
    {2906, Port::kTokenIndex}, {2907, Port::kHarmless},
};

const Owner* OwnerOf(int attribute) {
  for (const Owner& owner : kOwners) {
    if (attribute >= owner.first && attribute <= owner.last) return &owner;
  }
  return nullptr;
}

}  // namespace

CudnnRole CudnnRoleOf(int attribute) {
  const Owner* owner = OwnerOf(attribute);
  return owner != nullptr ? owner->role : CudnnRole::kNone;
}

const char* CudnnOperationOf(int attribute) {
  const Owner* owner = OwnerOf(attribute);
  return owner != nullptr ? owner->operation : "";
}

CudnnPort CudnnPortOf(int attribute) {
  for (const AttributePort& known : kPorts) {
    if (known.attribute == attribute) return known.port;
  }
  return Port::kOther;
}

CudnnPointwise CudnnPointwiseOf(int mode) {
  switch (mode) {
    case 0:
      return CudnnPointwise::kAdd;
    case 9:
      return CudnnPointwise::kSub;
    case 13:
      return CudnnPointwise::kExp;
    case 21:
      return CudnnPointwise::kIdentity;
    case 302:
      return CudnnPointwise::kGreater;
    case 303:
      return CudnnPointwise::kGreaterEqual;
    case 304:
      return CudnnPointwise::kLess;
    case 305:
      return CudnnPointwise::kLessEqual;
    case 400:
      return CudnnPointwise::kAnd;
    case 501:
      return CudnnPointwise::kGenIndex;
    case 601:
      return CudnnPointwise::kSelect;
    default:
      return CudnnPointwise::kOther;
  }
}

Dtype DtypeOfCudnn(int type) {
  // cudnn_graph.h, cudnnDataType_t, in its order. The x4 and x32 types are vectors of channels,
  // which sizes count one by one.
  constexpr Dtype kTypes[] = {Dtype::kF32,    Dtype::kF64,    Dtype::kF16,     Dtype::kI8,
                              Dtype::kI32,    Dtype::kI8,     Dtype::kU8,      Dtype::kU8,
                              Dtype::kI8,     Dtype::kBf16,   Dtype::kI64,     Dtype::kBool,
                              Dtype::kF8E4M3, Dtype::kF8E5M2, Dtype::kUnknown, Dtype::kF8Ue8m0,
                              Dtype::kF4E2M1, Dtype::kI4,     Dtype::kU4,      Dtype::kU32,
                              Dtype::kC32F32, Dtype::kC64F64};
  const auto index = static_cast<size_t>(type);
  return index < sizeof(kTypes) / sizeof(kTypes[0]) ? kTypes[index] : Dtype::kUnknown;
}

}  // namespace mfutrace::interpose
