// See kineto_join.h. Order of work: launches by correlation, operators by thread, then every GPU
// event finds its launch, its operator and its communicator; at last operators become calls.
#include "report/import/kineto_join.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "report/import/kernel_classes.h"
#include "report/import/kineto_groups.h"
#include "report/import/kineto_ops.h"
#include "report/import/kineto_ranges.h"
#include "shapes/flops.h"
#include "shapes/label.h"
#include "shapes/traffic.h"

namespace mfutrace::report {
namespace {

std::string TextOf(const shapes::Label& label) { return std::string(label.text()); }

// What the kernel's name tells of how f32 operands were multiplied. cuBLAS and CUTLASS name their
// TF32 tensor core kernels so ("s1688" is the TF32 instruction's shape).
bool IsTf32Kernel(absl::string_view name) {
  return absl::StrContains(name, "tf32") || absl::StrContains(name, "s1688");
}

bool IsFilterGradientKernel(absl::string_view name) {
  for (const absl::string_view part : {"wgrad", "bwd_filter", "BwdFilter", "bwd_weight"}) {
    if (absl::StrContains(name, part)) return true;
  }
  return false;
}

// What is found out about one counted operator while kernels are joined to it.
struct OpState {
  int32_t device = -1;
  uint32_t kernels = 0;
  bool is_tf32 = false;
};

Op OpOf(const CountedShape& counted) {
  Op op;
  op.provenance = counted.provenance;
  OpDetail detail;
  std::visit(
      [&](const auto& shape) {
        using Shape = std::decay_t<decltype(shape)>;
        op.label = TextOf(shapes::LabelOf(shape));
        op.flop_executed = shapes::ExecutedFlop(shape);
        op.flop_model = shapes::ModelFlop(shape);
        op.flop_full_attention = op.flop_executed;
        op.bytes_least = shapes::LeastBytes(shape);
        if constexpr (std::is_same_v<Shape, shapes::Gemm>) {
          op.kind = shapes::OpKind::kGemm;
          op.dtype = std::string(shapes::NameOf(shape.a));
          op.rate = shapes::RateOf(shape);
          detail.gemm = shape;
        } else {
          op.dtype = std::string(shapes::NameOf(shape.dtype));
          op.rate = shapes::RateOf(shape.dtype);
        }
        if constexpr (std::is_same_v<Shape, shapes::Attention>) {
          op.kind = shapes::OpKind::kAttention;
          op.flop_full_attention = shapes::FullRectangleFlop(shape);
          detail.attention = shape;
          detail.lengths_are_bounds = counted.provenance >= shapes::Provenance::kBound &&
                                      shape.mask != shapes::Mask::kUnknown;
        }
        if constexpr (std::is_same_v<Shape, shapes::Convolution>) {
          op.kind = shapes::OpKind::kConvolution;
        }
      },
      counted.shape);
  if (op.kind != shapes::OpKind::kConvolution) {
    op.detail = std::make_shared<const OpDetail>(std::move(detail));
  }
  return op;
}

class Joiner {
 public:
  Joiner(RawTrace trace, const KinetoOptions& options)
      : trace_(std::move(trace)),
        options_(options),
        ops_(std::move(trace_.ops)),
        comms_(Take(trace_.comm_ops, false)),
        comm_ranges_(Take(trace_.comm_ops, true)) {
    std::stable_sort(
        trace_.launches.begin(), trace_.launches.end(),
        [](const RawLaunch& a, const RawLaunch& b) { return a.correlation < b.correlation; });
    states_.resize(ops_.ops().size());
    for (size_t i = 0; i < trace_.kernel_names.size(); ++i) {
      const std::string& name = trace_.kernel_names.TextOf(static_cast<uint32_t>(i));
      families_.push_back(CommFamilyOf(name));
    }
    for (const RawSignature& signature : trace_.signatures) {
      shapes_.push_back(ShapesOf(signature));
    }
  }

  std::vector<Timeline> Join(const std::string& path) {
    std::sort(trace_.gpu_events.begin(), trace_.gpu_events.end(),
              [](const RawGpuEvent& a, const RawGpuEvent& b) {
                return std::make_pair(a.time.begin_ns, a.time.end_ns) <
                       std::make_pair(b.time.begin_ns, b.time.end_ns);
              });
    std::stable_sort(
        trace_.steps.begin(), trace_.steps.end(),
        [](const StepMark& a, const StepMark& b) { return a.time.begin_ns < b.time.begin_ns; });
    std::stable_sort(trace_.serving_steps.begin(), trace_.serving_steps.end(),
                     [](const ServingStep& a, const ServingStep& b) {
                       return a.host_time.begin_ns < b.host_time.begin_ns;
                     });
    for (const RawGpuEvent& gpu : trace_.gpu_events) {
      Device& device = devices_[gpu.device];
      ++device.events;
      device.ordinal = gpu.device;
    }
    if (devices_.empty()) return {};
    main_device_ =
        std::max_element(devices_.begin(), devices_.end(), [](const auto& a, const auto& b) {
          return a.second.events < b.second.events;
        })->first;
    for (auto& [ordinal, device] : devices_) Begin(path, &device);
    for (const RawGpuEvent& gpu : trace_.gpu_events) AddWork(gpu);
    AddOperators();
    std::vector<Timeline> timelines;
    for (auto& [ordinal, device] : devices_) {
      Finish(&device);
      timelines.push_back(std::move(device.timeline));
    }
    return timelines;
  }

 private:
  struct Device {
    uint64_t events = 0;
    int32_t ordinal = 0;
    Timeline timeline;
    GroupTable groups{nullptr};
    absl::flat_hash_map<int32_t, uint32_t> streams;
    // By signature, part of it and math mode.
    std::map<std::tuple<uint32_t, size_t, bool>, uint32_t> op_indices;
    std::map<std::tuple<std::string, shapes::Provenance, std::optional<uint64_t>,
                        std::optional<shapes::PeakRate>>,
             uint32_t>
        distinct_ops;
    // By label, size and communicator.
    std::map<std::tuple<std::string, std::optional<uint64_t>, uint32_t>, uint32_t>
        collective_indices;
    std::vector<uint32_t> raw_ops;  // of each work: into ops_.ops(), or kNoIndex
    uint64_t without_launch = 0;
    uint64_t from_graphs = 0;
  };

  static RangesByThread Take(const std::vector<RawOp>& ops, bool is_range) {
    std::vector<RawOp> taken;
    std::copy_if(ops.begin(), ops.end(), std::back_inserter(taken),
                 [&](const RawOp& op) { return op.is_range == is_range; });
    return RangesByThread(std::move(taken));
  }

  void Begin(const std::string& path, Device* device) {
    Timeline& timeline = device->timeline;
    const bool is_nsys = trace_.source == SourceKind::kNsys;
    timeline.source = trace_.source;
    timeline.path = path;
    timeline.rank = trace_.rank;
    timeline.world_size = trace_.world_size;
    timeline.host = trace_.host;
    timeline.timing = is_nsys ? "nsys" : "kineto";
    timeline.timing_reason =
        is_nsys ? "kernel times of Nsight Systems" : "kernel times of the PyTorch profiler";
    timeline.device.ordinal = device->ordinal;
    for (const RawDevice& raw : trace_.devices) {
      if (raw.id != device->ordinal) continue;
      timeline.device.name = raw.name;
      timeline.device.memory_bytes = raw.memory_bytes;
    }
    timeline.steps = trace_.steps;
    timeline.serving_steps = trace_.serving_steps;
    timeline.has_all_kernels = true;
    timeline.has_shapes = trace_.has_shapes;
    timeline.host_window = trace_.host_window;
    for (size_t i = 0; i < trace_.kernel_names.size(); ++i) {
      timeline.kernel_names.push_back(trace_.kernel_names.TextOf(static_cast<uint32_t>(i)));
    }
    timeline.works.reserve(device->events);
    device->groups = GroupTable(&timeline.communicators);
    device->groups.AddConfigured(trace_.groups, trace_.rank);
  }

  const RawLaunch* LaunchOf(const RawGpuEvent& gpu) const {
    if (gpu.correlation == kNoId) return nullptr;
    const auto found = std::lower_bound(
        trace_.launches.begin(), trace_.launches.end(), gpu.correlation,
        [](const RawLaunch& launch, int64_t id) { return launch.correlation < id; });
    if (found == trace_.launches.end() || found->correlation != gpu.correlation) return nullptr;
    return &*found;
  }

  void AddWork(const RawGpuEvent& gpu) {
    Device& device = devices_[gpu.device];
    Timeline& timeline = device.timeline;
    Work work;
    work.time = gpu.time;
    work.kernel = gpu.name;
    work.stream =
        device.streams.try_emplace(gpu.stream, static_cast<uint32_t>(device.streams.size()))
            .first->second;
    const CommFamily family = gpu.is_copy ? CommFamily::kNone : families_[gpu.name];
    if (gpu.is_copy) work.work_class = WorkClass::kCopy;
    if (family != CommFamily::kNone) work.work_class = WorkClass::kCommunication;

    const RawLaunch* const launch = LaunchOf(gpu);
    uint32_t raw_op = kNoIndex;
    if (launch != nullptr) {
      work.launch_ns = launch->begin_ns;
      if (launch->is_graph) ++device.from_graphs;
      raw_op = ops_.Enclosing(launch->thread, launch->begin_ns);
    } else {
      ++device.without_launch;
      // Old traces write the correlation here, which is no operator's id.
      if (gpu.external_id != gpu.correlation) raw_op = ops_.WithExternalId(gpu.external_id);
    }
    if (work.work_class != WorkClass::kCompute) raw_op = kNoIndex;
    if (raw_op != kNoIndex) {
      OpState& state = states_[raw_op];
      if (state.kernels == 0) state.device = gpu.device;
      ++state.kernels;
      state.is_tf32 |= IsTf32Kernel(timeline.kernel_names[gpu.name]);
    }
    device.raw_ops.push_back(raw_op);
    if (family == CommFamily::kNccl) {
      AddCollective(gpu, launch, &device, &work);
    } else if (family == CommFamily::kCustom) {
      work.communicator = device.groups.Custom();
    }
    timeline.works.push_back(work);
  }

  void AddCollective(const RawGpuEvent& gpu, const RawLaunch* launch, Device* device, Work* work) {
    Timeline& timeline = device->timeline;
    CollectiveFacts facts;
    if (gpu.collective != kNoIndex) {
      facts.Add(trace_.collectives[gpu.collective]);
    } else {
      uint32_t comm = kNoIndex;
      uint32_t range = kNoIndex;
      if (launch != nullptr) {
        comm = comms_.Enclosing(launch->thread, launch->begin_ns);
        range = comm_ranges_.Enclosing(launch->thread, launch->begin_ns);
      } else if (gpu.external_id != gpu.correlation) {
        comm = comms_.WithExternalId(gpu.external_id);
        range = comm_ranges_.WithExternalId(gpu.external_id);
      }
      if (comm != kNoIndex) facts.Add(trace_.collectives[comms_.ops()[comm].collective]);
      if (range != kNoIndex) {
        facts.Add(trace_.signatures[comm_ranges_.ops()[range].signature]);
      }
      if (comm != kNoIndex) facts.Add(trace_.signatures[comms_.ops()[comm].signature]);
    }
    facts.AddKernel(timeline.kernel_names[gpu.name]);
    work->communicator = device->groups.IndexOf(facts.group, trace_.rank);

    Op op = facts.ToOp();
    op.communicator = work->communicator;
    const auto [found, is_new] = device->collective_indices.try_emplace(
        std::make_tuple(op.label, op.algorithm_bytes, op.communicator),
        static_cast<uint32_t>(timeline.ops.size()));
    if (is_new) timeline.ops.push_back(std::move(op));
    work->op = found->second;
    OpCall call;
    call.op = work->op;
    call.host_begin_ns = call.host_end_ns = work->launch_ns;
    call.work = static_cast<uint32_t>(timeline.works.size());
    call.sequence = device->groups.NextSequence(work->communicator);
    timeline.calls.push_back(call);
  }

  // The timeline's index of part `part` of a signature.
  uint32_t OpIndex(Device* device, const RawOp& raw, size_t part, bool is_tf32) {
    Timeline& timeline = device->timeline;
    const auto [known, is_new] = device->op_indices.try_emplace(
        std::make_tuple(raw.signature, part, is_tf32), static_cast<uint32_t>(timeline.ops.size()));
    if (!is_new) return known->second;
    CountedShape counted = shapes_[raw.signature][part];
    if (auto* gemm = std::get_if<shapes::Gemm>(&counted.shape);
        gemm != nullptr && is_tf32 && gemm->a == shapes::Dtype::kF32) {
      gemm->math = shapes::MathMode::kTf32;
    }
    Op op = OpOf(counted);
    if (is_tf32 && op.rate == shapes::PeakRate::kF32) op.rate = shapes::PeakRate::kTf32;
    // aten::mm and aten::addmm of one shape are one operation.
    const auto [same, is_distinct] = device->distinct_ops.try_emplace(
        std::make_tuple(op.label, op.provenance, op.flop_executed, op.rate), known->second);
    known->second = same->second;
    if (is_distinct) timeline.ops.push_back(std::move(op));
    return known->second;
  }

  void AddOperators() {
    // First call of each operator in its timeline; the parts of one operator follow each other.
    std::vector<uint32_t> first_calls(ops_.ops().size(), kNoIndex);
    for (size_t i = 0; i < ops_.ops().size(); ++i) {
      const RawOp& raw = ops_.ops()[i];
      const OpState& state = states_[i];
      const std::vector<CountedShape>& parts = shapes_[raw.signature];
      if (parts.empty()) ++without_dimensions_;
      if (parts.empty() || (state.kernels == 0 && !options_.count_operators_without_kernels)) {
        continue;
      }
      Device& device = devices_[state.kernels > 0 ? state.device : main_device_];
      if (state.kernels == 0) ++device.timeline.quality.untimed;
      first_calls[i] = static_cast<uint32_t>(device.timeline.calls.size());
      for (size_t part = 0; part < parts.size(); ++part) {
        OpCall call;
        call.op = OpIndex(&device, raw, part, state.is_tf32);
        call.host_begin_ns = raw.time.begin_ns;
        call.host_end_ns = raw.time.end_ns;
        device.timeline.calls.push_back(call);
      }
    }
    for (auto& [ordinal, device] : devices_) AttachWorks(first_calls, &device);
  }

  // Work::op of kernels of counted operators, and OpCall::work where a call has one kernel.
  void AttachWorks(const std::vector<uint32_t>& first_calls, Device* device) {
    Timeline& timeline = device->timeline;
    absl::flat_hash_map<uint32_t, uint32_t> kernels_of_call;
    for (size_t i = 0; i < timeline.works.size(); ++i) {
      const uint32_t raw = device->raw_ops[i];
      // A call is credited to one device; kernels it ran on others stay without an operator.
      if (raw == kNoIndex || first_calls[raw] == kNoIndex ||
          states_[raw].device != device->ordinal) {
        continue;
      }
      Work& work = timeline.works[i];
      uint32_t call = first_calls[raw];
      const std::vector<CountedShape>& parts = shapes_[ops_.ops()[raw].signature];
      if (parts.size() == 2 && IsFilterGradientKernel(timeline.kernel_names[work.kernel])) ++call;
      work.op = timeline.calls[call].op;
      const bool is_first = ++kernels_of_call[call] == 1;
      timeline.calls[call].work = is_first ? static_cast<uint32_t>(i) : kNoIndex;
    }
  }

  void Finish(Device* device) {
    Timeline& timeline = device->timeline;
    std::stable_sort(
        timeline.calls.begin(), timeline.calls.end(),
        [](const OpCall& a, const OpCall& b) { return a.host_begin_ns < b.host_begin_ns; });
    Quality& quality = timeline.quality;
    const auto count = [&](const char* name, uint64_t value) {
      if (value > 0) quality.counters.emplace_back(name, value);
    };
    count("kernels_without_launch", device->without_launch);
    count("kernels_from_graphs", device->from_graphs);
    if (device->from_graphs > 0) {
      quality.notes.push_back(
          absl::StrCat(device->from_graphs,
                       " kernels were launched by graphs: their operators are not in the trace, "
                       "FLOPs are a lower bound"));
    }
    if (!timeline.has_shapes) {
      quality.notes.push_back(
          trace_.source == SourceKind::kNsys
              ? "the trace has no shapes, so no FLOPs: run under "
                "torch.autograd.profiler.emit_nvtx(record_shapes=True)"
              : "the trace has no shapes, so no FLOPs: profile with record_shapes=True");
    }
    if (timeline.device.name.empty()) {
      quality.notes.push_back("the trace does not name the GPU: no peak, no MFU");
    }
    // What belongs to the file rather than to a device stands with its main device.
    if (device->ordinal != main_device_) return;
    count("operators_without_dimensions", without_dimensions_);
    count("json_repairs", trace_.repairs);
    count("events_without_time", trace_.events_without_time);
    for (const auto& [name, calls] : std::map<std::string, uint64_t>(trace_.uncounted_ops.begin(),
                                                                     trace_.uncounted_ops.end())) {
      quality.notes.push_back(absl::StrCat(
          calls, " calls of ", name, " are not counted: the trace does not tell their sizes"));
    }
    if (without_dimensions_ > 0 && timeline.has_shapes) {
      quality.notes.push_back(absl::StrCat(
          without_dimensions_, " operators are not counted: their operands were not recorded"));
    }
    if (quality.untimed > 0) {
      quality.notes.push_back(
          absl::StrCat(quality.untimed, " counted operators have no GPU kernel in the trace"));
    }
  }

  RawTrace trace_;
  const KinetoOptions options_;
  const RangesByThread ops_;
  const RangesByThread comms_;
  const RangesByThread comm_ranges_;
  std::vector<OpState> states_;                    // by index into ops_.ops()
  std::vector<CommFamily> families_;               // by kernel name
  std::vector<std::vector<CountedShape>> shapes_;  // by signature
  std::map<int32_t, Device> devices_;
  int32_t main_device_ = 0;
  uint64_t without_dimensions_ = 0;
};

}  // namespace

std::vector<Timeline> JoinKineto(RawTrace trace, const std::string& path,
                                 const KinetoOptions& options) {
  return Joiner(std::move(trace), options).Join(path);
}

}  // namespace mfutrace::report
