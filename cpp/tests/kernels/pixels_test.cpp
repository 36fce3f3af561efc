#include "kernels/pixels.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

using namespace digitvae;

TEST_CASE("pixels are round-half-even of 255 x, at every tie, its neighbours and both ends") {
  std::vector<float> x{0.0F, 1.0F, std::numeric_limits<float>::denorm_min()};
  for (int k = 0; k < 255; ++k) {
    const float tie = (static_cast<float>(k) + 0.5F) / 255.0F;
    for (const float value :
         {std::nextafter(tie, 0.0F), tie, std::nextafter(tie, 1.0F), static_cast<float>(k) / 255.0F}) {
      x.push_back(value);
    }
  }
  std::vector<std::uint8_t> pixels(x.size());
  REQUIRE(pixels_from_intensities(x.data(), x.size(), pixels.data()) == x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const volatile float product = x[i] * 255.0F;
    REQUIRE(pixels[i] == static_cast<std::uint8_t>(std::nearbyint(product)));
  }
}

TEST_CASE("exact ties go to the even pixel, up or down") {
  const float x[] = {0.5F / 255.0F, 126.5F / 255.0F, 127.5F / 255.0F};
  REQUIRE(x[0] * 255.0F == 0.5F);
  REQUIRE(x[1] * 255.0F == 126.5F);
  REQUIRE(x[2] * 255.0F == 127.5F);
  std::uint8_t pixels[3];
  pixels_from_intensities(x, 3, pixels);
  CHECK(pixels[0] == 0);
  CHECK(pixels[1] == 126);
  CHECK(pixels[2] == 128);
}

TEST_CASE("every pixel survives the way to intensities and back, and divides correctly rounded") {
  std::vector<std::uint8_t> all(256);
  for (std::size_t i = 0; i < 256; ++i) all[i] = static_cast<std::uint8_t>(i);
  std::vector<float> x(256);
  intensities_from_pixels(all.data(), 256, x.data());
  std::vector<std::uint8_t> back(256);
  pixels_from_intensities(x.data(), 256, back.data());
  CHECK(back == all);
  for (int i = 0; i < 256; ++i) REQUIRE(x[static_cast<std::size_t>(i)] == static_cast<float>(i / 255.0));
}

TEST_CASE("first_outside finds the first offender wherever it stands, NaN included") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {nan, -0.001F, 1.001F, std::numeric_limits<float>::infinity()}) {
    for (const std::size_t at : {0U, 1U, 255U, 256U, 599U}) {
      std::vector<float> values(600, 0.5F);
      CHECK(first_outside(values.data(), values.size(), 0.0F, 1.0F) == 600);
      values[at] = bad;
      values[599] = bad;
      CHECK(first_outside(values.data(), values.size(), 0.0F, 1.0F) == at);
    }
  }
  CHECK(first_outside(nullptr, 0, 0.0F, 1.0F) == 0);
}

TEST_CASE("what a sigmoid rounds beyond zero and one is zero and one, and nothing else passes for an intensity") {
  const float inf = std::numeric_limits<float>::infinity();
  const float above = 1.0F + std::ldexp(1.0F, -23);
  const float below = -std::ldexp(1.0F, -23);
  const std::vector<float> sound{0.0F,
                                 above,
                                 1.0F,
                                 0.25F,
                                 std::nextafter(1.0F, 0.0F),
                                 below,
                                 below / 2.0F,
                                 -0.0F,
                                 -std::numeric_limits<float>::denorm_min()};
  std::vector<std::uint8_t> pixels(300);
  CHECK(pixels_from_intensities(sound.data(), sound.size(), pixels.data()) == sound.size());
  CHECK(std::vector<std::uint8_t>(pixels.begin(), pixels.begin() + 9) ==
        std::vector<std::uint8_t>{0, 255, 255, 64, 255, 0, 0, 0, 0});
  std::vector<float> clamped = sound;
  CHECK(clamp_intensities(clamped.data(), clamped.size()) == sound.size());
  CHECK(clamped == std::vector<float>{0.0F, 1.0F, 1.0F, 0.25F, std::nextafter(1.0F, 0.0F), 0.0F, 0.0F, 0.0F, 0.0F});
  CHECK(std::none_of(clamped.begin(), clamped.end(), [](float x) { return std::signbit(x); }));
  for (const float bad : {std::nextafter(above, 2.0F), std::nextafter(below, -1.0F),
                          std::numeric_limits<float>::quiet_NaN(), inf, -inf}) {
    for (const std::size_t at : {0U, 255U, 256U, 270U, 299U}) {
      for (const float beside : {above, below}) {
        std::vector<float> values(300, beside);
        values[at] = bad;
        values[299] = bad;
        CHECK(pixels_from_intensities(values.data(), values.size(), pixels.data()) == at);
        CHECK(clamp_intensities(values.data(), values.size()) == at);
      }
    }
  }
}
