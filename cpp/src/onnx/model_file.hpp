// An ONNX file, read and checked before any runtime sees it, and what it says of its graph: as much as code of ours
// needs that does the work of some nodes, or of all (kernels/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace digitvae::onnx {

// What a model is for, and so what it may hold.
enum class Role {
  kNetwork,  // a decoder, an encoder, a classifier: dense and convolutional layers, activations
  kMixture,  // prior.onnx: sums, products and the choice of a component
  kAny,      // a model of the user's own, as `digitvae verify --onnx` compares: every operator, also with graphs within
};

// Whether a model of that role may use this operator of ONNX itself. To allow another one, add it to the lists in
// operators.cpp, if it computes its outputs from its inputs alone, in a time that their sizes bound.
bool may_use(Role role, std::string_view op_type);

struct Node {
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::string_view op_type;
  std::string_view domain;
  std::map<std::string_view, std::uint64_t> attributes;  // numbers, floats as their bits; 0 for anything else

  // An operator of ONNX itself, with one output.
  bool is(std::string_view name) const { return op_type == name && domain.empty() && outputs.size() == 1; }
};

enum class Type : std::uint64_t { kFloat = 1, kInt64 = 7 };  // as ONNX numbers them; others come up, too

struct Initializer {
  Type type{};
  std::vector<std::uint64_t> dims;
  std::string_view raw;  // its values in memory; empty if the file holds them in another form
};

// What a model says of itself, by key.
using Metadata = std::map<std::string, std::string, std::less<>>;

struct Graph {
  std::vector<Node> nodes;
  std::map<std::string_view, Initializer> initializers;
  std::map<std::string_view, std::size_t> makers;  // of values, as indices of nodes

  // The node that computes a value; null if it is an input or an initializer.
  const Node* maker_of(std::string_view value) const {
    const auto found = makers.find(value);
    return found == makers.end() ? nullptr : &nodes[found->second];
  }

  // Null if the value is none.
  const Initializer* initializer(std::string_view value) const {
    const auto found = initializers.find(value);
    return found == initializers.end() ? nullptr : &found->second;
  }
};

// A model file that passed every check. The names in its graph are parts of the file, which must outlive this.
class Model {
 public:
  // Throws ModelError unless the bytes are one whole ONNX model that holds only what its role needs:
  //  - no values in other files or places, in any tensor anywhere;
  //  - no functions of its own, no graph within a node, no training steps, no sparse values (kAny may have all but
  //    training steps);
  //  - only the operators of operators.cpp;
  //  - every name defined once, every tensor's values and every key of the metadata given once;
  //  - every field known, of the right kind, and as often as ONNX allows: two parsers cannot read two models from it.
  // Reads no memory but the file, and takes at most a few hundred bytes for each field of it, of which there may be a
  // million.
  Model(const void* file, std::size_t bytes, Role role);

  std::string_view file() const { return file_; }
  const Graph& graph() const { return graph_; }
  const Metadata& metadata() const { return metadata_; }

  // The file with an operator of that domain in the place of a node, with the same inputs and outputs, and without
  // attributes. Nothing else of it is changed.
  std::string with_operator(const Node& node, std::string_view op_type, std::string_view domain) const;

 private:
  std::string_view file_;
  std::string_view graph_message_;
  Graph graph_;
  Metadata metadata_;
};

}  // namespace digitvae::onnx
