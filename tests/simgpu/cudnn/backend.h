// Descriptors of the backend API: each is a bag of attributes, checked against one table of owners
// and types (attributes.cc), so that Set and Get are one function each.
//
// As in the real library a descriptor that another one is given must be finalized and is copied
// then; statuses are those that libcudnn 9.19 returned for the same calls.
#pragma once

#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace simgpu::cudnn {

struct Graph;
struct Descriptor;

struct Attribute {
  cudnnBackendAttributeType_t type{};
  int64_t count = 0;
  std::vector<std::byte> bytes;                             // plain values
  std::vector<std::shared_ptr<const Descriptor>> children;  // descriptors, as they were when set
};

struct Descriptor {
  static constexpr uint64_t kMagic = 0x53494d434e4e4453;
  uint64_t magic = kMagic;
  cudnnBackendDescriptorType_t kind{};
  bool finalized = false;
  std::map<int, Attribute> attributes;
  std::shared_ptr<const Graph> graph;  // of operation graphs and of what is made from one
  int64_t engine = 0;                  // index of an engine, its configuration, its plan

  const Attribute* Find(int name) const;
  std::vector<int64_t> Integers(int name) const;
  int64_t Integer(int name, int64_t otherwise) const;
  double Real(int name, double otherwise) const;
  void* Pointer(int name) const;
  const Descriptor* Child(int name) const;
};

// Null unless `handle` came from cudnnBackendCreateDescriptor and is alive.
Descriptor* Read(cudnnBackendDescriptor_t handle);

struct AttributeFacts {
  int name;
  cudnnBackendAttributeType_t type;
  const char* key;  // in a plan's JSON; null: not there
};
// Null: any type is let be.
const AttributeFacts* FactsOf(int name);
std::vector<AttributeFacts> FactsOfOwner(cudnnBackendDescriptorType_t owner);
bool Owns(cudnnBackendDescriptorType_t owner, int name);
size_t BytesOf(cudnnBackendAttributeType_t type);  // 0: no such type
bool IsOperation(cudnnBackendDescriptorType_t kind);
// "CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR"; "" for what is no operation.
const char* OperationName(cudnnBackendDescriptorType_t kind);

// The last failure of this thread, for cudnnGetLastErrorString. Returns `status`.
cudnnStatus_t Fail(cudnnStatus_t status, const std::string& why);

}  // namespace simgpu::cudnn
