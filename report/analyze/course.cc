// Steps into points.
#include "report/analyze/course.h"

#include <algorithm>

#include "report/analyze/rates.h"

namespace mfutrace::report {
namespace {

template <typename T>
T MedianOf(std::vector<T>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<CoursePoint> CourseOf(const std::vector<StepResult>& steps, size_t limit) {
  uint32_t count = 0;
  for (const StepResult& step : steps) count = std::max(count, step.index + 1);
  if (count == 0 || limit == 0) return {};
  const auto per_point = static_cast<uint32_t>((count + limit - 1) / limit);
  const size_t points = (count + per_point - 1) / per_point;
  std::vector<std::vector<double>> mfu(points);
  std::vector<std::vector<int64_t>> durations_ns(points);
  for (const StepResult& step : steps) {
    const size_t at = step.index / per_point;
    durations_ns[at].push_back(step.split.window_ns);
    const std::optional<double> one = MfuOf(step.budget, step.split.window_ns);
    if (one.has_value()) mfu[at].push_back(*one);
  }
  std::vector<CoursePoint> course;
  for (size_t i = 0; i < points; ++i) {
    if (durations_ns[i].empty()) continue;
    CoursePoint point;
    point.first_step = static_cast<uint32_t>(i) * per_point;
    point.last_step = std::min(count, point.first_step + per_point) - 1;
    const auto [least, most] = std::minmax_element(durations_ns[i].begin(), durations_ns[i].end());
    point.step_min_ns = *least;
    point.step_max_ns = *most;
    point.step_median_ns = MedianOf(durations_ns[i]);
    if (!mfu[i].empty()) {
      const auto [lowest, highest] = std::minmax_element(mfu[i].begin(), mfu[i].end());
      point.mfu_min = *lowest;
      point.mfu_max = *highest;
      point.mfu_median = MedianOf(mfu[i]);
    }
    course.push_back(point);
  }
  return course;
}

}  // namespace mfutrace::report
