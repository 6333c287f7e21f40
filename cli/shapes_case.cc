#include "cli/shapes_case.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cli/json_fields.h"
#include "cli/shapes_case_attention.h"
#include "shapes/flops.h"
#include "shapes/matrix.h"
#include "shapes/rnn.h"
#include "shapes/saturating.h"
#include "shapes/taps.h"
#include "shapes/traffic.h"

namespace mfutrace::cli {
namespace {

using shapes::Dtype;
using shapes::Product;
using shapes::Sum;

// "conv_bwd_data_and_filter": what is done, and which passes of it.
struct Operation {
  std::string base;
  bool forward = false;
  bool data = false;
  bool weights = false;
  bool is_backward() const { return data || weights; }
};

Operation OperationOf(const std::string& op) {
  struct Ending {
    std::string_view text;
    bool forward, data, weights;
  };
  constexpr Ending kEndings[] = {
      {"_fwd_bwd", true, true, true},       {"_bwd_data_and_filter", false, true, true},
      {"_bwd_data", false, true, false},    {"_bwd_filter", false, false, true},
      {"_bwd_weights", false, false, true}, {"_bwd", false, true, true},
      {"_fwd", true, false, false},
  };
  for (const Ending& ending : kEndings) {
    if (op.size() > ending.text.size() && op.ends_with(ending.text)) {
      return {op.substr(0, op.size() - ending.text.size()), ending.forward, ending.data,
              ending.weights};
    }
  }
  return {op, true, false, false};
}

Dtype DtypeOf(const std::string& name) {
  if (name == "e4m3") return Dtype::kF8E4M3;
  if (name == "e5m2") return Dtype::kF8E5M2;
  if (name == "e2m1") return Dtype::kF4E2M1;
  if (name == "fp16") return Dtype::kF16;
  if (name == "fp32") return Dtype::kF32;
  if (name == "fp64") return Dtype::kF64;
  return shapes::DtypeNamed(name);
}

// "real_f64", "complex_f32"; without a format ("real", "complex") the widest, whose FLOPs are the
// same. Cases without any type are real.
Dtype DtypeOfType(Fields& args) {
  const std::string type = args.Text("type", "real");
  const bool is_complex = type.starts_with("complex");
  const size_t line = type.find('_');
  const Dtype real = line == std::string::npos ? Dtype::kF64 : DtypeOf(type.substr(line + 1));
  if (!is_complex) return real;
  switch (real) {
    case Dtype::kF64:
      return Dtype::kC64F64;
    case Dtype::kF32:
      return Dtype::kC32F32;
    case Dtype::kF16:
      return Dtype::kC16F16;
    case Dtype::kBf16:
      return Dtype::kC16Bf16;
    default:
      return Dtype::kUnknown;
  }
}

// The vectors' bytes read C unless beta is said to be 0.
shapes::BetaUse BetaOf(Fields& args) {
  const rapidjson::Value* beta = args.Find("beta");
  const bool is_zero = beta != nullptr && beta->IsNumber() && beta->GetDouble() == 0;
  return is_zero ? shapes::BetaUse::kZero : shapes::BetaUse::kNonzero;
}

Figures GemmFigures(const std::string& op, Fields& args) {
  shapes::Gemm gemm;
  gemm.m = args.Number("m");
  gemm.n = args.Number("n");
  gemm.k = args.Number("k");
  gemm.batch = args.Number("batch", 1);
  gemm.beta = BetaOf(args);
  gemm.a = gemm.b = gemm.c = gemm.d = DtypeOfType(args);
  gemm.gauss_3m = op == "gemm3m" || args.Text("algorithm") == "gauss_3m";
  if (op == "gemm3m" && !args.Has("type")) gemm.a = gemm.b = gemm.c = gemm.d = Dtype::kC32F32;
  if (args.Has("types")) {
    const std::string types = args.Text("types");
    const size_t first = types.find(',');
    const size_t second = first == std::string::npos ? first : types.find(',', first + 1);
    if (second == std::string::npos) {
      args.Complain("\"types\" is not three formats, A,B,D");
      return {};
    }
    gemm.a = DtypeOf(types.substr(0, first));
    gemm.b = DtypeOf(types.substr(first + 1, second - first - 1));
    gemm.c = gemm.d = DtypeOf(types.substr(second + 1));
  }
  Figures figures = Counted(gemm);
  figures.conventional_flop = shapes::ConventionalFlop(gemm);
  // CUTLASS' profiler adds 2 m n, as often as it counts the real product.
  if (args.Flag("epilogue_counted")) {
    const uint64_t ratio =
        gemm.k == 0 ? 1
                    : figures.executed_flop /
                          std::max<uint64_t>(1, Product(2, gemm.batch, gemm.m, gemm.n, gemm.k));
    figures.source_flop =
        Sum(figures.executed_flop, Product(2 * ratio, gemm.batch, gemm.m, gemm.n));
  }
  return figures;
}

shapes::MatrixRoutine RoutineNamed(const std::string& name) {
  for (uint8_t i = 1; i < 64; ++i) {
    const auto routine = static_cast<shapes::MatrixRoutine>(i);
    if (shapes::NameOf(routine) == name) return routine;
  }
  return shapes::MatrixRoutine::kUnknown;
}

Figures MatrixFigures(shapes::MatrixRoutine routine, Fields& args) {
  shapes::Matrix matrix;
  matrix.routine = routine;
  matrix.m = args.Number("m", 0);
  matrix.n = args.Number("n");
  matrix.k = args.Has("nrhs") ? args.Number("nrhs") : args.Number("k", 0);
  matrix.batch = args.Number("batch", 1);
  matrix.dtype = DtypeOfType(args);
  matrix.beta = BetaOf(args);
  matrix.gauss_3m = args.Text("algorithm") == "gauss_3m";
  const std::string side = args.Text("side");
  if (side == "left") matrix.side = shapes::Side::kLeft;
  if (side == "right") matrix.side = shapes::Side::kRight;
  Figures figures = Counted(matrix);
  figures.conventional_flop = shapes::ConventionalFlop(matrix);
  return figures;
}

std::array<uint64_t, 3> Sizes(Fields& args, const char* name, uint64_t fallback) {
  std::array<uint64_t, 3> sizes = {fallback, fallback, fallback};
  const std::vector<uint64_t> numbers = args.Numbers(name);
  if (numbers.size() > sizes.size()) args.Complain(std::string("too many sizes in ") + name);
  for (size_t i = 0; i < numbers.size() && i < sizes.size(); ++i) sizes[i] = numbers[i];
  return sizes;
}

Figures ConvolutionFigures(const Operation& operation, Fields& args) {
  shapes::Convolution convolution;
  convolution.batch = args.Number("n");
  convolution.c_in = args.Number(args.Has("c") ? "c" : "c_in");
  convolution.c_out = args.Number(args.Has("k") ? "k" : "c_out");
  convolution.groups = args.Number("groups", 1);
  // Two bytes an element where a case does not say.
  convolution.dtype = DtypeOfWidth(args.Number("bytes_per_elem", 2));
  convolution.is_transposed = operation.base == "conv_transpose";
  if (operation.data) convolution.direction = shapes::ConvDirection::kDataGradient;
  if (!operation.data && operation.weights) {
    convolution.direction = shapes::ConvDirection::kFilterGradient;
  }
  convolution.in = Sizes(args, args.Has("spatial") ? "spatial" : "spatial_in", 1);
  convolution.filter = Sizes(args, "filter", 1);
  shapes::FilterWalk walk;
  if (args.Has("pad")) walk.pad = Sizes(args, "pad", 0);
  if (args.Has("stride")) walk.stride = Sizes(args, "stride", 1);
  if (args.Has("dilation")) walk.dilation = Sizes(args, "dilation", 1);
  if (args.Has("out")) {
    convolution.out = Sizes(args, "out", 1);
  } else if (!convolution.is_transposed) {
    convolution.out = shapes::OutputSize(convolution.in, convolution.filter, walk);
  } else {
    for (size_t i = 0; i < convolution.out.size(); ++i) {
      const uint64_t reach = Sum(Product(convolution.in[i] - 1, walk.stride[i]),
                                 Product(walk.dilation[i], convolution.filter[i] - 1), 1);
      convolution.out[i] = reach - std::min(reach, Product(2, walk.pad[i]));
    }
  }
  Figures once = Counted(convolution);
  once.needed_taps_flop = shapes::NeededTapsFlop(convolution, walk);
  const uint64_t passes = uint64_t{operation.forward} + operation.data + operation.weights;
  Figures figures;
  AddFigures(once, passes, &figures);
  figures.least_bytes = passes == 1 ? once.least_bytes : std::nullopt;
  figures.needed_taps_flop = Product(passes, *once.needed_taps_flop);
  return figures;
}

Figures RnnFigures(const Operation& operation, Fields& args) {
  shapes::Rnn rnn;
  const std::string cell = args.Text("cell");
  if (cell == "lstm") rnn.cell = shapes::RnnCell::kLstm;
  if (cell == "gru") rnn.cell = shapes::RnnCell::kGru;
  if (cell == "vanilla" || cell == "relu" || cell == "tanh") rnn.cell = shapes::RnnCell::kVanilla;
  if (rnn.cell == shapes::RnnCell::kUnknown) {
    args.Complain("no arithmetic for the cell \"" + cell + "\"");
  }
  rnn.steps = Product(args.Number("seq"), args.Number("batch"));
  rnn.hidden_size = args.Number("hidden");
  rnn.skips_input = args.IsText("input") && args.Text("input").starts_with("skip");
  rnn.input_size = rnn.skips_input ? rnn.hidden_size : args.Number("input");
  rnn.projection_size = args.Number("projection", 0);
  rnn.layers = static_cast<uint32_t>(std::min<uint64_t>(args.Number("layers"), UINT32_MAX));
  rnn.directions = args.Flag("bidirectional") ? 2 : 1;
  const uint64_t width = rnn.projection_size != 0 ? rnn.projection_size : rnn.hidden_size;
  if (args.Number("recurrent", width) != width) {
    args.Complain("no arithmetic for a recurrent width that is not the output's");
  }
  if (!operation.forward) rnn.pass = shapes::RnnPass::kBackwardData;
  const uint64_t passes = uint64_t{operation.forward} + operation.data + operation.weights;
  const Figures once = Counted(rnn);
  Figures figures;
  AddFigures(once, passes, &figures);
  figures.least_bytes = passes == 1 ? once.least_bytes : std::nullopt;
  return figures;
}

shapes::CollectiveKind CollectiveNamed(const std::string& op) {
  constexpr std::pair<std::string_view, shapes::CollectiveKind> kKinds[] = {
      {"nccl_all_reduce", shapes::CollectiveKind::kAllReduce},
      {"nccl_all_gather", shapes::CollectiveKind::kAllGather},
      {"nccl_reduce_scatter", shapes::CollectiveKind::kReduceScatter},
      {"nccl_broadcast", shapes::CollectiveKind::kBroadcast},
      {"nccl_reduce", shapes::CollectiveKind::kReduce},
      {"nccl_sendrecv", shapes::CollectiveKind::kSend},
      {"nccl_alltoall", shapes::CollectiveKind::kAllToAll},
      {"nccl_gather", shapes::CollectiveKind::kGather},
      {"nccl_scatter", shapes::CollectiveKind::kScatter},
  };
  for (const auto& [name, kind] : kKinds) {
    if (op == name) return kind;
  }
  return shapes::CollectiveKind::kUnknown;
}

Figures CollectiveFigures(shapes::CollectiveKind kind, Fields& args) {
  shapes::Collective collective;
  collective.kind = kind;
  collective.count = args.Number("count_arg");
  collective.rank_count =
      static_cast<uint32_t>(std::min<uint64_t>(args.Number("nranks"), UINT32_MAX));
  collective.dtype = DtypeOfWidth(args.Number("elem_bytes"));
  Figures figures;
  figures.algorithm_bytes = shapes::AlgorithmBytes(collective);
  figures.least_bytes = shapes::BusBytes(collective);
  figures.reduction_adds = shapes::ReductionAdds(collective);
  return figures;
}

// Core attention of a whole training step: `layers` forwards and as many backwards.
Figures AttentionTotal(Fields& args) {
  const Figures layer = AttentionFigures(true, true, args);
  Figures figures;
  AddFigures(layer, args.Number("layers"), &figures);
  figures.is_model = true;
  return figures;
}

}  // namespace

Dtype DtypeOfWidth(uint64_t bytes) {
  switch (bytes) {
    case 1:
      return Dtype::kI8;
    case 2:
      return Dtype::kBf16;
    case 4:
      return Dtype::kF32;
    case 8:
      return Dtype::kF64;
    default:
      return Dtype::kUnknown;
  }
}

FiguresOrError FiguresOf(const std::string& op, const rapidjson::Value& args) {
  Fields fields(args);
  const Operation operation = OperationOf(op);
  Figures figures;
  if (op == "gemm" || op == "gemm3m") {
    figures = GemmFigures(op, fields);
  } else if (operation.base == "attention" || operation.base == "attention_varlen") {
    figures = AttentionFigures(operation.forward, operation.is_backward(), fields);
  } else if (operation.base == "conv" || operation.base == "conv_transpose") {
    figures = ConvolutionFigures(operation, fields);
  } else if (operation.base == "rnn") {
    figures = RnnFigures(operation, fields);
  } else if (op == "attention_train_total") {
    figures = AttentionTotal(fields);
  } else if (const auto routine = RoutineNamed(op); routine != shapes::MatrixRoutine::kUnknown) {
    figures = MatrixFigures(routine, fields);
  } else if (const auto kind = CollectiveNamed(op); kind != shapes::CollectiveKind::kUnknown) {
    figures = CollectiveFigures(kind, fields);
  } else {
    return {std::nullopt, "no arithmetic for " + op + " yet"};
  }
  if (!fields.error().empty()) return {std::nullopt, fields.error()};
  return {figures, ""};
}

bool IsNoLibraryCall(const std::string& op, const std::string& name) {
  return op == "non_gemm" || name.find("no such call") != std::string::npos;
}

void AddFigures(const Figures& figures, uint64_t count, Figures* sum) {
  const auto add = [count](uint64_t flop, uint64_t* total) {
    *total = Sum(*total, Product(count, flop));
  };
  add(figures.executed_flop, &sum->executed_flop);
  add(figures.model_flop, &sum->model_flop);
  add(figures.conventional_flop, &sum->conventional_flop);
  add(figures.full_executed_flop, &sum->full_executed_flop);
  add(figures.full_model_flop, &sum->full_model_flop);
  if (sum->least_bytes.has_value()) {
    sum->least_bytes =
        figures.least_bytes.has_value()
            ? std::optional(Sum(*sum->least_bytes, Product(count, *figures.least_bytes)))
            : std::nullopt;
  }
}

}  // namespace mfutrace::cli
