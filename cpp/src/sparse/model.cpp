#include "sparse/model.hpp"

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "sparse/operator.hpp"
#include "sparse/product.hpp"

// ONNX is Protocol Buffers: a message is a list of fields, each a key (number · 8 + wire type) and a value. The
// numbers below are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

namespace digitvae::sparse {
namespace {

constexpr std::uint64_t kModelOpsetImport = 8;
constexpr std::uint64_t kModelGraph = 7;
constexpr std::uint64_t kGraphNode = 1;
constexpr std::uint64_t kGraphInitializer = 5;
constexpr std::uint64_t kNodeInput = 1;
constexpr std::uint64_t kNodeOutput = 2;
constexpr std::uint64_t kNodeOpType = 4;
constexpr std::uint64_t kNodeAttribute = 5;
constexpr std::uint64_t kNodeDomain = 7;
constexpr std::uint64_t kAttributeName = 1;
constexpr std::uint64_t kAttributeFloat = 2;
constexpr std::uint64_t kAttributeInt = 3;
constexpr std::uint64_t kTensorDims = 1;
constexpr std::uint64_t kTensorName = 8;
constexpr std::uint64_t kOpsetDomain = 1;
constexpr std::uint64_t kOpsetVersion = 2;

enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  std::uint64_t wire_type = 0;
  std::uint64_t value = 0;  // of a number
  std::string_view bytes;   // of a string or message
  std::string_view whole;   // key and value as they stand
};

// The fields of a message, one after the other. failed() tells that what is there is not a message.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  bool next(Field& field) {
    const std::string_view start = rest_;
    std::uint64_t key = 0;
    if (rest_.empty() || !take_varint(key)) return false;
    field = {key >> 3, key & 7, 0, {}, {}};
    std::uint64_t length = 0;
    bool taken = false;
    switch (field.wire_type) {
      case kVarint:
        taken = take_varint(field.value);
        break;
      case kFixed64:
        taken = take_fixed(8, field.value);
        break;
      case kFixed32:
        taken = take_fixed(4, field.value);
        break;
      case kBytes:
        taken = take_varint(length) && length <= rest_.size();
        if (!taken) break;
        field.bytes = rest_.substr(0, static_cast<std::size_t>(length));
        rest_.remove_prefix(static_cast<std::size_t>(length));
        break;
      default:
        break;
    }
    if (!taken) return fail();
    field.whole = start.substr(0, start.size() - rest_.size());
    return true;
  }

  bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    rest_ = {};
    return false;
  }

  bool take_varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return true;
    }
    return fail();
  }

  bool take_fixed(std::size_t size, std::uint64_t& value) {
    if (rest_.size() < size) return fail();
    value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    }
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
  bool failed_ = false;
};

void append_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80U));
  to.push_back(static_cast<char>(value));
}

void append_bytes(std::string& to, std::uint64_t number, std::string_view bytes) {
  append_varint(to, number << 3 | kBytes);
  append_varint(to, bytes.size());
  to.append(bytes);
}

struct Node {
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::string_view op_type;
  std::string_view domain;
  std::map<std::string_view, std::uint64_t> attributes;  // floats as their bits
};

struct Graph {
  std::vector<Node> nodes;
  std::map<std::string_view, std::vector<std::uint64_t>> initializers;  // dimensions by name
};

bool read_attribute(std::string_view message, Node& node) {
  Fields fields(message);
  std::string_view name;
  std::uint64_t value = 0;
  for (Field field; fields.next(field);) {
    if (field.number == kAttributeName) name = field.bytes;
    if (field.number == kAttributeFloat || field.number == kAttributeInt) value = field.value;
  }
  node.attributes[name] = value;
  return !fields.failed();
}

bool read_node(std::string_view message, Node& node) {
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number == kNodeInput) node.inputs.push_back(field.bytes);
    if (field.number == kNodeOutput) node.outputs.push_back(field.bytes);
    if (field.number == kNodeOpType) node.op_type = field.bytes;
    if (field.number == kNodeDomain) node.domain = field.bytes;
    if (field.number == kNodeAttribute && !read_attribute(field.bytes, node)) return false;
  }
  return !fields.failed();
}

bool read_initializer(std::string_view message, Graph& graph) {
  Fields fields(message);
  std::string_view name;
  std::vector<std::uint64_t> dims;
  for (Field field; fields.next(field);) {
    if (field.number == kTensorName) name = field.bytes;
    if (field.number != kTensorDims) continue;
    if (field.wire_type == kVarint) {
      dims.push_back(field.value);
    } else if (field.wire_type == kBytes) {  // packed: the same numbers in one field
      return false;                          // which no exporter writes for this one
    }
  }
  graph.initializers[name] = dims;
  return !fields.failed();
}

bool read_graph(std::string_view message, Graph& graph) {
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number == kGraphNode && !read_node(field.bytes, graph.nodes.emplace_back())) return false;
    if (field.number == kGraphInitializer && !read_initializer(field.bytes, graph)) return false;
  }
  return !fields.failed();
}

// Gemm(x, weights, bias) = x · weightsᵀ + bias, nothing else.
bool is_plain_dense_layer(const Node& node) {
  if (node.op_type != "Gemm" || !node.domain.empty() || node.inputs.size() != 3 || node.outputs.size() != 1) {
    return false;
  }
  std::uint64_t one = 0;
  const float one_float = 1.0F;
  std::memcpy(&one, &one_float, sizeof one_float);
  std::map<std::string_view, std::uint64_t> settings = {{"alpha", one}, {"beta", one}, {"transA", 0}, {"transB", 0}};
  for (const auto& [name, value] : node.attributes) settings[name] = value;
  return settings == decltype(settings){{"alpha", one}, {"beta", one}, {"transA", 0}, {"transB", 1}};
}

bool has_supported_size(const Graph& graph, const Node& layer) {
  const auto weights = graph.initializers.find(layer.inputs[1]);
  const auto bias = graph.initializers.find(layer.inputs[2]);
  if (weights == graph.initializers.end() || bias == graph.initializers.end()) return false;
  if (weights->second.size() != 2 || bias->second != std::vector{weights->second[0]}) return false;
  return Product::supports(static_cast<std::size_t>(weights->second[1]), static_cast<std::size_t>(weights->second[0]));
}

// The index of the node to replace.
std::optional<std::size_t> find_layer(const Graph& graph) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& layer = graph.nodes[i];
    if (!is_plain_dense_layer(layer) || !has_supported_size(graph, layer)) continue;
    for (const Node& node : graph.nodes) {
      if (node.op_type == "Relu" && node.domain.empty() && node.outputs.size() == 1 &&
          node.outputs[0] == layer.inputs[0]) {
        return i;
      }
    }
  }
  return std::nullopt;
}

std::string replaced_node(std::string_view message) {
  std::string changed;
  Fields fields(message);
  for (Field field; fields.next(field);) {
    const bool is_changed =
        field.number == kNodeOpType || field.number == kNodeDomain || field.number == kNodeAttribute;
    if (!is_changed) changed.append(field.whole);
  }
  append_bytes(changed, kNodeOpType, kOperator);
  append_bytes(changed, kNodeDomain, kDomain);
  return changed;
}

std::string replaced_graph(std::string_view message, std::size_t layer) {
  std::string changed;
  changed.reserve(message.size() + 64);
  std::size_t node = 0;
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number == kGraphNode && node++ == layer) {
      append_bytes(changed, kGraphNode, replaced_node(field.bytes));
    } else {
      changed.append(field.whole);
    }
  }
  return changed;
}

std::string opset() {
  std::string message;
  append_bytes(message, kOpsetDomain, kDomain);
  append_varint(message, kOpsetVersion << 3 | kVarint);
  append_varint(message, 1);
  return message;
}

}  // namespace

std::string with_sparse_layer(const void* model, std::size_t bytes) {
  const std::string_view message(static_cast<const char*>(model), bytes);
  std::string_view graph_message;
  std::string changed;
  changed.reserve(bytes + 128);
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number != kModelGraph) {
      changed.append(field.whole);
    } else if (graph_message.empty() && field.wire_type == kBytes) {
      graph_message = field.bytes;
    } else {
      return {};  // a graph in pieces, which parsers would join
    }
  }
  Graph graph;
  if (fields.failed() || !read_graph(graph_message, graph)) return {};
  const std::optional<std::size_t> layer = find_layer(graph);
  if (!layer) return {};
  append_bytes(changed, kModelGraph, replaced_graph(graph_message, *layer));
  append_bytes(changed, kModelOpsetImport, opset());
  return changed;
}

}  // namespace digitvae::sparse
