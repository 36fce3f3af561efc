#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "kernels/sparse/kernel.hpp"
#include "kernels/sparse/operator.hpp"
#include "kernels/sparse/product.hpp"
#include "messages.hpp"
#include "model/decoder.hpp"
#include "model/networks.hpp"
#include "random/latents.hpp"
#include "support.hpp"

namespace digitvae::sparse {
#if defined(DIGITVAE_SPARSE_KERNELS)
extern const Kernel kTwoRowsAvx2Kernel;
#endif
}  // namespace digitvae::sparse

using namespace digitvae;
using namespace digitvae::testing;

namespace {

constexpr std::size_t kHidden = 512;
constexpr std::size_t kPixels = 784;
constexpr std::size_t kInputsOfASum = 256;

struct Layer {
  std::size_t inputs;
  std::size_t outputs;
  std::vector<float> weights;
  std::vector<float> bias;
};

Layer random_layer(std::size_t inputs, std::size_t outputs) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0F, 0.1F);
  Layer layer{inputs, outputs, std::vector<float>(inputs * outputs), std::vector<float>(outputs)};
  for (float& value : layer.weights) value = normal(random);
  for (float& value : layer.bias) value = normal(random);
  return layer;
}

// Of `share` of the activations; the others are zero.
std::vector<float> random_activations(std::size_t count, double share) {
  std::mt19937 random(static_cast<unsigned>(1000.0 * share));
  std::normal_distribution<float> normal(1.0F, 0.5F);
  std::bernoulli_distribution active(share);
  std::vector<float> values(count);
  for (float& value : values) value = active(random) ? std::abs(normal(random)) : 0.0F;
  return values;
}

// The specification, one product at a time.
std::vector<float> expected(const Layer& layer, const std::vector<float>& hidden) {
  const std::size_t rows = hidden.size() / layer.inputs;
  std::vector<float> out(rows * layer.outputs);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const float* const x = hidden.data() + i / layer.outputs * layer.inputs;
    const float* const w = layer.weights.data() + i % layer.outputs * layer.inputs;
    out[i] = layer.bias[i % layer.outputs];
    for (std::size_t start = 0; start < layer.inputs; start += kInputsOfASum) {
      float sum = 0.0F;
      const std::size_t end = std::min(start + kInputsOfASum, layer.inputs);
      for (std::size_t k = start; k < end; ++k) sum = std::fma(x[k], w[k], sum);
      out[i] += sum;
    }
  }
  return out;
}

std::vector<float> multiply(const Layer& layer, const std::vector<float>& hidden, const sparse::Product& product) {
  std::vector<float> out(hidden.size() / layer.inputs * layer.outputs, -1.0F);
  product.multiply(hidden.data(), hidden.size() / layer.inputs, out.data());
  return out;
}

std::vector<float> multiply(const Layer& layer, const std::vector<float>& hidden) {
  return multiply(layer, hidden, {layer.weights.data(), layer.bias.data(), layer.inputs, layer.outputs});
}

bool has_kernel() { return sparse::Product::supports(kHidden, kPixels); }

std::vector<std::uint8_t> sample(const Decoder& decoder, std::uint64_t first, std::size_t count) {
  LatentSource source;
  source.seed = 3;
  std::vector<std::uint8_t> images(count * kPixels);
  decoder.sample(source, first, count, images.data(), nullptr, 2, {});
  return images;
}

// Whether this processor's dense kernels add in the order of the sparse one.
bool dense_sums_are_as_specified(const Session& dense, const std::string& model) {
  const std::string sparse_model = sparse::with_sparse_layer(as_network(model));
  if (sparse_model.empty()) return false;
  const Session session(open_runtime(), sparse_model, sparse::operators());
  std::vector<float> z(kTileRows * 40);
  fill_standard_normal(99, Stream::kLatent, 0, kTileRows, 40, z.data());
  std::vector<float> images[2] = {std::vector<float>(kTileRows * kPixels), std::vector<float>(kTileRows * kPixels)};
  const Session* const sessions[] = {&dense, &session};
  for (std::size_t i = 0; i < 2; ++i) {
    const Session::Tensor input(*sessions[i], z.data(), kTileRows, 40);
    const Session::Tensor output(*sessions[i], images[i].data(), kTileRows, kPixels);
    sessions[i]->run({&input}, {&output});
  }
  return same_bits(images[0], images[1]);
}

}  // namespace

TEST_CASE("the sparse product has the bits of the specified sums, for any rows and any share of zeros") {
  if (!has_kernel()) return;
  for (const std::size_t inputs : {64U, 320U, 512U}) {
    if (kUnderValgrind && inputs == 512) continue;
    const Layer layer = random_layer(inputs, 224);
    for (const std::size_t rows : {1U, 2U, 3U, 17U, 128U, 131U}) {
      if (kUnderValgrind && rows == 128) continue;
      for (const double share : {0.0, 0.02, 0.5, 1.0}) {
        INFO(inputs << " inputs, " << rows << " rows, " << share << " active");
        const std::vector<float> hidden = random_activations(rows * inputs, share);
        REQUIRE(same_bits(multiply(layer, hidden), expected(layer, hidden)));
      }
    }
  }
}

#if defined(DIGITVAE_SPARSE_KERNELS)
TEST_CASE("a kernel that works on two rows at a time gives the same bits") {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return;
  const sparse::Kernel& kernel = sparse::kTwoRowsAvx2Kernel;
  for (const std::size_t inputs : {64U, 320U, 512U}) {
    if (kUnderValgrind && inputs == 512) continue;
    const Layer layer = random_layer(inputs, 224);
    const sparse::Product product(kernel, layer.weights.data(), layer.bias.data(), inputs, layer.outputs);
    for (const std::size_t rows : {1U, 2U, 3U, 17U, 63U, 128U, 131U}) {
      if (kUnderValgrind && (rows == 63 || rows == 128)) continue;
      for (const double share : {0.0, 0.02, 0.5, 1.0}) {
        INFO(inputs << " inputs, " << rows << " rows, " << share << " active");
        const std::vector<float> hidden = random_activations(rows * inputs, share);
        REQUIRE(same_bits(multiply(layer, hidden, product), expected(layer, hidden)));
      }
    }
  }
  const std::uint64_t masks[2][2] = {{0b1100, 0}, {0b0110, 1}};
  CHECK(kernel.count_added(masks[0], masks[1], 2) == 2);
  CHECK(kernel.count_added(masks[1], masks[0], 2) == 1);
}
#endif

TEST_CASE("threads that share the outputs give the bits of one thread") {
  if (!has_kernel()) return;
  const Layer layer = random_layer(320, kPixels);
  const sparse::Product product(layer.weights.data(), layer.bias.data(), layer.inputs, layer.outputs);
  const sparse::Product::OnAll on_four = [](std::size_t most, const std::function<void()>& work) {
    REQUIRE(most == kPixels / 112);  // blocks of columns
    std::vector<std::thread> others;
    for (int i = 0; i < 3; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  };
  // Helpers that come so late that everything is done, and a caller that leaves everything to a helper.
  const sparse::Product::OnAll one_by_one = [](std::size_t, const std::function<void()>& work) {
    std::thread(work).join();
    work();
  };
  for (const std::size_t rows : {1U, 2U, 3U, 128U, 131U}) {
    if (kUnderValgrind && rows == 128) continue;
    const std::vector<float> hidden = random_activations(rows * layer.inputs, 0.5);
    for (const sparse::Product::OnAll& on_all : {on_four, one_by_one}) {
      std::vector<float> out(rows * layer.outputs, -1.0F);
      product.multiply(hidden.data(), rows, out.data(), &on_all);
      REQUIRE(same_bits(out, expected(layer, hidden)));
    }
  }
}

TEST_CASE("runs of the operator are shared as long as their thread wants it") {
  if (!has_kernel()) return;
  const std::string dense = read_model("decoder.onnx");
  const std::string model = sparse::with_sparse_layer(as_network(dense));
  const Session session(open_runtime(), model, sparse::operators());
  std::vector<float> z(2 * 40, 0.5F);
  std::vector<float> x(2 * kPixels);
  const Session::Tensor input(session, z.data(), 2, 40);
  const Session::Tensor output(session, x.data(), 2, kPixels);
  int calls = 0;
  const sparse::Product::OnAll on_all = [&](std::size_t, const std::function<void()>& work) {
    ++calls;
    work();
  };
  session.run({&input}, {&output});
  const std::vector<float> alone = x;
  CHECK(calls == 0);
  {
    const sparse::Sharing sharing(on_all);
    session.run({&input}, {&output});
    CHECK(calls == 1);
    CHECK(same_bits(x, alone));
    std::thread([&] { session.run({&input}, {&output}); }).join();
    CHECK(calls == 1);
  }
  session.run({&input}, {&output});
  CHECK(calls == 1);
}

TEST_CASE("activations that are not finite are multiplied like others") {
  if (!has_kernel()) return;
  const Layer layer = random_layer(128, 112);
  std::vector<float> hidden = random_activations(4 * 128, 0.5);
  hidden[5] = std::numeric_limits<float>::infinity();
  hidden[2 * 128 + 70] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> out = multiply(layer, hidden);
  const std::vector<float> all = expected(layer, hidden);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isnan(all[i])) {
      REQUIRE(std::isnan(out[i]));
    } else {
      REQUIRE(out[i] == all[i]);
    }
  }
}

TEST_CASE("layers without a sparse kernel, and weights that hide zeros, are refused") {
  CHECK_FALSE(sparse::Product::supports(0, kPixels));
  CHECK_FALSE(sparse::Product::supports(63, kPixels));
  CHECK_FALSE(sparse::Product::supports(1U << 20, kPixels));
  CHECK_FALSE(sparse::Product::supports(kHidden, 0));
  CHECK_FALSE(sparse::Product::supports(kHidden, 785));
  Layer layer = random_layer(64, 112);
  CHECK_THROWS_AS(sparse::Product(layer.weights.data(), layer.bias.data(), 63, 112), InvalidArgument);
  if (!has_kernel()) return;
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    layer.weights[777] = bad;
    CHECK_THROWS_AS(sparse::Product(layer.weights.data(), layer.bias.data(), 64, 112), InvalidArgument);
  }
}

TEST_CASE("the sparse model has the interface of the dense one") {
  if (!has_kernel()) return;
  const std::string dense_model = read_model("decoder.onnx");
  const std::string sparse_model = sparse::with_sparse_layer(as_network(dense_model));
  REQUIRE_FALSE(sparse_model.empty());
  const Session dense(open_runtime(), as_network(dense_model));
  CHECK_THROWS_AS(Session(open_runtime(), as_network(sparse_model)), ModelError);
  const Session session(open_runtime(), sparse_model, sparse::operators());
  CHECK(session.inputs() == dense.inputs());
  CHECK(session.outputs() == dense.outputs());
}

TEST_CASE("models without a plain dense layer after a ReLU stay as they are") {
  const std::string decoder = read_model("decoder.onnx");
  const auto is_unchanged = [](const std::string& model) {
    return sparse::with_sparse_layer(as_network(model)).empty();
  };
  REQUIRE(is_unchanged(decoder) == !has_kernel());
  CHECK(is_unchanged(replaced(decoder, "Relu", "Tanh")));
  const std::string before = decoder.substr(0, decoder.find("Relu"));
  const auto replaced_after_relu = [&](const std::string& from, const std::string& to) {
    return before + replaced(decoder.substr(before.size()), from, to);
  };
  CHECK(is_unchanged(replaced_after_relu("Gemm", "Clip")));
  // The last layer has no bias, one that is computed, and weights that are.
  CHECK(is_unchanged(replaced(decoder, "\x0a\x0boutput.bias", "\x32\x0boutput.bias")));
  CHECK(is_unchanged(replaced(decoder, "\x0a\x0boutput.bias", "\x0a\x0boutput.biaz")));
  CHECK(is_unchanged(replaced(decoder, "\x0a\x0doutput.weight", "\x0a\x0doutput.weighz")));
  // Its input is that of the model, which nothing has made.
  CHECK(is_unchanged(replaced(decoder, "\x0a\x04relu\x0a\x0doutput", "\x0a\x04zzzz\x0a\x0doutput")));
  // A bias of 785 numbers, and weights of three dimensions.
  CHECK(is_unchanged(replaced(decoder, "\x08\x90\x06\x10\x01\x42\x0boutput", "\x08\x91\x06\x10\x01\x42\x0boutput")));
  CHECK(is_unchanged(replaced(decoder, "\x08\x80\x04\x10\x01\x42\x0doutput", "\x08\x80\x04\x08\x01\x42\x0doutput")));
  for (const char* name : {"decoder_tiny.onnx", "decoder_rows_in_run.onnx"}) CHECK(is_unchanged(read_corpus(name)));
}

namespace {

using Dims = std::vector<std::uint64_t>;

// float32 x → the operator → y; weights and bias are zeros.
std::string model_of_operator(const Dims& x, const Dims& weights, const Dims& bias, bool is_constant = true) {
  const auto value = [](const std::string& name, const Dims& dims) {
    std::string shape;
    for (const std::uint64_t dim : dims) shape += field(1, number_field(1, dim));
    return field(1, name) + field(2, field(1, number_field(1, 1) + field(2, shape)));
  };
  const auto zeros = [](const std::string& name, const Dims& dims) {
    std::size_t bytes = sizeof(float);
    std::string message;
    for (const std::uint64_t dim : dims) {
      bytes *= static_cast<std::size_t>(dim);
      message += number_field(1, dim);
    }
    return field(5, message + number_field(2, 1) + field(8, name) + field(9, std::string(bytes, '\0')));
  };
  return number_field(1, 8) +
         model_of({node(sparse::kOperator, {"x", "w", "b"}, "y", field(7, sparse::kDomain))},
                  field(2, "graph") + (is_constant ? zeros("w", weights) : field(11, value("w", weights))) +
                      zeros("b", bias) + field(11, value("x", x)) + field(12, value("y", {x[0], 112}))) +
         field(8, field(1, "") + number_field(2, 18)) + field(8, field(1, sparse::kDomain) + number_field(2, 1));
}

}  // namespace

TEST_CASE("the operator refuses what does not fit") {
  if (!has_kernel()) return;
  const auto open = [](const std::string& model) { return Session(open_runtime(), model, sparse::operators()); };
  open(model_of_operator({1, 64}, {112, 64}, {112}));
  CHECK_THROWS_WITH(open(model_of_operator({1, 64}, {1, 112, 64}, {112})),
                    Catch::Contains("expected one or two dimensions"));
  CHECK_THROWS_WITH(open(model_of_operator({1, 64}, {112, 64}, {1, 1, 112})),
                    Catch::Contains("expected one or two dimensions"));
  CHECK_THROWS_WITH(open(model_of_operator({1, 64}, {112, 64}, {111})),
                    Catch::Contains("expected one bias for each output"));
  CHECK_THROWS_WITH(open(model_of_operator({1, 64}, {112, 64}, {112}, false)),
                    Catch::Contains("expected constant weights"));
  const Session session = open(model_of_operator({1, 63}, {112, 64}, {112}));
  std::vector<float> activations(64);
  std::vector<float> out(112);
  const Session::Tensor input(session, activations.data(), 1, 63);
  const Session::Tensor output(session, out.data(), 1, 112);
  CHECK_THROWS_WITH(session.run({&input}, {&output}),
                    Catch::Contains("as many activations as the weights have inputs"));
}

TEST_CASE("a decoder gives the same bytes before and after it turns to the sparse product", "[large]") {
  const std::string model = read_model("decoder.onnx");
  const Decoder decoder(open_runtime(), model.data(), model.size());
  constexpr std::size_t kCount = 1000;
  REQUIRE(kCount < kWorthwhileRows);
  const std::vector<std::uint8_t> before = sample(decoder, 77, kCount);
  const std::vector<std::uint8_t> many = sample(decoder, 0, kWorthwhileRows);
  CHECK(std::equal(before.begin(), before.end(), many.begin() + 77 * kPixels));
  CHECK(sample(decoder, 77, kCount) == before);
  // Few rows, of which the threads share the outputs, in one tile and across the border of two.
  for (const std::uint64_t first : {std::uint64_t{5}, std::uint64_t{kTileRows - 1}}) {
    for (std::size_t count = 1; count <= 4; ++count) {
      const std::vector<std::uint8_t> few = sample(decoder, first, count);
      CHECK(std::equal(few.begin(), few.end(), many.begin() + static_cast<std::ptrdiff_t>(first * kPixels)));
    }
  }
}

TEST_CASE("the sparse session is made once it pays, if its bits are those of the dense one, and if it is wanted",
          "[large]") {
  const std::string model = read_model("decoder.onnx");
  const Networks networks(open_runtime(), as_network(model));
  const Session& dense = networks.reference().session;
  const bool usable = dense_sums_are_as_specified(dense, model);
  networks.prepare_for(kWorthwhileRows - 1);
  for (std::size_t rows = 1; rows <= kTileRows; ++rows) REQUIRE_FALSE(networks.is_optimized(rows));
  networks.prepare_for(1);
  for (const std::size_t rows : {1U, 2U, 8U, 64U, 128U}) {
    CHECK(networks.is_optimized(rows) == (usable && sparse::Product::pays(rows)));
    CHECK((&networks.for_run(rows) != &networks.reference()) == networks.is_optimized(rows));
  }
  for (const std::size_t rows : {1U, 2U, 64U, 128U}) CHECK(sparse::Product::pays(rows) == has_kernel());

  std::string other_weights = model;  // a last bit here and there
  for (std::size_t i = 0; i < 100; ++i) other_weights[(other_weights.size() / 2 & ~std::size_t{3}) + 4 * i] ^= 1;
  CHECK_FALSE(same_bits(dense, Session(open_runtime(), as_network(other_weights))));

  const Networks in_small_calls(open_runtime(), as_network(model));
  for (std::size_t i = 1; i < kWorthwhileCalls; ++i) in_small_calls.prepare_for(1);
  CHECK_FALSE(in_small_calls.is_optimized(1));
  in_small_calls.prepare_for(1);
  CHECK(in_small_calls.is_optimized(1) == usable);

  REQUIRE(setenv("DIGITVAE_DENSE", "1", 1) == 0);
  const Networks unwanted(open_runtime(), as_network(model));
  REQUIRE(unsetenv("DIGITVAE_DENSE") == 0);
  unwanted.prepare_for(1U << 30);
  CHECK_FALSE(unwanted.is_optimized(kTileRows));
}

TEST_CASE("each variant of a decoder can be asked for, and both give the same bytes", "[large]") {
  const std::string model = read_model("decoder.onnx");
  const Decoder dense(open_runtime(), model.data(), model.size(), Variant::kReference);
  const Decoder sparse(open_runtime(), model.data(), model.size(), Variant::kOptimized);
  CHECK(sparse.is_optimized(kTileRows) ==
        (dense_sums_are_as_specified(dense.session(), model) && sparse::Product::pays(kTileRows)));
  const std::vector<std::uint8_t> many = sample(dense, 0, kWorthwhileRows);
  CHECK_FALSE(dense.is_optimized(kTileRows));  // however much was asked of it
  CHECK(sample(sparse, 0, kWorthwhileRows) == many);

  REQUIRE(setenv("DIGITVAE_DENSE", "1", 1) == 0);
  const Decoder asked_for(open_runtime(), model.data(), model.size(), Variant::kOptimized);
  REQUIRE(unsetenv("DIGITVAE_DENSE") == 0);
  CHECK(asked_for.is_optimized(kTileRows) == sparse.is_optimized(kTileRows));
}
