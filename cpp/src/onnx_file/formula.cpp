#include <algorithm>
#include <cstring>
#include <utility>

#include "onnx_file/graph.hpp"

namespace digitvae::onnx_file {
namespace {

// A value as Graph::formula writes it, appended to what is there.
class Formula {
 public:
  explicit Formula(const Graph& graph) : graph_(graph) {}

  void append(std::string_view value, std::size_t depth = 0) {
    if (depth == kDeepest || text_.size() > kLongest) {
      text_ += '?';
    } else if (const Initializer* const initializer = graph_.initializer(value)) {
      append_initializer(value, *initializer);
    } else if (const Node* const node = graph_.maker_of(value)) {
      append_node(*node, depth);
    } else {
      append_name(value);
    }
  }

  std::string take() { return std::move(text_); }

 private:
  static constexpr std::size_t kDeepest = 64;
  static constexpr std::size_t kLongest = 8'192;

  // Only names that cannot be taken for anything else.
  void append_name(std::string_view name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto is_usual = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.'; };
    const bool is_plain = !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), is_usual);
    text_ += is_plain ? name : "?";
  }

  void append_initializer(std::string_view name, const Initializer& initializer) {
    std::int64_t number = 0;
    const bool is_number = initializer.type == Type::kInt64 && initializer.raw.size() == sizeof number &&
                           (initializer.dims.empty() || initializer.dims == std::vector<std::uint64_t>{1});
    if (!is_number) return append_name(name);
    std::memcpy(&number, initializer.raw.data(), sizeof number);
    const std::string digits = std::to_string(number);
    text_ += initializer.dims.empty() ? digits : '[' + digits + ']';
  }

  void append_node(const Node& node, std::size_t depth) {
    text_ += node.domain.empty() && node.outputs.size() == 1 && node.has_only_numbers ? node.op_type : "?";
    char before = '[';
    for (const auto& [name, value] : node.attributes) {
      text_ += before;
      text_ += name;
      text_ += '=' + std::to_string(value);
      before = ',';
    }
    if (!node.attributes.empty()) text_ += ']';
    before = '(';
    for (const std::string_view input : node.inputs) {
      if (text_.size() > kLongest) break;
      text_ += before;
      append(input, depth + 1);
      before = ',';
    }
    text_ += ')';
  }

  const Graph& graph_;
  std::string text_;
};

}  // namespace

const Node* Graph::maker_of(std::string_view value) const {
  const auto found = makers.find(value);
  return found == makers.end() ? nullptr : &nodes[found->second];
}

const Initializer* Graph::initializer(std::string_view value) const {
  const auto found = initializers.find(value);
  return found == initializers.end() ? nullptr : &found->second;
}

std::string Graph::formula(std::string_view value) const {
  Formula formula(*this);
  formula.append(value);
  return formula.take();
}

}  // namespace digitvae::onnx_file
