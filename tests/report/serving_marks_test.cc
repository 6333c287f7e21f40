// Ranges that vLLM marks its steps with. The sums of the long form are checked against each other:
// a decode has one query a request.
#include "report/import/serving_marks.h"

#include <gtest/gtest.h>

namespace mfutrace::report {
namespace {

TEST(ServingMarks, RequestsAndSums) {
  const auto step = ServingStepNamed(
      "execute_8192_context_9(sq8155sk8430sqsq7475785sqsk7671310)_generation_37(sq37sk34489sqsq37"
      "sqsk34489)");
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->context.requests, 9u);
  EXPECT_EQ(step->context.queries + step->generation.queries, 8192u);
  EXPECT_EQ(step->context.keys, 8430u);
  EXPECT_EQ(step->context.queries_squared, 7475785u);
  EXPECT_EQ(step->context.queries_times_keys, 7671310u);
  EXPECT_EQ(step->generation.queries, step->generation.requests);
  EXPECT_EQ(step->generation.queries_times_keys, step->generation.keys);
}

TEST(ServingMarks, TheShortFormHasNoKeys) {
  const auto step = ServingStepNamed("execute_context_2(100)_generation_0(0)");
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->context.queries, 100u);
  EXPECT_FALSE(step->context.keys.has_value());
  EXPECT_EQ(step->generation.requests, 0u);
}

TEST(ServingMarks, NothingElseIsTaken) {
  for (const char* name :
       {"execute_model", "execute_", "execute_context_2(100)", "execute_context_2(100)_generation_",
        "execute_context_2(sq100)_generation_0(0)", "execute_context_x(1)_generation_0(0)",
        "execute_context_2(100)_generation_0(0) ", "execute_context_0(5)_generation_0(0)",
        "execute_context_2(99999999999999999999)_generation_0(0)", ""}) {
    EXPECT_FALSE(ServingStepNamed(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace mfutrace::report
