// The C ABI: latents, images, streams, decoding, encoding, paths; and what it refuses.
#include <digitvae/digitvae.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "model/encoder.hpp"
#include "support.hpp"

using namespace digitvae::testing;

namespace {

constexpr std::size_t kPixels = 784;
constexpr std::size_t kDim = 40;
constexpr std::size_t kMany = 100'000;  // which take many times as long as the time between reports
constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();

template <typename Handle>
using Owned = std::unique_ptr<Handle, void (*)(Handle*)>;

Owned<dvae_decoder> open_decoder(const std::string& model) {
  dvae_decoder* handle = nullptr;
  REQUIRE(dvae_decoder_open_memory(model.data(), model.size(), nullptr, &handle) == DVAE_OK);
  return {handle, dvae_decoder_close};
}

const dvae_decoder* decoder() {
  static const Owned<dvae_decoder> opened = open_decoder(read_model("decoder.onnx"));
  return opened.get();
}

const dvae_encoder* encoder() {
  static const Owned<dvae_encoder> opened = [] {
    dvae_encoder* handle = nullptr;
    REQUIRE(dvae_encoder_open(model_path("encoder.onnx").c_str(), nullptr, &handle) == DVAE_OK);
    return Owned<dvae_encoder>(handle, dvae_encoder_close);
  }();
  return opened.get();
}

const dvae_prior* prior() {
  static const Owned<dvae_prior> opened = [] {
    const std::string model = read_test_prior();
    dvae_prior* handle = nullptr;
    REQUIRE(dvae_prior_open_memory(model.data(), model.size(), nullptr, &handle) == DVAE_OK);
    return Owned<dvae_prior>(handle, dvae_prior_close);
  }();
  return opened.get();
}

dvae_sample_options options_of(std::uint64_t seed, std::uint64_t first = 0, const dvae_prior* mixture = nullptr,
                               std::int32_t digit = -1) {
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  options.seed = seed;
  options.first = first;
  options.prior = mixture;
  options.digit = digit;
  return options;
}

std::vector<std::uint8_t> sample(const dvae_sample_options& options, std::size_t count,
                                 std::int32_t* labels = nullptr) {
  std::vector<std::uint8_t> images(count * kPixels);
  REQUIRE(dvae_sample_u8(decoder(), &options, count, images.data(), images.size(), labels) == DVAE_OK);
  return images;
}

std::vector<float> latents(const dvae_sample_options& options, std::size_t count, std::int32_t* labels = nullptr) {
  std::vector<float> z(count * kDim);
  REQUIRE(dvae_latents(decoder(), &options, count, z.data(), z.size() * sizeof(float), labels) == DVAE_OK);
  return z;
}

template <typename T>
bool is_part(const std::vector<T>& part, const std::vector<T>& whole, std::size_t offset) {
  return std::memcmp(part.data(), whole.data() + offset, part.size() * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("C: samples are decoded latents, the same for every cut of the range, count and threads", "[large]") {
  const dvae_sample_options options = options_of(7);
  const std::vector<std::uint8_t> whole = sample(options, 200);
  const std::vector<float> z = latents(options, 200);
  std::vector<std::uint8_t> decoded(whole.size());
  REQUIRE(dvae_decode_u8(decoder(), z.data(), 200, decoded.data(), decoded.size(), nullptr) == DVAE_OK);
  CHECK(decoded == whole);
  for (const std::size_t first : {0U, 1U, 7U, 63U, 64U, 130U}) {
    for (const std::size_t count : {1U, 2U, 8U, 9U, 64U, 70U}) {  // every shape of a run, alone and mixed
      dvae_sample_options part = options_of(7, first);
      part.threads = static_cast<std::uint32_t>(count % 3);
      REQUIRE(is_part(sample(part, count), whole, first * kPixels));
      REQUIRE(is_part(latents(part, count), z, first * kDim));
    }
  }
}

TEST_CASE("C: null options are seed 0, from 0, of N(0, I)") {
  std::vector<std::uint8_t> images(3 * kPixels);
  REQUIRE(dvae_sample_u8(decoder(), nullptr, 3, images.data(), images.size(), nullptr) == DVAE_OK);
  CHECK(images == sample(options_of(0), 3));
}

TEST_CASE("C: float32 samples round to the uint8 ones") {
  const dvae_sample_options options = options_of(3, 60);
  std::vector<float> x(10 * kPixels);
  REQUIRE(dvae_sample_f32(decoder(), &options, 10, x.data(), x.size() * sizeof(float), nullptr) == DVAE_OK);
  const std::vector<std::uint8_t> images = sample(options, 10);
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(static_cast<std::uint8_t>(std::nearbyint(x[i] * 255.0F)) == images[i]);
  }
}

TEST_CASE("C: a mixture gives labels, keeps to the digit asked for, and is the same for every cut", "[large]") {
  std::vector<std::int32_t> labels(300, -7);
  const std::vector<float> z = latents(options_of(5, 0, prior()), 300, labels.data());
  const std::vector<std::uint8_t> whole = sample(options_of(5, 0, prior()), 300);
  std::vector<bool> seen(10, false);
  for (const std::int32_t label : labels) {
    REQUIRE((label >= 0 && label < 10));
    seen[static_cast<std::size_t>(label)] = true;
  }
  CHECK(seen == std::vector<bool>(10, true));
  for (const std::size_t first : {0U, 1U, 63U, 100U}) {
    for (const std::size_t count : {1U, 5U, 65U}) {
      std::vector<std::int32_t> part_labels(count, -7);
      REQUIRE(is_part(sample(options_of(5, first, prior()), count, part_labels.data()), whole, first * kPixels));
      REQUIRE(is_part(part_labels, labels, first));
      REQUIRE(is_part(latents(options_of(5, first, prior()), count), z, first * kDim));
    }
  }
  for (std::int32_t digit = 0; digit < 10; ++digit) {
    std::vector<std::int32_t> only(70, -7);
    const std::vector<float> of_digit = latents(options_of(5, 0, prior(), digit), 70, only.data());
    CHECK(only == std::vector<std::int32_t>(70, digit));
    CHECK_FALSE(is_part(of_digit, z, 0));
  }
}

TEST_CASE("C: truncation multiplies the noise, and a program of the first version has none of it") {
  dvae_sample_options options = options_of(5, 3);
  const std::vector<float> all = latents(options, 70);
  options.truncation = 0.25F;
  const std::vector<float> quarter = latents(options, 70);
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(quarter[i] == 0.25F * all[i]);
  options.truncation = 0.0F;  // which lies beyond the struct that such a program has
  options.reserved = 7;
  options.struct_size = offsetof(dvae_sample_options, truncation);
  CHECK(latents(options, 70) == all);
  options.struct_size -= 8;
  std::vector<float> z(kDim);
  CHECK(dvae_latents(decoder(), &options, 1, z.data(), z.size() * sizeof(float), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("struct_size of dvae_sample_options is 48, expected 64"));
  options = options_of(5, 3);
  options.reserved = 7;
  CHECK(dvae_latents(decoder(), &options, 1, z.data(), z.size() * sizeof(float), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("reserved is not 0"));
}

TEST_CASE("C: a prior tells its labels and knows no images") {
  dvae_info info = DVAE_INFO_INIT;
  REQUIRE(dvae_prior_info(prior(), &info) == DVAE_OK);
  CHECK(info.labels == 10);
  CHECK(info.latent_dim == kDim);
  CHECK(info.height == 0);
}

TEST_CASE("C: digits, labels and priors that do not fit are refused, with nothing written") {
  std::vector<std::uint8_t> images(kPixels, 9);
  std::int32_t label = 77;
  const auto refuses = [&](const dvae_decoder* with, const dvae_sample_options& options, std::int32_t* labels,
                           const char* why) {
    std::fill(images.begin(), images.end(), std::uint8_t{9});
    CHECK(dvae_sample_u8(with, &options, 1, images.data(), images.size(), labels) == DVAE_INVALID_ARGUMENT);
    CHECK_THAT(dvae_last_error(), Catch::Contains(why));
    CHECK(images == std::vector<std::uint8_t>(kPixels, 9));
    CHECK(label == 77);
  };
  refuses(decoder(), options_of(0, 0, nullptr, 3), nullptr, "no prior is given");
  refuses(decoder(), options_of(0), &label, "no prior is given");
  refuses(decoder(), options_of(0, 0, prior(), 10), &label, "expected 0 to 9");
  refuses(decoder(), options_of(0, 0, prior(), -2), &label, "digit is -2");
  for (const float truncation : {-0.1F, 1.1F, std::numeric_limits<float>::quiet_NaN()}) {
    dvae_sample_options options = options_of(0, 0, prior());
    options.truncation = truncation;
    refuses(decoder(), options, &label, "expected 0 to 1");
  }
  const Owned<dvae_decoder> other = open_decoder(read_corpus("decoder_other_dims.onnx"));
  refuses(other.get(), options_of(0, 0, prior()), &label, "does not fit the decoder");
}

TEST_CASE("C: a prior that computes nonsense is a model error, and its output is zeros") {
  for (const char* name : {"prior_wrong_label.onnx", "prior_not_a_number.onnx"}) {
    INFO(name);
    const std::string model = read_corpus(name);
    dvae_prior* handle = nullptr;
    REQUIRE(dvae_prior_open_memory(model.data(), model.size(), nullptr, &handle) == DVAE_OK);
    const Owned<dvae_prior> wrong(handle, dvae_prior_close);
    const dvae_sample_options options = options_of(0, 0, wrong.get());
    std::vector<std::uint8_t> images(3 * kPixels, 9);
    std::vector<std::int32_t> labels(3, 77);
    CHECK(dvae_sample_u8(decoder(), &options, 3, images.data(), images.size(), labels.data()) == DVAE_MODEL_ERROR);
    CHECK(images == std::vector<std::uint8_t>(3 * kPixels, 0));
    CHECK(labels == std::vector<std::int32_t>(3, 0));
  }
}

TEST_CASE("C: a decoder that leaves [0, 1] is a model error, and its output is zeros") {
  const Owned<dvae_decoder> wrong = open_decoder(read_corpus("decoder_out_of_range.onnx"));
  dvae_info info = DVAE_INFO_INIT;
  REQUIRE(dvae_decoder_info(wrong.get(), &info) == DVAE_OK);
  std::vector<float> images(100 * info.height * info.width, 9.0F);
  CHECK(dvae_sample_f32(wrong.get(), nullptr, 100, images.data(), images.size() * sizeof(float), nullptr) ==
        DVAE_MODEL_ERROR);
  CHECK_THAT(dvae_last_error(), Catch::Contains("expected 0 to 1"));
  CHECK(images == std::vector<float>(images.size(), 0.0F));
}

TEST_CASE("C: counts and buffers that cannot be are refused before anything is written") {
  std::vector<std::uint8_t> images(2 * kPixels, 9);
  std::vector<float> z(2 * kDim, 0.0F);
  const auto untouched = [&] { return images == std::vector<std::uint8_t>(2 * kPixels, 9); };
  for (const std::size_t count : {std::size_t{0}, std::size_t{3}, kHuge, kHuge / kPixels, kHuge / 2, kHuge / 4 + 1}) {
    INFO(count);
    CHECK(dvae_sample_u8(decoder(), nullptr, count, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
    CHECK(dvae_decode_u8(decoder(), z.data(), count, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
    CHECK(dvae_encode_u8(encoder(), images.data(), count, z.data(), z.data(), z.size() * 4, nullptr) ==
          DVAE_INVALID_ARGUMENT);
    CHECK(dvae_latents(decoder(), nullptr, count, z.data(), z.size() * 4, nullptr) == DVAE_INVALID_ARGUMENT);
    CHECK(dvae_grid(z.data(), 10, count, 2, z.data(), 8, nullptr) == DVAE_INVALID_ARGUMENT);
    CHECK(dvae_grid(z.data(), count, 2, 2, z.data(), 8, nullptr) == DVAE_INVALID_ARGUMENT);
    CHECK(dvae_interpolate(z.data(), z.data(), count, 10, 5, DVAE_LERP, z.data(), 8, nullptr) == DVAE_INVALID_ARGUMENT);
    CHECK(untouched());
  }
  CHECK(dvae_sample_u8(decoder(), nullptr, 2, images.data(), 2 * kPixels - 1, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("has 1567 bytes") && Catch::Contains("at least 1568"));
  CHECK(dvae_sample_u8(decoder(), nullptr, 2, nullptr, images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_sample_u8(nullptr, nullptr, 2, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_decode_u8(decoder(), nullptr, 2, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_encode_u8(encoder(), nullptr, 2, z.data(), z.data(), z.size() * 4, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_encode_u8(encoder(), images.data(), 2, z.data(), nullptr, z.size() * 4, nullptr) == DVAE_INVALID_ARGUMENT);
  dvae_sample_options options = options_of(0, std::numeric_limits<std::uint64_t>::max());
  CHECK(dvae_sample_u8(decoder(), &options, 2, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("2^64"));
  options = options_of(0);
  options.threads = 1025;
  CHECK(dvae_sample_u8(decoder(), &options, 2, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  options.struct_size = 8;
  CHECK(dvae_sample_u8(decoder(), &options, 2, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(untouched());
}

TEST_CASE("C: values that cannot be are refused with their place, and nothing is written") {
  std::vector<float> z(9 * kDim, 0.0F);
  z[8 * kDim + 3] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::uint8_t> images(9 * kPixels, 9);
  CHECK(dvae_decode_u8(decoder(), z.data(), 9, images.data(), images.size(), nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("row 8, column 3 is nan"));
  CHECK(images == std::vector<std::uint8_t>(9 * kPixels, 9));
  std::vector<float> x(kPixels, 1.5F);
  std::vector<float> mu(kDim, 9.0F);
  CHECK(dvae_encode_f32(encoder(), x.data(), 1, mu.data(), z.data(), kDim * 4, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK(mu == std::vector<float>(kDim, 9.0F));
}

TEST_CASE("C: encoding one image is encoding it among others") {
  const std::vector<std::uint8_t> images = sample(options_of(1), 70);
  std::vector<float> mu(70 * kDim);
  std::vector<float> logvar(70 * kDim);
  REQUIRE(dvae_encode_u8(encoder(), images.data(), 70, mu.data(), logvar.data(), mu.size() * 4, nullptr) == DVAE_OK);
  for (const std::size_t row : {0U, 13U, 63U}) {
    std::vector<float> one_mu(kDim);
    std::vector<float> one_logvar(kDim);
    REQUIRE(dvae_encode_u8(encoder(), images.data() + row * kPixels, 1, one_mu.data(), one_logvar.data(), kDim * 4,
                           nullptr) == DVAE_OK);
    CHECK(is_part(one_mu, mu, row * kDim));
    CHECK(is_part(one_logvar, logvar, row * kDim));
  }
}

namespace {

struct Collected {
  std::vector<std::uint8_t> images;
  std::vector<std::size_t> chunks;
  std::vector<std::int32_t> labels;
  std::uint64_t next = 0;
  std::size_t stop_after = kHuge;
};

std::int32_t collect(void* context, std::uint64_t first, std::size_t count, const std::uint8_t* images,
                     const std::int32_t* labels) {
  Collected& all = *static_cast<Collected*>(context);
  if (first != all.next) return -1;
  all.next = first + count;
  all.images.insert(all.images.end(), images, images + count * kPixels);
  if (labels != nullptr) all.labels.insert(all.labels.end(), labels, labels + count);
  all.chunks.push_back(count);
  return all.chunks.size() >= all.stop_after ? 1 : 0;
}

struct Reports {
  std::vector<std::uint64_t> done;
  std::uint64_t total = 0;
  bool cancel = false;
};

std::int32_t report(void* context, std::uint64_t done, std::uint64_t total) {
  Reports& reports = *static_cast<Reports*>(context);
  reports.done.push_back(done);
  reports.total = total;
  return reports.cancel ? 1 : 0;
}

}  // namespace

TEST_CASE("C: a stream hands over the samples in order, whatever the chunk", "[large]") {
  const dvae_sample_options options = options_of(2, 10);
  const std::vector<std::uint8_t> whole = sample(options, 300);
  for (const std::size_t chunk : {0U, 1U, 64U, 100U, 300U, 5000U}) {
    Collected all;
    all.next = 10;
    REQUIRE(dvae_stream_u8(decoder(), &options, 300, chunk, collect, &all) == DVAE_OK);
    CHECK(all.images == whole);
    if (chunk == 100) CHECK(all.chunks == std::vector<std::size_t>{100, 100, 100});
    if (chunk == 64) CHECK(all.chunks == std::vector<std::size_t>{64, 64, 64, 64, 44});
  }
  Collected labelled;
  std::vector<std::int32_t> labels(100);
  const dvae_sample_options mixture = options_of(2, 0, prior());
  CHECK(dvae_stream_u8(decoder(), &mixture, 100, 33, collect, &labelled) == DVAE_OK);
  CHECK(labelled.images == sample(mixture, 100, labels.data()));
  CHECK(labelled.labels == labels);
}

TEST_CASE("C: a stream stops when its callback says so") {
  Collected all;
  all.stop_after = 2;
  CHECK(dvae_stream_u8(decoder(), nullptr, std::numeric_limits<std::uint64_t>::max(), 50, collect, &all) ==
        DVAE_CANCELLED);
  CHECK(all.chunks.size() == 2);
  CHECK_THAT(dvae_last_error(), Catch::Contains("cancelled"));
}

TEST_CASE("C: streams that cannot be are refused") {
  Collected all;
  CHECK(dvae_stream_u8(decoder(), nullptr, 0, 0, collect, &all) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_stream_u8(decoder(), nullptr, 1, 0, nullptr, &all) == DVAE_INVALID_ARGUMENT);
  CHECK(dvae_stream_u8(decoder(), nullptr, kHuge, kHuge, collect, &all) == DVAE_INVALID_ARGUMENT);
  const dvae_sample_options options = options_of(0, 2);
  CHECK(dvae_stream_u8(decoder(), &options, kHuge, 0, collect, &all) == DVAE_INVALID_ARGUMENT);
  CHECK(all.chunks.empty());
}

TEST_CASE("C: progress rises to the total, and can cancel, leaving zeros", "[large]") {
  std::vector<std::uint8_t> images(kMany * kPixels, 9);
  Reports reports;
  dvae_sample_options options = options_of(0);
  options.progress = report;
  options.progress_context = &reports;
  options.threads = 2;
  REQUIRE(dvae_sample_u8(decoder(), &options, kMany, images.data(), images.size(), nullptr) == DVAE_OK);
  REQUIRE(reports.done.size() >= 2);
  CHECK(std::is_sorted(reports.done.begin(), reports.done.end()));
  CHECK(reports.done.front() < kMany);
  CHECK(reports.done.back() == kMany);
  CHECK(reports.total == kMany);

  reports.cancel = true;
  CHECK(dvae_sample_u8(decoder(), &options, kMany, images.data(), images.size(), nullptr) == DVAE_CANCELLED);
  CHECK(images == std::vector<std::uint8_t>(images.size(), 0));

  Collected all;
  CHECK(dvae_stream_u8(decoder(), &options, kMany, kMany, collect, &all) == DVAE_CANCELLED);
  CHECK(all.chunks.empty());

  // A stream reports and can be cancelled also if no chunk takes long enough for a report of its own.
  Reports of_stream;
  options.progress_context = &of_stream;
  CHECK(dvae_stream_u8(decoder(), &options, kMany, 64, collect, &all) == DVAE_OK);
  REQUIRE(of_stream.done.size() >= 2);
  CHECK(std::is_sorted(of_stream.done.begin(), of_stream.done.end()));
  CHECK(of_stream.done.front() < kMany);
  CHECK(of_stream.done.back() == kMany);
  of_stream.cancel = true;
  all = {};
  CHECK(dvae_stream_u8(decoder(), &options, kMany, 64, collect, &all) == DVAE_CANCELLED);
  CHECK(all.chunks.size() < kMany / 64);

  Reports of_decoding;
  dvae_run_options run = DVAE_RUN_OPTIONS_INIT;
  run.progress = report;
  run.progress_context = &of_decoding;
  const std::vector<float> z(kDim, 0.0F);
  CHECK(dvae_decode_u8(decoder(), z.data(), 1, images.data(), images.size(), &run) == DVAE_OK);
  CHECK(of_decoding.done == std::vector<std::uint64_t>{1});
}

// Stops every call at its first report, which comes late enough only if the work takes a while.
std::int32_t stop(void* /*context*/, std::uint64_t done, std::uint64_t total) {
  CHECK(done <= total);
  return 1;
}

template <typename T>
bool all_zero(const std::vector<T>& values) {
  return std::all_of(values.begin(), values.end(), [](T value) { return value == T{0}; });
}

TEST_CASE("C: every call that is cancelled leaves zeros", "[large]") {
  constexpr std::size_t kRows = 30000;
  dvae_run_options run = DVAE_RUN_OPTIONS_INIT;
  run.progress = stop;
  run.threads = 1;
  dvae_sample_options sampling = options_of(0);
  sampling.progress = stop;
  sampling.threads = 1;
  const std::vector<float> z(kRows * kDim, 0.5F);

  std::vector<float> latent_rows(40 * kRows * kDim, 9.0F);
  const std::size_t latent_bytes = latent_rows.size() * sizeof(float);
  CHECK(dvae_latents(decoder(), &sampling, 40 * kRows, latent_rows.data(), latent_bytes, nullptr) == DVAE_CANCELLED);
  CHECK(all_zero(latent_rows));

  std::vector<std::uint8_t> bytes(kRows * kPixels, 9);
  CHECK(dvae_decode_u8(decoder(), z.data(), kRows, bytes.data(), bytes.size(), &run) == DVAE_CANCELLED);
  CHECK(all_zero(bytes));

  std::vector<float> intensities(kRows * kPixels, 9.0F);
  CHECK(dvae_sample_f32(decoder(), &sampling, kRows, intensities.data(), intensities.size() * sizeof(float), nullptr) ==
        DVAE_CANCELLED);
  CHECK(all_zero(intensities));

  std::vector<float> mu(kRows * kDim, 9.0F);
  std::vector<float> logvar(kRows * kDim, 9.0F);
  CHECK(dvae_encode_u8(encoder(), bytes.data(), kRows, mu.data(), logvar.data(), mu.size() * sizeof(float), &run) ==
        DVAE_CANCELLED);
  CHECK(all_zero(mu));
  CHECK(all_zero(logvar));

  std::fill(latent_rows.begin(), latent_rows.end(), 9.0F);
  const float ends[] = {1.0F, 0.0F, 0.0F, 1.0F};  // two dimensions: many points, a sine each
  CHECK(dvae_interpolate(ends, ends + 2, 1, 2, latent_rows.size() / 2, DVAE_SLERP, latent_rows.data(), latent_bytes,
                         &run) == DVAE_CANCELLED);
  CHECK(all_zero(latent_rows));

  std::fill(latent_rows.begin(), latent_rows.end(), 9.0F);
  CHECK(dvae_grid(z.data(), kDim, 40, kRows, latent_rows.data(), latent_bytes, &run) == DVAE_CANCELLED);
  CHECK(all_zero(latent_rows));
}

TEST_CASE("C: at its end a call reports once, and cannot be cancelled any more") {
  constexpr std::size_t kWide = 20000;  // one block of work that takes longer than the time between reports
  constexpr std::size_t kSteps = 1000;
  const std::vector<float> ends(2 * kWide, 0.25F);
  std::vector<float> path(kSteps * kWide);
  Reports reports;
  reports.cancel = true;
  dvae_run_options run = DVAE_RUN_OPTIONS_INIT;
  run.progress = report;
  run.progress_context = &reports;
  CHECK(dvae_interpolate(ends.data(), ends.data() + kWide, 1, kWide, kSteps, DVAE_LERP, path.data(),
                         path.size() * sizeof(float), &run) == DVAE_OK);
  CHECK(reports.done == std::vector<std::uint64_t>{kSteps});
}

// Reports how many threads there were, at most.
std::int32_t count_threads(void* context, std::uint64_t /*done*/, std::uint64_t /*total*/) {
  const auto threads = std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  auto& most = *static_cast<std::ptrdiff_t*>(context);
  most = std::max(most, static_cast<std::ptrdiff_t>(threads));
  return 0;
}

TEST_CASE("C: a call has the threads that were asked for, and they wait with the handle until it is closed",
          "[large]") {
  std::vector<std::uint8_t> images(kMany * kPixels);
  std::ptrdiff_t without = 0;
  dvae_decoder* own = nullptr;
  REQUIRE(dvae_decoder_open(model_path("decoder.onnx").c_str(), nullptr, &own) == DVAE_OK);
  dvae_sample_options alone = options_of(0);
  alone.threads = 1;
  for (int i = 0; i < 20; ++i) {  // until its runs are known to be short: else another thread does the work
    REQUIRE(dvae_sample_u8(own, &alone, 1, images.data(), kPixels, nullptr) == DVAE_OK);
  }
  count_threads(&without, 0, 0);
  const auto threads_after = [&](std::uint32_t threads) {
    std::ptrdiff_t most = 0;
    dvae_sample_options options = options_of(0);
    options.threads = threads;
    options.progress = count_threads;
    options.progress_context = &most;
    REQUIRE(dvae_sample_u8(own, &options, kMany, images.data(), images.size(), nullptr) == DVAE_OK);
    std::ptrdiff_t after = 0;
    count_threads(&after, 0, 0);
    CHECK(after == most);
    return after - without + 1;
  };
  CHECK(threads_after(1) == 1);
  CHECK(threads_after(3) == 3);
  CHECK(threads_after(2) == 3);
  CHECK(threads_after(3) == 3);
  dvae_decoder_close(own);
  std::ptrdiff_t after = 0;
  count_threads(&after, 0, 0);
  CHECK(after == without);
}

TEST_CASE("C: posteriors are those of the core, mean and log-variance each in its place") {
  const std::vector<std::uint8_t> images = sample(options_of(3), 5);
  std::vector<float> intensities(images.size());
  std::transform(images.begin(), images.end(), intensities.begin(),
                 [](std::uint8_t pixel) { return static_cast<float>(pixel) / 255.0F; });
  const std::string model = read_model("encoder.onnx");
  const digitvae::Encoder core(open_runtime(), model.data(), model.size());
  std::vector<float> expected_mu(5 * kDim);
  std::vector<float> expected_logvar(5 * kDim);
  core.encode(images.data(), 5, expected_mu.data(), expected_logvar.data(), 1, {});
  std::vector<float> mu(5 * kDim);
  std::vector<float> logvar(5 * kDim);
  const std::size_t size = mu.size() * sizeof(float);
  REQUIRE(dvae_encode_u8(encoder(), images.data(), 5, mu.data(), logvar.data(), size, nullptr) == DVAE_OK);
  CHECK(mu == expected_mu);
  CHECK(logvar == expected_logvar);
  CHECK(mu != logvar);
  REQUIRE(dvae_encode_f32(encoder(), intensities.data(), 5, mu.data(), logvar.data(), size, nullptr) == DVAE_OK);
  CHECK(mu == expected_mu);
  CHECK(logvar == expected_logvar);
}

TEST_CASE("C: an encoder that computes no number is a model error, and zeros") {
  const std::string model = read_corpus("encoder_not_a_number.onnx");
  dvae_encoder* broken = nullptr;
  REQUIRE(dvae_encoder_open_memory(model.data(), model.size(), nullptr, &broken) == DVAE_OK);
  const std::vector<std::uint8_t> image(8, 255);
  std::vector<float> mu(3, 9.0F);
  std::vector<float> logvar(3, 9.0F);
  CHECK(dvae_encode_u8(broken, image.data(), 1, mu.data(), logvar.data(), 3 * sizeof(float), nullptr) ==
        DVAE_MODEL_ERROR);
  CHECK(all_zero(mu));
  CHECK(all_zero(logvar));
  dvae_encoder_close(broken);
}

TEST_CASE("C: chunks have 4096 images unless another number is asked for") {
  Collected all;
  REQUIRE(dvae_stream_u8(decoder(), nullptr, 5000, 0, collect, &all) == DVAE_OK);
  CHECK(all.chunks == std::vector<std::size_t>{4096, 904});
}

TEST_CASE("C: slerp refuses latents so large that their arc has no float32") {
  constexpr float kMax = std::numeric_limits<float>::max();
  const float a[] = {kMax, kMax};
  const float b[] = {kMax, -kMax};
  float path[6];
  CHECK(dvae_interpolate(a, b, 1, 2, 3, DVAE_SLERP, path, sizeof path, nullptr) == DVAE_INVALID_ARGUMENT);
  CHECK_THAT(dvae_last_error(), Catch::Contains("slerp") && Catch::Contains("row 0, column 0"));
  REQUIRE(dvae_interpolate(a, b, 1, 2, 3, DVAE_LERP, path, sizeof path, nullptr) == DVAE_OK);
  CHECK(path[2] == kMax);
  CHECK(path[3] == 0.0F);
}

TEST_CASE("C: paths and grids have their ends to the bit and refuse what has no path") {
  const std::vector<float> z = latents(options_of(11), 4);
  std::vector<float> path(5 * kDim);
  for (const std::int32_t method : {DVAE_LERP, DVAE_SLERP}) {
    REQUIRE(dvae_interpolate(z.data(), z.data() + kDim, 1, kDim, 5, method, path.data(), path.size() * 4, nullptr) ==
            DVAE_OK);
    CHECK(std::memcmp(path.data(), z.data(), kDim * 4) == 0);
    CHECK(std::memcmp(path.data() + 4 * kDim, z.data() + kDim, kDim * 4) == 0);
  }
  CHECK(dvae_interpolate(z.data(), z.data(), 1, kDim, 5, 2, path.data(), path.size() * 4, nullptr) ==
        DVAE_INVALID_ARGUMENT);
  CHECK(dvae_interpolate(z.data(), z.data(), 1, kDim, 1, DVAE_LERP, path.data(), path.size() * 4, nullptr) ==
        DVAE_INVALID_ARGUMENT);
  const std::vector<float> a = {1.0F, 0.0F};
  const std::vector<float> b = {-1.0F, 0.0F};
  CHECK(dvae_interpolate(a.data(), b.data(), 1, 2, 3, DVAE_SLERP, path.data(), path.size() * 4, nullptr) ==
        DVAE_INVALID_ARGUMENT);

  std::vector<float> grid(3 * 5 * kDim);
  REQUIRE(dvae_grid(z.data(), kDim, 3, 5, grid.data(), grid.size() * 4, nullptr) == DVAE_OK);
  const std::size_t corner_points[] = {0, 4, 10, 14};
  for (std::size_t corner = 0; corner < 4; ++corner) {
    CHECK(std::memcmp(grid.data() + corner_points[corner] * kDim, z.data() + corner * kDim, kDim * 4) == 0);
  }
  std::vector<float> point(kDim);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 5; ++column) {
      REQUIRE(dvae_grid_point(z.data(), kDim, static_cast<double>(column) / 4, static_cast<double>(row) / 2,
                              point.data(), kDim * 4) == DVAE_OK);
      CHECK(is_part(point, grid, (row * 5 + column) * kDim));
    }
  }
  for (const double wrong : {-0.1, 1.1, std::nan("")}) {
    CHECK(dvae_grid_point(z.data(), kDim, wrong, 0.5, point.data(), kDim * 4) == DVAE_INVALID_ARGUMENT);
    CHECK(dvae_grid_point(z.data(), kDim, 0.5, wrong, point.data(), kDim * 4) == DVAE_INVALID_ARGUMENT);
  }
  CHECK(dvae_grid(z.data(), kDim, 1, 5, grid.data(), grid.size() * 4, nullptr) == DVAE_INVALID_ARGUMENT);
}

TEST_CASE("C: sixteen threads use one handle at the same time") {
  const std::vector<std::uint8_t> expected = sample(options_of(4), 100);
  const Owned<dvae_decoder> fresh = open_decoder(read_model("decoder.onnx"));  // its shapes are still untried
  std::vector<std::vector<std::uint8_t>> results(16);
  std::vector<std::thread> callers;
  for (std::size_t t = 0; t < results.size(); ++t) {
    callers.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 100; i += 1 + t) {  // runs of every shape
        const std::size_t count = std::min<std::size_t>(1 + t, 100 - i);
        dvae_sample_options options = options_of(4, i);
        options.threads = 2;
        std::vector<std::uint8_t> images(count * kPixels);
        if (dvae_sample_u8(fresh.get(), &options, count, images.data(), images.size(), nullptr) != DVAE_OK) return;
        results[t].insert(results[t].end(), images.begin(), images.end());
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::vector<std::uint8_t>& result : results) CHECK(result == expected);
}

TEST_CASE("C: an exception out of a callback ends the call with its message, and leaves the handle as it was") {
  const dvae_progress throws = [](void*, std::uint64_t, std::uint64_t) -> std::int32_t {
    throw std::runtime_error("thrown by a callback");
  };
  std::vector<std::uint8_t> images(kMany * kPixels, 9);
  dvae_sample_options options = options_of(0);
  options.threads = 3;
  options.progress = throws;
  CHECK(dvae_sample_u8(decoder(), &options, kMany, images.data(), images.size(), nullptr) == DVAE_INTERNAL_ERROR);
  CHECK(dvae_last_error() == std::string("thrown by a callback"));
  CHECK(all_zero(images));
  const dvae_chunk_u8 chunk_throws = [](void*, std::uint64_t, std::size_t, const std::uint8_t*,
                                        const std::int32_t*) -> std::int32_t {
    throw std::runtime_error("thrown by a chunk's callback");
  };
  CHECK(dvae_stream_u8(decoder(), nullptr, 500, 0, chunk_throws, nullptr) == DVAE_INTERNAL_ERROR);
  CHECK(dvae_last_error() == std::string("thrown by a chunk's callback"));
  CHECK(sample(options_of(0), 300).size() == 300 * kPixels);
}
