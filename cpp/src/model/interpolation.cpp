#include "model/interpolation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/arithmetic.hpp"
#include "base/error.hpp"
#include "model/metadata.hpp"
#include "schedule/call.hpp"

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

// Bilinear, the corners already checked.
void point_on_plane(const float* corners, std::size_t dim, double right, double down, float* out) {
  const bool on_corner = (right == 0.0 || right == 1.0) && (down == 0.0 || down == 1.0);
  if (on_corner) {
    const std::size_t corner = (down == 1.0 ? 2U : 0U) + (right == 1.0 ? 1U : 0U);
    std::copy_n(corners + corner * dim, dim, out);
    return;
  }
  const double weights[4] = {(1.0 - right) * (1.0 - down), right * (1.0 - down), (1.0 - right) * down, right * down};
  for (std::size_t j = 0; j < dim; ++j) {
    double sum = 0.0;
    for (std::size_t corner = 0; corner < 4; ++corner) {
      sum += weights[corner] * static_cast<double>(corners[corner * dim + j]);
    }
    out[j] = static_cast<float>(sum);
  }
}

void require_corners(const float* corners, std::size_t dim) {
  constexpr float kMax = std::numeric_limits<float>::max();
  require_within(corners, 4, dim, -kMax, kMax, "corners must be finite", {});
}

// kTileRows would be too fine here: a point takes well under a microsecond.
constexpr std::size_t kBlock = 4096;

// `fill(begin, end)` for blocks of `total` points.
void for_each_block(std::size_t total, unsigned threads, const Poll& poll,
                    const std::function<void(std::size_t begin, std::size_t end)>& fill) {
  const auto make_worker = [&]() -> TileWork {
    return [&](std::size_t block) { fill(block * kBlock, std::min(total, (block + 1) * kBlock)); };
  };
  Workers workers;
  for_each_tile(workers, (total + kBlock - 1) / kBlock, threads, make_worker, poll);
}

}  // namespace

void interpolate(const float* a, const float* b, std::size_t count, std::size_t dim, std::size_t steps,
                 Interpolation method, float* out, unsigned threads, const Poll& poll) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr double kPi = 3.14159265358979323846;
  if (steps < 2) throw InvalidArgument("steps is " + std::to_string(steps) + ", expected at least 2 (both ends)");
  run_call(true, poll, [&](const Poll& asked) {
    require_within(a, count, dim, -kMax, kMax, "latents a must be finite", asked);
    require_within(b, count, dim, -kMax, kMax, "latents b must be finite", asked);
    if (method == Interpolation::kSpherical) {  // which bulges out beyond the larger end
      require_within(a, count, dim, -kMaxLatent, kMaxLatent, "slerp: latents a must be within ±1e20", asked);
      require_within(b, count, dim, -kMaxLatent, kMaxLatent, "slerp: latents b must be within ±1e20", asked);
    }
    std::vector<double> angles(count, 0.0);
    Asker asker(asked);
    for (std::size_t row = 0; row < count && method == Interpolation::kSpherical; ++row) {
      angles[row] = angle_between(a + row * dim, b + row * dim, dim);
      if (kPi - angles[row] < 1e-6) {
        throw InvalidArgument("slerp: row " + std::to_string(row) +
                              " goes between opposite directions, where no path is shorter than the others; use lerp");
      }
      if (row % kBlock == 0) asker.ask(0, 1);
    }
    for_each_block(count * steps, threads, asked, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t row = i / steps;
        point_on_path(a + row * dim, b + row * dim, dim, i % steps, steps, angles[row], out + i * dim);
      }
    });
  });
}

void point_between(const float* corners, std::size_t dim, double right, double down, float* out) {
  const DefaultArithmetic arithmetic;
  if (!(right >= 0.0 && right <= 1.0) || !(down >= 0.0 && down <= 1.0)) {
    throw InvalidArgument("the point is at right = " + text_of(right, 0.0, 1.0) +
                          ", down = " + text_of(down, 0.0, 1.0) + ", expected both in [0, 1]");
  }
  require_corners(corners, dim);
  point_on_plane(corners, dim, right, down, out);
}

void grid_between(const float* corners, std::size_t dim, std::size_t rows, std::size_t columns, float* out,
                  unsigned threads, const Poll& poll) {
  if (rows < 2 || columns < 2) {
    throw InvalidArgument("the grid is " + std::to_string(rows) + " x " + std::to_string(columns) +
                          ", expected at least 2 x 2 (the corners)");
  }
  const auto share = [](std::size_t i, std::size_t n) { return static_cast<double>(i) / static_cast<double>(n - 1); };
  run_call(true, poll, [&](const Poll& asked) {
    require_corners(corners, dim);
    for_each_block(rows * columns, threads, asked, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        point_on_plane(corners, dim, share(i % columns, columns), share(i / columns, rows), out + i * dim);
      }
    });
  });
}

}  // namespace digitvae
