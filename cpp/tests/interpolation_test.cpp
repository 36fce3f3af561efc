#include "engine/interpolation.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "error.hpp"

using namespace digitvae;

namespace {

std::vector<float> path(const std::vector<float>& a, const std::vector<float>& b, std::size_t dim, std::size_t steps,
                        Interpolation method) {
  std::vector<float> out(a.size() * steps);
  interpolate(a.data(), b.data(), a.size() / dim, dim, steps, method, out.data());
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

TEST_CASE("slerp is accurate at tiny angles, where acos of the dot product is not") {
  const float tiny = 1e-5F;
  const std::vector<float> arc = path({1.0F, 0.0F}, {1.0F, tiny}, 2, 3, Interpolation::kSpherical);
  CHECK(arc[3] == Approx(static_cast<double>(tiny) / 2.0).epsilon(1e-6));
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
