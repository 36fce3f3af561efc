#include "engine/interpolation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "engine/model.hpp"
#include "error.hpp"

namespace digitvae {
namespace {

// Angle between a and b, accurate near 0 and near π where acos of the dot product is not
// (W. Kahan, "How futile are mindless assessments of roundoff…", section 12). 0 for a zero vector.
double angle_between(const float* a, const float* b, std::size_t dim) {
  double norm_a = 0.0;
  double norm_b = 0.0;
  for (std::size_t j = 0; j < dim; ++j) {
    norm_a += static_cast<double>(a[j]) * static_cast<double>(a[j]);
    norm_b += static_cast<double>(b[j]) * static_cast<double>(b[j]);
  }
  norm_a = std::sqrt(norm_a);
  norm_b = std::sqrt(norm_b);
  if (norm_a == 0.0 || norm_b == 0.0) return 0.0;
  double difference = 0.0;
  double sum = 0.0;
  for (std::size_t j = 0; j < dim; ++j) {
    const double u = static_cast<double>(a[j]) / norm_a;
    const double v = static_cast<double>(b[j]) / norm_b;
    difference += (u - v) * (u - v);
    sum += (u + v) * (u + v);
  }
  return 2.0 * std::atan2(std::sqrt(difference), std::sqrt(sum));
}

// The latent at t = k / (steps − 1) on the way from a to b, `angle` apart (0: a straight line).
void point_on_path(const float* a, const float* b, std::size_t dim, std::size_t k, std::size_t steps, double angle,
                   float* out) {
  constexpr double kSmallestAngle = 1e-9;  // below it, slerp and lerp agree to the last bit of float32
  if (k == 0 || k + 1 == steps) {
    std::copy_n(k == 0 ? a : b, dim, out);
    return;
  }
  const double t = static_cast<double>(k) / static_cast<double>(steps - 1);
  double weight_a = 1.0 - t;
  double weight_b = t;
  if (angle > kSmallestAngle) {
    weight_a = std::sin((1.0 - t) * angle) / std::sin(angle);
    weight_b = std::sin(t * angle) / std::sin(angle);
  }
  for (std::size_t j = 0; j < dim; ++j) {
    out[j] = static_cast<float>(weight_a * static_cast<double>(a[j]) + weight_b * static_cast<double>(b[j]));
  }
}

}  // namespace

void interpolate(const float* a, const float* b, std::size_t count, std::size_t dim, std::size_t steps,
                 Interpolation method, float* out, unsigned threads, const Poll& poll) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr double kPi = 3.14159265358979323846;
  constexpr std::size_t kBlock = 4096;  // latents between two polls
  if (steps < 2) throw InvalidArgument("steps is " + std::to_string(steps) + ", expected at least 2 (both ends)");
  require_within(a, count, dim, -kMax, kMax, "latents a must be finite");
  require_within(b, count, dim, -kMax, kMax, "latents b must be finite");

  std::vector<double> angles(count, 0.0);
  for (std::size_t row = 0; row < count && method == Interpolation::kSpherical; ++row) {
    angles[row] = angle_between(a + row * dim, b + row * dim, dim);
    if (kPi - angles[row] < 1e-6) {
      throw InvalidArgument("slerp: row " + std::to_string(row) +
                            " goes between opposite directions, where no path is shorter than the others; use lerp");
    }
  }
  const std::size_t total = count * steps;
  const auto make_worker = [&]() -> TileWork {
    return [&](std::size_t block) {
      const std::size_t end = std::min(total, (block + 1) * kBlock);
      for (std::size_t i = block * kBlock; i < end; ++i) {
        const std::size_t row = i / steps;
        point_on_path(a + row * dim, b + row * dim, dim, i % steps, steps, angles[row], out + i * dim);
      }
    };
  };
  for_each_tile((total + kBlock - 1) / kBlock, threads, make_worker, poll);
}

}  // namespace digitvae
