// Operation graphs for tests: as text, made by hand or read from the reference files, and what the
// code under test makes of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "interpose/cudnn_graph.h"
#include "interpose/cudnn_work.h"

namespace mfutrace::interpose {

// Text of a reference file, "sdpa_causal" for json_sdpa_causal.json; nothing where it is missing.
std::optional<std::string> ReferenceGraph(const std::string& name);

// Writes operation graphs as cuDNN 9.19 does.
class GraphText {
 public:
  struct TensorOptions {
    std::string dtype = "BFLOAT16";
    bool is_virtual = false;
    bool is_by_value = false;
    std::string ragged;  // name of the tensor of offsets
  };

  // Names are the tensors' uids in decimal.
  GraphText& Tensor(const std::string& name, const std::vector<int64_t>& dims,
                    const TensorOptions& options);
  GraphText& Tensor(const std::string& name, const std::vector<int64_t>& dims) {
    return Tensor(name, dims, TensorOptions{});
  }
  GraphText& Virtual(const std::string& name, const std::vector<int64_t>& dims);
  GraphText& ByValue(const std::string& name, const std::string& dtype = "FLOAT");
  // `members`: the rest of the node's JSON, without braces.
  GraphText& Node(const std::string& operation, const std::string& members);
  GraphText& Pointwise(const std::string& mode, const std::string& members);

  std::string text() const;       // "operationGraph"'s value
  std::string plan_text() const;  // a plan around it

 private:
  std::string tensors_;
  std::string nodes_;
};

struct Decoded {
  bool is_readable = false;
  CudnnWork work = {};
};
Decoded DecodeText(const std::string& text);
Decoded DecodePlan(const std::string& text);

// A pack of scalars on the host.
class TestPack {
 public:
  TestPack() = default;
  TestPack& Float(int64_t uid, float value);
  TestPack& Int(int64_t uid, int32_t value);
  const CudnnPack& pack() const { return *pack_; }

 private:
  std::unique_ptr<CudnnPack> pack_ = std::make_unique<CudnnPack>(CudnnPack{});
  std::vector<std::unique_ptr<int64_t>> values_;
};

// Pairs of one head that a mask keeps, counted one by one.
uint64_t CountPairs(int64_t queries, int64_t keys,
                    const std::function<bool(int64_t query, int64_t key)>& keeps);

}  // namespace mfutrace::interpose
