// What is noted of variant packs: pointers by uid, dimensions that replace a plan's as the job's
// own std::vector holds them, and what becomes of packs that are gone, too large or too many.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "interpose/cudnn_packs.h"

namespace mfutrace::interpose {
namespace {

// CUDNN_ATTR_VARIANT_PACK_...: cudnn_graph.h.
constexpr int kUniqueIds = 1000;
constexpr int kDataPointers = 1001;
constexpr int kWorkspace = 1003;
constexpr int kOverrideUniqueIds = 1010;
constexpr int kOverrideShapes = 1011;
constexpr int kOverrideStrides = 1012;

using Shapes = std::vector<std::vector<int64_t>>;

const void* Handle(uintptr_t number) { return reinterpret_cast<const void*>(number << 4); }

struct Memory {
  std::unique_ptr<CudnnPack> pack = std::make_unique<CudnnPack>();
};

TEST(CudnnPacks, PointersAreFoundByUid) {
  const void* handle = Handle(0x1001);
  const int64_t uids[] = {7, -2, 40};
  int targets[3] = {};
  const void* pointers[] = {&targets[0], &targets[1], &targets[2]};
  const void* workspace[] = {targets};
  NoteCudnnPack(handle, kWorkspace, 1, workspace);
  NoteCudnnPack(handle, kDataPointers, 3, pointers);
  NoteCudnnPack(handle, kUniqueIds, 3, uids);
  Memory found;
  ASSERT_TRUE(FindCudnnPack(handle, found.pack.get()));
  EXPECT_EQ(found.pack->Find(-2), &targets[1]);
  EXPECT_EQ(found.pack->Find(40), &targets[2]);
  EXPECT_EQ(found.pack->Find(8), nullptr);
  EXPECT_EQ(found.pack->override_count, 0u);
  EXPECT_FALSE(found.pack->is_unreadable);
  ForgetCudnnPack(handle);
  EXPECT_FALSE(FindCudnnPack(handle, found.pack.get()));
}

TEST(CudnnPacks, ListsOfDifferentLengthsSayNothing) {
  const void* handle = Handle(0x1002);
  const int64_t uids[] = {7, 8};
  int target = 0;
  const void* pointers[] = {&target};
  NoteCudnnPack(handle, kDataPointers, 1, pointers);
  NoteCudnnPack(handle, kUniqueIds, 2, uids);
  Memory found;
  ASSERT_TRUE(FindCudnnPack(handle, found.pack.get()));
  EXPECT_EQ(found.pack->Find(7), nullptr);
}

TEST(CudnnPacks, MoreThanFitsIsNotKnown) {
  const void* handle = Handle(0x1003);
  const std::vector<int64_t> uids(CudnnPack::kMaxTensors + 1, 7);
  const std::vector<const void*> pointers(uids.size(), &uids);
  NoteCudnnPack(handle, kUniqueIds, static_cast<int64_t>(uids.size()), uids.data());
  NoteCudnnPack(handle, kDataPointers, static_cast<int64_t>(uids.size()), pointers.data());
  NoteCudnnPack(handle, kUniqueIds, -1, uids.data());
  NoteCudnnPack(handle, kUniqueIds, 1, nullptr);
  Memory found;
  ASSERT_TRUE(FindCudnnPack(handle, found.pack.get()));
  EXPECT_EQ(found.pack->Find(7), nullptr);
}

TEST(CudnnPacks, ShapesOfTheJobsVectors) {
  const void* handle = Handle(0x1004);
  const int64_t uids[] = {1, 2};
  const Shapes shapes = {{4, 128, 64}, {}};
  const Shapes strides = {{8192, 64, 1}, {}};
  NoteCudnnPack(handle, kOverrideUniqueIds, 2, uids);
  NoteCudnnPack(handle, kOverrideShapes, 1, &shapes);
  NoteCudnnPack(handle, kOverrideStrides, 1, &strides);
  Memory found;
  ASSERT_TRUE(FindCudnnPack(handle, found.pack.get()));
  EXPECT_FALSE(found.pack->is_unreadable);
  ASSERT_EQ(found.pack->override_count, 2u);
  EXPECT_EQ(found.pack->override_uids[0], 1);
  ASSERT_EQ(found.pack->override_shapes[0].rank, 3u);
  EXPECT_EQ(found.pack->override_shapes[0].dims[1], 128);
  EXPECT_EQ(found.pack->override_shapes[1].rank, 0u);
  EXPECT_TRUE(CudnnPacksReplaceShapes());
}

TEST(CudnnPacks, ShapesThatDoNotFitAreUnreadable) {
  const auto is_unreadable = [](uintptr_t number, int64_t count, const Shapes& shapes,
                                int64_t shape_count = 1) {
    const std::vector<int64_t> uids(static_cast<size_t>(count), 1);
    NoteCudnnPack(Handle(number), kOverrideUniqueIds, count, uids.data());
    NoteCudnnPack(Handle(number), kOverrideShapes, shape_count, &shapes);
    Memory found;
    return FindCudnnPack(Handle(number), found.pack.get()) && found.pack->is_unreadable;
  };
  EXPECT_FALSE(is_unreadable(0x1010, 1, {{1, 2, 3}}));
  EXPECT_TRUE(is_unreadable(0x1011, 2, {{1, 2, 3}})) << "fewer shapes than uids";
  EXPECT_TRUE(is_unreadable(0x1012, 1, {std::vector<int64_t>(9, 1)})) << "rank 9";
  EXPECT_TRUE(is_unreadable(0x1013, CudnnPack::kMaxOverrides + 1,
                            Shapes(CudnnPack::kMaxOverrides + 1, {1})));
  EXPECT_TRUE(is_unreadable(0x1014, 1, {{1, 2, 3}}, 2)) << "two vectors";
}

TEST(CudnnPacks, WhatDoesNotLookLikeAVectorIsNotFollowed) {
  CudnnPack::Shape shapes[4];
  uint32_t count = 0;
  EXPECT_FALSE(ReadNestedVector(nullptr, shapes, 4, &count));
  const uintptr_t odd[][3] = {
      {64, 32, 64},            // ends before it begins
      {64, 64 + 24, 64},       // longer than its storage
      {64, 64 + 20, 128},      // not whole elements
      {61, 61 + 24, 128},      // not aligned
      {64, 64 + 24 * 5, 256},  // more than there is room for
      {0, 24, 24},             // at the null pointer
  };
  for (const auto& parts : odd) {
    EXPECT_FALSE(ReadNestedVector(parts, shapes, 4, &count)) << parts[0] << " " << parts[1];
  }
  const uintptr_t empty[3] = {};
  EXPECT_TRUE(ReadNestedVector(empty, shapes, 4, &count));
  EXPECT_EQ(count, 0u);
}

TEST(CudnnPacks, OldOnesGiveWayAndNoneIsTakenForAnother) {
  int targets[2] = {};
  uint32_t kept = 0;
  for (uintptr_t number = 0; number < 5000; ++number) {
    const int64_t uid = static_cast<int64_t>(number);
    const void* pointer = &targets[number % 2];
    NoteCudnnPack(Handle(0x20000 + number), kUniqueIds, 1, &uid);
    NoteCudnnPack(Handle(0x20000 + number), kDataPointers, 1, &pointer);
    Memory found;  // the newest is always there: a pack is used right after it is made
    ASSERT_TRUE(FindCudnnPack(Handle(0x20000 + number), found.pack.get()));
    ASSERT_EQ(found.pack->Find(uid), pointer);
  }
  for (uintptr_t number = 0; number < 5000; ++number) {
    Memory found;
    if (!FindCudnnPack(Handle(0x20000 + number), found.pack.get())) continue;
    ++kept;
    ASSERT_EQ(found.pack->Find(static_cast<int64_t>(number)), &targets[number % 2]);
  }
  EXPECT_GT(kept, 50u);
  EXPECT_LT(kept, 5000u);
}

TEST(CudnnPacks, ThreadsDoNotMixPacksUp) {
  std::vector<std::thread> threads;
  std::vector<uint32_t> wrong(4, 0);
  std::vector<uint32_t> found_count(4, 0);
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong, &found_count] {
      Memory found;
      for (uintptr_t i = 0; i < 20000; ++i) {
        const void* handle = Handle(0x40000 + i * 4 + t);
        const int64_t uids[] = {static_cast<int64_t>(t), static_cast<int64_t>(i)};
        const void* pointers[] = {handle, &wrong[t]};
        NoteCudnnPack(handle, kUniqueIds, 2, uids);
        NoteCudnnPack(handle, kDataPointers, 2, pointers);
        if (FindCudnnPack(handle, found.pack.get()) && found.pack->uid_count == 2 &&
            found.pack->pointer_count == 2) {
          ++found_count[t];
          if (found.pack->Find(t) != handle) ++wrong[t];
        }
        ForgetCudnnPack(handle);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint32_t t = 0; t < 4; ++t) {
    EXPECT_EQ(wrong[t], 0u);
    EXPECT_GT(found_count[t], 10000u);
  }
}

}  // namespace
}  // namespace mfutrace::interpose
