#include "engine/interpolation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

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

}  // namespace

void interpolate(const float* a, const float* b, std::size_t count, std::size_t dim, std::size_t steps,
                 Interpolation method, float* out) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr double kPi = 3.14159265358979323846;
  constexpr double kSmallestAngle = 1e-9;  // below it, slerp and lerp agree to the last bit of float32
  if (steps < 2) throw InvalidArgument("steps is " + std::to_string(steps) + ", expected at least 2 (both ends)");
  require_within(a, count, dim, -kMax, kMax, "latents a must be finite");
  require_within(b, count, dim, -kMax, kMax, "latents b must be finite");

  for (std::size_t row = 0; row < count; ++row, a += dim, b += dim, out += steps * dim) {
    const double angle = method == Interpolation::kSpherical ? angle_between(a, b, dim) : 0.0;
    if (kPi - angle < 1e-6) {
      throw InvalidArgument("slerp: row " + std::to_string(row) +
                            " goes between opposite directions, where no path is shorter than the others; use lerp");
    }
    std::copy_n(a, dim, out);
    std::copy_n(b, dim, out + (steps - 1) * dim);
    for (std::size_t k = 1; k + 1 < steps; ++k) {
      const double t = static_cast<double>(k) / static_cast<double>(steps - 1);
      double weight_a = 1.0 - t;
      double weight_b = t;
      if (angle > kSmallestAngle) {
        weight_a = std::sin((1.0 - t) * angle) / std::sin(angle);
        weight_b = std::sin(t * angle) / std::sin(angle);
      }
      for (std::size_t j = 0; j < dim; ++j) {
        const double value = weight_a * static_cast<double>(a[j]) + weight_b * static_cast<double>(b[j]);
        out[k * dim + j] = static_cast<float>(value);
      }
    }
  }
}

}  // namespace digitvae
