#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <vector>

#include "random/latents.hpp"
#include "random/philox.hpp"

using namespace digitvae;

TEST_CASE("philox4x32_10 gives the known answers of Random123") {
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) == PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
        PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniforms are the exact midpoints of 2^32 equal cells of (0, 1)") {
  CHECK(uniform_from_word(0) == std::ldexp(1.0, -33));
  CHECK(uniform_from_word(0x7fffffff) == 0.5 - std::ldexp(1.0, -33));
  CHECK(uniform_from_word(0x80000000) == 0.5 + std::ldexp(1.0, -33));
  CHECK(uniform_from_word(0xffffffff) == 1.0 - std::ldexp(1.0, -33));
}

TEST_CASE("normals agree with Box-Muller in long double to 1e-14 over the whole range of words") {
  const long double two_pi = 8.0L * std::atan(1.0L);
  for (std::uint64_t word = 0; word < (1ULL << 32); word += 1048573) {
    const auto radius_word = static_cast<std::uint32_t>(word);
    const std::uint32_t angle_word = radius_word * 2654435761U;
    const NormalPair found = normals_from_words(radius_word, angle_word);
    const long double radius = std::sqrt(-2.0L * std::log(static_cast<long double>(uniform_from_word(radius_word))));
    const long double angle = two_pi * static_cast<long double>(uniform_from_word(angle_word));
    REQUIRE(std::abs(found.first - static_cast<double>(radius * std::cos(angle))) < 1e-14);
    REQUIRE(std::abs(found.second - static_cast<double>(radius * std::sin(angle))) < 1e-14);
  }
}

TEST_CASE("quarter turns have the right signs and the tails reach beyond 6.5 sigma") {
  const double tail = std::sqrt(66.0 * std::log(2.0));  // radius of the smallest uniform, 2^-33
  CHECK(tail > 6.5);
  CHECK(normals_from_words(0, 0).first == Approx(tail));
  CHECK(normals_from_words(0, 0x40000000).second == Approx(tail));
  CHECK(normals_from_words(0, 0x80000000).first == Approx(-tail));
  CHECK(normals_from_words(0, 0xc0000000).second == Approx(-tail));
  CHECK(normals_from_words(0, 0xffffffff).second < 0.0);
  CHECK(normals_from_words(0xffffffff, 0).first == Approx(std::sqrt(2.0 * std::ldexp(1.0, -33))));
}

TEST_CASE("row i of a seed is the same whatever range it is made in, also across 2^32 and 2^64") {
  constexpr std::size_t dim = 40;
  const std::uint64_t firsts[] = {0, 1, 63, 4294967290ULL, 18446744073709551600ULL};
  for (const std::uint64_t first : firsts) {
    std::vector<float> whole(13 * dim);
    fill_standard_normal(42, Stream::kLatent, first, 13, dim, whole.data());
    for (std::size_t i = 0; i < 13; ++i) {
      std::vector<float> one(dim);
      fill_standard_normal(42, Stream::kLatent, first + i, 1, dim, one.data());
      REQUIRE(std::memcmp(one.data(), whole.data() + i * dim, dim * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("a row takes its normals from blocks 0, 1, … in order, cut at the dimension") {
  for (const std::size_t dim : {1U, 2U, 3U, 4U, 5U, 40U, 41U}) {
    std::vector<float> row(dim);
    fill_standard_normal(0x0123456789abcdefULL, Stream::kPosterior, 0x1122334455667788ULL, 1, dim, row.data());
    for (std::size_t j = 0; j < dim; ++j) {
      const PhiloxCounter words =
          philox4x32_10({static_cast<std::uint32_t>(j / 4), 2, 0x55667788, 0x11223344}, {0x89abcdef, 0x01234567});
      const std::size_t pair = (j % 4) / 2;
      const NormalPair normals = normals_from_words(words[2 * pair], words[2 * pair + 1]);
      REQUIRE(row[j] == static_cast<float>(j % 2 == 0 ? normals.first : normals.second));
    }
  }
}

TEST_CASE("rows may lie apart, and what is between them is left as it was") {
  constexpr std::size_t kCount = 50;
  for (const std::size_t dim : {1U, 4U, 10U}) {
    std::vector<float> close(kCount * dim);
    fill_standard_normal(3, Stream::kLatent, 7, kCount, dim, close.data());
    std::vector<float> apart(kCount * 40, -9.0F);
    fill_standard_normal(3, Stream::kLatent, 7, kCount, dim, 40, apart.data());
    for (std::size_t i = 0; i < apart.size(); ++i) {
      REQUIRE(apart[i] == (i % 40 < dim ? close[i / 40 * dim + i % 40] : -9.0F));
    }
  }
}

TEST_CASE("seeds and streams change every row") {
  float base[4];
  float other[4];
  fill_standard_normal(1, Stream::kLatent, 0, 1, 4, base);
  fill_standard_normal(2, Stream::kLatent, 0, 1, 4, other);
  CHECK(std::memcmp(base, other, sizeof base) != 0);
  fill_standard_normal(1ULL << 32, Stream::kLatent, 0, 1, 4, other);
  CHECK(std::memcmp(base, other, sizeof base) != 0);
  fill_standard_normal(1, Stream::kMixture, 0, 1, 4, other);
  CHECK(std::memcmp(base, other, sizeof base) != 0);
}

TEST_CASE("the choice of a mixture component is the upper 24 bits of its word, in [0, 1)") {
  // Stream 1, block 0: philox4x32_10({0, 1, index low, index high}, seed)[0], checked against the bijection.
  for (const std::uint64_t index : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 40) + 3}) {
    const std::uint32_t word =
        philox4x32_10({0, 1, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)},
                      {0x89abcdefU, 0x01234567U})[0];
    const float u = mixture_uniform(0x0123456789abcdefULL, index);
    CHECK(static_cast<double>(u) * 16777216.0 == static_cast<double>(word >> 8));
    CHECK((u >= 0.0F && u < 1.0F));
  }
}
