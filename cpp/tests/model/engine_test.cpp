#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "kernels/pixels.hpp"
#include "model/decoder.hpp"
#include "model/encoder.hpp"
#include "random/latents.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

namespace {

constexpr std::size_t kPixels = 784;
constexpr std::size_t kDim = 40;

const Decoder& decoder() {
  static const Decoder instance = [] {
    const std::string model = read_model("decoder.onnx");
    return Decoder(open_runtime(), model.data(), model.size());
  }();
  return instance;
}

const Encoder& encoder() {
  static const Encoder instance = [] {
    const std::string model = read_model("encoder.onnx");
    return Encoder(open_runtime(), model.data(), model.size());
  }();
  return instance;
}

LatentSource source_of(std::uint64_t seed) {
  LatentSource source;
  source.seed = seed;
  return source;
}

const Mixture& mixture() {
  static const Mixture instance = [] {
    const std::string model = read_test_prior();
    return Mixture(open_runtime(), model.data(), model.size());
  }();
  return instance;
}

LatentSource labelled(std::uint64_t seed, std::vector<std::int32_t> digits, float truncation = 1.0F) {
  return {seed, &mixture(), std::move(digits), truncation};
}

// Latents and labels of a source.
struct Latents {
  std::vector<float> z;
  std::vector<std::int32_t> labels;
};

Latents latents(const LatentSource& source, std::uint64_t first, std::size_t count) {
  Latents result{std::vector<float>(count * kDim), std::vector<std::int32_t>(count, -7)};
  std::int32_t* const labels = source.mixture == nullptr ? nullptr : result.labels.data();
  decoder().latents(source, first, count, result.z.data(), labels, 2, {});
  return result;
}

template <typename Pixel>
std::vector<Pixel> sample(std::uint64_t seed, std::uint64_t first, std::size_t count, unsigned threads = 1) {
  std::vector<Pixel> images(count * kPixels);
  decoder().sample(source_of(seed), first, count, images.data(), nullptr, threads, {});
  return images;
}

}  // namespace

TEST_CASE("a number in a message has the digits that tell it from the limits") {
  CHECK(text_of(0.5, 0.0, 1.0) == "0.5");
  CHECK(text_of(-1.0 / 3.0, 0.0, 1.0) == "-0.333333");
  CHECK(text_of(std::nextafter(1000.0, 2000.0), -1000.0, 1000.0) == "1000.0000000000001");
  CHECK(text_of(std::nextafter(-1000.0, -2000.0), -1000.0, 1000.0) == "-1000.0000000000001");
  CHECK(text_of(-std::numeric_limits<double>::quiet_NaN(), 0.0, 1.0) == "nan");
  CHECK(text_of(-std::numeric_limits<double>::infinity(), 0.0, 1.0) == "-inf");
}

TEST_CASE("a decoder knows its dimensions after the model's bytes are gone") {
  CHECK(decoder().info().latent_dim == kDim);
  CHECK(decoder().info().pixels() == kPixels);
  CHECK(decoder().info().dataset == "mnist");
}

TEST_CASE("an encoder is not a decoder, and the other way round") {
  const std::string decoder_model = read_model("decoder.onnx");
  const std::string encoder_model = read_model("encoder.onnx");
  CHECK_THROWS_AS(Encoder(open_runtime(), decoder_model.data(), decoder_model.size()), ModelError);
  CHECK_THROWS_WITH(Decoder(open_runtime(), encoder_model.data(), encoder_model.size()),
                    Catch::Contains("x float32 [batch, 784]") && Catch::Contains("expected z float32 [batch, 40]"));
}

TEST_CASE("samples are the same bits for any threads and any cut of the range", "[large]") {
  const std::vector<float> whole = sample<float>(9, 0, 300);
  for (const unsigned threads : {2U, 3U, 0U}) CHECK(sample<float>(9, 0, 300, threads) == whole);
  for (const std::size_t first : {0U, 1U, 63U, 64U, 65U, 127U, 128U, 129U, 299U}) {
    for (const std::size_t count : {1U, 2U, 64U, 170U}) {
      if (first + count > 300) continue;
      const std::vector<float> part = sample<float>(9, first, count, 2);
      REQUIRE(std::memcmp(part.data(), whole.data() + first * kPixels, part.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("samples at the end of the index range are made, and beyond it refused") {
  constexpr std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  const std::vector<float> end = sample<float>(1, last - 70, 71);
  const std::vector<float> one = sample<float>(1, last, 1);
  CHECK(std::memcmp(one.data(), end.data() + 70 * kPixels, kPixels * sizeof(float)) == 0);
  CHECK_THROWS_AS(sample<float>(1, last, 2), InvalidArgument);
}

TEST_CASE("uint8 samples are the rounded float samples, and samples are decoded latents") {
  const std::size_t count = 130;
  const std::vector<float> x = sample<float>(5, 64, count);
  std::vector<std::uint8_t> rounded(x.size());
  pixels_from_intensities(x.data(), x.size(), rounded.data());
  CHECK(sample<std::uint8_t>(5, 64, count) == rounded);

  std::vector<float> z(count * kDim);
  fill_standard_normal(5, Stream::kLatent, 64, count, kDim, z.data());
  std::vector<float> decoded(count * kPixels);
  decoder().decode(z.data(), count, decoded.data(), 2, {});
  CHECK(decoded == x);
  for (const float value : x) REQUIRE((value >= 0.0F && value <= 1.0F));
}

TEST_CASE("digits are taken in turn by the absolute index, for any cut and any truncation") {
  const std::vector<std::int32_t> digits{3, 0, 9, 3, 7};
  for (const float truncation : {1.0F, 0.6F}) {
    const LatentSource source = labelled(4, digits, truncation);
    const Latents whole = latents(source, 0, 300);
    for (std::size_t i = 0; i < 300; ++i) REQUIRE(whole.labels[i] == digits[i % digits.size()]);
    std::vector<std::uint8_t> images(300 * kPixels);
    decoder().sample(source, 0, 300, images.data(), nullptr, 2, {});
    for (const std::size_t first : {1U, 4U, 127U, 128U, 130U}) {
      for (const std::size_t count : {1U, 3U, 140U}) {
        const Latents part = latents(source, first, count);
        REQUIRE(std::memcmp(part.z.data(), whole.z.data() + first * kDim, part.z.size() * sizeof(float)) == 0);
        REQUIRE(std::equal(part.labels.begin(), part.labels.end(), whole.labels.begin() + first));
        std::vector<std::uint8_t> some(count * kPixels);
        decoder().sample(source, first, count, some.data(), nullptr, 1, {});
        REQUIRE(std::memcmp(some.data(), images.data() + first * kPixels, some.size()) == 0);
      }
    }
  }
  constexpr std::uint64_t kLate = std::numeric_limits<std::uint64_t>::max() - 200;
  const Latents end = latents(labelled(4, digits), kLate, 201);
  for (std::size_t i = 0; i < 201; ++i) REQUIRE(end.labels[i] == digits[(kLate + i) % digits.size()]);
}

TEST_CASE("truncation multiplies the noise, of N(0, I) and of a mixture, and 1 changes no bit") {
  LatentSource standard = source_of(8);
  const Latents all = latents(standard, 60, 200);
  standard.truncation = 0.3F;
  const Latents some = latents(standard, 60, 200);
  for (std::size_t i = 0; i < all.z.size(); ++i) REQUIRE(some.z[i] == all.z[i] * 0.3F);

  const Latents plain = latents(labelled(8, {}), 60, 200);
  CHECK(latents(labelled(8, {}, 1.0F), 60, 200).z == plain.z);
  const Latents half = latents(labelled(8, {}, 0.5F), 60, 200);
  const Latents means = latents(labelled(8, {}, 0.0F), 60, 200);
  CHECK(half.labels == plain.labels);
  for (std::size_t i = 0; i < plain.z.size(); ++i) {
    REQUIRE(std::abs(half.z[i] - 0.5F * (plain.z[i] + means.z[i])) < 1e-5F);
  }
}

TEST_CASE("without noise there are only the means of the components, whatever the seed") {
  const auto distinct = [](std::uint64_t seed) {
    const Latents means = latents(labelled(seed, {6}, 0.0F), 0, 100);
    std::set<std::vector<float>> rows;
    for (std::size_t i = 0; i < 100; ++i) {
      const auto row = means.z.begin() + static_cast<std::ptrdiff_t>(i * kDim);
      rows.emplace(row, row + kDim);
    }
    return rows;
  };
  CHECK(distinct(1).size() == 2);  // as many components as the prior of the tests has for a class
  CHECK(distinct(1) == distinct(2));
}

TEST_CASE("digits that there are not, and truncations out of range, are refused before any work") {
  std::vector<float> z(kDim, 5.0F);
  const auto refuses = [&](const LatentSource& source, const char* why) {
    CHECK_THROWS_MATCHES(decoder().latents(source, 0, 1, z.data(), nullptr, 1, {}), InvalidArgument,
                         Catch::Predicate<InvalidArgument>(
                             [&](const InvalidArgument& error) { return std::string(error.what()) == why; }));
    CHECK(z == std::vector<float>(kDim, 5.0F));
  };
  refuses(labelled(0, {1, 10}), "digit is 10, expected 0 to 9");
  refuses(labelled(0, {1, -1}), "digit is -1, expected 0 to 9");
  refuses(labelled(0, {1}, -0.5F), "truncation is -0.5, expected 0 to 1");
  LatentSource standard = source_of(0);
  standard.truncation = std::nextafter(1.0F, 2.0F);
  refuses(standard, "truncation is 1.0000001, expected 0 to 1");
  standard.truncation = -0x1p-23F;
  refuses(standard, "truncation is -1.19209e-07, expected 0 to 1");
  standard.truncation = std::numeric_limits<float>::quiet_NaN();
  refuses(standard, "truncation is nan, expected 0 to 1");
  standard.truncation = -standard.truncation;
  refuses(standard, "truncation is nan, expected 0 to 1");
}

TEST_CASE("nothing beyond the requested images is written") {
  std::vector<float> images(3 * kPixels, -7.0F);
  decoder().sample(source_of(0), kTileRows - 1, 2, images.data(), nullptr, 1, {});
  CHECK(images[2 * kPixels - 1] >= 0.0F);
  for (std::size_t i = 2 * kPixels; i < images.size(); ++i) REQUIRE(images[i] == -7.0F);
}

TEST_CASE("latents that are not finite are refused before anything is written") {
  std::vector<float> z(200 * kDim, 0.0F);
  z[150 * kDim + 7] = std::numeric_limits<float>::quiet_NaN();
  z[160 * kDim] = std::numeric_limits<float>::infinity();
  std::vector<std::uint8_t> images(200 * kPixels, 3);
  CHECK_THROWS_WITH(decoder().decode(z.data(), 200, images.data(), 2, {}), Catch::Contains("row 150, column 7 is nan"));
  for (const std::uint8_t pixel : images) REQUIRE(pixel == 3);
}

TEST_CASE("huge latents give intensities in [0, 1], up to the limit, and are refused beyond it") {
  for (const float magnitude : {1e4F, 1e15F, kMaxLatent}) {
    std::vector<float> z(kDim, magnitude);
    z[3] = -magnitude;
    std::vector<float> image(kPixels);
    decoder().decode(z.data(), 1, image.data(), 1, {});
    for (const float value : image) REQUIRE((value >= 0.0F && value <= 1.0F));
  }
  std::vector<float> z(kDim, std::nextafter(kMaxLatent, std::numeric_limits<float>::infinity()));
  std::vector<float> image(kPixels);
  CHECK_THROWS_AS(decoder().decode(z.data(), 1, image.data(), 1, {}), InvalidArgument);
}

TEST_CASE("encoding bytes is encoding their intensities, for any threads and batch", "[large]") {
  const std::vector<std::uint8_t> images = sample<std::uint8_t>(2, 0, 130);
  std::vector<float> x(images.size());
  intensities_from_pixels(images.data(), images.size(), x.data());
  std::vector<float> mu(130 * kDim);
  std::vector<float> logvar(130 * kDim);
  encoder().encode(images.data(), 130, mu.data(), logvar.data(), 1, {});
  std::vector<float> mu2(130 * kDim);
  std::vector<float> logvar2(130 * kDim);
  encoder().encode(x.data(), 130, mu2.data(), logvar2.data(), 2, {});
  CHECK(mu2 == mu);
  CHECK(logvar2 == logvar);
  encoder().encode(x.data(), 65, mu2.data(), logvar2.data(), 1, {});
  CHECK(std::memcmp(mu2.data(), mu.data(), 65 * kDim * sizeof(float)) == 0);
}

TEST_CASE("images outside [0, 1] are refused with their row") {
  std::vector<float> x(70 * kPixels, 0.5F);
  x[66 * kPixels + 3] = 255.0F;
  std::vector<float> mu(70 * kDim);
  std::vector<float> logvar(70 * kDim);
  CHECK_THROWS_WITH(encoder().encode(x.data(), 70, mu.data(), logvar.data(), 1, {}),
                    Catch::Contains("row 66, column 3 is 255"));
}

TEST_CASE("one decoder serves many threads at once", "[large]") {
  const std::vector<std::uint8_t> expected = sample<std::uint8_t>(4, 0, 200);
  std::vector<std::vector<std::uint8_t>> results(8);
  std::vector<std::thread> callers;
  for (std::vector<std::uint8_t>& result : results) {
    callers.emplace_back([&result] { result = sample<std::uint8_t>(4, 0, 200, 2); });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::vector<std::uint8_t>& result : results) CHECK(result == expected);
}

TEST_CASE("a poll cancels a long run", "[large]") {
  std::vector<std::uint8_t> images(100'000 * kPixels);
  CHECK_THROWS_AS(decoder().sample(source_of(0), 0, 100'000, images.data(), nullptr, 2,
                                   [](std::size_t, std::size_t) { return true; }),
                  Cancelled);
}
