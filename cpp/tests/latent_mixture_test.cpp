#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/decoder.hpp"
#include "engine/mixture.hpp"
#include "error.hpp"
#include "latent_mixture/draw.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;
using latent_mixture::Parameters;

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
  latent_mixture::draw(p, u.data(), digit.data(), eps.data(), u.size(), drawn.z.data(), drawn.label.data());
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
  static const Decoder decoder(open_runtime(), model.data(), model.size(), Form::kFirst);
  std::vector<std::int32_t> labels(count, -7);
  Drawn drawn{std::vector<float>(count * kDim), {}};
  const LatentSource source = {11, &mixture, std::move(digits), 0.875F};
  decoder.latents(source, first, count, drawn.z.data(), labels.data(), 2, {});
  drawn.label.assign(labels.begin(), labels.end());
  return drawn;
}

std::optional<Parameters> read(const std::string& model) {
  return latent_mixture::read_parameters(
      onnx_file::Model(model.data(), model.size(), onnx_file::Role::kMixture).graph());
}

bool is_read(const std::string& model) {
  try {
    return read(model).has_value();
  } catch (const ModelError&) {
    return false;
  }
}

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

TEST_CASE("the mixture of the shipped bundle is read, and drawn from with the bits of ONNX Runtime") {
  const std::string model = read_model("prior.onnx");
  const Parameters p = read(model).value();
  CHECK(p.labels == 10);
  CHECK(p.latents == kDim);
  CHECK(p.rank == 10);
  CHECK(p.class_thresholds.size() == 9);
  CHECK(p.thresholds.size() == 20 * p.most_steps);
  CHECK(p.factors.size() == p.components * 10 * kDim);

  const Mixture first(open_runtime(), model.data(), model.size(), Form::kFirst);
  const Mixture second(open_runtime(), model.data(), model.size(), Form::kSecond);
  CHECK_FALSE(first.is_second());
#if defined(__x86_64__)
  CHECK(second.is_second());
#endif
  // Parts of tiles, too: of one, across the border of two, and at the end of all indices.
  for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{100}, ~std::uint64_t{0} - 1999}) {
    for (const std::size_t count : {1U, 20U, 50U, 2000U}) {
      for (const std::vector<std::int32_t>& digits :
           {std::vector<std::int32_t>{}, std::vector<std::int32_t>{7}, std::vector<std::int32_t>{3, 0, 9}}) {
        const Drawn a = latents(first, digits, start, count);
        const Drawn b = latents(second, digits, start, count);
        REQUIRE(same_bits(a.z, b.z));
        REQUIRE(a.label == b.label);
      }
    }
  }
  CHECK_FALSE(first.is_second());  // however much was asked of it
}

TEST_CASE("the mixture that we export is drawn by our own sums, any other by ONNX Runtime") {
  const std::string model = read_model("prior.onnx");
  CHECK(Mixture(open_runtime(), model.data(), model.size()).is_second());
  const std::string other = read_test_prior();
  CHECK_FALSE(Mixture(open_runtime(), other.data(), other.size(), Form::kSecond).is_second());
}

TEST_CASE("tables that do not fit the metadata are refused") {
  const std::string model = read_model("prior.onnx");
  const std::string latents = replaced(model,
                                       "latent_dim\x12\x02"
                                       "40",
                                       "latent_dim\x12\x02"
                                       "41");
  CHECK_THROWS_WITH(Mixture(open_runtime(), latents.data(), latents.size()), Catch::Contains("expected"));
  const std::string labels = replaced(model,
                                      "labels\x12\x02"
                                      "10",
                                      "labels\x12\x02"
                                      "11");
  CHECK_THROWS_WITH(Mixture(open_runtime(), labels.data(), labels.size()),
                    "the prior's tables are for 40 latents and 10 labels, its metadata say 40 and 11");
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

TEST_CASE("a graph that computes anything else is not read as a mixture") {
  const std::string model = read_model("prior.onnx");
  REQUIRE(is_read(model));
  CHECK_FALSE(is_read(""));
  CHECK_FALSE(is_read(read_test_prior()));
  CHECK_FALSE(is_read(read_model("decoder.onnx")));
  for (const auto& [from, to] : {std::pair{"GreaterOrEqual", "GreaterOrEquaL"}, std::pair{"ReduceSum", "ReduceMax"},
                                 std::pair{"MatMul", "MatMuL"}, std::pair{"Less", "Abss"},
                                 std::pair{"keepdims", "keepdimz"}, std::pair{"factors", "factorz"}}) {
    INFO(from);
    CHECK_FALSE(is_read(replaced(model, from, to)));
  }
}

TEST_CASE("a mixture whose tables do not fit each other is not read") {
  REQUIRE(is_read(read_corpus("mixture_exported.onnx")));
  for (const char* const unfit :
       {"boundaries", "rows_of_thresholds", "more_rows", "no_thresholds", "first_beyond", "first_negative",
        "first_float64", "first_table", "last_class", "among_all", "factors", "latents_of_factors", "rank", "no_rank",
        "float16_means", "int32_means", "raw_size", "sizes_that_wrap", "other_labels"}) {
    INFO(unfit);
    CHECK_FALSE(read(read_corpus("mixture_unfit_" + std::string(unfit) + ".onnx")).has_value());
  }
}

TEST_CASE("every component is drawn with the bits of ONNX Runtime, of its class and of any") {
  for (const std::string& model : {read_model("prior.onnx"), read_corpus("mixture_exported.onnx")}) {
    const Parameters p = read(model).value();
    std::vector<float> u;
    std::vector<std::int64_t> digit;
    std::vector<bool> is_drawn(p.components);
    for (std::size_t row = 0; row < 2 * p.labels; ++row) {
      const bool is_any = row >= p.labels;
      const std::size_t label = row % p.labels;
      // The least number of the class, which reaches no threshold of it, and then each threshold.
      const float least = !is_any || label == 0 ? 0.0F : p.class_thresholds[label - 1];
      for (std::size_t step = 0; step <= p.most_steps; ++step) {
        const float at = step == 0 ? least : p.thresholds[row * p.most_steps + step - 1];
        if (at >= 1.0F) break;
        u.push_back(at);
        digit.push_back(is_any ? -1 : static_cast<std::int64_t>(label));
        if (!is_any) is_drawn[static_cast<std::size_t>(p.first[label]) + step] = true;
      }
    }
    REQUIRE(std::count(is_drawn.begin(), is_drawn.end(), false) == 0);
    std::mt19937 random(5);
    std::vector<float> eps = normals(u.size() * p.latents, random);
    const Drawn ours = draw(p, u, digit, eps);
    Drawn theirs{std::vector<float>(ours.z.size()), std::vector<std::int64_t>(u.size())};
    const onnx_file::Model file(model.data(), model.size(), onnx_file::Role::kMixture);
    const Session session(open_runtime(), file);
    const Session::Tensor choice(session, u.data(), u.size());
    const Session::Tensor wanted(session, digit.data(), u.size());
    const Session::Tensor noise(session, eps.data(), u.size(), p.latents);
    const Session::Tensor z(session, theirs.z.data(), u.size(), p.latents);
    const Session::Tensor label(session, theirs.label.data(), u.size());
    session.run({&choice, &wanted, &noise}, {&z, &label});
    CHECK(ours.label == theirs.label);
#if defined(__x86_64__)
    CHECK(same_bits(ours.z, theirs.z));
#else
    for (std::size_t i = 0; i < ours.z.size(); ++i) REQUIRE(std::abs(ours.z[i] - theirs.z[i]) < 1e-6F);
#endif
  }
}
