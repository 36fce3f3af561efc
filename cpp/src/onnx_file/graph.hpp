// What an ONNX file says of its graph: as much as code of ours needs that does the work of some nodes, or of all
// (sparse/, latent_mixture/), while what is shipped stays plain ONNX.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace digitvae::onnx_file {

struct Node {
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::string_view op_type;
  std::string_view domain;
  std::map<std::string_view, std::uint64_t> attributes;  // numbers, floats as their bits; 0 for anything else
  bool has_only_numbers = true;                          // as attributes

  // An operator of ONNX itself, with one output.
  bool is(std::string_view name) const { return op_type == name && domain.empty() && outputs.size() == 1; }
};

enum class Type : std::uint64_t { kFloat = 1, kInt64 = 7 };  // as ONNX numbers them; others come up, too

struct Initializer {
  Type type{};
  std::vector<std::uint64_t> dims;
  std::string_view raw;  // its values in memory; empty if the file holds them in another form
};

struct Graph {
  std::vector<Node> nodes;
  std::map<std::string_view, Initializer> initializers;
  std::map<std::string_view, std::size_t> makers;  // of values, as indices of nodes

  // The node that computes a value; null if it is an input or an initializer.
  const Node* maker_of(std::string_view value) const;

  // Null if the value is none.
  const Initializer* initializer(std::string_view value) const;

  // How a value is computed from inputs and initializers, as text without spaces:
  // "Add(x,Reshape[allowzero=0](w,[-1]))". Initializers stand by name, but int64 of one number by that number, in
  // brackets if it has a dimension. Equal texts, equal functions, if the named initializers are equal; what has no such
  // text (other operators than ONNX's, attributes that are not numbers, names that are no words, more than some
  // thousand characters) contains a
  // "?".
  std::string formula(std::string_view value) const;
};

// A model file, read. The names in its graph are parts of the file, which must outlive this.
class Model {
 public:
  // Nothing if the bytes are not an ONNX model that this reader understands.
  static std::optional<Model> read(const void* model, std::size_t bytes);

  const Graph& graph() const { return graph_; }

  // The file with an operator of that domain in the place of a node, with the same inputs and outputs, and without
  // attributes. Nothing else of it is changed.
  std::string with_operator(const Node& node, std::string_view op_type, std::string_view domain) const;

 private:
  Model(std::string_view file, std::string_view graph_message) : file_(file), graph_message_(graph_message) {}

  std::string_view file_;
  std::string_view graph_message_;
  Graph graph_;
};

}  // namespace digitvae::onnx_file
