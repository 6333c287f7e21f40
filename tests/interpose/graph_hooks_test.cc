// The part of the driver's node parameters that graph_hooks.cc reads lies where cuda.h has it.
#include "interpose/graph_hooks.h"

#include <cuda.h>
#include <gtest/gtest.h>

namespace mfutrace::interpose {
namespace {

TEST(GraphNodeParams, LieWhereTheHeaderHasThem) {
  CUgraphNodeParams theirs = {};
  const auto& ours = *reinterpret_cast<const GraphNodeParams*>(&theirs);
  theirs.type = CU_GRAPH_NODE_TYPE_GRAPH;
  theirs.graph.graph = reinterpret_cast<CUgraph>(0x1234);
  EXPECT_EQ(ours.type, 4);
  EXPECT_EQ(ours.child, reinterpret_cast<const void*>(0x1234));

  CUgraph bodies[2] = {};
  theirs = {};
  theirs.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
  theirs.conditional.handle = 7;
  theirs.conditional.type = CU_GRAPH_COND_TYPE_WHILE;
  theirs.conditional.size = 2;
  theirs.conditional.phGraph_out = bodies;
  EXPECT_EQ(ours.type, 13);
  EXPECT_EQ(ours.conditional.handle, 7u);
  EXPECT_EQ(ours.conditional.kind, 1);
  EXPECT_EQ(ours.conditional.size, 2u);
  EXPECT_EQ(static_cast<const void*>(ours.conditional.bodies), static_cast<const void*>(bodies));
}

}  // namespace
}  // namespace mfutrace::interpose
