#include "latent_mixture/parameters.hpp"

#include <cstring>
#include <string>
#include <string_view>

namespace digitvae::latent_mixture {
namespace {

using onnx_file::Graph;

// The largest of any dimension: products of a few of them fit into 64 bits.
constexpr std::uint64_t kMost = 1U << 20;

// The values of an initializer with so many dimensions, and these.
template <typename T>
bool read_values(const Graph& graph, std::string_view name, std::vector<std::size_t*> dims, std::vector<T>& values) {
  const onnx_file::Initializer* const read = graph.initializer(name);
  constexpr auto kType = sizeof(T) == sizeof(float) ? onnx_file::Type::kFloat : onnx_file::Type::kInt64;
  if (read == nullptr || read->type != kType || read->dims.size() != dims.size()) return false;
  std::size_t count = 1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (read->dims[i] > kMost) return false;
    *dims[i] = static_cast<std::size_t>(read->dims[i]);
    count *= *dims[i];
  }
  if (count == 0 || read->raw.size() != count * sizeof(T)) return false;
  values.resize(count);
  std::memcpy(values.data(), read->raw.data(), read->raw.size());
  return true;
}

// Every component that u and a digit can choose is one of these: that of a class's last step, at most.
bool components_exist(const Parameters& p) {
  for (const std::int64_t first : p.first) {
    if (first < 0) return false;
  }
  for (std::size_t row = 0; row < 2 * p.labels; ++row) {
    std::size_t steps = 0;
    for (std::size_t i = 0; i < p.most_steps; ++i) steps += p.thresholds[row * p.most_steps + i] < 1.0F ? 1 : 0;
    if (static_cast<std::size_t>(p.first[row % p.labels]) + steps >= p.components) return false;
  }
  return true;
}

std::string in_brackets(std::size_t number) { return '[' + std::to_string(number) + ']'; }

// LatentPrior.forward, as Graph::formula writes it.
struct Formulas {
  explicit Formulas(const Parameters& p) {
    const std::string drawn = count_reached("class_thresholds");
    const std::string any = "Less(digit,0)";
    label = "Where(" + any + "," + drawn + ",digit)";
    const std::string row = "Where(" + any + ",Add(" + drawn + "," + std::to_string(p.labels) + "),digit)";
    const std::string component =
        "Add(" + select("first", label) + "," + count_reached(select("thresholds", row)) + ")";
    const std::string noise = "Unsqueeze(Slice(eps,[0]," + in_brackets(p.rank) + ",[1],[1]),[1])";
    z = "Add(" + select("means", component) + ",Squeeze(MatMul(" + noise + "," + select("factors", component) +
        "),[1]))";
  }

  static std::string count_reached(const std::string& thresholds) {
    return "Cast[to=7](ReduceSum[keepdims=0,noop_with_empty_axes=0](Cast[to=1](GreaterOrEqual(Unsqueeze(u,[1])," +
           thresholds + ")),[1]))";
  }

  static std::string select(const std::string& table, const std::string& index) {
    return "Gather[axis=0](" + table + ",Reshape[allowzero=0](" + index + ",[-1]))";
  }

  std::string label;
  std::string z;
};

}  // namespace

std::optional<Parameters> read_parameters(const Graph& graph) {
  Parameters p;
  std::size_t boundaries = 0;
  std::size_t rows = 0;
  std::size_t factors = 0;
  std::size_t factor_latents = 0;
  const bool all_read = read_values(graph, "class_thresholds", {&boundaries}, p.class_thresholds) &&
                        read_values(graph, "thresholds", {&rows, &p.most_steps}, p.thresholds) &&
                        read_values(graph, "first", {&p.labels}, p.first) &&
                        read_values(graph, "means", {&p.components, &p.latents}, p.means) &&
                        read_values(graph, "factors", {&factors, &p.rank, &factor_latents}, p.factors);
  const bool fits = all_read && boundaries + 1 == p.labels && rows == 2 * p.labels && factors == p.components &&
                    factor_latents == p.latents && p.rank <= p.latents && components_exist(p);
  if (!fits) return std::nullopt;
  const Formulas expected(p);
  if (graph.formula("label") != expected.label || graph.formula("z") != expected.z) return std::nullopt;
  return p;
}

}  // namespace digitvae::latent_mixture
