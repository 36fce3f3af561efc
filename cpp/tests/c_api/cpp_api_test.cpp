// digitvae.hpp: the same answers as the C ABI, as C++ values and exceptions.
#include <catch2/catch.hpp>
#include <digitvae/digitvae.hpp>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support.hpp"

using namespace digitvae::testing;

namespace {

const dvae::Decoder& decoder() {
  static const dvae::Decoder opened(model_path("decoder.onnx"));
  return opened;
}

dvae::SampleOptions from(std::uint64_t seed, std::uint64_t first = 0) {
  dvae::SampleOptions options;
  options.seed = seed;
  options.first = first;
  return options;
}

std::vector<float> corners() { return decoder().latents(4); }

}  // namespace

static_assert(!std::is_copy_constructible_v<dvae::Decoder>);
static_assert(std::is_nothrow_move_constructible_v<dvae::Decoder>);

TEST_CASE("C++: a decoder opens from file or memory, moves, and says what it is") {
  const std::string model = read_model("decoder.onnx");
  dvae::Decoder opened(model.data(), model.size());
  const dvae::Decoder moved(std::move(opened));
  CHECK(moved.info().latent_dim == 40);
  CHECK(moved.info().pixels() == 784);
  CHECK(moved.info().dataset == "mnist");
  CHECK(moved.metadata("digitvae.schema") == "digitvae-bundle/1");
  CHECK(moved.metadata("digitvae.nothing", "none") == "none");
  CHECK(moved.sample<std::uint8_t>(3) == decoder().sample<std::uint8_t>(3));
  CHECK(dvae::version() == "1.0.0");
}

TEST_CASE("C++: failures are exceptions with the status and the library's words") {
  try {
    const dvae::Decoder missing("/nonexistent/decoder.onnx");
    FAIL("it opened");
  } catch (const dvae::Error& error) {
    CHECK(error.status() == DVAE_IO_ERROR);
    CHECK_THAT(error.what(), Catch::Contains("/nonexistent/decoder.onnx"));
  }
  dvae::OpenOptions options;
  options.ort_library = "/nonexistent/libonnxruntime.so";
  CHECK_THROWS_WITH(dvae::Decoder(model_path("decoder.onnx"), options), Catch::Contains(options.ort_library));
  CHECK_THROWS_AS(decoder().sample<float>(0), dvae::Error);
  CHECK_THROWS_AS(decoder().decode<float>(std::vector<float>(41)), dvae::Error);
  CHECK_THROWS_AS(decoder().decode<float>({}), dvae::Error);
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_WITH(decoder().sample<std::uint8_t>(kHuge / 2), Catch::Contains("more than memory can be addressed"));
  CHECK_THROWS_WITH(decoder().latents(kHuge / 2), Catch::Contains("more than memory can be addressed"));
  CHECK_THROWS_WITH(dvae::grid(std::vector<float>(4), kHuge, kHuge), Catch::Contains("more than memory"));
  CHECK_THROWS_WITH(dvae::Decoder(std::string("a\0b", 3)), Catch::Contains("zero byte"));
  CHECK_THROWS_AS(dvae::grid(std::vector<float>(5), 2, 2), dvae::Error);
  CHECK_THROWS_AS(dvae::interpolate({1.0F}, {1.0F, 2.0F}, 1, 3), dvae::Error);
}

TEST_CASE("C++: samples are the C ABI's, decoded latents are samples, posteriors have their shape") {
  std::vector<std::uint8_t> images(5 * 784);
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  options.seed = 6;
  options.first = 62;
  REQUIRE(dvae_sample_u8(decoder().get(), &options, 5, images.data(), images.size(), nullptr) == DVAE_OK);
  CHECK(decoder().sample<std::uint8_t>(5, from(6, 62)) == images);
  const std::vector<float> z = decoder().latents(5, from(6, 62));
  CHECK(decoder().decode<std::uint8_t>(z) == images);
  CHECK(decoder().decode<float>(z) == decoder().sample<float>(5, from(6, 62)));
  const dvae::Encoder encoder(model_path("encoder.onnx"));
  const dvae::Posterior posterior = encoder.encode(images);
  std::vector<float> mu(5 * 40);
  std::vector<float> logvar(5 * 40);
  REQUIRE(dvae_encode_u8(encoder.get(), images.data(), 5, mu.data(), logvar.data(), mu.size() * 4, nullptr) == DVAE_OK);
  CHECK(posterior.mu == mu);
  CHECK(posterior.logvar == logvar);
}

TEST_CASE("C++: a prior gives labelled samples") {
  const std::string model = read_test_prior();
  const dvae::Prior prior(model.data(), model.size());
  CHECK(prior.info().labels == 10);
  dvae::SampleOptions options = from(1);
  options.prior = &prior;
  options.digit = 4;
  const dvae::Labelled<std::uint8_t> fours = decoder().sample_labelled<std::uint8_t>(20, options);
  CHECK(fours.labels == std::vector<std::int32_t>(20, 4));
  CHECK(fours.values == decoder().sample<std::uint8_t>(20, options));
  dvae::SampleOptions without_noise = options;
  without_noise.truncation = 0.0F;
  CHECK(decoder().sample<std::uint8_t>(20, without_noise) != fours.values);
  const std::vector<float> means = decoder().latents(20, without_noise);
  without_noise.prior = nullptr;
  without_noise.digit = -1;
  CHECK(decoder().latents(20, without_noise) == std::vector<float>(20 * 40, 0.0F));
  CHECK(means != std::vector<float>(20 * 40, 0.0F));
  dvae::Prior moved_from(model.data(), model.size());
  const dvae::Prior moved_to(std::move(moved_from));
  options.prior = &moved_from;  // NOLINT: looking at it is the point
  CHECK_THROWS_WITH(decoder().sample<std::uint8_t>(1, options), Catch::Contains("moved"));
}

TEST_CASE("C++: a stream hands over all samples, and its consumer can stop it") {
  std::vector<float> all;
  decoder().stream<float>(
      150,
      [&](std::uint64_t first, std::size_t rows, const float* images, const std::int32_t* labels) {
        CHECK(first == all.size() / 784);
        CHECK(labels == nullptr);
        all.insert(all.end(), images, images + rows * 784);
        return false;
      },
      from(3), 64);
  CHECK(all == decoder().sample<float>(150, from(3)));
  const auto stop = [](std::uint64_t, std::size_t, const std::uint8_t*, const std::int32_t*) { return true; };
  try {
    decoder().stream<std::uint8_t>(150, stop);
    FAIL("it went on");
  } catch (const dvae::Error& error) {
    CHECK(error.status() == DVAE_CANCELLED);
  }
}

TEST_CASE("C++: what a callback throws comes out unharmed") {
  const auto thrower = [](std::uint64_t, std::size_t, const float*, const std::int32_t*) -> bool {
    throw std::out_of_range("mine");
  };
  CHECK_THROWS_AS(decoder().stream<float>(10, thrower), std::out_of_range);
  dvae::SampleOptions options = from(0);
  options.progress = [](std::uint64_t, std::uint64_t) -> bool { throw std::length_error("mine"); };
  CHECK_THROWS_AS(decoder().sample<std::uint8_t>(20000, options), std::length_error);
  dvae::RunOptions run;
  run.progress = [](std::uint64_t, std::uint64_t) -> bool { throw std::length_error("mine"); };
  CHECK_THROWS_AS(decoder().decode<std::uint8_t>(corners(), run), std::length_error);
}

TEST_CASE("C++: paths and grids") {
  const std::vector<float> z = corners();
  const std::vector<float> grid = dvae::grid(z, 2, 2);
  CHECK(grid == z);
  const std::vector<float> a(z.begin(), z.begin() + 40);
  const std::vector<float> b(z.begin() + 40, z.begin() + 80);
  for (const auto& [method, number] :
       {std::pair(dvae::Interpolation::kLerp, DVAE_LERP), std::pair(dvae::Interpolation::kSlerp, DVAE_SLERP)}) {
    std::vector<float> path(3 * 40);
    REQUIRE(dvae_interpolate(a.data(), b.data(), 1, 40, 3, number, path.data(), path.size() * 4, nullptr) == DVAE_OK);
    CHECK(dvae::interpolate(a, b, 40, 3, method) == path);
  }
  CHECK(dvae::interpolate(a, b, 40, 3, dvae::Interpolation::kSlerp) != dvae::interpolate(a, b, 40, 3));
  std::vector<float> oblong(2 * 3 * 40);
  REQUIRE(dvae_grid(z.data(), 40, 2, 3, oblong.data(), oblong.size() * 4, nullptr) == DVAE_OK);
  CHECK(dvae::grid(z, 2, 3) == oblong);
  CHECK(dvae::grid_point(z, 1.0, 0.0) == b);
}
