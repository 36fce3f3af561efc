#include "model/interpolation.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.hpp"

using namespace digitvae;

namespace {

std::vector<float> path(const std::vector<float>& a, const std::vector<float>& b, std::size_t dim, std::size_t steps,
                        Interpolation method) {
  std::vector<float> out(a.size() * steps);
  interpolate(a.data(), b.data(), a.size() / dim, dim, steps, method, out.data(), 2, {});
  return out;
}

}  // namespace

TEST_CASE("lerp is (1 - t) a + t b, its ends exact") {
  CHECK(path({0.0F, 4.0F}, {1.0F, 8.0F}, 2, 5, Interpolation::kLinear) ==
        std::vector<float>{0.0F, 4.0F, 0.25F, 5.0F, 0.5F, 6.0F, 0.75F, 7.0F, 1.0F, 8.0F});
  const float odd = 0.1F;
  const std::vector<float> ends = path({odd}, {-odd}, 1, 3, Interpolation::kLinear);
  CHECK(ends == std::vector<float>{odd, 0.0F, -odd});
}

TEST_CASE("slerp between unit vectors stays on the circle, at equal angles") {
  const double pi = std::acos(-1.0);
  const std::vector<float> arc = path({1.0F, 0.0F}, {0.0F, 1.0F}, 2, 4, Interpolation::kSpherical);
  for (std::size_t k = 0; k < 4; ++k) {
    const double angle = static_cast<double>(k) * pi / 6.0;
    CHECK(arc[2 * k] == Approx(std::cos(angle)).margin(1e-7));
    CHECK(arc[2 * k + 1] == Approx(std::sin(angle)).margin(1e-7));
  }
}

TEST_CASE("slerp of parallel vectors or of a zero vector is lerp") {
  for (const float scale : {0.0F, 2.0F, 1.0F}) {
    const std::vector<float> a{1.0F, -2.0F, 0.5F};
    const std::vector<float> b{scale * a[0], scale * a[1], scale * a[2]};
    CHECK(path(a, b, 3, 9, Interpolation::kSpherical) == path(a, b, 3, 9, Interpolation::kLinear));
  }
}

TEST_CASE("slerp is exact to float32 from small angles to nearly opposite directions") {
  const long double pi = std::acos(-1.0L);
  for (const long double angle : {1e-5L, 0.05L, 1.0L, 3.0L, pi - 1e-3L, pi - 1e-4L, pi - 1e-5L}) {
    const std::vector<float> a{1.0F, 0.0F};
    const std::vector<float> b{static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
    // The angle between the rounded vectors, from their exact cross and dot products.
    const long double rounded = std::atan2(static_cast<long double>(b[1]), static_cast<long double>(b[0]));
    const std::vector<float> arc = path(a, b, 2, 5, Interpolation::kSpherical);
    for (std::size_t k = 1; k < 4; ++k) {
      const long double t = static_cast<long double>(k) / 4.0L;
      const long double weight_a = std::sin((1.0L - t) * rounded) / std::sin(rounded);
      const long double weight_b = std::sin(t * rounded) / std::sin(rounded);
      CHECK(arc[2 * k] == Approx(static_cast<double>(weight_a + weight_b * b[0])).margin(2e-7).epsilon(0));
      CHECK(arc[2 * k + 1] == Approx(static_cast<double>(weight_b * b[1])).margin(2e-7).epsilon(0));
    }
  }
}

TEST_CASE("opposite directions have no slerp, and the row is named") {
  CHECK_THROWS_WITH(path({1.0F, 0.0F, 1.0F, 1.0F}, {0.0F, 1.0F, -2.0F, -2.0F}, 2, 3, Interpolation::kSpherical),
                    Catch::Contains("row 1") && Catch::Contains("lerp"));
  CHECK_NOTHROW(path({1.0F, 1.0F}, {-2.0F, -2.0F}, 2, 3, Interpolation::kLinear));
}

TEST_CASE("steps below two and values that are not finite are refused") {
  CHECK_THROWS_WITH(path({1.0F}, {2.0F}, 1, 1, Interpolation::kLinear), Catch::Contains("steps is 1"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(path({1.0F, 2.0F, nan, 0.0F}, {1.0F, 2.0F, 0.0F, 0.0F}, 2, 3, Interpolation::kLinear),
                    Catch::Contains("a must be finite") && Catch::Contains("row 1, column 0 is nan"));
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(path({1.0F}, {-infinity}, 1, 3, Interpolation::kLinear), Catch::Contains("b must be finite"));
}

TEST_CASE("a point beyond the corners is told in digits that show it") {
  const std::vector<float> corners(4);
  float out = 0.0F;
  CHECK_THROWS_WITH(point_between(corners.data(), 1, std::nextafter(1.0, 2.0), 0.1, &out),
                    Catch::Contains("right = 1.0000000000000002, down = 0.1, expected both in [0, 1]"));
  CHECK_THROWS_WITH(point_between(corners.data(), 1, 0.0, -1e-300, &out), Catch::Contains("down = -1e-300,"));
}

TEST_CASE("a grid is bilinear in float64 and even in both directions") {
  const std::vector<float> corners = {0.0F, 1.0F, 8.0F, -2.0F, 16.0F, 3.0F, 64.0F, 7.0F};  // 4 × 2
  std::vector<float> grid(3 * 5 * 2);
  grid_between(corners.data(), 2, 3, 5, grid.data(), 1, {});
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 5; ++column) {
      const double down = static_cast<double>(row) / 2.0;
      const double right = static_cast<double>(column) / 4.0;
      for (std::size_t j = 0; j < 2; ++j) {
        const double top = corners[j] + right * (static_cast<double>(corners[2 + j]) - corners[j]);
        const double bottom = corners[4 + j] + right * (static_cast<double>(corners[6 + j]) - corners[4 + j]);
        REQUIRE(grid[(row * 5 + column) * 2 + j] == Approx(top + down * (bottom - top)).epsilon(1e-7));
      }
    }
  }
}

TEST_CASE("corners of a grid keep their bits, signed zeros and the largest numbers included") {
  constexpr float kMax = std::numeric_limits<float>::max();
  const std::vector<float> corners = {-0.0F, kMax, -kMax, 1e-45F};  // 4 × 1
  std::vector<float> grid(4);
  grid_between(corners.data(), 1, 2, 2, grid.data(), 1, {});
  CHECK(std::memcmp(grid.data(), corners.data(), sizeof(float) * 4) == 0);
  const std::vector<float> wrong = {0.0F, 0.0F, std::numeric_limits<float>::infinity(), 0.0F};
  CHECK_THROWS_WITH(grid_between(wrong.data(), 1, 2, 2, grid.data(), 1, {}), Catch::Contains("row 2, column 0 is inf"));
}
