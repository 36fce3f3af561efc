#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "kernels/mixture/parameters.hpp"
#include "model/decoder.hpp"
#include "model/mixture.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;
using mixture::Parameters;

namespace {

constexpr std::size_t kDim = 40;

std::vector<float> normals(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Three classes with 3, 1 and 2 components.
Parameters parameters(std::size_t rank, std::size_t latents) {
  std::mt19937 random(7);
  Parameters p;
  p.labels = 3;
  p.most_steps = 2;
  p.components = 6;
  p.rank = rank;
  p.latents = latents;
  p.class_thresholds = {0.25F, 0.5F};
  p.thresholds = {0.5F,   0.75F,   2.0F, 2.0F, 0.5F,  2.0F,   // within each class
                  0.125F, 0.1875F, 2.0F, 2.0F, 0.75F, 2.0F};  // among all
  p.first = {0, 3, 4};
  p.means = normals(p.components * latents, random);
  p.factors = normals(p.components * rank * latents, random);
  return p;
}

struct Drawn {
  std::vector<float> z;
  std::vector<std::int64_t> label;
};

Drawn draw(const Parameters& p, const std::vector<float>& u, const std::vector<std::int64_t>& digit,
           const std::vector<float>& eps) {
  Drawn drawn{std::vector<float>(u.size() * p.latents, -1.0F), std::vector<std::int64_t>(u.size(), -7)};
  mixture::draw(p, u.data(), digit.data(), eps.data(), u.size(), drawn.z.data(), drawn.label.data());
  return drawn;
}

// One latent of one row, in the order that draw.hpp specifies.
float expected(const Parameters& p, std::size_t component, const float* noise, std::size_t j) {
  const auto product = [&](std::size_t r) {
    volatile const float rounded = noise[r] * p.factors[(component * p.rank + r) * p.latents + j];
    return rounded;
  };
  float sum = 0.0F;
  std::size_t r = 0;
  for (; r + 4 <= p.rank; r += 4) sum = (((product(r) + product(r + 1)) + product(r + 2)) + product(r + 3)) + sum;
  if (r + 2 <= p.rank) {
    sum = (product(r) + product(r + 1)) + sum;
    r += 2;
  }
  if (r < p.rank) sum = product(r) + sum;
  return p.means[component * p.latents + j] + sum;
}

Drawn latents(const Mixture& mixture, std::vector<std::int32_t> digits, std::uint64_t first, std::size_t count) {
  static const std::string model = read_model("decoder.onnx");
  static const Decoder decoder(open_runtime(), model.data(), model.size(), Variant::kReference);
  std::vector<std::int32_t> labels(count, -7);
  Drawn drawn{std::vector<float>(count * kDim), {}};
  const LatentSource source = {11, &mixture, std::move(digits), 0.875F};
  decoder.latents(source, first, count, drawn.z.data(), labels.data(), 2, {});
  drawn.label.assign(labels.begin(), labels.end());
  return drawn;
}

std::optional<Parameters> read(const std::string& model, std::size_t labels, std::size_t rank, std::size_t dim) {
  const onnx::Model file(model.data(), model.size(), onnx::Role::kMixture);
  return mixture::read_parameters(file.graph(), labels, rank, dim);
}

std::optional<Parameters> read_shipped() { return read(read_model("prior.onnx"), 10, 10, kDim); }
std::optional<Parameters> read_small(const std::string& name) { return read(read_corpus(name), 3, 2, 3); }

}  // namespace

TEST_CASE("u and digit choose the class and the component, thresholds included") {
  const Parameters p = parameters(1, 4);
  struct Choice {
    float u;
    std::int64_t digit;
    std::int64_t label;
    std::size_t component;
  };
  const float below_one = std::nextafter(1.0F, 0.0F);
  const Choice choices[] = {
      {0.0F, 0, 0, 0},    {0.49F, 0, 0, 0},     {0.5F, 0, 0, 1},    {0.75F, 0, 0, 2},  {below_one, 0, 0, 2},
      {0.0F, 1, 1, 3},    {below_one, 1, 1, 3}, {0.0F, 2, 2, 4},    {0.5F, 2, 2, 5},   {below_one, 2, 2, 5},
      {0.0F, -1, 0, 0},   {0.124F, -1, 0, 0},   {0.125F, -1, 0, 1}, {0.2F, -1, 0, 2},  {0.25F, -1, 1, 3},
      {0.499F, -1, 1, 3}, {0.5F, -1, 2, 4},     {0.749F, -1, 2, 4}, {0.75F, -1, 2, 5}, {below_one, -1, 2, 5},
      {0.5F, -2, 2, 4},
  };
  std::vector<float> u;
  std::vector<std::int64_t> digit;
  for (const Choice& choice : choices) {
    u.push_back(choice.u);
    digit.push_back(choice.digit);
  }
  const Drawn drawn = draw(p, u, digit, std::vector<float>(u.size() * 4, 0.0F));
  for (std::size_t i = 0; i < u.size(); ++i) {
    INFO("u " << u[i] << ", digit " << digit[i]);
    CHECK(drawn.label[i] == choices[i].label);
    for (std::size_t j = 0; j < 4; ++j) CHECK(drawn.z[i * 4 + j] == p.means[choices[i].component * 4 + j]);
  }
}

TEST_CASE("latents have the bits of the specified sums, for any rank, number of latents and of rows") {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform;
  for (std::size_t rank = 1; rank <= 11; ++rank) {
    for (const std::size_t dim : {11U, 13U, 40U}) {
      for (const std::size_t rows : {1U, 5U, 128U, 300U}) {
        const Parameters p = parameters(rank, dim);
        const std::vector<float> eps = normals(rows * dim, random);
        std::vector<float> u(rows);
        for (float& value : u) value = uniform(random);
        const Drawn drawn = draw(p, u, std::vector<std::int64_t>(rows, 0), eps);
        std::vector<float> all;
        for (std::size_t i = 0; i < rows; ++i) {
          const std::size_t component = u[i] >= 0.75F ? 2 : u[i] >= 0.5F ? 1 : 0;
          for (std::size_t j = 0; j < dim; ++j) all.push_back(expected(p, component, eps.data() + i * dim, j));
        }
        INFO("rank " << rank << ", " << dim << " latents, " << rows << " rows");
        REQUIRE(same_bits(drawn.z, all));
      }
    }
  }
}

TEST_CASE("the mixture of the shipped bundle is drawn with the bits of ONNX Runtime") {
  const std::string model = read_model("prior.onnx");
  const Mixture reference(open_runtime(), model.data(), model.size(), Variant::kReference);
  const Mixture optimized(open_runtime(), model.data(), model.size(), Variant::kOptimized);
  CHECK_FALSE(reference.is_optimized());
#if defined(__x86_64__)
  CHECK(optimized.is_optimized());
#endif
  // Parts of tiles, too: of one, across the border of two, and at the end of all indices.
  for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{100}, ~std::uint64_t{0} - 1999}) {
    for (const std::size_t count : {1U, 20U, 50U, 2000U}) {
      for (const std::vector<std::int32_t>& digits :
           {std::vector<std::int32_t>{}, std::vector<std::int32_t>{7}, std::vector<std::int32_t>{3, 0, 9}}) {
        const Drawn a = latents(reference, digits, start, count);
        const Drawn b = latents(optimized, digits, start, count);
        REQUIRE(same_bits(a.z, b.z));
        REQUIRE(a.label == b.label);
      }
    }
  }
  CHECK_FALSE(reference.is_optimized());  // however much was asked of it
}

TEST_CASE("a mixture is drawn by our own sums once that pays") {
  const std::string model = read_model("prior.onnx");
  const Mixture mixture(open_runtime(), model.data(), model.size());
  mixture.prepare_for(kWorthwhileRows - 1);
  CHECK_FALSE(mixture.is_optimized());
  mixture.prepare_for(1);
  CHECK(mixture.is_optimized() ==
        Mixture(open_runtime(), model.data(), model.size(), Variant::kOptimized).is_optimized());
}

TEST_CASE("a mixture that says nothing of the noise that it reads may read all") {
  const std::string model = read_model("prior.onnx");
  CHECK(Mixture(open_runtime(), model.data(), model.size()).info().noise_dim == 10);
  const std::string says_nothing = read_test_prior();
  CHECK(Mixture(open_runtime(), says_nothing.data(), says_nothing.size()).info().noise_dim == 40);
  const std::string noise = replaced(model,
                                     "noise_dim\x12\x02"
                                     "10",
                                     "noise_dim\x12\x02"
                                     "41");
  CHECK_THROWS_WITH(Mixture(open_runtime(), noise.data(), noise.size()),
                    "the model's metadata 'digitvae.noise_dim' is 41, more than its 40 latents");
}

TEST_CASE("a graph that computes anything else than its tables is left to ONNX Runtime, of any such difference") {
#if defined(__x86_64__)
  const std::string good = read_corpus("mixture_exported.onnx");
  REQUIRE(Mixture(open_runtime(), good.data(), good.size(), Variant::kOptimized).is_optimized());
#endif
  for (const char* const other :
       {"class_boundary", "step_boundary", "last_first", "last_mean", "last_factor", "labels", "noise"}) {
    INFO(other);
    const std::string name = "mixture_other_" + std::string(other) + ".onnx";
    CHECK(read_small(name).has_value());
    const std::string model = read_corpus(name);
    CHECK_FALSE(Mixture(open_runtime(), model.data(), model.size(), Variant::kOptimized).is_optimized());
  }
}

TEST_CASE("tables that do not fit each other, or what the file declares, are not read") {
  REQUIRE(read_small("mixture_exported.onnx").has_value());
  for (const char* const unfit : {"boundaries",    "rows_of_thresholds",
                                  "more_rows",     "no_thresholds",
                                  "first_beyond",  "first_negative",
                                  "first_float64", "first_table",
                                  "last_class",    "among_all",
                                  "factors",       "latents_of_factors",
                                  "rank",          "no_rank",
                                  "float16_means", "int32_means",
                                  "raw_size",      "sizes_that_wrap",
                                  "other_means",   "constant_means"}) {
    INFO(unfit);
    CHECK_FALSE(read_small("mixture_unfit_" + std::string(unfit) + ".onnx").has_value());
  }
  const std::string model = read_corpus("mixture_exported.onnx");
  CHECK_FALSE(read(model, 4, 2, 3).has_value());
  CHECK_FALSE(read(model, 3, 1, 3).has_value());
  CHECK_FALSE(read(model, 3, 2, 4).has_value());
  CHECK_FALSE(read(read_test_prior(), 10, kDim, kDim).has_value());
}

TEST_CASE("every component and both sides of every threshold are compared") {
  const Parameters p = read_shipped().value();
  const mixture::Choices all = mixture::every_choice(p);
  REQUIRE(all.u.size() == all.digit.size());
  std::set<std::size_t> missing;  // of any class and of none
  for (std::size_t i = 0; i < 2 * p.components; ++i) missing.insert(i);
  std::set<std::pair<std::int64_t, float>> tried;
  for (std::size_t i = 0; i < all.u.size(); ++i) {
    REQUIRE((all.u[i] >= 0.0F && all.u[i] < 1.0F));
    tried.insert({all.digit[i], all.u[i]});
    const auto reached = [&](const std::vector<float>& thresholds, std::size_t row, std::size_t size) {
      const auto begin = thresholds.begin() + static_cast<std::ptrdiff_t>(row * size);
      return static_cast<std::size_t>(
          std::count_if(begin, begin + static_cast<std::ptrdiff_t>(size), [&](float t) { return all.u[i] >= t; }));
    };
    const bool is_any = all.digit[i] < 0;
    const std::size_t label =
        is_any ? reached(p.class_thresholds, 0, p.labels - 1) : static_cast<std::size_t>(all.digit[i]);
    const std::size_t step = reached(p.thresholds, label + (is_any ? p.labels : 0), p.most_steps);
    missing.erase((is_any ? p.components : 0) + static_cast<std::size_t>(p.first[label]) + step);
  }
  CHECK(missing.empty());
  for (std::size_t i = 0; i < p.thresholds.size(); ++i) {
    const std::size_t row = i / p.most_steps;
    const std::int64_t digit = row < p.labels ? static_cast<std::int64_t>(row) : -1;
    const float at = p.thresholds[i];
    if (at >= 1.0F) continue;
    CHECK(tried.count({digit, at}) + tried.count({digit, std::nextafter(at, 0.0F)}) == 2);
  }
}
