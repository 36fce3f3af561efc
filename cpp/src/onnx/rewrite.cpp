#include "onnx/fields.hpp"
#include "onnx/model_file.hpp"
#include "onnx/numbers.hpp"

namespace digitvae::onnx {
namespace {

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
