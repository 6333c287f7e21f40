// Whether one set of samples is worse than another, and by how much: plain functions of numbers.
//
// Steps of a run are neighbours in time and not independent, so samples are medians of blocks long
// enough to be so. Everything is deterministic: resampling uses a fixed seed. docs/GATES.md states
// the method to users; tests/gate/statistics_test.cc measures its errors on simulated series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mfutrace::gate {

double Median(std::vector<double> values);  // NaN if empty

// Standard normal and Student's t (degrees of freedom >= 1) at probability p in (0, 1).
double NormalQuantile(double p);
double StudentQuantile(double p, double degrees);

// P(U <= observed) where U counts pairs (a, b) with a > b, ties half, if both come from one
// distribution: small where `a` lies below `b`. Exact without ties up to 20 x 20, else the normal
// approximation with tie and continuity corrections (Mann and Whitney, 1947).
double MannWhitneyBelow(std::span<const double> a, std::span<const double> b);

// Autocorrelation at lag one of all series together, each about its own median, corrected for what
// short series underestimate (Kendall, 1954: -(1 + 3 rho) / n).
double LagOneCorrelation(std::span<const std::vector<double>> series);

// How many steps one independent sample is worth: (1 + rho) / (1 - rho), at least 1.
double CorrelationTime(double rho);

// Steps of a block whose median counts as one independent sample; 1 for independent steps.
size_t BlockLength(std::span<const std::vector<double>> series);

// Medians of consecutive blocks; what does not fill a block at the end is left out.
std::vector<double> BlockMedians(const std::vector<double>& series, size_t length);

// Values further from the median than five times the scaled median absolute deviation.
size_t CountOutliers(const std::vector<double>& values);

inline constexpr size_t kMinSamples = 9;  // google-benchmark's compare.py asks for as many
inline constexpr size_t kMinRunSamples = 3;

struct Change {
  double old_value = 0;
  double new_value = 0;
  double change = 0;  // of medians: relative to the old one, or absolute
  double low = 0;     // the interval at the confidence asked for
  double high = 0;
  double p_drop = 1;  // one-sided: new lies below old
  double p_rise = 1;
  double p_reachable = 0;  // the smallest p that so many samples could give
  double detectable = 0;   // beyond the limit: would be found 19 times of 20
  size_t old_samples = 0;
  size_t new_samples = 0;
  size_t block_steps = 0;  // steps of a block; 0 = samples are medians of runs
  size_t old_outliers = 0;
  size_t new_outliers = 0;
  bool has_enough = false;  // samples for a judgement at all
};

// One series a run. With three runs and more on both sides the runs' medians are the samples, else
// blocks of steps. Empty sides: has_enough is false and the values are NaN.
Change Compare(std::span<const std::vector<double>> old_runs,
               std::span<const std::vector<double>> new_runs, bool is_absolute, double confidence);

// One side against a constant: `change` is the median less the constant, p values are those of a
// sign test.
Change CompareWithConstant(double constant, std::span<const std::vector<double>> runs,
                           double confidence);

}  // namespace mfutrace::gate
