#include "random/latents.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/multiversion.hpp"
#include "random/philox.hpp"

// Every operation below is an IEEE 754 + − × ÷ √ in float64 or an integer operation, and this file is
// compiled without contraction: that is what makes the bits the same everywhere.

namespace digitvae {
namespace {

constexpr double kLn2 = 0.693147180559945309417232121458176568;
constexpr double kTwoPi = 6.283185307179586476925286766559005768;
constexpr double kSqrt2 = 1.414213562373095048801688724209698079;
constexpr double kTwoTo32 = 4294967296.0;
constexpr double kTwoTo52 = 4503599627370496.0;

inline double double_from_bits(std::uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::uint64_t bits_of(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Through int32, because that conversion exists as a vector instruction everywhere. Exact.
inline double uniform(std::uint32_t word) {
  const auto shifted = static_cast<std::int32_t>(word ^ 0x80000000U);
  return (static_cast<double>(shifted) + 2147483648.5) * (1.0 / kTwoTo32);
}

// ln u for normal u in (0, 1): u = m · 2^e with m in [√½, √2), then
// ln m = 2 artanh s, s = (m − 1) / (m + 1), |s| < 0.1716, by its power series to s²¹.
inline double natural_log(double u) {
  const std::uint64_t bits = bits_of(u);
  const double raw = double_from_bits((bits & 0x000FFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
  const double biased_exponent = double_from_bits((bits >> 52) | 0x4330000000000000ULL) - kTwoTo52;
  const bool high = raw >= kSqrt2;
  const double m = high ? raw * 0.5 : raw;
  const double e = biased_exponent - (high ? 1022.0 : 1023.0);
  const double s = (m - 1.0) / (m + 1.0);
  const double t = s * s;
  double series = 1.0 / 21.0;
  series = series * t + 1.0 / 19.0;
  series = series * t + 1.0 / 17.0;
  series = series * t + 1.0 / 15.0;
  series = series * t + 1.0 / 13.0;
  series = series * t + 1.0 / 11.0;
  series = series * t + 1.0 / 9.0;
  series = series * t + 1.0 / 7.0;
  series = series * t + 1.0 / 5.0;
  series = series * t + 1.0 / 3.0;
  series = series * t + 1.0;
  return e * kLn2 + (2.0 * s) * series;
}

struct SinCos {
  double sine;
  double cosine;
};

// sin and cos of 2π(word + ½)·2⁻³²: the nearest quarter turn is split off in integers (exactly),
// the rest, at most an eighth of a turn, goes through the Taylor series (error < 5e-17).
inline SinCos sin_cos_of_turn(std::uint32_t word) {
  const std::uint32_t quarter = (word + 0x20000000U) >> 30;
  const auto rest = static_cast<std::int32_t>(word - (quarter << 30));
  const double a = ((static_cast<double>(rest) + 0.5) * (1.0 / kTwoTo32)) * kTwoPi;
  const double t = a * a;
  double sine = -1.0 / 1307674368000.0;  // −1/15!
  sine = sine * t + 1.0 / 6227020800.0;  // +1/13!
  sine = sine * t - 1.0 / 39916800.0;    // −1/11!
  sine = sine * t + 1.0 / 362880.0;      // +1/9!
  sine = sine * t - 1.0 / 5040.0;        // −1/7!
  sine = sine * t + 1.0 / 120.0;         // +1/5!
  sine = sine * t - 1.0 / 6.0;           // −1/3!
  sine = sine * t * a + a;
  double cosine = 1.0 / 20922789888000.0;     // +1/16!
  cosine = cosine * t - 1.0 / 87178291200.0;  // −1/14!
  cosine = cosine * t + 1.0 / 479001600.0;    // +1/12!
  cosine = cosine * t - 1.0 / 3628800.0;      // −1/10!
  cosine = cosine * t + 1.0 / 40320.0;        // +1/8!
  cosine = cosine * t - 1.0 / 720.0;          // −1/6!
  cosine = cosine * t + 1.0 / 24.0;           // +1/4!
  cosine = cosine * t - 0.5;                  // −1/2!
  cosine = cosine * t + 1.0;
  // Rotation by `quarter` quarter turns: swap when odd; signs from its two bits.
  const bool swap = (quarter & 1U) != 0;
  const double rotated_sine = swap ? cosine : sine;
  const double rotated_cosine = swap ? sine : cosine;
  const double sine_sign = (quarter & 2U) != 0 ? -1.0 : 1.0;
  const double cosine_sign = ((quarter + 1U) & 2U) != 0 ? -1.0 : 1.0;
  return {rotated_sine * sine_sign, rotated_cosine * cosine_sign};
}

// G. Box, M. Muller, "A note on the generation of random normal deviates", 1958.
inline NormalPair box_muller(std::uint32_t radius_word, std::uint32_t angle_word) {
  const double radius = std::sqrt(-2.0 * natural_log(uniform(radius_word)));
  const SinCos angle = sin_cos_of_turn(angle_word);
  return {radius * angle.cosine, radius * angle.sine};
}

// Blocks are worked on in batches as structures of arrays, which is what vectorises.
constexpr std::size_t kBatch = 128;

struct WordBatch {
  std::array<std::uint32_t, kBatch> words[4];
};

struct NormalBatch {
  std::array<float, kBatch> normals[4];
};

// `count`: blocks in use, a multiple of kLanes: a single row does not pay for a whole batch.
constexpr std::size_t kLanes = 16;

DIGITVAE_MULTIVERSION void philox_batch(WordBatch& batch, std::size_t count, std::uint32_t key0, std::uint32_t key1) {
  std::uint32_t* const w0 = batch.words[0].data();
  std::uint32_t* const w1 = batch.words[1].data();
  std::uint32_t* const w2 = batch.words[2].data();
  std::uint32_t* const w3 = batch.words[3].data();
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t a = w0[i];
    std::uint32_t b = w1[i];
    std::uint32_t c = w2[i];
    std::uint32_t d = w3[i];
    std::uint32_t k0 = key0;
    std::uint32_t k1 = key1;
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const std::uint64_t product0 = std::uint64_t{kPhiloxMultiplier0} * a;
      const std::uint64_t product1 = std::uint64_t{kPhiloxMultiplier1} * c;
      a = static_cast<std::uint32_t>(product1 >> 32) ^ b ^ k0;
      b = static_cast<std::uint32_t>(product1);
      c = static_cast<std::uint32_t>(product0 >> 32) ^ d ^ k1;
      d = static_cast<std::uint32_t>(product0);
      k0 += kPhiloxWeyl0;
      k1 += kPhiloxWeyl1;
    }
    w0[i] = a;
    w1[i] = b;
    w2[i] = c;
    w3[i] = d;
  }
}

DIGITVAE_MULTIVERSION void normal_batch(const WordBatch& batch, std::size_t count, NormalBatch& out) {
  for (std::size_t pair = 0; pair < 2; ++pair) {
    const std::uint32_t* const radius_words = batch.words[2 * pair].data();
    const std::uint32_t* const angle_words = batch.words[2 * pair + 1].data();
    float* const first = out.normals[2 * pair].data();
    float* const second = out.normals[2 * pair + 1].data();
    for (std::size_t i = 0; i < count; ++i) {
      const NormalPair normals = box_muller(radius_words[i], angle_words[i]);
      first[i] = static_cast<float>(normals.first);
      second[i] = static_cast<float>(normals.second);
    }
  }
}

}  // namespace

float mixture_uniform(std::uint64_t seed, std::uint64_t index) {
  const PhiloxCounter words =
      philox4x32_10({0, static_cast<std::uint32_t>(Stream::kMixture), static_cast<std::uint32_t>(index),
                     static_cast<std::uint32_t>(index >> 32)},
                    {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return static_cast<float>(words[0] >> 8) * 0x1p-24F;
}

double uniform_from_word(std::uint32_t word) { return uniform(word); }

NormalPair normals_from_words(std::uint32_t radius_word, std::uint32_t angle_word) {
  return box_muller(radius_word, angle_word);
}

void fill_standard_normal(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                          float* out) {
  fill_standard_normal(seed, stream, first, count, dim, dim, out);
}

void fill_standard_normal(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                          std::size_t stride, float* out) {
  const std::size_t blocks_per_row = (dim + 3) / 4;
  const std::size_t total_blocks = count * blocks_per_row;
  const auto key0 = static_cast<std::uint32_t>(seed);
  const auto key1 = static_cast<std::uint32_t>(seed >> 32);
  WordBatch words;
  NormalBatch normals;
  std::size_t row = 0;
  std::size_t block = 0;
  for (std::size_t done = 0; done < total_blocks; done += kBatch) {
    const std::size_t batch = std::min(kBatch, total_blocks - done);
    const std::size_t padded = (batch + kLanes - 1) / kLanes * kLanes;
    const std::size_t start_row = row;
    const std::size_t start_block = block;
    for (std::size_t i = 0; i < padded; ++i) {
      const std::uint64_t index = first + row;
      words.words[0][i] = static_cast<std::uint32_t>(block);
      words.words[1][i] = static_cast<std::uint32_t>(stream);
      words.words[2][i] = static_cast<std::uint32_t>(index);
      words.words[3][i] = static_cast<std::uint32_t>(index >> 32);
      if (++block == blocks_per_row) {
        block = 0;
        ++row;
      }
    }
    philox_batch(words, padded, key0, key1);
    normal_batch(words, padded, normals);
    row = start_row;
    block = start_block;
    for (std::size_t i = 0; i < batch; ++i) {
      float* const target = out + row * stride + 4 * block;
      const std::size_t width = std::min<std::size_t>(4, dim - 4 * block);
      for (std::size_t j = 0; j < width; ++j) target[j] = normals.normals[j][i];
      if (++block == blocks_per_row) {
        block = 0;
        ++row;
      }
    }
  }
}

}  // namespace digitvae
