// See cudnn_graph.h.
#include "interpose/cudnn_graph.h"

namespace mfutrace::interpose {

bool IsProduct(CudnnOp op) { return op >= CudnnOp::kMatmul && op <= CudnnOp::kMoeBackward; }

bool IsWritten(CudnnPort port) {
  return port >= CudnnPort::kY || port == CudnnPort::kDx || port == CudnnPort::kDw;
}

int CudnnGraph::IndexOf(int64_t uid) const {
  for (uint32_t i = 0; i < tensor_count; ++i) {
    if (tensors[i].uid == uid) return static_cast<int>(i);
  }
  return -1;
}

void CudnnGraph::Connect() {
  for (uint32_t node = 0; node < node_count; ++node) {
    for (uint32_t i = 0; i < nodes[node].port_count; ++i) {
      CudnnLink& link = links[nodes[node].first_port + i];
      const int index = IndexOf(link.uid);
      link.tensor = static_cast<int16_t>(index);
      if (index >= 0 && IsWritten(link.port)) tensors[index].producer = static_cast<int16_t>(node);
    }
  }
}

int CudnnGraph::IndexAt(uint32_t node, CudnnPort port) const {
  const CudnnNode& owner = nodes[node];
  for (uint32_t i = 0; i < owner.port_count; ++i) {
    const CudnnLink& link = links[owner.first_port + i];
    if (link.port == port) return link.tensor;
  }
  return -1;
}

const CudnnTensor* CudnnGraph::At(uint32_t node, CudnnPort port) const {
  const int index = IndexAt(node, port);
  return index >= 0 ? &tensors[index] : nullptr;
}

CudnnGraph::Set CudnnGraph::DerivedFrom(int tensor) const {
  Set set;
  if (tensor < 0) return set;
  set.Add(tensor);
  for (bool has_grown = true; has_grown;) {
    has_grown = false;
    for (uint32_t number = 0; number < node_count; ++number) {
      const CudnnNode& node = nodes[number];
      if (IsProduct(node.op)) continue;
      const CudnnLink* ports = links + node.first_port;
      bool is_reached = false;
      for (uint32_t i = 0; i < node.port_count; ++i) {
        is_reached |= !IsWritten(ports[i].port) && set.Has(ports[i].tensor);
      }
      for (uint32_t i = 0; is_reached && i < node.port_count; ++i) {
        if (!IsWritten(ports[i].port) || ports[i].tensor < 0 || set.Has(ports[i].tensor)) continue;
        set.Add(ports[i].tensor);
        has_grown = true;
      }
    }
  }
  return set;
}

}  // namespace mfutrace::interpose
