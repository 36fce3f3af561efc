#include "kernels/mixture/parameters.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace digitvae::mixture {
namespace {

using onnx::Graph;

constexpr std::size_t kMostSize = std::size_t{1} << 20;        // products of a few of them fit into 64 bits
constexpr std::size_t kMostThresholds = std::size_t{1} << 16;  // each is tried, in a tenth of a second

// 0, which no table may have, if there is no such initializer.
std::size_t size_of(const Graph& graph, std::string_view name, std::size_t dimension) {
  const onnx::Initializer* const table = graph.initializer(name);
  const bool has = table != nullptr && dimension < table->dims.size() && table->dims[dimension] <= kMostSize;
  return has ? static_cast<std::size_t>(table->dims[dimension]) : 0;
}

template <typename T>
bool read_table(const Graph& graph, std::string_view name, std::initializer_list<std::uint64_t> sizes,
                std::vector<T>& values) {
  const onnx::Initializer* const table = graph.initializer(name);
  constexpr auto kType = sizeof(T) == sizeof(float) ? onnx::Type::kFloat : onnx::Type::kInt64;
  if (table == nullptr || table->type != kType || table->dims != std::vector<std::uint64_t>(sizes)) return false;
  std::uint64_t count = 1;
  for (const std::uint64_t size : sizes) count *= size;
  if (count == 0 || table->raw.size() != count * sizeof(T)) return false;
  values.resize(static_cast<std::size_t>(count));
  std::memcpy(values.data(), table->raw.data(), table->raw.size());
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

// The graph may hold whole numbers besides the tables, for sizes and axes; others it could use in their place.
bool has_other_numbers(const Graph& graph) {
  constexpr std::ptrdiff_t kTables = 4;
  const auto is_constant = [](const onnx::Node& node) {
    return node.op_type == "Constant" || node.op_type == "ConstantOfShape";
  };
  const auto is_table = [](const auto& initializer) { return initializer.second.type != onnx::Type::kInt64; };
  return std::count_if(graph.initializers.begin(), graph.initializers.end(), is_table) != kTables ||
         std::any_of(graph.nodes.begin(), graph.nodes.end(), is_constant);
}

}  // namespace

std::optional<Parameters> read_parameters(const Graph& graph, std::size_t labels, std::size_t rank,
                                          std::size_t latents) {
  Parameters p;
  p.labels = labels;
  p.rank = rank;
  p.latents = latents;
  p.components = size_of(graph, "means", 0);
  p.most_steps = size_of(graph, "thresholds", 1);
  const bool fits = labels <= kMostSize && rank <= latents && latents <= kMostSize &&
                    read_table(graph, "class_thresholds", {labels - 1}, p.class_thresholds) &&
                    read_table(graph, "thresholds", {2 * labels, p.most_steps}, p.thresholds) &&
                    read_table(graph, "first", {labels}, p.first) &&
                    read_table(graph, "means", {p.components, latents}, p.means) &&
                    read_table(graph, "factors", {p.components, rank, latents}, p.factors) &&
                    p.thresholds.size() <= kMostThresholds && components_exist(p) && !has_other_numbers(graph);
  return fits ? std::optional(std::move(p)) : std::nullopt;
}

Choices every_choice(const Parameters& p) {
  Choices all;
  const auto add = [&all](float threshold, std::int64_t digit) {
    if (!(threshold > 0.0F && threshold < 1.0F)) return;
    all.u.insert(all.u.end(), {std::nextafter(threshold, 0.0F), threshold});
    all.digit.insert(all.digit.end(), 2, digit);
  };
  const auto labels = static_cast<std::int64_t>(p.labels);
  for (std::int64_t digit = -1; digit < labels; ++digit) {
    all.u.push_back(0.0F);
    all.digit.push_back(digit);
  }
  for (const float threshold : p.class_thresholds) add(threshold, -1);
  for (std::size_t i = 0; i < p.thresholds.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i / p.most_steps);
    add(p.thresholds[i], row < labels ? row : -1);
  }
  return all;
}

}  // namespace digitvae::mixture
