// Block medians, Mann-Whitney, and bootstrap intervals of medians.
#include "gate/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mfutrace::gate {
namespace {

constexpr size_t kMaxExact = 20;
constexpr int kResamples = 2000;
// Blocks of three correlation times leave neighbouring block medians a correlation under 0.1.
constexpr double kBlockCorrelationTimes = 3;
// Below twice its own standard error, 1 / sqrt(n), a correlation is taken for none.
constexpr double kCorrelationErrors = 2;
constexpr double kMadToSigma = 1.4826;  // of a normal distribution
constexpr double kOutlierSigmas = 5;
constexpr double kMedianToMean = 1.2533;  // sqrt(pi / 2): standard error of a median over a mean's

// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // Under 2^32, which no count of samples reaches.
  size_t Below(size_t limit) { return static_cast<size_t>(((Next() >> 32) * limit) >> 32); }

 private:
  uint64_t state_ = 20240917;
};

double MedianInPlace(std::vector<double>& values) {
  const size_t half = values.size() / 2;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double Variance(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double mean = Mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

double NormalBelow(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// Number of ways to choose `n` ranks of n + m whose Mann-Whitney U is at most u, over all ways.
double ExactBelow(size_t n, size_t m, double u) {
  // ways[i][v]: i values of the first kind among those placed so far, with U = v.
  const size_t most = n * m;
  std::vector<std::vector<double>> ways(n + 1, std::vector<double>(most + 1, 0));
  ways[0][0] = 1;
  // U is the sum over the first kind of how many of the second lie below: a partition of U into at
  // most n parts of at most m, counted part by part.
  for (size_t part = 0; part <= m; ++part) {
    for (size_t i = 1; i <= n; ++i) {
      for (size_t v = part; v <= most; ++v) ways[i][v] += ways[i - 1][v - part];
    }
  }
  double below = 0;
  double all = 0;
  for (size_t v = 0; v <= most; ++v) {
    all += ways[n][v];
    if (static_cast<double>(v) <= u) below += ways[n][v];
  }
  return below / all;
}

double StandardErrorOfMedian(std::span<const std::vector<double>> runs, double correlation_time) {
  double variance = 0;
  double steps = 0;
  for (const std::vector<double>& run : runs) {
    variance += Variance(run) * static_cast<double>(run.size());
    steps += static_cast<double>(run.size());
  }
  if (steps == 0) return std::numeric_limits<double>::infinity();
  return kMedianToMean * std::sqrt(variance / steps * correlation_time / steps);
}

struct Samples {
  std::vector<double> values;
  size_t steps = 0;
  size_t outliers = 0;
};

Samples BlocksOf(std::span<const std::vector<double>> runs, size_t length) {
  Samples samples;
  for (const std::vector<double>& run : runs) {
    samples.steps += run.size();
    samples.outliers += CountOutliers(run);
    const std::vector<double> medians = BlockMedians(run, length);
    samples.values.insert(samples.values.end(), medians.begin(), medians.end());
  }
  return samples;
}

Samples RunsOf(std::span<const std::vector<double>> runs) {
  Samples samples;
  for (const std::vector<double>& run : runs) {
    samples.steps += run.size();
    samples.outliers += CountOutliers(run);
    if (!run.empty()) samples.values.push_back(Median(run));
  }
  return samples;
}

// The quantile of sorted values, between neighbours where it falls between.
double QuantileOf(const std::vector<double>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

// Bootstrap percentiles about the estimate, widened by t over z for few samples (Hesterberg, 2015,
// "What Teachers Should Know About the Bootstrap", section 3.5).
template <typename Statistic>
void Bootstrap(const Statistic& resampled, double estimate, size_t fewest, double confidence,
               double* low, double* high) {
  std::vector<double> values(kResamples);
  for (double& value : values) value = resampled();
  std::sort(values.begin(), values.end());
  const double tail = (1 - confidence) / 2;
  const double k = static_cast<double>(fewest);
  const double widening =
      std::sqrt(k / (k - 1)) * StudentQuantile(1 - tail, k - 1) / NormalQuantile(1 - tail);
  *low = estimate + (QuantileOf(values, tail) - estimate) * widening;
  *high = estimate + (QuantileOf(values, 1 - tail) - estimate) * widening;
}

double ChangeOf(double old_value, double new_value, bool is_absolute) {
  if (is_absolute) return new_value - old_value;
  return old_value == 0 ? 0 : (new_value - old_value) / std::fabs(old_value);
}

// Welch's interval, for a handful of runs, where resampling has too little to draw from.
void WelchInterval(const std::vector<double>& old_values, const std::vector<double>& new_values,
                   double scale, double estimate, double confidence, double* low, double* high) {
  const double a = Variance(old_values) / static_cast<double>(old_values.size());
  const double b = Variance(new_values) / static_cast<double>(new_values.size());
  double degrees = 1;
  if (a + b > 0) {
    degrees = (a + b) * (a + b) /
              (a * a / static_cast<double>(old_values.size() - 1) +
               b * b / static_cast<double>(new_values.size() - 1));
  }
  const double half =
      StudentQuantile(1 - (1 - confidence) / 2, degrees) * kMedianToMean * std::sqrt(a + b) / scale;
  *low = estimate - half;
  *high = estimate + half;
}

double SmallestP(size_t n, size_t m) {
  return std::exp(std::lgamma(static_cast<double>(n) + 1) +
                  std::lgamma(static_cast<double>(m) + 1) -
                  std::lgamma(static_cast<double>(n + m) + 1));
}

double DetectableAt(double standard_error, double confidence) {
  // Found 19 times of 20: the interval must clear the limit by that much.
  return (NormalQuantile(1 - (1 - confidence) / 2) + NormalQuantile(0.95)) * standard_error;
}

bool HasRuns(std::span<const std::vector<double>> runs) {
  return runs.size() >= kMinRunSamples &&
         std::none_of(runs.begin(), runs.end(), [](const auto& run) { return run.empty(); });
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  return MedianInPlace(values);
}

double NormalQuantile(double p) {
  double low = -40;
  double high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (NormalBelow(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double StudentQuantile(double p, double degrees) {
  if (degrees < 1.5) return std::tan(M_PI * (p - 0.5));
  if (degrees < 2.5) {
    const double x = 2 * p - 1;
    return x * std::sqrt(2 / (1 - x * x));
  }
  // Fisher and Cornish (1960), relative error under 3 % from three degrees of freedom on.
  const double z = NormalQuantile(p);
  const double z2 = z * z;
  const double v = degrees;
  return z + z * (z2 + 1) / (4 * v) + z * ((5 * z2 + 16) * z2 + 3) / (96 * v * v) +
         z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * v * v * v) +
         z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / (92160 * v * v * v * v);
}

double MannWhitneyBelow(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || b.empty()) return 1;
  double u = 0;
  bool has_ties = false;
  for (const double x : a) {
    for (const double y : b) {
      u += x > y ? 1 : x == y ? 0.5 : 0;
      has_ties = has_ties || x == y;
    }
  }
  if (!has_ties && a.size() <= kMaxExact && b.size() <= kMaxExact) {
    return ExactBelow(a.size(), b.size(), u);
  }
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  std::sort(all.begin(), all.end());
  double ties = 0;
  for (size_t i = 0; i < all.size();) {
    size_t end = i;
    while (end < all.size() && all[end] == all[i]) ++end;
    const double count = static_cast<double>(end - i);
    ties += count * count * count - count;
    i = end;
  }
  const double n = static_cast<double>(a.size());
  const double m = static_cast<double>(b.size());
  const double sum = n + m;
  const double variance = n * m / 12 * (sum + 1 - ties / (sum * (sum - 1)));
  if (variance <= 0) return 1;  // all values are equal
  return NormalBelow((u + 0.5 - n * m / 2) / std::sqrt(variance));
}

double LagOneCorrelation(std::span<const std::vector<double>> series) {
  double products = 0;
  double squares = 0;
  double steps = 0;
  for (const std::vector<double>& one : series) {
    if (one.size() < 3) continue;
    const double middle = Mean(one);
    for (size_t i = 0; i < one.size(); ++i) {
      const double here = one[i] - middle;
      squares += here * here;
      if (i > 0) products += here * (one[i - 1] - middle);
    }
    steps += static_cast<double>(one.size());
  }
  if (squares <= 0 || steps == 0) return 0;
  const double rho = products / squares;
  // Each series loses a mean of its own, so the loss is that of their average length.
  const double length = steps / static_cast<double>(series.size());
  return std::clamp(rho + (1 + 3 * rho) / length, 0.0, 0.99);
}

double CorrelationTime(double rho) { return std::max(1.0, (1 + rho) / (1 - rho)); }

size_t BlockLength(std::span<const std::vector<double>> series) {
  double steps = 0;
  for (const std::vector<double>& one : series) steps += static_cast<double>(one.size());
  if (steps == 0) return 1;
  const double rho = LagOneCorrelation(series);
  if (rho < kCorrelationErrors / std::sqrt(steps)) return 1;
  return static_cast<size_t>(std::ceil(kBlockCorrelationTimes * CorrelationTime(rho)));
}

std::vector<double> BlockMedians(const std::vector<double>& series, size_t length) {
  std::vector<double> medians;
  for (size_t begin = 0; begin + length <= series.size(); begin += length) {
    const auto first = series.begin() + static_cast<std::ptrdiff_t>(begin);
    medians.push_back(Median({first, first + static_cast<std::ptrdiff_t>(length)}));
  }
  return medians;
}

size_t CountOutliers(const std::vector<double>& values) {
  if (values.empty()) return 0;
  const double median = Median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::fabs(value - median));
  const double limit = kOutlierSigmas * kMadToSigma * Median(distances);
  return static_cast<size_t>(
      std::count_if(distances.begin(), distances.end(), [&](double d) { return d > limit; }));
}

Change Compare(std::span<const std::vector<double>> old_runs,
               std::span<const std::vector<double>> new_runs, bool is_absolute, double confidence) {
  Change change;
  const bool by_runs = HasRuns(old_runs) && HasRuns(new_runs);
  std::vector<std::vector<double>> all(old_runs.begin(), old_runs.end());
  all.insert(all.end(), new_runs.begin(), new_runs.end());
  if (!by_runs) change.block_steps = BlockLength(all);
  const Samples before = by_runs ? RunsOf(old_runs) : BlocksOf(old_runs, change.block_steps);
  const Samples after = by_runs ? RunsOf(new_runs) : BlocksOf(new_runs, change.block_steps);
  change.old_samples = before.values.size();
  change.new_samples = after.values.size();
  change.old_outliers = before.outliers;
  change.new_outliers = after.outliers;
  const auto middle = [](const Samples& samples, std::span<const std::vector<double>> runs) {
    if (!samples.values.empty()) return Median(samples.values);
    std::vector<double> steps;
    for (const std::vector<double>& run : runs) steps.insert(steps.end(), run.begin(), run.end());
    return Median(steps);
  };
  change.old_value = middle(before, old_runs);
  change.new_value = middle(after, new_runs);
  change.change = change.low = change.high =
      ChangeOf(change.old_value, change.new_value, is_absolute);
  const double scale = is_absolute || change.old_value == 0 ? 1 : std::fabs(change.old_value);
  const double correlation_time = CorrelationTime(LagOneCorrelation(all));
  double error = std::hypot(StandardErrorOfMedian(old_runs, correlation_time),
                            StandardErrorOfMedian(new_runs, correlation_time));
  if (by_runs) {
    error = kMedianToMean *
            std::sqrt(Variance(before.values) / static_cast<double>(before.values.size()) +
                      Variance(after.values) / static_cast<double>(after.values.size()));
  }
  change.detectable = DetectableAt(error / scale, confidence);
  const size_t least = by_runs ? kMinRunSamples : kMinSamples;
  const size_t fewest = std::min(change.old_samples, change.new_samples);
  change.has_enough = fewest >= least && (is_absolute || change.old_value != 0);
  if (!change.has_enough) return change;
  change.p_drop = MannWhitneyBelow(after.values, before.values);
  change.p_rise = MannWhitneyBelow(before.values, after.values);
  change.p_reachable = SmallestP(change.old_samples, change.new_samples);
  if (fewest < kMinSamples) {
    WelchInterval(before.values, after.values, scale, change.change, confidence, &change.low,
                  &change.high);
    return change;
  }
  Random random;
  std::vector<double> a(before.values.size());
  std::vector<double> b(after.values.size());
  const auto resampled = [&] {
    for (double& value : a) value = before.values[random.Below(before.values.size())];
    for (double& value : b) value = after.values[random.Below(after.values.size())];
    return ChangeOf(MedianInPlace(a), MedianInPlace(b), is_absolute);
  };
  Bootstrap(resampled, change.change, fewest, confidence, &change.low, &change.high);
  return change;
}

Change CompareWithConstant(double constant, std::span<const std::vector<double>> runs,
                           double confidence) {
  Change change;
  const bool by_runs = HasRuns(runs);
  if (!by_runs) change.block_steps = BlockLength(runs);
  const Samples samples = by_runs ? RunsOf(runs) : BlocksOf(runs, change.block_steps);
  change.new_samples = samples.values.size();
  change.new_outliers = samples.outliers;
  change.old_value = constant;
  if (samples.values.empty()) {
    std::vector<double> steps;
    for (const std::vector<double>& run : runs) steps.insert(steps.end(), run.begin(), run.end());
    change.new_value = Median(steps);
  } else {
    change.new_value = Median(samples.values);
  }
  change.change = change.low = change.high = change.new_value - constant;
  change.detectable = DetectableAt(
      StandardErrorOfMedian(runs, CorrelationTime(LagOneCorrelation(runs))), confidence);
  change.has_enough = change.new_samples >= (by_runs ? kMinRunSamples : kMinSamples);
  if (!change.has_enough) return change;
  if (change.new_samples < kMinSamples) {
    const double half =
        StudentQuantile(1 - (1 - confidence) / 2, static_cast<double>(change.new_samples - 1)) *
        kMedianToMean *
        std::sqrt(Variance(samples.values) / static_cast<double>(change.new_samples));
    change.low = change.change - half;
    change.high = change.change + half;
    return change;
  }
  Random random;
  std::vector<double> drawn(samples.values.size());
  const auto resampled = [&] {
    for (double& value : drawn) value = samples.values[random.Below(samples.values.size())];
    return MedianInPlace(drawn) - constant;
  };
  Bootstrap(resampled, change.change, change.new_samples, confidence, &change.low, &change.high);
  return change;
}

}  // namespace mfutrace::gate
