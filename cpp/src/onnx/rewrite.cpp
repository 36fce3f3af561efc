#include "onnx/model_file.hpp"
#include "onnx/rules.hpp"

namespace digitvae::onnx {
namespace {

void append_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80U));
  to.push_back(static_cast<char>(value));
}

void append_bytes(std::string& to, std::uint64_t number, std::string_view bytes) {
  append_varint(to, number << 3 | kBytes);
  append_varint(to, bytes.size());
  to.append(bytes);
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

}  // namespace

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

}  // namespace digitvae::onnx
