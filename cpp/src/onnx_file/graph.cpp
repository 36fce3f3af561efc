#include "onnx_file/graph.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

// ONNX is Protocol Buffers: a message is a list of fields, each a key (number · 8 + wire type) and a value. The
// numbers below are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

namespace digitvae::onnx_file {
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
constexpr std::uint64_t kAttributeType = 20;
constexpr std::uint64_t kTensorDims = 1;
constexpr std::uint64_t kTensorType = 2;
constexpr std::uint64_t kTensorName = 8;
constexpr std::uint64_t kTensorRaw = 9;
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

bool read_attribute(std::string_view message, Node& node) {
  Fields fields(message);
  std::string_view name;
  std::uint64_t value = 0;
  for (Field field; fields.next(field);) {
    if (field.number == kAttributeName) {
      name = field.bytes;
    } else if (field.number == kAttributeFloat || field.number == kAttributeInt) {
      value = field.value;
    } else if (field.number != kAttributeType) {
      node.has_only_numbers = false;
    }
  }
  node.attributes[name] = value;
  return !fields.failed();
}

bool read_node(std::string_view message, Graph& graph) {
  Node node;
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number == kNodeInput) node.inputs.push_back(field.bytes);
    if (field.number == kNodeOutput) node.outputs.push_back(field.bytes);
    if (field.number == kNodeOpType) node.op_type = field.bytes;
    if (field.number == kNodeDomain) node.domain = field.bytes;
    if (field.number == kNodeAttribute && !read_attribute(field.bytes, node)) return false;
  }
  for (const std::string_view output : node.outputs) graph.makers[output] = graph.nodes.size();
  graph.nodes.push_back(std::move(node));
  return !fields.failed();
}

bool read_initializer(std::string_view message, Graph& graph) {
  Fields fields(message);
  std::string_view name;
  Initializer read;
  for (Field field; fields.next(field);) {
    if (field.number == kTensorName) name = field.bytes;
    if (field.number == kTensorType) read.type = static_cast<Type>(field.value);
    if (field.number == kTensorRaw) read.raw = field.bytes;
    if (field.number != kTensorDims) continue;
    if (field.wire_type == kVarint) {
      read.dims.push_back(field.value);
    } else if (field.wire_type == kBytes) {  // packed: the same numbers in one field
      return false;                          // which no exporter writes for this one
    }
  }
  graph.initializers[name] = std::move(read);
  return !fields.failed();
}

bool read_graph(std::string_view message, Graph& graph) {
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number == kGraphNode && !read_node(field.bytes, graph)) return false;
    if (field.number == kGraphInitializer && !read_initializer(field.bytes, graph)) return false;
  }
  return !fields.failed();
}

std::string replaced_node(std::string_view message, std::string_view op_type, std::string_view domain) {
  std::string changed;
  Fields fields(message);
  for (Field field; fields.next(field);) {
    const bool is_changed =
        field.number == kNodeOpType || field.number == kNodeDomain || field.number == kNodeAttribute;
    if (!is_changed) changed.append(field.whole);
  }
  append_bytes(changed, kNodeOpType, op_type);
  append_bytes(changed, kNodeDomain, domain);
  return changed;
}

std::string opset(std::string_view domain) {
  std::string message;
  append_bytes(message, kOpsetDomain, domain);
  append_varint(message, kOpsetVersion << 3 | kVarint);
  append_varint(message, 1);
  return message;
}

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

std::optional<Model> Model::read(const void* model, std::size_t bytes) {
  const std::string_view file(static_cast<const char*>(model), bytes);
  std::string_view graph_message;
  Fields fields(file);
  for (Field field; fields.next(field);) {
    if (field.number != kModelGraph) continue;
    // A graph in pieces would be joined by parsers.
    if (!graph_message.empty() || field.wire_type != kBytes) return std::nullopt;
    graph_message = field.bytes;
  }
  Model read(file, graph_message);
  if (fields.failed() || !read_graph(graph_message, read.graph_)) return std::nullopt;
  return read;
}

std::string Model::with_operator(const Node& node, std::string_view op_type, std::string_view domain) const {
  const auto replaced = static_cast<std::size_t>(&node - graph_.nodes.data());
  std::string graph;
  graph.reserve(graph_message_.size() + 128);
  std::size_t number = 0;
  Fields parts(graph_message_);
  for (Field field; parts.next(field);) {
    if (field.number == kGraphNode && number++ == replaced) {
      append_bytes(graph, kGraphNode, replaced_node(field.bytes, op_type, domain));
    } else {
      graph.append(field.whole);
    }
  }
  std::string changed;
  changed.reserve(file_.size() + 256);
  Fields fields(file_);
  for (Field field; fields.next(field);) {
    if (field.number == kModelGraph) {
      append_bytes(changed, kModelGraph, graph);
    } else {
      changed.append(field.whole);
    }
  }
  append_bytes(changed, kModelOpsetImport, opset(domain));
  return changed;
}

}  // namespace digitvae::onnx_file
