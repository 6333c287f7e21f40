#include "tests/interpose/cudnn/graph_text.h"

#include <cstring>
#include <fstream>
#include <sstream>

#include "interpose/cudnn_json.h"

namespace mfutrace::interpose {
namespace {

Decoded Decode(const std::string& text, bool is_plan) {
  // Exactly as long as the text, so that a sanitizer sees a read beyond it.
  const std::unique_ptr<char[]> copy(new char[text.size()]);
  std::memcpy(copy.get(), text.data(), text.size());
  auto graph = std::make_unique<CudnnGraph>();
  std::memset(static_cast<void*>(graph.get()), 0, sizeof *graph);  // as fresh pages are
  Decoded decoded;
  decoded.is_readable = is_plan ? ReadCudnnPlan(copy.get(), text.size(), graph.get())
                                : ReadCudnnGraph(copy.get(), text.size(), graph.get());
  if (decoded.is_readable) DecodeCudnnGraph(*graph, &decoded.work);
  return decoded;
}

std::string List(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (const int64_t value : values) text += (text.size() > 1 ? "," : "") + std::to_string(value);
  return text + "]";
}

std::string TensorMembers(const std::string& name, const std::vector<int64_t>& dims,
                          const GraphText::TensorOptions& options) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) {  // huge ones wrap
    strides[i - 1] =
        static_cast<int64_t>(static_cast<uint64_t>(strides[i]) * static_cast<uint64_t>(dims[i]));
  }
  return "\"name\":\"" + name + "\",\"dataType\":\"CUDNN_DATA_" + options.dtype +
         "\",\"dim\":" + List(dims) + ",\"stride\":" + List(strides) +
         ",\"isVirtual\":" + (options.is_virtual ? "true" : "false") +
         ",\"isByValue\":" + (options.is_by_value ? "true" : "false") +
         ",\"vectCount\":1,\"vectDim\":-1,\"ptrAlignment\":16,"
         "\"reordering\":\"CUDNN_TENSOR_REORDERING_NONE\"";
}

}  // namespace

std::optional<std::string> ReferenceGraph(const std::string& name) {
  std::ifstream file(std::string(MFU_SHARED_DIR) + "/experiments/04_cudnn_gpuless/json_" + name +
                     ".json");
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

GraphText& GraphText::Tensor(const std::string& name, const std::vector<int64_t>& dims,
                             const TensorOptions& options) {
  std::string members = TensorMembers(name, dims, options);
  if (!options.ragged.empty()) {
    TensorOptions offsets;
    offsets.dtype = "INT32";
    members +=
        ",\"isRagged\":[{" + TensorMembers(options.ragged, {dims[0] + 1, 1, 1, 1}, offsets) + "}]";
  }
  tensors_ += (tensors_.empty() ? "{" : ",{") + members + "}";
  return *this;
}

GraphText& GraphText::Virtual(const std::string& name, const std::vector<int64_t>& dims) {
  TensorOptions options;
  options.dtype = "FLOAT";
  options.is_virtual = true;
  return Tensor(name, dims, options);
}

GraphText& GraphText::ByValue(const std::string& name, const std::string& dtype) {
  TensorOptions options;
  options.dtype = dtype;
  options.is_by_value = true;
  return Tensor(name, {1, 1, 1, 1}, options);
}

GraphText& GraphText::Node(const std::string& operation, const std::string& members) {
  nodes_ += (nodes_.empty() ? "{" : ",{");
  nodes_ += "\"operation\":\"CUDNN_BACKEND_OPERATION_" + operation +
            "_DESCRIPTOR\",\"mathPrec\":\"CUDNN_DATA_FLOAT\"," + members + "}";
  return *this;
}

GraphText& GraphText::Pointwise(const std::string& mode, const std::string& members) {
  return Node("POINTWISE", "\"pointwiseMode\":\"CUDNN_POINTWISE_" + mode +
                               "\",\"alpha1\":1.0,\"alpha2\":1.0," + members);
}

std::string GraphText::text() const {
  return R"({"finalizeMode":"BY_HAND","tensors":[)" + tensors_ + "],\"nodes\":[" + nodes_ + "]}";
}

std::string GraphText::plan_text() const {
  return R"({"cudnnVersion":91900,"schemaVersion":4,"operationGraph":)" + text() +
         R"(,"engine":{"engineId":7,"payload":"\"}{]["}})";
}

Decoded DecodeText(const std::string& text) { return Decode(text, false); }
Decoded DecodePlan(const std::string& text) { return Decode(text, true); }

TestPack& TestPack::Float(int64_t uid, float value) {
  values_.push_back(std::make_unique<int64_t>(0));
  std::memcpy(values_.back().get(), &value, sizeof value);
  pack_->uids[pack_->uid_count++] = uid;
  pack_->pointers[pack_->pointer_count++] = values_.back().get();
  return *this;
}

TestPack& TestPack::Int(int64_t uid, int32_t value) {
  float same_bits = 0;
  std::memcpy(&same_bits, &value, sizeof value);
  return Float(uid, same_bits);
}

uint64_t CountPairs(int64_t queries, int64_t keys,
                    const std::function<bool(int64_t, int64_t)>& keeps) {
  uint64_t pairs = 0;
  for (int64_t query = 0; query < queries; ++query) {
    for (int64_t key = 0; key < keys; ++key) pairs += keeps(query, key) ? 1 : 0;
  }
  return pairs;
}

}  // namespace mfutrace::interpose
