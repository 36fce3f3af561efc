#include <algorithm>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "onnx/model_file.hpp"
#include "onnx/rules.hpp"

namespace digitvae::onnx {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;   // Protocol Buffers end at 2 GiB
constexpr std::size_t kMostFields = std::size_t{1} << 20;  // bounds the memory that reading takes
constexpr std::size_t kDeepest = 16;                       // graphs within graphs

constexpr const char* kUnknown =
    " that ONNX, as digitvae knows it, does not have: the file is damaged, or from a later version";

// A name as it may stand in a message: short, and without anything that a terminal would obey.
std::string quoted(std::string_view name) {
  constexpr std::size_t kMost = 60;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "'";
  for (const char c : name.substr(0, kMost)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      text += c;
    } else {
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return text + (name.size() > kMost ? "…'" : "'");
}

// `what`: a part of the model; empty: the model itself.
[[noreturn]] void refuse(std::string_view what, const std::string& reason) {
  throw ModelError((what.empty() ? "the model" : "the model's " + std::string(what)) + ' ' + reason);
}

// What a model may hold, and how much of it was read.
struct Limits {
  Role role;
  std::size_t fields = 0;

  void count_field() {
    if (++fields > kMostFields) throw ModelError("the model has more than " + std::to_string(kMostFields) + " fields");
  }
};

// The fields of one message, in the order of the file; each is checked when its turn comes.
class Message {
 public:
  template <std::size_t kRules>
  Message(std::string_view bytes, const Rule (&rules)[kRules], const char* what, Limits& limits)
      : fields_(bytes), rules_(rules), end_(rules + kRules), what_(what), limits_(limits) {}

  bool next(Field& field) {
    if (!fields_.next(field)) {
      if (fields_.failed()) refuse(what_, "is no message of ONNX: the file is damaged, or cut short");
      return false;
    }
    limits_.count_field();
    const std::string number = std::to_string(field.number);
    const std::uint32_t bit = field.number < 32 ? std::uint32_t{1} << field.number : 0;
    const Rule* const rule = std::find_if(rules_, end_, [&](const Rule& it) { return (it.fields & bit) != 0; });
    if (rule == end_ || (rule->kind >> field.wire_type & 1U) == 0) refuse(what_, "has a field " + number + kUnknown);
    if (rule->reason != kAllowed && (rule->reason < kFunctions || limits_.role != Role::kAny)) {
      refuse(what_, kReasons[rule->reason]);
    }
    if ((rule->kind & kMany) == 0 && (seen_ & bit) != 0) refuse(what_, "has its field " + number + " twice");
    seen_ |= bit;
    return true;
  }

 private:
  Fields fields_;
  const Rule* rules_;
  const Rule* end_;
  const char* what_;
  Limits& limits_;
  std::uint32_t seen_ = 0;
};

class Reader {
 public:
  explicit Reader(Role role) : limits_{role} {}

  // Returns the graph's message, and fills `graph` from it.
  std::string_view read_model(std::string_view bytes, Graph& graph, Metadata& metadata) {
    std::string_view graph_bytes;
    Message message(bytes, kModelRules, "", limits_);
    for (Field field; message.next(field);) {
      if (field.number == kModelGraph) graph_bytes = field.bytes;
      if (field.number == kModelMetadata) read_entry(field.bytes, metadata);
      if (field.number == kModelFunction) read_function(field.bytes);
    }
    if (graph_bytes.data() == nullptr) throw ModelError("the model has no graph: the file is not ONNX, or cut short");
    read_graph(graph_bytes, graph);
    return graph_bytes;
  }

 private:
  using Names = std::set<std::string_view>;

  void define(std::string_view name, Names& names) const {
    if (!names.insert(name).second) throw ModelError("the model defines " + quoted(name) + " twice");
  }

  void read_entry(std::string_view bytes, Metadata& metadata) {
    std::string_view key;
    std::string_view value;
    Message message(bytes, kEntryRules, "metadata", limits_);
    for (Field field; message.next(field);) (field.number == kEntryKey ? key : value) = field.bytes;
    const bool is_new = metadata.emplace(key, value).second;
    if (!is_new && limits_.role != Role::kAny) throw ModelError("the model has metadata " + quoted(key) + " twice");
  }

  void read_graph(std::string_view bytes, Graph& graph) {
    if (++depth_ > kDeepest) throw ModelError("the model has graphs within graphs, more than 16 deep");
    Names names;
    Names inputs;
    Message message(bytes, kGraphRules, "graph", limits_);
    for (Field field; message.next(field);) {
      if (field.number == kGraphNode) read_node(field.bytes, graph, names);
      if (field.number == kGraphInput) define(read_name(field.bytes), inputs);
      if (field.number == kGraphInitializer) define(read_initializer(field.bytes, graph), names);
      if (field.number == kGraphSparse) define(read_sparse(field.bytes), names);
    }
    for (const std::string_view input : inputs) {
      // Before IR 4, initializers had to be among the inputs.
      if (limits_.role != Role::kAny || graph.maker_of(input) != nullptr) define(input, names);
    }
    --depth_;
  }

  void read_function(std::string_view bytes) {
    Graph graph;
    Names names;
    Message message(bytes, kFunctionRules, "function", limits_);
    for (Field field; message.next(field);) {
      if (field.number == kFunctionNode) read_node(field.bytes, graph, names);
      if (field.number == kFunctionAttribute) read_attribute(field.bytes, graph.nodes.emplace_back());
    }
  }

  void read_node(std::string_view bytes, Graph& graph, Names& names) {
    Node node;
    Message message(bytes, kNodeRules, "node", limits_);
    for (Field field; message.next(field);) {
      if (field.number == kNodeInput) node.inputs.push_back(field.bytes);
      if (field.number == kNodeOutput) node.outputs.push_back(field.bytes);
      if (field.number == kNodeOpType) node.op_type = field.bytes;
      if (field.number == kNodeDomain) node.domain = field.bytes;
      if (field.number == kNodeAttribute) read_attribute(field.bytes, node);
    }
    require_known(node);
    for (const std::string_view output : node.outputs) {
      if (output.empty()) continue;  // one that is not wanted
      define(output, names);
      graph.makers[output] = graph.nodes.size();
    }
    graph.nodes.push_back(std::move(node));
  }

  void require_known(const Node& node) const {
    if (limits_.role == Role::kAny) return;
    const bool is_of_onnx = node.domain.empty() || node.domain == "ai.onnx";
    if (is_of_onnx && may_use(limits_.role, node.op_type)) return;
    throw ModelError("the model uses the operator " + quoted(node.op_type) +
                     (is_of_onnx ? "" : " of " + quoted(node.domain)) + ", which " +
                     (limits_.role == Role::kMixture
                          ? "a latent mixture has no need of"
                          : "networks of dense, convolutional and activation layers do not need"));
  }

  void read_attribute(std::string_view bytes, Node& node) {
    std::string_view name;
    std::uint64_t value = 0;
    std::uint64_t held = 0;  // number of the field with the value
    Message message(bytes, kAttributeRules, "attribute", limits_);
    for (Field field; message.next(field);) {
      switch (field.number) {
        case kAttributeName:
          name = field.bytes;
          continue;
        case kAttributeDoc:
        case kAttributeType:
          continue;
        case kAttributeFloat:
        case kAttributeInt:
          value = field.value;
          break;
        case kAttributeTensor:
        case kAttributeTensors:
          read_tensor(field.bytes);
          break;
        case kAttributeGraph:
        case kAttributeGraphs: {
          Graph within;
          read_graph(field.bytes, within);
          break;
        }
        case kAttributeSparseTensor:
        case kAttributeSparseTensors:
          read_sparse(field.bytes);
          break;
        default:
          break;
      }
      if (held != 0 && held != field.number) throw ModelError("the model has an attribute with two values");
      held = field.number;
    }
    if (!node.attributes.emplace(name, value).second) {
      throw ModelError("the model has an attribute " + quoted(name) + " twice in one node");
    }
  }

  std::string_view read_name(std::string_view bytes) {
    std::string_view name;
    Message message(bytes, kValueRules, "input", limits_);
    for (Field field; message.next(field);) {
      if (field.number == kValueName) name = field.bytes;
    }
    return name;
  }

  std::string_view read_initializer(std::string_view bytes, Graph& graph) {
    std::string_view name;
    Initializer read = read_tensor(bytes, &name);
    graph.initializers.emplace(name, std::move(read));
    return name;
  }

  std::string_view read_sparse(std::string_view bytes) {
    std::string_view name;
    Message message(bytes, kSparseRules, "sparse tensor", limits_);
    for (Field field; message.next(field);) {
      if (field.number == kSparseValues) read_tensor(field.bytes, &name);
      if (field.number == kSparseIndices) read_tensor(field.bytes);
    }
    return name;
  }

  Initializer read_tensor(std::string_view bytes, std::string_view* name = nullptr) {
    Initializer read;
    std::uint64_t held = 0;  // number of the field with the values
    Message message(bytes, kTensorRules, "tensor", limits_);
    for (Field field; message.next(field);) {
      switch (field.number) {
        case kTensorDims:
          read_dims(field, read.dims);
          continue;
        case kTensorType:
          read.type = static_cast<Type>(field.value);
          continue;
        case kTensorName:
          if (name != nullptr) *name = field.bytes;
          continue;
        case kTensorLocation:
          if (field.value != 0) refuse("tensor", kReasons[kExternal]);
          continue;
        case kTensorDoc:
        case kTensorMetadata:
          continue;
        case kTensorRaw:
          read.raw = field.bytes;
          break;
        default:
          break;
      }
      if (held != 0 && held != field.number) throw ModelError("the model has a tensor with two sets of values");
      held = field.number;
    }
    return read;
  }

  void read_dims(const Field& field, std::vector<std::uint64_t>& dims) {
    if (field.wire_type == kVarint) return dims.push_back(field.value);
    for (std::string_view rest = field.bytes; !rest.empty();) {
      std::uint64_t dim = 0;
      if (!take_varint(rest, dim)) refuse("tensor", "has sizes that are cut short");
      limits_.count_field();
      dims.push_back(dim);
    }
  }

  Limits limits_;
  std::size_t depth_ = 0;
};

}  // namespace

Model::Model(const void* file, std::size_t bytes, Role role) : file_(static_cast<const char*>(file), bytes) {
  if (bytes == 0 || bytes > kMostBytes) {
    throw ModelError("the model has " + std::to_string(bytes) + " bytes, expected 1 to 1 GiB");
  }
  // ONNX Runtime takes such a file for one of its own format, whatever else it is.
  if (file_.substr(std::min<std::size_t>(bytes, 4), 4) == "ORTM") {
    throw ModelError("the model is in ONNX Runtime's own format: digitvae reads ONNX");
  }
  graph_message_ = Reader(role).read_model(file_, graph_, metadata_);
}

}  // namespace digitvae::onnx
